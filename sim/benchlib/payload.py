"""Payloads as Python values: Amaranth makes one port of a structure, field after field from bit 0."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data

__all__ = ["pack", "pack_codes", "unpack", "unpack_codes"]


def unpack(shape: Any, word: int) -> Any:
    """The value that bits ``word`` mean in an Amaranth shape: a dict for a structure, a list for an array, an
    int.

    Signed numbers are signed; an enumeration is its number.
    """
    return _form(shape).unpack(word)


def pack(shape: Any, value: Any) -> int:
    """The bits of ``value``, given as `unpack` returns it; fields that a dict leaves out are zero.

    Raises ValueError where a number does not fit its field or a field is unknown.
    """
    return _form(shape).pack(value)


def pack_codes(codes: np.ndarray) -> int:
    """The bits of an array of codes, int8 of any shape, the first in the lowest byte."""
    return int.from_bytes(np.ascontiguousarray(codes, np.int8).tobytes(), "little")


def unpack_codes(word: int, *shape: int) -> np.ndarray:
    """The codes, int8 of this shape, whose bits `pack_codes` gives."""
    count = int(np.prod(shape))
    return np.frombuffer((word & (1 << 8 * count) - 1).to_bytes(count, "little"), np.int8).reshape(shape)


@dataclass(frozen=True)
class _Number:
    """A shape of one number: its values are ``low`` to ``high`` - 1, its bits those that ``mask`` has set."""

    shape: Shape
    mask: int
    low: int
    high: int

    def unpack(self, word: int) -> int:
        value = word & self.mask  # without the fields after it
        return value if value < self.high else value - self.mask - 1

    def pack(self, value: Any) -> int:
        value = int(value)
        if not self.low <= value < self.high:
            raise ValueError(f"{value} does not fit {self.shape!r}")
        return value & self.mask


@dataclass(frozen=True)
class _Fields:
    """A shape of several: the first bit and the form of each, by its name or, in an array, its index."""

    fields: "dict[str | int, tuple[int, _Number | _Fields]]"
    is_array: bool

    def unpack(self, word: int) -> dict | list:
        values = {key: form.unpack(word >> offset) for key, (offset, form) in self.fields.items()}
        return list(values.values()) if self.is_array else values

    def pack(self, value: Any) -> int:
        word = 0
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in self.fields:
                raise ValueError(f"no field {key!r}; the fields are {', '.join(map(str, self.fields))}")
            offset, form = self.fields[key]
            word |= form.pack(part) << offset
        return word


# By the shape's identity, since shapes have no hash; the shape itself is kept so that no other one gets its identity.
_known: "dict[int, tuple[object, _Number | _Fields]]" = {}


def _form(shape: Any) -> _Number | _Fields:
    """How a shape's bits are read: Amaranth takes longer to say it, and benches ask each cycle."""
    if id(shape) not in _known:
        _known[id(shape)] = shape, _find_form(shape)
    return _known[id(shape)][1]


def _find_form(shape: Any) -> _Number | _Fields:
    if isinstance(shape, data.Layout) or (isinstance(shape, type) and issubclass(shape, data.Struct)):
        layout = data.Layout.cast(shape)
        fields = {key: (field.offset, _find_form(field.shape)) for key, field in layout}
        return _Fields(fields, isinstance(layout, data.ArrayLayout))
    plain = Shape.cast(shape)
    count = 1 << plain.width
    low = -(count // 2) if plain.signed else 0
    return _Number(plain, count - 1, low, low + count)
