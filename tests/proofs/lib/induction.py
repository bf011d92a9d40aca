"""Invariants: true after reset, kept by every clock cycle, hence true for ever; and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .bits import Bits, fresh, prove, satisfiable
from .netlist import Frame, Netlist

__all__ = ["holds_forever"]

Claims = Callable[[Frame], Mapping[str, Bits]]


def nothing(frame: Frame) -> dict[str, Bits]:
    return {}


def holds_forever(
    netlist: Netlist,
    invariants: Claims,
    *,
    assume: Claims = nothing,
    rigid: Sequence[str] = (),
    step: Callable[[Frame, Frame], Mapping[str, Bits]] | None = None,
) -> None:
    """The invariants hold in every cycle after a reset, and ``step`` of any two cycles one after the other.

    Three questions. (1) They hold after power-up. (2) They hold after one cycle of reset in whatever state. (3) From
    any state in which they hold, a cycle without reset leads to one in which they hold again.

    ``assume``: what the surroundings promise in every cycle. ``rigid``: inputs that never change: the proof holds for
    each of their values. Raises RefutedError, or AssertionError where no state satisfies invariants and assumptions.
    """
    rigid_inputs = {name: fresh(name, width_of(netlist, name)) for name in rigid}

    def frame(label, state=None, **inputs):
        return netlist.frame(label, state, rigid_inputs | inputs)

    power_up = frame("power-up", netlist.initial())
    prove(named("after power-up", invariants(power_up)), assume(power_up).values())
    reset = frame("reset", rst=1)
    after = reset.next("after", rigid_inputs)
    prove(named("after reset", invariants(after)), [*assume(reset).values(), *assume(after).values()])

    now = frame("now")
    then = now.next("then", rigid_inputs)
    given = [*invariants(now).values(), *assume(now).values(), *assume(then).values()]
    assert satisfiable(given), "no state satisfies what is assumed: anything could be proved"
    claims = named("kept", invariants(then)) | named("step", step(now, then) if step else {})
    prove(claims, given, show=shown(now))


def named(prefix: str, claims: Mapping[str, Bits]) -> dict[str, Bits]:
    return {f"{prefix}: {name}": claim for name, claim in claims.items()}


def width_of(netlist: Netlist, name: str) -> int:
    """Bits of an input."""
    return netlist.sorts[netlist.nodes[netlist.names[name]][1]].bv_size()


def shown(frame: Frame) -> dict[str, Bits]:
    """Small registers and inputs, for the message of a failure."""
    names = {node: name for name, node in frame.netlist.names.items()}
    for name, alias in frame.netlist.names.items():
        operation, _, operands = frame.netlist.nodes[alias]
        if operation == "uext":
            names[int(operands[0])] = name
    values = {}
    for node in (*frame.netlist.inputs, *frame.netlist.states):
        sort = frame.netlist.sorts[frame.netlist.nodes[node][1]]
        if sort.is_bv() and sort.bv_size() <= 64:
            values[names[node]] = frame[names[node]]
    return values | {name: frame[name] for name in frame.netlist.ghosts}
