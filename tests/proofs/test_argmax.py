"""Argmax: the logits come out as they came in, with the index of the largest, the lowest on a tie; and they stay.

Symbolic witness: logit number ``witness``, any. The result is right for it: it is what was given, and none of the
others could be the class in place of the one that is reported. As the witness is any, this holds for all logits.
"""

import pytest

from fivebyfive.hw.fc import argmax
from fivebyfive.model.shape import ceil_div

from .lib.bits import Bits, fresh, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, Netlist, netlist
from .lib.seeded import broken
from .lib.streams import stays, table, taken


def signed_less(a: Bits, b: Bits) -> Bits:
    """Of codes."""
    return (a ^ 0x80) < (b ^ 0x80)


class Proof:
    """Of an argmax: of its own netlist, or of one that it is part of, by the name ``inside``."""

    def __init__(self, classes: int, rows: int, design: Netlist, inside: str = ""):
        self.classes, self.rows = classes, rows
        self.inside = inside
        self.transfers = ceil_div(self.classes, self.rows)
        self.witness = fresh("witness", 7)
        self.netlist = design
        self.i, self.o = f"{inside}i", f"{inside}o"
        self.netlist.ghost("came", 7, lambda f: mux(taken(f, self.o), 0, f["came"] + taken(f, self.i)))
        self.netlist.ghost("noted", 8, self.note)

    def transfer_of(self, number: Bits) -> Bits:
        return table(number, [n // self.rows for n in range(self.classes)], 7)

    def note(self, f: Frame) -> Bits:
        lane = table(self.witness, [n % self.rows for n in range(self.classes)], 7)
        mine = taken(f, self.i) & (f["came"] == self.transfer_of(self.witness))
        return mux(mine, f[f"{self.i}__payload"].word(lane, 8), f["noted"])

    def invariants(self, f: Frame) -> dict[str, Bits]:
        payload, o_valid = f[f"{self.o}__payload"], f[f"{self.o}__valid"]
        received, looked, number, fresh_one, candidate, best = (
            f[self.inside + name] for name in ("received", "looked", "number", "fresh", "candidate", "best")
        )
        logits, index = payload[: 8 * self.classes], payload[8 * self.classes :]
        compared = (looked - fresh_one)[:7]
        witness = logits.word(self.witness, 8)
        mine, came = self.witness < self.classes, f["came"]
        first = (compared == 0) | (index < compared)
        seen = mine & (self.witness < compared)
        no_better = ~signed_less(best, witness) & ((self.witness < index).implies(signed_less(witness, best)))
        return {
            "counts": (received == came) & (came <= self.transfers) & (looked <= self.classes),
            "looks at what came": (looked == 0) | (self.transfer_of((looked - 1)[:7]) < came),
            "candidate": fresh_one.implies((number + 1 == looked) & (candidate == logits.word(number, 8))),
            "best": (compared == 0) | (first & (best == logits.word(index, 8))),
            "none better": seen.implies(no_better),
            "valid with the last": o_valid == (compared == self.classes),
            "logits as they came": (mine & (came > self.transfer_of(self.witness))).implies(witness == f["noted"]),
            "result: logits": (o_valid & mine).implies(witness == f["noted"]),
            "result: class": (o_valid & mine).implies(
                (index < self.classes) & (logits.word(index, 8) == best) & no_better
            ),
            "none taken meanwhile": f[f"{self.i}__ready"] == (came != self.transfers),
        }

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        """What is offered stays; a comparison follows each logit: with all there, the class is `classes` + 2 away."""
        all_there = (now["came"] == self.transfers) & ~now[f"{self.o}__valid"]
        nearer = then[f"{self.o}__valid"] | (self.progress(then) > self.progress(now))
        return stays(now, then, self.o) | {"nearer to the class": all_there.implies(nearer)}

    def progress(self, f: Frame) -> Bits:
        """Logits looked at, and those compared."""
        looked = f[self.inside + "looked"]
        return looked + (looked - f[self.inside + "fresh"])[:7]

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, step=self.steps)


@pytest.mark.parametrize(("classes", "rows"), [(10, 1), (10, 3), (10, 20), (2, 1), (64, 6)])
def test_class_and_logits(classes: int, rows: int) -> None:
    Proof(classes, rows, netlist(argmax.Argmax(classes, rows))).prove()


BUGS = {
    "the last of equals": ("(candidate > best)", "(candidate >= best)"),
    "unsigned": ("(candidate > best)", "(candidate.as_unsigned() > best.as_unsigned())"),
    "best of the image before": ("((number == 0) | (candidate > best))", "(candidate > best)"),
    "looks too early": ("fresh.eq(received >= there)", "fresh.eq(received + 1 >= there)"),
    "valid a class too early": ("number == self.classes - 1", "number == self.classes - 2"),
    "takes logits meanwhile": ("self.i.ready.eq(received != transfers)", "self.i.ready.eq(~self.o.valid)"),
    "does not wait": ("with m.If(self.o.valid & self.o.ready)", "with m.If(self.o.valid)"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        Proof(10, 3, netlist(broken("argmax", "Argmax", *BUGS[bug])(10, 3))).prove()
