"""A component with one thing broken in a copy of its source: the proof of the component must not hold for it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import fivebyfive.hw as hw

__all__ = ["broken"]

HW = Path(hw.__file__).parent


def broken(target: str, name: str, old: str, new: str, *, within: str | None = None) -> type:
    """``name`` from a fresh copy of module ``target`` of `fivebyfive.hw`, with ``old`` replaced by ``new``.

    ``within``: the module in which it is replaced, if another one. What is imported stays as it is. Raises ValueError
    unless ``old`` occurs just once.
    """
    target, within = home(target), home(within or target)
    before_modules = {key: sys.modules.pop(key) for key in list(sys.modules) if key.startswith(f"{hw.__name__}.")}
    before_names = dict(vars(hw))
    try:
        seed(within, old, new)
        return getattr(importlib.import_module(target), name)
    finally:
        for key in [key for key in sys.modules if key.startswith(f"{hw.__name__}.")]:
            del sys.modules[key]
        sys.modules.update(before_modules)
        vars(hw).clear()
        vars(hw).update(before_names)


def home(module: str) -> str:
    """Full name of a module of `fivebyfive.hw`, whatever its room. Raises ValueError unless there is just one."""
    found = list(HW.rglob(f"{module}.py"))
    if len(found) != 1:
        raise ValueError(f"{len(found)} modules of {hw.__name__} are called {module}")
    return ".".join([hw.__name__, *found[0].relative_to(HW).with_suffix("").parts])


def seed(within: str, old: str, new: str) -> None:
    """Import the broken module under its own name, so that others find it."""
    package, _, module_name = within.rpartition(".")
    path = HW.joinpath(*within.split(".")[2:]).with_suffix(".py")
    source = path.read_text()
    if source.count(old) != 1:
        raise ValueError(f"{old!r} occurs {source.count(old)} times in {module_name}.py; a seeded bug needs one place")
    module = ModuleType(within)
    module.__package__ = package
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    vars(module)["__seeded__"] = source = source.replace(old, new)
    exec(compile(source, str(path), "exec"), vars(module))
