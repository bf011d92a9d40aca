"""What commands that measure leave in a folder: a table as JSON and for people, and a picture."""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import read_limited
from fivebyfive.support.sidecars import replacing_sidecars

from .paths import check_beside
from .terminal import say

__all__ = ["draw", "print_report", "replacing_results", "result_paths", "resume_hint"]

PICTURES = ("png", "svg")


@contextmanager
def resume_hint() -> Iterator[None]:
    """Tells who interrupts the work how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        say("What is finished is kept; the same command goes on from there.")
        raise


def result_paths(out: Path, name: str, suffixes: Sequence[str], force: bool) -> dict[str, Path]:
    """Where results go, by suffix; asked before the work."""
    files = {suffix: out / f"{name}.{suffix}" for suffix in suffixes}
    check_beside(list(files.values()), force)
    return files


@contextmanager
def replacing_results(
    files: Mapping[str, Path], report: dict, texts: Mapping[str, str], force: bool
) -> Iterator[list[Path]]:
    """Write the tables when the block ends, in which the pictures are drawn, if there are any to draw: their paths for
    now, where anything would change or a picture is missing. ``texts``: tables beside the JSON, by suffix.

    The JSON comes last: as long as it is not there, the same command draws and writes everything again.
    """
    tables = {files[suffix]: text.encode(errors="backslashreplace") for suffix, text in texts.items()}
    tables[files["json"]] = json.dumps(report, indent=2).encode() + b"\n"
    before = [written(path, len(content) + 1) for path, content in tables.items()]
    missing = any(not files[suffix].is_file() for suffix in PICTURES if suffix in files)
    pictures = [files[suffix] for suffix in PICTURES if suffix in files]
    with replacing_sidecars([*pictures, *tables], force) as new:
        yield new[: len(pictures)] if before != list(tables.values()) or missing else []
        for path, content in zip(new[len(pictures) :], tables.values(), strict=True):
            path.write_bytes(content)


def written(path: Path, limit: int) -> bytes | None:
    """What a table held before; None where it cannot be read, or is longer than ``limit`` bytes."""
    try:
        return read_limited(path, limit, "table")
    except UserError:
        return None


def draw(plot: str, paths: Sequence[Path], *results: Any) -> None:
    """The picture in each of the files, or a remark where matplotlib is missing: what was measured counts."""
    from . import plots

    if not paths:
        return
    try:
        plots.require_matplotlib()
    except UserError as error:
        say(f"No picture: {error}.")
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name's letters that the font lacks
        for path in paths:
            getattr(plots, plot)(path, *results)


def print_report(
    report: dict, as_json: bool, show: Callable[[], None], files: Mapping[str, Path] | None = None
) -> None:
    """What goes to standard output."""
    if as_json:
        print(json.dumps(report))
        return
    show()
    if files:
        print(f"\nin {', '.join(shown(path) for path in files.values() if path.exists())}")
