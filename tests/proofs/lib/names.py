"""Names for signals that Amaranth finds none for: in ``a, b = Signal(), Signal()`` only ``b`` gets its own.

A proof speaks of registers by name. Here they are named as they are called in the source; nothing else of the netlist
changes.
"""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from unittest.mock import patch

from amaranth import tracer

__all__ = ["named_as_in_source"]

Place = tuple[int | None, ...]


@contextmanager
def named_as_in_source() -> Iterator[None]:
    """While this is entered, signals of an assignment of several are named."""
    original = tracer.get_var_name

    def get_var_name(depth=2, **default):
        frame = sys._getframe(depth)
        place = list(frame.f_code.co_positions())[frame.f_lasti // 2]
        source = frame.f_globals.get("__seeded__") or _text(frame.f_code.co_filename)
        return _targets(source).get(tuple(place)) or original(depth + 1, **default)

    with patch.object(tracer, "get_var_name", get_var_name):
        yield


@cache
def _text(file: str) -> str:
    path = Path(file)
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@cache
def _targets(source: str) -> dict[Place, str]:
    """Place of each value of an assignment of several: line, last line, column, last column; to its target's name."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        if isinstance(targets := node.targets[0], ast.Tuple):
            for target, value in zip(targets.elts, node.value.elts, strict=True):
                place = value.lineno, value.end_lineno, value.col_offset, value.end_col_offset
                found[place] = target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
    return found
