"""Delays that keep flags beside their data, counters with a registered last flag, multiplexers, the lowest bit set."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value

__all__ = ["Choice", "choose", "counter", "delay", "lowest", "pick"]


def delay(m: Module, value: Value, cycles: int, *, name: str, reset_less: bool = False) -> Value:
    """``value`` delayed by ``cycles`` clock cycles. Zero in the first cycles after reset; with ``reset_less`` the
    registers have no reset, and the value is undefined then.
    """
    value = Value.cast(value)
    for stage in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{stage + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def counter(m: Module, limits: int | Sequence[int], step, *, name: str, which=0, restart=0) -> tuple[Signal, Signal]:
    """A counter from 0 to limit - 1 that wraps; returns its value, and a register that is 1 at the last value, so that
    no comparison follows it.

    ``step`` advances it by one; ``step`` with ``restart`` sets it to 0. The limit is ``limits[which]``; ``which`` may
    change only while the value is 0, in a cycle without ``step``.
    """
    limits = [limits] if isinstance(limits, int) else list(limits)
    value, last = Signal(range(max(limits)), name=name), Signal(name=f"last_{name}", init=limits[0] == 1)
    one, end, before = (Array(limit - n for limit in limits)[which] for n in range(3))
    if max(limits) > 1:
        with m.If(step):
            again = last | restart
            m.d.sync += [value.eq(Mux(again, 0, value + 1)), last.eq(Mux(again, one == 1, value == before))]
        if len(set(limits)) > 1:
            with m.Else():
                m.d.sync += last.eq(value == end)
    return value, last


def lowest(bits: Signal) -> Value:
    """The lowest bit that is set, alone."""
    return bits & -bits


def choose(m: Module, value: Value, index: Value, width: int, *, name: str) -> Signal:
    """Word number ``index``, ``width`` bits, of ``value``, two cycles later: a multiplexer of 8 inputs, a register, a
    multiplexer of the rest, a register.
    """
    value = Value.cast(value)
    low = min(len(index), 3)
    parts = [value[start : start + (width << low)] for start in range(0, len(value), width << low)]
    some = Signal(width * len(parts), name=f"some_{name}", reset_less=True)
    chosen = Signal(width, name=f"chosen_{name}", reset_less=True)
    m.d.sync += some.eq(Cat(part.word_select(index[:low], width) for part in parts))
    high = delay(m, index[low:], 1, name=f"part_of_{name}") if len(parts) > 1 else 0
    m.d.sync += chosen.eq(some.word_select(high, width))
    return chosen


class Choice:
    """Chooses by an index that goes with what flows through a pipeline: the index ``of`` now; `later` that of a cycle
    before. Registers are built where an index is used, none for what is the same for all.
    """

    def __init__(self, m: Module, of: Callable[[], Value], cycles: int = 0):
        self.m, self.cycles = m, cycles
        self.index = cache(of)

    def __call__(self, keys: Iterable, make: Callable = Value.cast) -> Value:
        """What ``make`` gives for key number index."""
        keys = list(keys)
        return Array(map(make, keys))[self.index()] if len(set(keys)) > 1 else make(keys[0])

    @property
    def later(self) -> "Choice":
        cycles = self.cycles + 1
        return Choice(self.m, lambda: delay(self.m, self.index(), 1, name=f"index_{cycles}"), cycles)


def pick(values: Sequence, which: Value) -> Value:
    """``values[which]`` as a tree of multiplexers, one level a bit of ``which``; one beyond the last is the last."""
    if len(values) == 1:
        return values[0]
    pairs = [values[n : n + 2] for n in range(0, len(values), 2)]
    return pick([Mux(which[0], pair[1], pair[0]) if len(pair) == 2 else pair[0] for pair in pairs], which[1:])
