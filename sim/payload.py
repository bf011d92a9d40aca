"""Payloads as Python values: Amaranth makes one port of a structure, field after field from bit 0."""

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data

__all__ = ["pack", "pack_codes", "unpack", "unpack_codes"]


def unpack(shape, word: int):
    """The value that bits ``word`` mean in an Amaranth shape: a dict for a structure, a list for an array, an
    int.

    Signed numbers are signed; an enumeration is its number.
    """
    layout = data.Layout.cast(shape) if _is_layout(shape) else None
    if layout is None:
        shape = Shape.cast(shape)
        word &= (1 << shape.width) - 1  # without the fields after it
        return word - (1 << shape.width) if shape.signed and word >> (shape.width - 1) else word
    fields = {key: unpack(field.shape, word >> field.offset) for key, field in layout}
    return list(fields.values()) if isinstance(layout, data.ArrayLayout) else fields


def pack(shape, value) -> int:
    """The bits of ``value``, given as `unpack` returns it; fields that a dict leaves out are zero.

    Raises ValueError where a number does not fit its field or a field is unknown.
    """
    layout = data.Layout.cast(shape) if _is_layout(shape) else None
    if layout is None:
        return _pack_number(Shape.cast(shape), int(value))
    items = dict(enumerate(value)) if not isinstance(value, dict) else value
    word = 0
    fields = dict(layout)
    for key, part in items.items():
        if key not in fields:
            raise ValueError(f"no field {key!r}; the fields are {', '.join(map(str, fields))}")
        word |= pack(fields[key].shape, part) << fields[key].offset
    return word


def pack_codes(codes: np.ndarray) -> int:
    """The bits of an array of codes, int8 of any shape, the first in the lowest byte."""
    return int.from_bytes(np.ascontiguousarray(codes, np.int8).tobytes(), "little")


def unpack_codes(word: int, *shape: int) -> np.ndarray:
    """The codes, int8 of this shape, whose bits `pack_codes` gives."""
    count = int(np.prod(shape))
    return np.frombuffer((word & (1 << 8 * count) - 1).to_bytes(count, "little"), np.int8).reshape(shape)


def _is_layout(shape) -> bool:
    return isinstance(shape, data.Layout) or (isinstance(shape, type) and issubclass(shape, data.Struct))


def _pack_number(shape: Shape, value: int) -> int:
    low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
    if not low <= value < high:
        raise ValueError(f"{value} does not fit {shape!r}")
    return value & ((1 << shape.width) - 1)
