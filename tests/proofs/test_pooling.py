"""Pooling: every cell comes out two cycles after its last code, in order, as the largest of its four codes, not below
zero; and every sum that is divided is rounded down.

Symbolic witness: the cells of one column of cells, any. The proof takes the largest of the codes of a cell as they
come, whichever they are, and expects it two cycles after the last of them. Codes come or pause at will, map after
map; the size changes between maps only.
"""

import pytest

from fivebyfive.hw.conv import pooling
from fivebyfive.model.machine.latency import DIVISION
from fivebyfive.model.network import Pool

from .lib.bits import Bits, const, fresh, mux, prove
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import table


def largest(codes: list[Bits]) -> Bits:
    """Of codes, and zero where all of them are negative."""
    result = const(0, 8)
    for code in codes:
        result = mux(~code[7] & (code > result), code, result)
    return result


class Proof:
    def __init__(self, component, output: int):
        self.windows, self.output = component.windows, output
        self.sizes = [one.rows for one in component.maps]
        self.cell = fresh("cell", 4)
        self.netlist = net = netlist(component)
        net.ghost("row", 5, lambda f: mux(self.row_ends(f), mux(self.last_row(f), 0, f["row"] + self.rows), f["row"]))
        net.ghost("place", 5, lambda f: mux(self.row_ends(f), 0, f["place"] + mux(f["i__valid"], self.columns, 0)))
        net.ghost("size_before", 1, lambda f: f["size"])
        net.ghost("best", 8, lambda f: mux(self.mine(f), self.so_far(f), f["best"]))
        net.ghost("left", 8, lambda f: mux(self.mine(f), largest(self.codes(f)), f["left"]))
        net.ghost("upper_done", 8, lambda f: mux(self.pair(f) & ~f["row"][0], self.so_far(f), f["upper_done"]))
        net.ghost("known", 1, lambda f: f["known"] | (self.pair(f) & ~f["row"][0]))
        for stage in (1, 2):
            net.ghost(f"done_{stage}", 1, self.done if stage == 1 else lambda f: f["done_1"])
            net.ghost(f"mine_{stage}", 1, self.whole if stage == 1 else lambda f: f["mine_1"])
            net.ghost(f"expected_{stage}", 8, self.so_far if stage == 1 else lambda f: f["expected_1"])
        net.ghost("pair_mine", 1, self.pair)
        net.ghost("pair_low", 1, lambda f: f["row"][0])
        net.ghost("pair_best", 8, lambda f: largest([f["left"], *self.codes(f)]))

    rows = property(lambda self: 1 if self.windows == 1 else 2)
    columns = property(lambda self: 2 if self.windows == 4 else 1)

    def size(self, f: Frame) -> Bits:
        return table(f["size"], list(self.sizes), 6)

    def row_ends(self, f: Frame) -> Bits:
        return f["i__valid"] & (f["place"] + self.columns == self.size(f))

    def last_row(self, f: Frame) -> Bits:
        return f["row"] + self.rows == self.size(f)

    def codes(self, f: Frame) -> list[Bits]:
        """The codes that come in this cycle."""
        return [f["i__payload"].word(self.output * self.windows + n, 8) for n in range(self.windows)]

    def mine(self, f: Frame) -> Bits:
        """They are of the witness's column of cells."""
        return f["i__valid"] & (f["place"][1:] == self.cell)

    def so_far(self, f: Frame) -> Bits:
        """The largest code of the cell, these included; the first of a cell start over."""
        first = const(1, 1)
        if self.windows == 1:
            first = ~f["row"][0] & ~f["place"][0]
        elif self.windows == 2:
            first = ~f["place"][0]
        return largest([mux(first, 0, f["best"]), *self.codes(f)])

    def done(self, f: Frame) -> Bits:
        """A cell is complete with these codes."""
        last = const(1, 1)
        if self.windows == 1:
            last = f["row"][0] & f["place"][0]
        elif self.windows == 2:
            last = f["place"][0]
        return f["i__valid"] & last

    def whole(self, f: Frame) -> Bits:
        return self.done(f) & self.mine(f)

    def pair(self, f: Frame) -> Bits:
        """The second code of a row of the witness's cell."""
        return self.mine(f) & f["place"][0]

    def assume(self, f: Frame) -> dict[str, Bits]:
        between = (f["row"] == 0) & (f["place"] == 0)
        return {"size": between | (f["size"] == f["size_before"])}

    def invariants(self, f: Frame) -> dict[str, Bits]:
        size, place, row = table(f["size_before"], list(self.sizes), 6), f["place"], f["row"]
        inside = (row != 0) | (place != 0)
        o = f["o__payload"].word(self.output, 8)
        claims = {
            "in range": inside.implies((row < size) & (place < size)),
            "by steps": ~(row[0] & (self.rows == 2)) & ~(place[0] & (self.columns == 2)),
            "a cell comes out": f["o__valid"] == f["done_2"],
            "the right cell": f["mine_2"].implies(o == f["expected_2"]),
            "mine are done": f["mine_1"].implies(f["done_1"]) & f["mine_2"].implies(f["done_2"]),
        }
        return claims | {1: self.by_rows, 2: self.by_columns, 4: self.by_cells}[self.windows](f)

    def by_cells(self, f: Frame) -> dict[str, Bits]:
        halves = [f[f"half_{self.output}_{n}"] for n in range(2)]
        return {
            "halves": f["half_valid_1"] == f["done_1"],
            "half way": f["mine_1"].implies(largest(halves) == f["expected_1"]),
            "no signs": f["half_valid_1"].implies(~halves[0][7] & ~halves[1][7]),
        }

    def by_columns(self, f: Frame) -> dict[str, Bits]:
        half, left = f[f"half_{self.output}_0"], f[f"left_{self.output}"]
        place = f["place"]
        started = place == self.cell * 2 + 1
        return {
            "column": f["column"] == place,
            "done": f["done_1"] == (f["half_valid_1"] & f["odd_column_1"]),
            "no signs": f["half_valid_1"].implies(~half[7]) & ~f["best"][7] & ~f["expected_1"][7],
            "columns": f["half_valid_1"].implies(f["odd_column_1"] != place[0]),
            "left": self.left_of(f, started, half, left),
        }

    def left_of(self, f: Frame, started: Bits, half: Bits, left: Bits) -> Bits:
        """The half of an even column waits in `half` for a cycle, then in `left` until the odd one's is in `half`."""
        first = started.implies(mux(f["half_valid_1"] & ~f["odd_column_1"], half, left) == f["best"])
        both = f["mine_1"].implies((largest([left, half]) == f["expected_1"]) & ~left[7])
        return first & both

    def by_rows(self, f: Frame) -> dict[str, Bits]:
        pair, left = f[f"pair_{self.output}"], f[f"left_{self.output}"]
        place, row, mine, low = f["place"], f["row"], f["pair_mine"], f["pair_low"]
        started = place == self.cell * 2 + 1
        waits = mine & ~low
        address = self.cell
        stored = f.memory("upper", address).word(self.output, 8)
        size = table(f["size_before"], list(self.sizes), 6)
        behind = (self.cell * 2 + 1 < place) | row[0]
        return {
            "column": (f["column"] == place) & (f["odd_row"] == row[0]),
            "left": started.implies(largest([left]) == f["left"]),
            "pair": mine.implies((pair == f["pair_best"]) & f["pair_valid_1"] & (f["lower_1"] == low)
                                 & (f["pair_address_1"] == self.cell)),
            "pairs": (f["pair_valid_1"] & ~f["lower_1"] & (f["pair_address_1"] == self.cell)).implies(waits),
            "just after a pair": mine.implies((place == self.cell * 2 + 2) | (place == 0)),
            "kept": (f["known"] & ~waits).implies(stored == f["upper_done"]),
            "kept next": waits.implies(pair == f["upper_done"]),
            "known": ((self.cell * 2 < size) & behind & ((row != 0) | (place != 0))).implies(f["known"]),
            "best of the upper pair": (mux(row[0], place <= self.cell * 2, place > self.cell * 2 + 1) & f["known"]
                & (self.cell * 2 < size)).implies(f["best"] == f["upper_done"]),
            "known cells": f["known"].implies(self.cell * 2 < max(self.sizes)),
            "best": started.implies(f["best"] == largest([f["left"], mux(row[0], f["upper_done"], 0)])),
            "read": (mine & low).implies(
                (f["read__data"].word(self.output, 8) == f["upper_done"])
                & (f["expected_1"] == largest([f["upper_done"], f["pair_best"]]))),
            "done": (f["mine_1"] == (mine & low)) & (f["done_1"] == (f["pair_valid_1"] & f["lower_1"])),
            "no signs": ~f["best"][7] & ~f["left"][7] & ~f["upper_done"][7] & ~f["pair_best"][7] & ~f["expected_1"][7],
        }  # fmt: skip

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=self.assume)


def cells(component: type, outputs: int, windows: int, sizes: tuple[int, ...]):
    """A unit for square maps, each with 2x2 maxima and ReLU."""
    return component(outputs, windows, [pooling.PooledMap(size, size) for size in sizes])


@pytest.mark.parametrize("sizes", [(24, 8), (8, 4)], ids=str)
@pytest.mark.parametrize(("windows", "outputs"), [(1, 1), (1, 2), (1, 3), (2, 2), (4, 2), (4, 5)])
def test_every_cell(windows: int, outputs: int, sizes: tuple[int, ...]) -> None:
    Proof(cells(pooling.Pooling, outputs, windows, sizes), outputs - 1).prove()


BUGS = {
    "unsigned": ("Mux(a > b, a, b)", "Mux(a.as_unsigned() > b.as_unsigned(), a, b)"),
    "no ReLU": ("Mux(code[-1], 0, code) if relu else code", "code"),
    "smaller one": ("Mux(a > b, a, b)", "Mux(a < b, a, b)"),
}
ROW_BUGS = {
    "upper row of another column": ("read.addr.eq(window)", "read.addr.eq(window ^ 1)"),
    "overwritten by the lower row": ("valid & ~lower if ends_all else valid", "valid"),
    "row end too late": ("column == last_column", "column == last_column + 1"),
    "a cell of every pair": ('valid & lower, 1, name="cell_valid"', 'valid, 1, name="cell_valid"'),
}


@pytest.mark.parametrize("windows", [1, 2, 4])
@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str, windows: int) -> None:
    component = broken("pooling", "Pooling", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(cells(component, 2, windows, (8, 4)), 1).prove()


@pytest.mark.parametrize("bug", ROW_BUGS)
def test_bugs_of_rows_are_refuted(bug: str) -> None:
    component = broken("pooling", "Pooling", *ROW_BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(cells(component, 1, 1, (8, 4)), 0).prove()


DIVIDED = [
    pooling.PooledMap(3, 6, Pool("average", 3, 3), relu=False),
    pooling.PooledMap(5, 5, Pool("average", 5, 1), relu=True),
    pooling.PooledMap(8, 8, Pool("average", 8, 8), relu=False),
    pooling.PooledMap(3, 3, Pool("max", 3, 3), relu=False),
    pooling.PooledMap(97, 97, Pool("average", 97, 97), relu=False),
]


def prove_quotient(component: type, number: int) -> None:
    """What a sum of codes becomes in the cycles of the division, from any state: the map's number goes with the sum."""
    one = DIVIDED[number]
    unit = component(1, 1, DIVIDED)
    frames = [netlist(unit).frame("sum")]
    for cycle in range(1, DIVISION + 1):
        frames.append(frames[-1].next(f"cycle {cycle}"))
    now, o = frames[0], frames[-1]
    total, low, bits = now["cell_0"], 128 * one.divisor, 40
    negative = total[total.width - 1]
    in_range = (total.sext(bits) + low)[:bits] < 256 * one.divisor  # of sums of codes
    rest = (total.sext(bits) - (o["o__payload"].sext(bits) * one.divisor)[:bits])[:bits]
    exact = rest < one.divisor
    if one.relu:
        exact = mux(negative, o["o__payload"] == 0, exact)
    given = [in_range, now["index_2_1"] == number, *(~frame["rst"] for frame in frames)]
    prove({"quotient": exact, "valid": o["o__valid"] == now["cell_valid_1"]}, given)


@pytest.mark.parametrize("number", range(len(DIVIDED)))
def test_quotients(number: int) -> None:
    prove_quotient(pooling.Pooling, number)


DIVISION_BUGS = {
    "one too few": ("cell + added), cell)", "cell + added - 1), cell)"),
    "size of another sum": ("choose = choose.later", "choose = choose"),
    "sign lost": ("negative.eq(cell[-1] & ~relu)", "negative.eq(0)"),
}


@pytest.mark.parametrize("bug", DIVISION_BUGS)
def test_bugs_of_the_division_are_refuted(bug: str) -> None:
    component = broken("pooling", "Pooling", *DIVISION_BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        prove_quotient(component, 0)
