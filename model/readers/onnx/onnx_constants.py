"""ONNX operators whose inputs are all known: shapes that a file computes, weights that it transposes or quantizes."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod

import numpy as np

from ..execution import apply
from ..steps import Affine, Quantizer, Unsupported
from .onnx_file import MAX_VALUES, Node

__all__ = ["FOLDED", "attribute", "axes_of", "bipolar_quantizer", "quantizer", "slices", "truncation"]

MAX_PRODUCTS = 1 << 28  # of a matrix multiplication
Arrays = Sequence[np.ndarray | None]
FLOATS = (1, 10, 11, 16)  # data types of Cast: float, float16, double, bfloat16
WHOLE = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 12: np.uint32,
         13: np.uint64}  # fmt: skip

MODES = {  # QONNX's rounding modes, and Brevitas's
    "ROUND": "round", "HALF_EVEN": "round", "FLOOR": "floor", "CEIL": "ceil", "UP": "up", "DOWN": "down",
    "ROUND_TO_ZERO": "down", "HALF_UP": "half-up", "HALF_DOWN": "half-down",
}  # fmt: skip


def attribute(node: Node, values: Sequence[object], place: int, name: str) -> np.ndarray | None:
    """What older opsets have as an attribute and newer ones as an input, a constant."""
    value = values[place] if len(values) > place else None
    if value is None:
        value = node.attributes.get(name)
        return None if value is None else np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise Unsupported(f"its input {name} is computed from the image")
    return value


def room(*shape: int) -> None:
    """Raise `Unsupported` where an array of that shape would be too large."""
    if prod(map(int, shape)) > MAX_VALUES:
        raise Unsupported(f"it makes an array of more than {MAX_VALUES:,} values")


def wide(value: np.ndarray) -> np.ndarray:
    """Values that arithmetic may be done with: int64 or float64."""
    return value.astype(np.int64) if value.dtype.kind in "iub" else value


def elementwise(function: Callable[..., np.ndarray]) -> Callable[[Node, Arrays], np.ndarray]:
    def fold(node: Node, values: Arrays) -> np.ndarray:
        given = [wide(value) for value in values if value is not None]
        room(*np.broadcast_shapes(*(value.shape for value in given)))
        return np.asarray(function(*given))

    return fold


def divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whole numbers are divided as in C."""
    if a.dtype.kind == b.dtype.kind == "i":
        return np.trunc(a / np.where(b == 0, 1, b)).astype(np.int64)
    return a / b


def chosen(condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(condition, a, b)


def power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    made = np.power(a.astype(np.float64), b.astype(np.float64))
    return made if a.dtype.kind == "f" else made.astype(np.int64)


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] * a.shape[1] * b.shape[1] > MAX_PRODUCTS:
        raise Unsupported("it multiplies matrices that are no layer's")
    return a @ b


def needs(value: np.ndarray | None) -> np.ndarray:
    if value is None:
        raise Unsupported("an input is missing")
    return value


def numbers(value: np.ndarray | None) -> list[int]:
    return [int(one) for one in needs(value).reshape(-1)]


def axes_of(node: Node, values: Sequence[object], rank: int, place: int = 1) -> list[int] | None:
    """The attribute or input ``axes``, each from 0 on; None where there is none."""
    axes = attribute(node, values, place, "axes")
    if axes is None or not axes.size:
        return None
    made = [axis + rank if axis < 0 else axis for axis in numbers(axes)]
    if any(not 0 <= axis < rank for axis in made):
        raise Unsupported(f"it has axes {numbers(axes)} of {rank}")
    return made


def slices(node: Node, values: Sequence[object], shape: Sequence[int]) -> list[range]:
    """What a Slice takes of each axis."""
    starts, ends, axes, steps = (
        attribute(node, values, place, name) for place, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    )
    first, last = numbers(starts), numbers(ends)
    where = list(range(len(first))) if axes is None else numbers(axes)
    apart = [1] * len(first) if steps is None else numbers(steps)
    taken = [range(size) for size in shape]
    for start, end, axis, step in zip(first, last, where, apart, strict=True):
        taken[axis] = range(shape[axis])[slice(start, end, step)]
    return taken


def sliced(node: Node, values: Arrays) -> np.ndarray:
    data = needs(values[0])
    return data[np.ix_(*slices(node, values, data.shape))]


def reshaped(node: Node, values: Arrays) -> np.ndarray:
    data, target = needs(values[0]), numbers(attribute(node, values, 1, "shape"))
    keep = not node.attributes.get("allowzero", 0)
    return data.reshape([data.shape[i] if size == 0 and keep else size for i, size in enumerate(target)])


def unsqueezed(node: Node, values: Arrays) -> np.ndarray:
    data, axes = needs(values[0]), attribute(node, values, 1, "axes")
    return np.expand_dims(data, tuple(numbers(axes)))


def squeezed(node: Node, values: Arrays) -> np.ndarray:
    data = needs(values[0])
    axes = axes_of(node, values, data.ndim)
    return np.squeeze(data, None if axes is None else tuple(axes))


def gathered(node: Node, values: Arrays) -> np.ndarray:
    data, index = needs(values[0]), needs(values[1])
    axis = int(node.attributes.get("axis", 0))
    room(data.size // max(1, data.shape[axis]), index.size)
    return np.take(data, index.astype(np.int64), axis)


def concatenated(node: Node, values: Arrays) -> np.ndarray:
    parts = [needs(value) for value in values]
    room(sum(part.size for part in parts))
    return np.concatenate(parts, int(node.attributes.get("axis", 0)))


def parted(node: Node, values: Arrays) -> list[np.ndarray]:
    data, axis = needs(values[0]), int(node.attributes.get("axis", 0))
    sizes = attribute(node, values, 1, "split")
    each = -(-data.shape[axis] // max(1, len(node.outputs)))
    ends = np.cumsum(numbers(sizes) if sizes is not None else [each] * len(node.outputs))[:-1]
    return list(np.split(data, ends, axis))


def filled(node: Node, values: Arrays) -> np.ndarray:
    shape = numbers(values[0])
    room(*shape)
    value = node.attributes.get("value")
    return np.full(shape, 0.0 if value is None else value.reshape(-1)[0])


def expanded(node: Node, values: Arrays) -> np.ndarray:
    shape = np.broadcast_shapes(needs(values[0]).shape, tuple(numbers(values[1])))
    room(*shape)
    return np.broadcast_to(needs(values[0]), shape).copy()


def cast(node: Node, values: Arrays) -> np.ndarray:
    to = int(node.attributes["to"])
    return needs(values[0]).astype(np.float64 if to in FLOATS else WHOLE[to])


def constant(node: Node, values: Arrays) -> np.ndarray:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if (value := node.attributes.get(name)) is not None:
            return np.asarray(value)
    raise Unsupported("its value is no number")


def reduced(function: Callable[..., np.ndarray]) -> Callable[[Node, Arrays], np.ndarray]:
    def fold(node: Node, values: Arrays) -> np.ndarray:
        data = wide(needs(values[0]))
        axes = axes_of(node, values, data.ndim)
        keep = bool(node.attributes.get("keepdims", 1))
        return np.asarray(function(data, axis=None if axes is None else tuple(axes), keepdims=keep))

    return fold


def quantizer(node: Node, values: Arrays) -> Quantizer:
    """What a Quant (also called IntQuant) of QONNX does to its first input."""
    scale, zero, bits = (needs(value) for value in values[1:4])
    signed, narrow = bool(node.attributes.get("signed", 1)), bool(node.attributes.get("narrow", 0))
    return Quantizer(positive(scale), wide(zero) * 1.0, *levels(node, bits, signed, narrow))


def levels(
    node: Node, bits: np.ndarray, signed: bool, narrow: bool, default: str = "ROUND"
) -> tuple[float, float, str]:
    """The lowest and the highest level of so many bits, and how they are rounded to."""
    mode = str(node.attributes.get("rounding_mode", default)).upper()
    width = float(bits.reshape(-1)[0])
    if mode not in MODES or bits.size != 1 or not 1 <= width <= 32:
        raise Unsupported(f"it rounds to {width:g} bits by {mode[:20]}")
    if signed and width == 1:
        return -1.0, 1.0, "sign"
    lowest = -(2 ** (width - 1)) + narrow if signed else 0.0
    highest = 2 ** (width - 1) - 1 if signed else 2**width - 1 - narrow
    return float(lowest), float(highest), MODES[mode]


def positive(scale: np.ndarray) -> np.ndarray:
    """A scale as float64."""
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise Unsupported("its scale is not above 0")
    return wide(scale) * 1.0


def bipolar_quantizer(values: Arrays) -> Quantizer:
    return Quantizer(positive(needs(values[1])), np.zeros(()), -1.0, 1.0, "sign")


def truncation(node: Node, values: Arrays) -> list[Quantizer | Affine]:
    """What a Trunc of QONNX does: it rounds to levels of ``scale``, then version 2 to fewer of ``out_scale``; version 1
    takes the last bits away, which makes values smaller, too."""
    scale, zero, bits, *rest = (wide(needs(value)) * 1.0 for value in values[1:])
    if zero.any() or len(rest) not in (1, 2, 3):
        raise Unsupported("it has a zero point that is not 0")
    signed, narrow = bool(node.attributes.get("signed", 1)), bool(node.attributes.get("narrow", 0))
    low, high, mode = levels(node, rest[-1], signed, narrow, "FLOOR")
    first = Quantizer(positive(scale), np.zeros(()), -np.inf, np.inf)
    if len(rest) > 1:
        return [first, Quantizer(positive(rest[0]), np.zeros(()), low, high, mode)]
    smaller = 2.0 ** -(bits.reshape(()) - rest[0].reshape(()))
    return [
        first,
        Quantizer(positive(scale / smaller), np.zeros(()), -np.inf, np.inf, mode),
        Affine(np.asarray(smaller), np.zeros(())),
    ]


def quant(node: Node, values: Arrays) -> np.ndarray:
    return levelled(needs(values[0]), quantizer(node, values))


def bipolar(node: Node, values: Arrays) -> np.ndarray:
    return levelled(needs(values[0]), bipolar_quantizer(values))


def levelled(data: np.ndarray, step: Quantizer) -> np.ndarray:
    room(*np.broadcast_shapes(data.shape, step.scale.shape, step.zero.shape))
    return apply(step, data)


def clipped(node: Node, values: Arrays) -> np.ndarray:
    data = wide(needs(values[0]))
    for place, name, bound in ((1, "min", np.maximum), (2, "max", np.minimum)):
        if (value := attribute(node, values, place, name)) is not None:
            data = bound(data, wide(value).reshape(()))
    return data


def along(node: Node, data: np.ndarray, value: np.ndarray) -> np.ndarray:
    """A scale a channel, shaped for its axis."""
    if value.size == 1:
        return wide(value).reshape(())
    axis = int(node.attributes.get("axis", 1)) % data.ndim
    return wide(value).reshape([-1 if place == axis else 1 for place in range(data.ndim)])


def to_levels(node: Node, values: Arrays) -> np.ndarray:
    data, scale = needs(values[0]), needs(values[1])
    zero = values[2] if len(values) > 2 and values[2] is not None else np.zeros(1, np.uint8)
    bounds = np.iinfo(zero.dtype)
    levels = np.rint(data / along(node, data, scale)) + along(node, data, zero)
    return np.clip(levels, bounds.min, bounds.max).astype(zero.dtype)


def from_levels(node: Node, values: Arrays) -> np.ndarray:
    data, scale = needs(values[0]), needs(values[1])
    zero = values[2] if len(values) > 2 and values[2] is not None else np.zeros(1, np.uint8)
    return (wide(data) - along(node, data, zero)) * along(node, data, scale)


FOLDED: dict[str, Callable[[Node, Arrays], np.ndarray | list[np.ndarray]]] = {
    "Abs": elementwise(np.abs),
    "Add": elementwise(np.add),
    "BipolarQuant": bipolar,
    "Cast": cast,
    "Ceil": elementwise(np.ceil),
    "Clip": clipped,
    "Concat": concatenated,
    "Constant": constant,
    "ConstantOfShape": filled,
    "DequantizeLinear": from_levels,
    "Div": elementwise(divided),
    "Equal": elementwise(np.equal),
    "Exp": elementwise(np.exp),
    "Expand": expanded,
    "Floor": elementwise(np.floor),
    "Gather": gathered,
    "IntQuant": quant,
    "Identity": lambda node, values: needs(values[0]),
    "Log": elementwise(np.log),
    "MatMul": lambda node, values: matmul(needs(values[0]), needs(values[1])),
    "Max": elementwise(lambda *given: reduce(np.maximum, given)),
    "Min": elementwise(lambda *given: reduce(np.minimum, given)),
    "Mul": elementwise(np.multiply),
    "Neg": elementwise(np.negative),
    "Pow": elementwise(power),
    "Quant": quant,
    "QuantizeLinear": to_levels,
    "Reciprocal": elementwise(lambda a: 1 / a),
    "ReduceMean": reduced(np.mean),
    "ReduceProd": reduced(np.prod),
    "ReduceSum": reduced(np.sum),
    "Reshape": reshaped,
    "Shape": lambda node, values: np.array(needs(values[0]).shape, np.int64),
    "Slice": sliced,
    "Split": parted,
    "Sqrt": elementwise(np.sqrt),
    "Squeeze": squeezed,
    "Sub": elementwise(np.subtract),
    "Transpose": lambda node, values: np.transpose(needs(values[0]), node.attributes.get("perm")),
    "Unsqueeze": unsqueezed,
    "Where": elementwise(chosen),
}
