"""The sources that a piece of work depends on: a module, all that it imports of this package, and data files.

The import graph is read from the sources (`ast`), wherever in a module an import stands; nothing is imported. A module
also depends on one whose full name it has in quotes, as that of a bench, and on data: files and folders beside it that
are not Python and to which it makes a path, as ``/ "area.json"`` does; of a folder, on all that it holds.
"""

import ast
import hashlib
import importlib.util
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["changed", "dependencies", "digest"]

PACKAGE = __name__.partition(".")[0]
NAME = r"""["'][\w.-]+["']"""
MODULE = re.compile(rf"""["']({PACKAGE}\.[\w.]+)["']""")
PLACE = re.compile(rf"(?:/|\b(?:with_name|joinpath)\()\s*({NAME}(?:\s*/\s*{NAME})*)")  # / "checkpoints" / "lenet.npz"
NO_DATA = ("__pycache__",)


@cache
def digest(*modules: str, without: tuple[str, ...] = ()) -> str:
    """SHA-256 of modules by full name and of all that they depend on; ``without``: of what is looked after otherwise.

    The same in every process and on every machine that has the same files.
    """
    found = hashlib.sha256()
    for path, name in sorted(files(*modules, without=without).items(), key=lambda item: item[1]):
        found.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def changed(*modules: str) -> bool:
    """Whether any of the files behind `digest` is another one than when this process began: what it has imported and
    what it has read for a digest may then differ."""
    return any(BEGINNING.get(path) != stamp(path) for path in files(*modules))


@cache
def dependencies(*modules: str, without: tuple[str, ...] = ()) -> frozenset[str]:
    """Full names of the modules and of all modules of this package that they import, packages around them included.

    Raises ModuleNotFoundError where one of ``modules`` is not there.
    """
    found: set[str] = set()
    waiting = list(modules)
    for name in waiting:
        located(name)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in without and find(name):
            found.add(name)
            waiting += [name.rpartition(".")[0], *imported(name)]
    return frozenset(found)


@cache
def files(*modules: str, without: tuple[str, ...] = ()) -> dict[Path, str]:
    """The files behind modules, each with a name that is the same wherever the package is installed."""
    found: dict[Path, str] = {}
    for module in dependencies(*modules, without=without):
        path = located(module)
        found[path] = f"{module}.py"
        folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for one in data(path):
            found[one] = f"{folder}/{one.relative_to(path.parent).as_posix()}"
    return found


@cache
def imported(module: str) -> tuple[str, ...]:
    """Modules of this package that a module imports or names, wherever in it."""
    path = located(module)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    text = path.read_text(encoding="utf-8")
    names: list[str] = []
    for node in statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    if path.name != "__init__.py":  # what a package has in quotes is what it offers: imported when somebody asks
        names += MODULE.findall(text)
    return tuple(name for name in dict.fromkeys(names) if find(name))


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """All statements in a node that can run; imports are never inside expressions, which are most of a source."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for _, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else ():
            if isinstance(child, ast.stmt):
                yield child
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                yield from statements(child)


@cache
def find(name: str) -> Path | None:
    """The file of a module of this package, None where there is none of that name."""
    root, *rest = name.split(".")
    if root != PACKAGE:
        return None
    if len(rest) < 2:  # rooms may lie anywhere (`package-dir` in pyproject.toml): ask; this imports nothing
        spec = importlib.util.find_spec(name)
        return Path(spec.origin) if spec and spec.origin else None
    room = find(".".join([root, rest[0]]))
    if room is None or room.name != "__init__.py":
        return None
    path = room.parent.joinpath(*rest[1:])
    return next((one for one in (path / "__init__.py", path.with_name(f"{path.name}.py")) if is_file(one)), None)


def located(name: str) -> Path:
    """The file of a module of this package. Raises ModuleNotFoundError where there is none of that name."""
    if path := find(name):
        return path
    raise ModuleNotFoundError(f"no module named {name}")


def is_file(path: Path) -> bool:
    return path.name in listing(path.parent)[0]


def data(module: Path) -> list[Path]:
    """Files beside a module that are not Python and that it makes a path to, and those in such folders."""
    found: list[Path] = []
    names, folders = listing(module.parent)
    for match in PLACE.finditer(module.read_text(encoding="utf-8")):
        first, *rest = re.findall(r"[\w.-]+", match[1])
        if first in folders and "__init__.py" not in listing(module.parent / first)[0]:
            path = module.parent.joinpath(first, *rest)
            found += [path] if rest and path.is_file() else below(path)
        elif first in names and not first.endswith(".py"):
            found.append(module.parent / first)
    return found


@cache
def listing(folder: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the files and of the folders in a folder."""
    names: set[str] = set()
    folders: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if entry.is_dir() else names).add(entry.name)
    except OSError:
        pass
    return frozenset(names), frozenset(folders.difference(NO_DATA))


def below(folder: Path) -> Iterator[Path]:
    """All files in a folder and in those in it."""
    names, folders = listing(folder)
    yield from (folder / name for name in sorted(names))
    for name in sorted(folders):
        yield from below(folder / name)


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells an edited or replaced file from the one that was there, without reading it."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def rooms() -> list[Path]:
    """The folders of this package and of its rooms."""
    spec = importlib.util.find_spec(PACKAGE)
    ours = [Path(spec.origin).parent] if spec and spec.origin else []
    return [*ours, *(room.parent for name in ("hw", "model", "sim") if (room := find(f"{PACKAGE}.{name}")))]


BEGINNING = {path: stamp(path) for room in rooms() for path in below(room)}
