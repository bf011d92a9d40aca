"""Delays that keep flags beside the data they belong to, counters that know their last value, wide choices."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value

__all__ = ["choose", "counter", "delay"]


def delay(m: Module, value: Value, cycles: int, *, name: str, reset_less: bool = False) -> Value:
    """``value`` as it was ``cycles`` clock cycles ago; zero for the first cycles after reset, unless that leaves the
    registers as they are (``reset_less``)."""
    value = Value.cast(value)
    for stage in range(cycles):
        register = Signal(value.shape(), name=f"{name}_{stage + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def counter(m: Module, limits: int | Sequence[int], step, *, name: str, which=0, restart=0) -> tuple[Signal, Signal]:
    """Counts 0 to limit - 1 and again, by one in each cycle in which ``step`` is high, or back to 0 where ``restart``
    is high too; and whether it is at its last value, which is a register: no comparison follows it.

    The limit is number ``which`` of ``limits``; that may change only at 0, and in a cycle without ``step``.
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


def choose(m: Module, value: Value, index: Value, width: int, *, name: str) -> Signal:
    """``value``'s word number ``index``, of ``width`` bits, two cycles later: one of eight in each of them."""
    value = Value.cast(value)
    low = min(len(index), 3)
    parts = [value[start : start + (width << low)] for start in range(0, len(value), width << low)]
    some = Signal(width * len(parts), name=f"some_{name}", reset_less=True)
    chosen = Signal(width, name=f"chosen_{name}", reset_less=True)
    m.d.sync += some.eq(Cat(part.word_select(index[:low], width) for part in parts))
    high = delay(m, index[low:], 1, name=f"part_of_{name}") if len(parts) > 1 else 0
    m.d.sync += chosen.eq(some.word_select(high, width))
    return chosen
