"""A component with one thing broken in a copy of its source: the proof of the component must not hold for it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import fivebyfive.hw as hw

__all__ = ["broken"]


def broken(target: str, name: str, old: str, new: str, *, within: str | None = None) -> type:
    """``name`` from a fresh copy of module ``target`` of `fivebyfive.hw`, with ``old`` replaced by ``new``.

    ``within``: the module in which it is replaced, if another one. What is imported stays as it is. Raises ValueError
    unless ``old`` occurs just once.
    """
    within = within or target
    before_modules = {key: sys.modules.pop(key) for key in list(sys.modules) if key.startswith(f"{hw.__name__}.")}
    before_names = dict(vars(hw))
    try:
        seed(within, old, new)
        return getattr(importlib.import_module(f"{hw.__name__}.{target}"), name)
    finally:
        for key in [key for key in sys.modules if key.startswith(f"{hw.__name__}.")]:
            del sys.modules[key]
        sys.modules.update(before_modules)
        vars(hw).clear()
        vars(hw).update(before_names)


def seed(within: str, old: str, new: str) -> None:
    """Import the broken module under its own name, so that others find it."""
    path = Path(hw.__file__).parent / f"{within}.py"
    source = path.read_text()
    if source.count(old) != 1:
        raise ValueError(f"{old!r} occurs {source.count(old)} times in {within}.py; a seeded bug needs one place")
    module = ModuleType(f"{hw.__name__}.{within}")
    module.__package__ = hw.__name__
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    vars(module)["__seeded__"] = source = source.replace(old, new)
    exec(compile(source, str(path), "exec"), vars(module))
