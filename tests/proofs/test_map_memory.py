"""The feature maps: rows come out as their codes went in, channel after channel, as often as they are asked for.

Symbolic witness: code (``row``, ``column``) of channel ``channel``, any; noted whenever it is written. The banks and
halves that a machine of its size has are read side by side; the invariant says which row of which channel is in each
stage of the pipeline. Codes and rows pause at will. Nothing is written while rows are read. Where a memory is for
several sets of maps, the proof holds for each, from the second cycle after reset on.
"""

from collections.abc import Callable

import pytest

from fivebyfive.hw.conv import map_memory

from .lib.bits import Bits, all_of, choose, const, fresh, mux
from .lib.induction import holds_forever
from .lib.maps import find_read_data, rows_move_on
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import taken

CHANNELS = 64  # more than any of the memories has


class Proof:
    def __init__(self, component):
        self.component = component
        self.rows_out, self.banks, self.columns = component.rows_out, component.banks, component.columns
        self.channel, self.row, self.column = fresh("channel", 6), fresh("row", 5), fresh("column", 5)
        self.group, self.bank = (choose(self.channel, [const(n // d if whole else n % d, 6) for n in range(CHANNELS)])
                                 for d, whole in ((component.parallel, True), (component.parallel, False)))  # fmt: skip
        self.netlist = net = netlist(component)
        self.read_data = [find_read_data(net, f"word_{n}") for n in range(self.banks * self.rows_out)]
        ends = lambda f: f["i__valid"] & self.is_last(f, "w_column", "columns")  # noqa: E731
        map_ends = lambda f: ends(f) & self.is_last(f, "at_row", "rows")  # noqa: E731
        net.ghost("w_column", 6, lambda f: self.step(f, "w_column", f["i__valid"], ends(f)))
        net.ghost("at_row", 6, lambda f: self.step(f, "at_row", ends(f), map_ends(f)))
        net.ghost("at_group", 6, lambda f: self.step(f, "at_group", map_ends(f), f["at_group"] == self.groups(f)))
        net.ghost("noted", 8, lambda f: mux(self.mine(f), self.code(f), f["noted"]))
        net.ghost("known", 1, lambda f: f["known"] | self.mine(f))
        net.ghost("settled", 1, lambda f: 1, init=len(component.maps) == 1)
        net.ghost("to_go", 18, lambda f: mux(f["start"], self.each(f, self.total), f["to_go"] - taken(f, "o")))
        net.ghost("out_channel", 6, lambda f: mux(taken(f, "o"), self.after(f, self.place(f))[0], f["out_channel"]))
        net.ghost("out_row", 5, lambda f: mux(taken(f, "o"), self.after(f, self.place(f))[1], f["out_row"]))

    def each(self, f: Frame, make: Callable[[map_memory.StoredMaps], Bits | int]) -> Bits | int:
        """A number of the maps in use."""
        numbers = [make(stored) for stored in self.component.maps]
        return numbers[0] if len(numbers) == 1 else choose(f["which"], numbers)

    def step(self, f: Frame, name: str, when: Bits, last: Bits) -> Bits:
        """A counter of what is written; ``last`` is its last value, too."""
        return mux(f["rewind"], 0, mux(when, mux(last, 0, (f[name] + 1)[:6]), f[name]))

    def is_last(self, f: Frame, counter: str, name: str) -> Bits:
        """Whether it is at the last of what maps have so many of."""
        return f[counter] == self.each(f, lambda stored: getattr(stored, name) - 1)

    def groups(self, f: Frame) -> Bits | int:
        """Number of the last group."""
        return self.each(f, lambda stored: (stored.channels - 1) // self.component.parallel)

    def transfers(self, stored: map_memory.StoredMaps) -> int:
        return stored.transfers or stored.words(self.rows_out)

    def total(self, stored: map_memory.StoredMaps) -> int:
        """Transfers after a start."""
        return stored.channels * self.transfers(stored) * stored.repeats

    def first(self, f: Frame) -> Bits | int:
        """Half of the first row of a map."""
        return self.each(f, lambda stored: stored.top % self.rows_out)

    def place(self, f: Frame) -> tuple[Bits, Bits]:
        """Channel and transfer of a row on the output."""
        return f["out_channel"], f["out_row"]

    def after(self, f: Frame, place: tuple[Bits, Bits]) -> tuple[Bits, Bits]:
        """The one that follows."""
        channel, row = place
        end = row == self.each(f, lambda stored: self.transfers(stored) - 1)
        following = mux(channel == self.each(f, lambda stored: stored.channels - 1), 0, (channel + 1)[:6])
        return mux(end, following, channel), mux(end, 0, (row + 1)[:5])

    def mine(self, f: Frame) -> Bits:
        """The witness is written in this cycle."""
        here = (f["at_group"] == self.group) & (f["at_row"] == self.row) & (f["w_column"] == self.column)
        return f["i__valid"] & here

    def code(self, f: Frame) -> Bits:
        return f["i__payload"].word(self.bank, 8)

    def assume(self, f: Frame) -> dict[str, Bits]:
        idle = f["to_go"] == 0
        limits = (self.row, "rows"), (self.column, "columns"), (self.channel, "channels")
        chosen = f["which"] < len(self.component.maps) if "which" in f else const(1, 1)
        return {
            "the witness is a code": all_of(n < self.each(f, lambda s, m=name: getattr(s, m)) for n, name in limits),
            "one of the sets": chosen,
            "it is chosen before the first code": f["i__valid"].implies(f["settled"]),
            "start": f["start"].implies(idle),
            "no write while rows are read": (f["i__valid"] | f["rewind"]).implies(idle & ~f["start"]),
            "rewind between codes": ~(f["rewind"] & f["i__valid"]),
        }

    def narrow(self, f: Frame, name: str) -> Bits:
        """A counter that has no bits where there is nothing to count."""
        return f[name] if name in f else const(0, 1)

    def word(self, f: Frame, group: Bits, row: Bits) -> tuple[Bits, Bits]:
        """Address and half of a row of a group."""
        row = (row + self.first(f)).fit(8)
        half, word = (const(0, 1), row) if self.rows_out == 1 else (row[0], row[1:])
        return (self.first_word(f, group) + word).fit(9), half

    def first_word(self, f: Frame, group: Bits) -> Bits:
        """Where the maps of a group begin."""
        before = self.each(f, lambda s: choose(group, [n * s.words(self.rows_out) for n in range(CHANNELS)]))
        return before.fit(9)

    def stored(self, f: Frame) -> Bits:
        """The witness in its memory."""
        address, half = self.word(f, self.group, self.row)
        memories = [f.memory(f"bank_{b}_{h}", address) for b in range(self.banks) for h in range(self.rows_out)]
        return choose(self.bank * self.rows_out + half, memories).word(self.column, 8)

    def invariants(self, f: Frame) -> dict[str, Bits]:
        address, half = self.word(f, f["at_group"], f["at_row"])
        odd = self.narrow(f, "half")
        words = self.each(f, lambda s: self.component.lengths[self.component.maps.index(s)] - 1)
        settled = f["settled"]
        claims = {
            "place": self.in_range(f, "w_column", "columns")
            & self.in_range(f, "at_row", "rows")
            & (f["at_group"] <= self.groups(f)),
            "column": all_of(f["column"][n] == (f["w_column"] == n) for n in range(self.columns)),
            "pointers": (f["w_address"] == address) & (odd == (half ^ self.first(f) if self.rows_out == 2 else half)),
            "end of the pointers": settled.implies(f["last_w_address"] == (f["w_address"] == words)),
            "halves": (f["last_half"] == odd) if self.rows_out == 2 else const(1, 1),
            "written": f["known"].implies(self.stored(f) == f["noted"]),
            "at first": settled
            | (all_of(f[n] == 0 for n in ("at_row", "at_group", "w_column", "to_go")) & ("which" in f)),
        }
        if "w_row" in f:
            claims["rows"] = f["w_row"] == f["at_row"]
            claims["last row"] = settled.implies(f["last_w_row"] == self.is_last(f, "at_row", "rows"))
        return self.reading(f) | claims

    def in_range(self, f: Frame, counter: str, name: str) -> Bits:
        return f[counter] < self.each(f, lambda stored: getattr(stored, name))

    def reading(self, f: Frame) -> dict[str, Bits]:
        channel, row = self.narrow(f, "channel"), self.narrow(f, "row")
        turn, bank = self.narrow(f, "turn"), self.narrow(f, "bank")
        o_valid, held, read, busy = f["o__valid"], f["held"], f["read"], f["busy"]
        places = [self.place(f)]
        for valid in (o_valid, held, read):
            following = self.after(f, places[-1])
            places.append(tuple(mux(valid, new, old) for new, old in zip(following, places[-1], strict=True)))
        parallel, numbers = self.component.parallel, range(CHANNELS)
        members = choose(channel, [const(n % parallel, 6) for n in numbers])
        inside = [self.narrow(f, name) for name in ("bank_held", "bank_read")]

        def left(stored: map_memory.StoredMaps) -> Bits:
            each = stored.channels * self.transfers(stored)
            gone = turn * each + (channel * self.transfers(stored) + row)
            return (const(self.total(stored), 18) - gone).fit(18)

        last = {
            "row": lambda s: row == self.transfers(s) - 1,
            "channel": lambda s: channel == s.channels - 1,
            "turn": lambda s: turn == s.repeats - 1,
        }
        claims = {
            "transfers": f["to_go"] == (mux(busy, self.each(f, left), 0) + o_valid + held + read).fit(18),
            "in range": (f["out_row"] < self.each(f, self.transfers))
            & self.in_range(f, "out_channel", "channels")
            & (turn < self.each(f, lambda s: s.repeats)),
            "rows in order": (row == places[3][1]) & (channel == places[3][0]),
            "idle": busy | ((row == 0) & (channel == 0) & (turn == 0)),
            "last ones": f["settled"].implies(
                all_of(f[f"last_{name}"] == self.each(f, make) for name, make in last.items())
            )
            & (f["last_bank"] == (bank == self.banks - 1)),
            "bank": bank == members,
            "base": f["base"] == self.first_word(f, choose(channel, [n // parallel for n in numbers])),
        }
        for stage, valid in enumerate((held, read), 1):
            member = choose(places[stage][0], [const(n % parallel, 6) for n in numbers])
            claims[f"bank of stage {stage}"] = valid.implies(inside[stage - 1] == member)
        if "fill" in f:
            stages = zip(places[:3], ("fill", "fill_held", "fill_read"), (o_valid, held, read), strict=True)
            for (number, _), name, valid in stages:
                codes = self.each(f, lambda s, n=number: choose(n, [const(c % 256, 8) for c in s.fill or (0,)]))
                claims[f"code in {name}"] = valid.implies(f[name] == codes)
        return claims | self.codes(f, places, (o_valid, held, read))

    def codes(self, f: Frame, places: list, valids: tuple) -> dict[str, Bits]:
        """Where the witness's row is in the pipeline, its code is right."""
        names = [f"word_{n}" for n in range(len(self.read_data))]
        mine_at = (self.row + self.first(f)).fit(8)
        half = const(0, 1) if self.rows_out == 1 else mine_at[0]
        claims = {}
        for stage, valid in enumerate(valids):
            channel, row = places[stage]
            mine = valid & f["known"] & (channel == self.channel) & (row * self.rows_out + half == mine_at)
            if stage == 0:
                word = f["o__payload"].word(half, 8 * self.columns)
            else:
                registers = [f[name] for name in (names if stage == 1 else self.read_data)]
                word = choose(self.bank * self.rows_out + half, registers)
            claims[f"stage {stage}"] = mine.implies(word.word(self.column, 8) == f["noted"])
        return claims

    def prove(self) -> None:
        rigid = ["which"] if len(self.component.maps) > 1 else []
        holds_forever(self.netlist, self.invariants, assume=self.assume, rigid=rigid, step=rows_move_on)


@pytest.mark.parametrize(
    ("channels", "parallel", "rows_out", "repeats"),
    [
        (20, 1, 1, 50),
        (6, 4, 2, 3),
        pytest.param(20, 5, 2, 10, marks=pytest.mark.full),
        pytest.param(20, 25, 1, 2, marks=pytest.mark.full),
    ],
)
def test_every_row_of_every_map(channels: int, parallel: int, rows_out: int, repeats: int) -> None:
    maps = map_memory.StoredMaps(channels, 12, 12, repeats=repeats)
    Proof(map_memory.MapMemory([maps], parallel=parallel, rows_out=rows_out)).prove()


ODD = (
    {"channels": 5, "rows": 5, "columns": 4, "top": 1, "repeats": 2, "fill": (3, -1, 0, -128, 127)},
    {"channels": 3, "rows": 7, "columns": 6, "transfers": 3, "repeats": 3},
    {"channels": 2, "rows": 6, "columns": 1, "top": 3, "fill": (9,)},
)


@pytest.mark.parametrize(
    ("which", "rows_out"),
    [
        pytest.param((0,), 2, marks=pytest.mark.full),
        pytest.param((1,), 2, marks=pytest.mark.full),
        ((0, 1, 2), 2),
        ((1, 0), 1),
    ],
)
def test_maps_of_other_sizes(which: tuple[int, ...], rows_out: int) -> None:
    maps = [map_memory.StoredMaps(**ODD[n]) for n in which]
    Proof(map_memory.MapMemory(maps, parallel=2, rows_out=rows_out)).prove()


BUGS = {
    "channels mixed": ("rows[bank_held]", "rows[bank_read]"),
    "a bank too far": ("restart=last_channel)", ")"),
    "base stays": ("base.eq(Mux(last_channel, 0, base + words))", "base.eq(base + words)"),
    "moves over what waits": ("move = ~self.o.valid | self.o.ready", "move = 1"),
    "written to every bank's end": ("port.en.eq(Mux(enable, chosen, 0))", "port.en.eq(Mux(enable, ~0, 0))"),
}


ODD_BUGS = {
    "a map begins in any half": ("restart=self.rewind | last_row)", "restart=self.rewind)"),
    "padding is stored": ("half = odd ^ self.each(first)", "half = odd"),
    "a last row without its word": ("return half, half | last_row", "return half, half"),
    "next map where reading ended": (
        "words = self.each([stored.words(self.rows_out) for stored in self.maps])", "words = self.each(self.transfers)"
    ),
    "a narrow map's bit moves on": ("bit & ~end if n in ends else bit", "bit"),
    "a fill code too early": ("m.d.sync += after.eq(fill)", "m.d.comb += after.eq(fill)"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    memory = broken("map_memory", "MapMemory", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(memory([map_memory.StoredMaps(6, 12, 12, repeats=3)], parallel=4, rows_out=2)).prove()


@pytest.mark.parametrize("bug", ODD_BUGS)
def test_bugs_of_other_sizes_are_refuted(bug: str) -> None:
    memory = broken("map_memory", "MapMemory", *ODD_BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(memory([map_memory.StoredMaps(**one) for one in ODD], parallel=2, rows_out=2)).prove()
