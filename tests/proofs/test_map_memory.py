"""The feature maps: rows come out as their codes went in, channel after channel, as often as they are asked for.

Symbolic witness: code (``row``, ``column``) of channel ``channel``, any; noted whenever it is written. The banks and
halves that a machine of its size has are read side by side; the invariant says which row of which channel is in each
stage of the pipeline. Codes and rows pause at will. Nothing is written while rows are read.
"""

import pytest

from fivebyfive.hw.conv import map_memory

from .lib.bits import Bits, all_of, choose, const, fresh, mux
from .lib.induction import holds_forever
from .lib.maps import find_read_data, rows_move_on
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import taken

WIDE = 12  # bits of a number of rows


class Proof:
    def __init__(self, component):
        self.component = component
        self.size, self.rows_out, self.banks = component.size, component.rows_out, component.banks
        self.transfers = self.size // self.rows_out  # of a map
        self.written_rows = component.groups * self.size  # of a bank
        self.channel, self.row, self.column = fresh("channel", 6), fresh("row", 5), fresh("column", 5)
        self.group, self.bank = (choose(self.channel, [const(n // d if whole else n % d, 6) for n in range(64)])
                                 for d, whole in ((self.banks, True), (self.banks, False)))  # fmt: skip
        self.netlist = net = netlist(component)
        self.read_data = [find_read_data(net, f"word_{n}") for n in range(self.banks * self.rows_out)]
        ends = lambda f: f["i__valid"] & (f["w_column"] == self.size - 1)  # noqa: E731
        net.ghost("w_column", 5, lambda f: mux(f["rewind"] | ends(f), 0, f["w_column"] + f["i__valid"]))
        net.ghost("w_row", WIDE, lambda f: mux(f["rewind"], 0, mux(ends(f), self.after_row(f["w_row"]), f["w_row"])))
        net.ghost("noted", 8, lambda f: mux(self.mine(f), self.code(f), f["noted"]))
        net.ghost("known", 1, lambda f: f["known"] | self.mine(f))
        total = component.channels * self.transfers * component.repeats
        net.ghost("to_go", 18, lambda f: mux(f["start"], total, f["to_go"] - taken(f, "o")))
        net.ghost("out_channel", 6, lambda f: mux(taken(f, "o"), self.after(self.place(f))[0], f["out_channel"]))
        net.ghost("out_row", 5, lambda f: mux(taken(f, "o"), self.after(self.place(f))[1], f["out_row"]))

    def after_row(self, row: Bits) -> Bits:
        return mux(row == self.written_rows - 1, 0, (row + 1)[:WIDE])

    def place(self, f: Frame) -> tuple[Bits, Bits]:
        """Channel and transfer of a row on the output."""
        return f["out_channel"], f["out_row"]

    def after(self, place: tuple[Bits, Bits]) -> tuple[Bits, Bits]:
        """The one that follows."""
        channel, row = place
        end = row == self.transfers - 1
        following = mux(channel == self.component.channels - 1, 0, (channel + 1)[:6])
        return mux(end, following, channel), mux(end, 0, (row + 1)[:5])

    def mine(self, f: Frame) -> Bits:
        """The witness is written in this cycle."""
        row = self.group * self.size + self.row
        return f["i__valid"] & (f["w_row"] == row) & (f["w_column"] == self.column)

    def code(self, f: Frame) -> Bits:
        return f["i__payload"].word(self.bank, 8)

    def assume(self, f: Frame) -> dict[str, Bits]:
        idle = f["to_go"] == 0
        witness = (self.row < self.size) & (self.column < self.size) & (self.channel < self.component.channels)
        return {
            "the witness is a code": witness,
            "start": f["start"].implies(idle),
            "no write while rows are read": (f["i__valid"] | f["rewind"]).implies(idle & ~f["start"]),
            "rewind between codes": ~(f["rewind"] & f["i__valid"]),
        }

    def narrow(self, f: Frame, name: str) -> Bits:
        """A counter that has no bits where there is nothing to count."""
        return f[name] if name in f else const(0, 1)

    def stored(self, f: Frame) -> Bits:
        """The witness in its memory."""
        half, row = (const(0, 1), self.row) if self.rows_out == 1 else (self.row[0], self.row[1:])
        address = self.group * self.transfers + row
        memories = [f.memory(f"bank_{b}_{h}", address) for b in range(self.banks) for h in range(self.rows_out)]
        return choose(self.bank * self.rows_out + half, memories).word(self.column, 8)

    def invariants(self, f: Frame) -> dict[str, Bits]:
        half = self.narrow(f, "half")
        return self.reading(f) | {
            "place": (f["w_column"] < self.size) & (f["w_row"] < self.written_rows),
            "pointers": all_of(f["column"][n] == (f["w_column"] == n) for n in range(self.size))
            & (f["w_address"] * self.rows_out + half == f["w_row"])
            & (f["last_w_address"] == (f["w_address"] == self.component.words - 1)),
            "halves": (f["last_half"] == half) if self.rows_out == 2 else const(1, 1),
            "written": f["known"].implies(self.stored(f) == f["noted"]),
        }

    def reading(self, f: Frame) -> dict[str, Bits]:
        channel, row, turn, bank = f["channel"], f["row"], self.narrow(f, "turn"), self.narrow(f, "bank")
        o_valid, held, read, busy = f["o__valid"], f["held"], f["read"], f["busy"]
        places = [self.place(f)]
        for valid in (o_valid, held, read):
            following = self.after(places[-1])
            places.append(tuple(mux(valid, new, old) for new, old in zip(following, places[-1], strict=True)))
        each = self.component.channels * self.transfers
        left = (const(self.component.repeats * each, 18) - turn * each - (channel * self.transfers + row)).fit(18)
        groups = choose(channel, [const(n // self.banks, 6) for n in range(self.component.channels)])
        members = choose(channel, [const(n % self.banks, 6) for n in range(self.component.channels)])
        inside = [self.narrow(f, name) for name in ("bank_held", "bank_read")]
        claims = {
            "transfers": f["to_go"] == (mux(busy, left, 0) + o_valid + held + read).fit(18),
            "in range": (f["out_row"] < self.transfers)
            & (f["out_channel"] < self.component.channels)
            & (turn < self.component.repeats),
            "rows in order": (row == places[3][1]) & (channel == places[3][0]),
            "idle": busy | ((row == 0) & (channel == 0) & (turn == 0)),
            "last ones": (f["last_row"] == (row == self.transfers - 1))
            & (f["last_bank"] == (bank == self.banks - 1))
            & (f["last_channel"] == (channel == self.component.channels - 1))
            & (f["last_turn"] == (turn == self.component.repeats - 1)),
            "bank": bank == members,
            "base": f["base"] == groups * self.transfers,
        }
        for stage, valid in enumerate((held, read), 1):
            member = choose(places[stage][0], [const(n % self.banks, 6) for n in range(self.component.channels)])
            claims[f"bank of stage {stage}"] = valid.implies(inside[stage - 1] == member)
        return claims | self.codes(f, places, (o_valid, held, read))

    def codes(self, f: Frame, places: list, valids: tuple) -> dict[str, Bits]:
        """Where the witness's row is in the pipeline, its code is right."""
        names = [f"word_{n}" for n in range(len(self.read_data))]
        half = const(0, 1) if self.rows_out == 1 else self.row[0]
        claims = {}
        for stage, valid in enumerate(valids):
            channel, row = places[stage]
            mine = valid & f["known"] & (channel == self.channel) & (row * self.rows_out + half == self.row)
            if stage == 0:
                word = f["o__payload"].word(half, 8 * self.size)
            else:
                registers = [f[name] for name in (names if stage == 1 else self.read_data)]
                word = choose(self.bank * self.rows_out + half, registers)
            claims[f"stage {stage}"] = mine.implies(word.word(self.column, 8) == f["noted"])
        return claims

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=self.assume, step=rows_move_on)


@pytest.mark.parametrize(
    ("channels", "parallel", "rows_out", "repeats"),
    [(20, 1, 1, 50), (20, 5, 2, 10), (6, 4, 2, 3), pytest.param(20, 25, 1, 2, marks=pytest.mark.full)],
)
def test_every_row_of_every_map(channels: int, parallel: int, rows_out: int, repeats: int) -> None:
    memory = map_memory.MapMemory(channels, 12, parallel=parallel, rows_out=rows_out, repeats=repeats)
    Proof(memory).prove()


BUGS = {
    "channels mixed": ("rows[bank_held]", "rows[bank_read]"),
    "a bank too far": ("restart=last_channel)", ")"),
    "base stays": ("base.eq(Mux(last_channel, 0, base + rows))", "base.eq(base + rows)"),
    "moves over what waits": ("move = ~self.o.valid | self.o.ready", "move = 1"),
    "written to every bank's end": ("port.en.eq(Mux(enable, column, 0))", "port.en.eq(Mux(enable, ~0, 0))"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    memory = broken("map_memory", "MapMemory", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(memory(6, 12, parallel=4, rows_out=2, repeats=3)).prove()
