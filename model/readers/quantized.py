"""Networks that are quantized already: taken over as they are where the arithmetic of Q2.6 gives their numbers.

A value of the file is code / 64 * unit, with a unit of its own, a power of two, behind each layer. A layer is taken
over if its weights and biases are codes in these units, and if what follows it, whatever that is, depends on the code
of its sum alone: that is tried with every sum that the hardware can hold, and gives the layer's ReLU or table. So
quantizers of fewer bits, unsigned ones, those that clip, and functions between two of them are no special cases; one
that rounds to the nearest is found to differ. That no sum leaves the range is seen on images.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import gcd, log2

import numpy as np

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import predict, traces
from fivebyfive.model.network import Network, Place, Pool
from fivebyfive.model.q26 import Q2_6

from .execution import run
from .float_errors import USUAL_INPUTS, Scaling
from .folding import fold
from .formulas import Formula, composed
from .steps import Activation, Affine, Convolution, Dense, Padding, Pooling, Quantizer, Step, Steps, Unsupported

__all__ = ["Inexact", "TakenOver", "is_quantized", "take_over", "unquantized"]

PIXELS = np.arange(256)
CODES = np.arange(Q2_6.min, Q2_6.max + 1)
SUMS = (CODES[:, np.newaxis] + np.arange(Q2_6.one) / Q2_6.one) / Q2_6.one  # those of each code, in values of Q2.6
UNITS = tuple(2.0**power for power in range(12, -13, -1))
FINEST = 20  # bits behind the point, of what counts as quantized
MAX_COMPARED = 200  # images whose scores are compared
WAYS = {
    "round": "to the nearest (ROUND)", "ceil": "up (CEIL)", "up": "away from 0 (UP)", "down": "towards 0 (DOWN)",
    "half-up": "to the nearest (HALF_UP)", "half-down": "to the nearest (HALF_DOWN)",
}  # fmt: skip


class Inexact(ValueError):  # noqa: N818 (what the file holds, no fault of it)
    """The first condition that a network does not meet, one line. ``stage``: how far its layer came."""

    def __init__(self, why: str, stage: int = 0) -> None:
        super().__init__(why)
        self.stage = stage


@dataclass(frozen=True)
class TakenOver:
    """``checkpoint``: scores of the file are its codes / 64 * ``unit``. ``scaling``: of the pixels that the file takes.
    ``rounded``: whether the file rounds its scores itself; the codes are rounded down anyway."""

    checkpoint: Checkpoint
    scaling: Scaling
    unit: float
    rounded: bool


def is_quantized(steps: Steps) -> bool:
    """Whether something rounds what comes from the image."""
    return any(map(rounds, steps.steps))


def rounds(step: Step) -> bool:
    return isinstance(step, Quantizer) or (isinstance(step, Activation) and step.name in ("floor", "round"))


def unquantized(steps: Steps) -> Steps:
    """The same without rounding; a quantizer that gives nothing below 0 is a ReLU."""
    kept: list[Step] = []
    remarks = (*steps.remarks, "Its quantizers left out") if is_quantized(steps) else steps.remarks
    for step in steps.steps:
        if not rounds(step):
            kept.append(step)
        elif isinstance(step, Quantizer) and step.low == step.zero and any(map(is_layer, kept)):
            kept.append(Activation("relu"))
    return replace(steps, steps=tuple(kept), remarks=remarks)


@np.errstate(all="ignore")  # what is not finite is no code
def take_over(steps: Steps, images: np.ndarray | None = None, scalings: Sequence[Scaling] = USUAL_INPUTS) -> TakenOver:
    """The checkpoint of a network that is quantized already.

    ``images``: uint8 (N, *input), (N, rows, columns) of one channel: none of their values may leave the range of Q2.6,
    and scores of the first ones are compared; None leaves that out. ``scalings``: how pixels may have been scaled.
    Raises `Inexact`, one line, where the hardware would give other numbers, and `Unsupported` for what has no layers.
    """
    bare = tuple(step for step in steps.steps if not isinstance(step, Affine | Activation | Quantizer))
    network = fold(replace(steps, steps=bare)).network
    first, *sections = parted(steps.steps, network)
    scaling, unit = input_unit(first, scalings)
    taking = Taking(first.moved, CODES[CODES >= 0] / Q2_6.one * unit, (unit,))
    *places, last = network
    for place, section in zip(places, sections, strict=False):
        taking = next(taking.choices(place, section, UNITS))
    rounded = any(map(rounds, sections[-1].functions))
    sections[-1].floored = not rounded
    for whole in taking.choices(last, sections[-1], UNITS if rounded else UNITS[::-1]):  # as fine as scores fit
        taken = TakenOver(whole.checkpoint(steps), scaling, whole.units[0], rounded)
        wraps = {} if images is None else wraps_of(taken.checkpoint, images)
        if not wraps or list(wraps) != [last.layer.name]:
            break
    if images is not None:
        for name, count in wraps.items():
            raise Inexact(f"on {len(images)} images values of {name} leave the range of their codes {count} times")
        compare(taken, steps, images[:MAX_COMPARED])
    return taken


def wraps_of(checkpoint: Checkpoint, images: np.ndarray) -> dict[str, int]:
    """Layers, in order, to how many of their values wrapped, where any did."""
    counts = dict.fromkeys(checkpoint.network.names, 0)
    for trace in traces(checkpoint, images):
        for name, count in trace.wraps.items():
            counts[name] += count
    return {name: count for name, count in counts.items() if count}


def compare(taken: TakenOver, steps: Steps, images: np.ndarray) -> None:
    """Raise `Inexact` where the file's scores have other codes than the checkpoint's; nothing should get that far."""
    pixels = taken.scaling.apply(images).reshape(-1, *taken.checkpoint.network.input)
    codes = run(steps, pixels) * Q2_6.one / taken.unit
    differ = (np.floor(codes) != predict(taken.checkpoint, images)).any(axis=1)
    if differ.any():
        raise Inexact(f"scores of {np.count_nonzero(differ)} images of {len(images)} have other codes")


# the file's steps, layer by layer


def is_layer(step: Step) -> bool:
    return isinstance(step, Convolution | Dense)


@dataclass
class Section:
    """A layer and what follows it. ``functions`` are of each value alone, ``pooled``: how many of them stand in front
    of ``pool``; ``moved``: flattening and padding, as if they stood behind all functions; ``floored``: whether they
    give scores that the file does not round."""

    name: str
    weight: np.ndarray
    bias: np.ndarray
    layer: Convolution | Dense | None = None
    functions: list[Step] = field(default_factory=list)
    pool: Pooling | None = None
    pooled: int = 0
    moved: tuple[Step, ...] = ()
    floored: bool = False

    def formula(self, steps: Sequence[Step]) -> Formula:
        made = composed(steps)
        if made is None:
            raise Inexact(f"a factor a channel stands behind what follows {self.name}")
        return made


def parted(steps: Iterable[Step], network: Network) -> list[Section]:
    """What stands in front of the first layer, and each layer with what follows it, named as in ``network``."""
    names = iter(network.names)
    sections = [Section("the input", np.zeros(0), np.zeros(0))]
    paddings: list[tuple[Section, int, Step]] = []  # with how many functions stand in front of them
    for step in steps:
        section = sections[-1]
        if isinstance(step, Convolution | Dense):
            bias = np.zeros(len(step.weight)) if step.bias is None else step.bias
            sections.append(Section(next(names), step.weight, bias, step))
        elif isinstance(step, Pooling):
            section.pool, section.pooled = step, len(section.functions)
        elif isinstance(step, Affine) and section.layer and not section.functions and not section.pool:
            factor = step.scale.reshape(-1, *[1] * (section.weight.ndim - 1))
            section.weight, section.bias = section.weight * factor, section.bias * step.scale + step.shift
        elif isinstance(step, Affine | Activation | Quantizer):
            section.functions.append(step)
        else:
            paddings.append((section, len(section.functions), step))
    for section, count, step in paddings:
        if isinstance(step, Padding):
            value = section.formula(section.functions[count:])(np.array(step.value))
            step = replace(step, value=float(value))
        section.moved += (step,)
    return sections


def input_unit(first: Section, scalings: Sequence[Scaling]) -> tuple[Scaling, float]:
    """How pixels were scaled, and the unit in which what the first layer sees of a pixel p has the code p >> 1."""
    if not any(map(rounds, first.functions)):
        raise Inexact("nothing rounds the pixels; the machine takes p >> 1 of a pixel p, 7 bits")
    made = first.formula(first.functions)
    for scaling in scalings:
        values = made(scaling.apply(PIXELS))
        unit = float(values[-1] / Q2_6.max * Q2_6.one)
        if (values * Q2_6.one == (PIXELS >> 1) * unit).all() and unit > 0 and log2(unit).is_integer():
            return scaling, unit
    way = rounding_text(first.functions) or " makes something else"
    raise Inexact(f"the input's quantizer{way}; the machine takes p >> 1 of a pixel p, 7 bits")


# the hardware's layers


@dataclass(frozen=True)
class Taking:
    """The network as far as it is taken over: ``steps`` of codes / 64, and ``tables`` of its layers. ``values``: all
    that the file may have where the next layer sees codes, in any unit of ``units``; where ``open``, what the last
    table gives. ``moved``: padding and flattening in front of the next layer."""

    moved: tuple[Step, ...]
    values: np.ndarray
    units: tuple[float, ...]
    steps: tuple[Step, ...] = ()
    tables: tuple[np.ndarray | None, ...] = ()
    open: bool = False

    def choices(self, place: Place, section: Section, units: Iterable[float]) -> Iterator["Taking"]:
        """The same with one more layer, for each unit of what it gives; at least one. Raises `Inexact`."""
        refusal, found = Inexact("no unit fits", -1), False
        for gives in units:
            for takes in self.units:
                try:
                    made = self.settled(takes).through(place, section, takes, gives)
                except Inexact as error:
                    refusal = error if error.stage >= refusal.stage else refusal
                else:
                    found = True
                    yield made
                    break
        if not found:
            raise refusal

    def settled(self, unit: float) -> "Taking":
        """With the unit of what the next layer sees."""
        codes = self.values * Q2_6.one / unit
        moved = tuple(
            replace(step, value=coded(step.value, unit, "the padding", 3).item() / Q2_6.one)
            if isinstance(step, Padding) else step
            for step in self.moved
        )  # fmt: skip
        tables = (*self.tables[:-1], codes.astype(np.int8)) if self.open else self.tables
        return replace(self, moved=(), steps=self.steps + moved, values=codes, units=(unit,), tables=tables, open=False)

    def through(self, place: Place, section: Section, takes: float, gives: float) -> "Taking":
        """The same with a layer whose inputs and outputs have these units."""
        assert section.layer
        weight = coded(section.weight, gives / takes, f"weights of {section.name}", 1)
        bias = coded(section.bias, gives, f"biases of {section.name}", 3)
        fills = [round(step.value * Q2_6.one) for step in self.steps if isinstance(step, Padding)]
        step = gcd(common(weight) * gcd(common(self.values), *fills), Q2_6.one) or Q2_6.one  # between sums
        there = np.broadcast_to(np.arange(Q2_6.one) % step == 0, SUMS.shape)
        layer = replace(section.layer, weight=weight / Q2_6.one, bias=bias / Q2_6.one)
        pool = next((one for one in place.layer.then if isinstance(one, Pool)), None)
        sums, functions = SUMS * gives, section.functions
        before, behind = functions[: section.pooled], functions[section.pooled :]
        waits = pool is None or (pool.kind == "max" and (np.diff(section.formula(before)(sums).ravel()) >= 0).all())
        kind, unit, tables = "", gives, self.tables
        if waits:
            values, codes = determined(section, functions, sums, there, gives, section.floored), CODES
            made: list[Step] = [layer]
        else:
            assert pool
            values = determined(section, before, sums, there, gives, what=f"in front of its {pool.kind} pooling")
            kind, units = function_of(section.name, values, CODES, gives)
            unit = units[0]
            seen = (values * Q2_6.one / unit).astype(int)
            count = pool.size**2 if pool.kind == "average" else 1
            codes = np.arange(seen.min(), seen.max() + 1)
            totals = codes[:, np.newaxis] * count + np.arange(count)
            there = totals <= count * seen.max()
            means = totals / count / Q2_6.one * unit
            values = determined(section, behind, means, there, unit, section.floored, f"behind its {pool.kind} pooling")
            made = [layer, *marks(kind)]
        last, units = function_of(section.name, values, codes, unit)
        if kind == last == "table":
            raise Inexact(f"{section.name} would need two tables, in front of its pool and behind it", 5)
        made += ([section.pool] if pool and section.pool else []) + marks(last)
        every = values[np.clip(CODES, codes[0], codes[-1]) - codes[0]]
        tables = (*tables, seen.astype(np.int8) if kind == "table" else None)
        return Taking(section.moved, every, units, (*self.steps, *made), tables, last == "table")

    def checkpoint(self, steps: Steps) -> Checkpoint:
        """All layers."""
        whole = self.settled(self.units[0])
        try:
            folded = fold(Steps(steps.input, whole.steps, labels=steps.labels))
        except Unsupported as error:
            raise Inexact(str(error)) from error
        layers = []
        for layer in folded.network.layers:
            fill = np.rint(folded.fills.get(layer.name, np.zeros(1)) * Q2_6.one).astype(int).tolist()
            layers.append(replace(layer, fill=tuple(fill) if len(set(fill)) > 1 else (fill[0],)))
        network = replace(folded.network, layers=tuple(layers))
        arrays = {name: np.rint(values * Q2_6.one).astype(np.int8) for name, values in folded.arrays.items()}
        arrays |= {
            f"{name}.table": table for name, table in zip(network.names, whole.tables, strict=True) if table is not None
        }
        return Checkpoint(network, {name: arrays[name] for name in network.arrays})


def coded(values: np.ndarray | float, unit: float, what: str, stage: int) -> np.ndarray:
    """The codes of the file's values in a unit. Raises `Inexact` where they are none."""
    codes = np.asarray(values) * Q2_6.one / unit
    if (codes != np.rint(codes)).any():
        raise Inexact(f"{what}: {scale_text(np.asarray(values), unit / Q2_6.one)}", stage)
    if codes.min(initial=0) < Q2_6.min or codes.max(initial=0) > Q2_6.max:
        furthest = float(np.abs(values).max())
        step = grid(np.asarray(values))
        raise Inexact(f"{what}: {furthest:.4g} in steps of {step:.4g} takes more than 8 bits", stage + 1)
    return codes


def scale_text(values: np.ndarray, wanted: float) -> str:
    """What is wrong with the grid of some values, which is not that of ``wanted``."""
    step = grid(values)
    if not step:
        return f"they are not quantized ({float(np.abs(values).max()):.4g} is the largest)"
    return f"scale {step:.4g} is " + (f"finer than {wanted:.4g}" if log2(step).is_integer() else "no power of two")


def grid(values: np.ndarray) -> float:
    """The step that all values are multiples of: a power of two, or the least distance of two; 0 for neither."""
    for power in range(FINEST):
        if (values * 2.0**power == np.rint(values * 2.0**power)).all():
            return 2.0**-power
    step = float(np.diff(np.unique(np.append(np.abs(values), 0.0))).min())
    return step if step > 2.0**-FINEST and np.allclose(values / step, np.rint(values / step), atol=1e-3) else 0.0


def common(codes: np.ndarray) -> int:
    """The greatest common divisor of codes."""
    return int(np.gcd.reduce(codes.astype(int), axis=None))


def marks(kind: str) -> list[Step]:
    """What stands for a layer's function."""
    return [Activation("floor" if kind == "table" else "relu")] if kind else []


def function_of(name: str, values: np.ndarray, codes: np.ndarray, unit: float) -> tuple[str, tuple[float, ...]]:
    """What makes the file's ``values`` of ``codes`` in ``unit``: "", "relu" or "table", and in which units."""
    for kind, made in (("", codes), ("relu", np.maximum(codes, 0))):
        if (values * Q2_6.one == made * unit).all():
            return kind, (unit,)
    found = []
    for other in UNITS:
        scaled = values * Q2_6.one / other
        if (scaled == np.rint(scaled)).all() and scaled.min() >= Q2_6.min and scaled.max() <= Q2_6.max:
            found.append(other)
    if not found:
        raise Inexact(f"what follows {name} gives numbers that no 8 bits hold, {values[-1]:.4g} among them", 5)
    return "table", tuple(found)


def determined(
    section: Section, functions: Sequence[Step], values: np.ndarray, there: np.ndarray, unit: float,
    down: bool = False, what: str = "",
) -> np.ndarray:  # fmt: skip
    """What ``functions`` make of ``values``, one a row: the same of all in it that are ``there``, as the first is, once
    they are rounded ``down`` to codes. ``what``: a word about ``values``."""
    made = section.formula(functions)(values)
    made = np.floor(made * Q2_6.one / unit) * unit / Q2_6.one if down else made
    if ((made != made[:, :1]) & there).any():
        raise Inexact(why(section, functions, unit / Q2_6.one, what), 5)
    return made[:, 0]


def why(section: Section, functions: Sequence[Step], step: float, what: str) -> str:
    """Why ``functions`` do not depend on codes of ``step`` alone."""
    if way := rounding_text(functions):
        return f"the quantizer behind {section.name}{way}; the machine rounds down (FLOOR)"
    if not any(map(rounds, functions)):
        return f"nothing rounds what {section.name} gives {what}".rstrip()
    for one in functions:
        if isinstance(one, Quantizer) and one.scale < step:
            return f"the quantizer behind {section.name} has scale {one.scale:g}; the weights allow {step:g}"
    return f"what follows {section.name} is no function of codes of {step:g}"


def rounding_text(functions: Iterable[Step]) -> str:
    """How the first quantizer that does not round down rounds."""
    ways = [WAYS[one.rounding] for one in functions if isinstance(one, Quantizer) and one.rounding in WAYS]
    return f" rounds {ways[0]}" if ways else ""
