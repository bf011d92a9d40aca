"""What every stream promises its receiver."""

from .bits import Bits, choose, const
from .netlist import Frame

__all__ = ["count_ones", "stays", "table", "taken"]


def taken(frame: Frame, name: str) -> Bits:
    """A transfer takes place in this cycle. The ready of an always-ready stream is no signal."""
    ready = f"{name}__ready"
    return frame[f"{name}__valid"] & (frame[ready] if ready in frame else const(1, 1))


def stays(now: Frame, then: Frame, name: str = "o") -> dict[str, Bits]:
    """Once valid, a stream stays valid with the same payload until it is taken."""
    waiting = now[f"{name}__valid"] & ~now[f"{name}__ready"]
    return {
        f"{name}: valid stays": waiting.implies(then[f"{name}__valid"]),
        f"{name}: payload stays": waiting.implies(then[f"{name}__payload"] == now[f"{name}__payload"]),
    }


def count_ones(value: Bits) -> Bits:
    """How many bits are one; 8 bits."""
    total = const(0, 8)
    for n in range(value.width):
        total = (total + value[n])[:8]
    return total


def table(index: Bits, values: list[int], width: int) -> Bits:
    """Number ``index`` of some numbers, in ``width`` bits."""
    return choose(index, [const(value, width) for value in values])
