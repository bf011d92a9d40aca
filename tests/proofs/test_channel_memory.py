"""Maps of which 1x1 kernels read all channels: words come out as their codes went in, position after position.

Symbolic witness: the code of channel ``channel`` at position ``row``, ``column`` of those that are read, any; noted
whenever it is written. Codes and positions pause at will. Nothing is written while positions are read. Where a memory
is for several sets of maps, the proof holds for each, from the second cycle after reset on.
"""

from collections.abc import Callable
from math import prod

import pytest

from fivebyfive.hw.conv import channel_memory

from .lib.bits import Bits, all_of, choose, const, fresh, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import stays, taken

CHANNELS, SIZE = 32, 8  # more than any of the memories has; rows and columns
Maps = channel_memory.ChannelMaps


class Proof:
    def __init__(self, component):
        self.component = component
        self.channel = fresh("channel", 5)
        self.row, self.column = fresh("row", 3), fresh("column", 3)  # of the position, not of the map
        self.netlist = net = netlist(component)
        column_ends = lambda f: f["i__valid"] & self.is_last(f, "at_column", "columns")  # noqa: E731
        map_ends = lambda f: column_ends(f) & self.is_last(f, "at_row", "rows")  # noqa: E731
        net.ghost("at_column", 3, lambda f: step(f, "at_column", f["i__valid"], column_ends(f)))
        net.ghost("at_row", 3, lambda f: step(f, "at_row", column_ends(f), map_ends(f)))
        net.ghost("at_group", 5, lambda f: step(f, "at_group", map_ends(f), f["at_group"] == self.groups(f)))
        net.ghost("noted", 8, lambda f: mux(self.mine(f), self.code(f), f["noted"]))
        net.ghost("known", 1, lambda f: f["known"] | self.mine(f))
        net.ghost("settled", 1, lambda f: 1, init=len(component.maps) == 1)
        net.ghost("to_go", 12, lambda f: mux(f["start"], self.each(f, self.total), f["to_go"] - taken(f, "o")))
        net.ghost("out_set", 5, lambda f: mux(taken(f, "o"), self.after(f)[0], f["out_set"]))
        net.ghost("out_place", 6, lambda f: mux(taken(f, "o"), self.after(f)[1], f["out_place"]))
        net.ghost("hit", 1, lambda f: taken(f, "o") & self.is_out(f))

    def each(self, f: Frame, make: Callable[[Maps], Bits | int]) -> Bits | int:
        """A number of the maps in use."""
        numbers = [make(stored) for stored in self.component.maps]
        return numbers[0] if len(numbers) == 1 else choose(f["which"], numbers)

    def size(self, stored: Maps) -> int:
        return prod(stored.positions)

    def sets(self, stored: Maps) -> int:
        return -(-stored.channels // self.component.channels)

    def total(self, stored: Maps) -> int:
        """Positions after a start."""
        return self.sets(stored) * self.size(stored) * stored.repeats

    def is_last(self, f: Frame, counter: str, name: str) -> Bits:
        """Whether it is at the last of what maps have so many of."""
        return f[counter] == self.each(f, lambda stored: getattr(stored, name) - 1)

    def groups(self, f: Frame) -> Bits | int:
        """Number of the last group."""
        return self.each(f, lambda stored: (stored.channels - 1) // self.component.parallel)

    def divided(self, value: Bits, by: int, rest: bool = False) -> Bits:
        numbers = range(1 << value.width)
        return choose(value, [const(n % by if rest else n // by, value.width) for n in numbers])

    def mine(self, f: Frame) -> Bits:
        """The witness is written in this cycle."""
        steps = self.each(f, lambda stored: stored.stride)
        here = (f["at_row"] == self.row * steps) & (f["at_column"] == self.column * steps)
        return f["i__valid"] & here & (f["at_group"] == self.divided(self.channel, self.component.parallel))

    def code(self, f: Frame) -> Bits:
        return f["i__payload"].word(self.divided(self.channel, self.component.parallel, rest=True), 8)

    def position(self, f: Frame) -> Bits:
        """Number of the witness's position."""
        return (self.row * self.each(f, lambda stored: stored.positions[1]) + self.column).fit(6)

    def is_out(self, f: Frame) -> Bits:
        """The position that is offered is the witness's, in its set of channels."""
        mine = self.divided(self.channel, self.component.channels)
        return (f["out_set"] == mine) & (f["out_place"] == self.position(f))

    def after(self, f: Frame) -> tuple[Bits, Bits]:
        """Set of channels and position behind those that are offered."""
        end = f["out_place"] == self.each(f, lambda stored: self.size(stored) - 1)
        last = f["out_set"] == self.each(f, lambda stored: self.sets(stored) - 1)
        return mux(end, mux(last, 0, (f["out_set"] + 1)[:5]), f["out_set"]), mux(end, 0, (f["out_place"] + 1)[:6])

    def lane(self, word: Bits) -> Bits:
        """The witness's code in a word."""
        return word.word(self.divided(self.channel, self.component.channels, rest=True), 8)

    def first_word(self, f: Frame, group: Bits, groups: int) -> Bits:
        """First word of the set of channels in which a group is, of ``groups`` in a set."""
        numbers = range(1 << group.width)
        return self.each(f, lambda stored: choose(group, [const(n // groups * self.size(stored), 12) for n in numbers]))

    def stored_before(self, f: Frame) -> Bits:
        """Positions of the map in front of the code that comes next."""

        def count(stored: Maps) -> Bits:
            (rows, columns), step = stored.positions, stored.stride
            found = [
                min(-(-row // step), rows) * columns
                + (min(-(-column // step), columns) if row % step == 0 and row // step < rows else 0)
                for row in range(SIZE)
                for column in range(SIZE)
            ]
            return choose(f["at_row"] * SIZE + f["at_column"], [const(n, 12) for n in found])

        return self.each(f, count)

    def assume(self, f: Frame) -> dict[str, Bits]:
        idle = f["to_go"] == 0
        chosen = f["which"] < len(self.component.maps) if "which" in f else const(1, 1)
        return {
            "the witness is a code that is read": (self.row < self.each(f, lambda stored: stored.positions[0]))
            & (self.column < self.each(f, lambda stored: stored.positions[1]))
            & (self.channel < self.each(f, lambda stored: stored.channels)),
            "one of the sets": chosen,
            "it is chosen before the first code": f["i__valid"].implies(f["settled"]),
            "start": f["start"].implies(idle),
            "no write while positions are read": f["i__valid"].implies(idle & ~f["start"]),
        }

    def narrow(self, f: Frame, name: str) -> Bits:
        """A counter that has no bits where there is nothing to count."""
        return f[name] if name in f else const(0, 1)

    def invariants(self, f: Frame) -> dict[str, Bits]:
        component, limits = self.component, {"at_column": "columns", "at_row": "rows"}
        slots = component.channels // component.parallel
        inside = all_of(f[name] < self.each(f, lambda s, n=limit: getattr(s, n)) for name, limit in limits.items())
        slot = self.narrow(f, "w_slot")
        last = {
            "w_column": self.is_last(f, "at_column", "columns"),
            "w_row": self.is_last(f, "at_row", "rows"),
            "w_group": f["at_group"] == self.groups(f),
        }
        word = self.first_word(f, self.divided(self.channel, component.channels), 1) + self.position(f)
        return self.reading(f) | {
            "in range": inside & (f["at_group"] <= self.groups(f)),
            "counters": (self.narrow(f, "w_column") == f["at_column"])
            & (self.narrow(f, "w_row") == f["at_row"])
            & (self.narrow(f, "w_group") == f["at_group"]),
            "last ones": f["settled"].implies(all_of(f[f"last_{name}"] == value for name, value in last.items())),
            "slot": (slot == self.divided(f["at_group"], slots, rest=True)) & (f["last_w_slot"] == (slot == slots - 1)),
            "set of channels": f["w_base"] == self.first_word(f, f["at_group"], slots),
            "place": f["w_place"] == self.stored_before(f)[: f["w_place"].width],
            "written": f["known"].implies(self.lane(f.memory("words", word)) == f["noted"]),
            "at first": f["settled"]
            | (all_of(f[n] == 0 for n in ("at_row", "at_group", "at_column", "to_go")) & ("which" in f)),
        }

    def reading(self, f: Frame) -> dict[str, Bits]:
        place, number, turn = self.narrow(f, "place"), self.narrow(f, "set"), self.narrow(f, "turn")

        def left(stored: Maps) -> Bits:
            gone = (turn * self.sets(stored) + number) * self.size(stored) + place
            return (const(self.total(stored), 12) - gone).fit(12)

        last = {
            "place": place == self.each(f, lambda s: self.size(s) - 1),
            "set": number == self.each(f, lambda s: self.sets(s) - 1),
            "turn": turn == self.each(f, lambda s: s.repeats - 1),
        }
        return {
            "positions": f["to_go"] == mux(f["o__valid"], self.each(f, left), 0),
            "offered": (f["out_place"] == place) & (f["out_set"] == number),
            "in range of reading": (place < self.each(f, self.size))
            & (number < self.each(f, self.sets))
            & (turn < self.each(f, lambda s: s.repeats)),
            "idle": f["o__valid"] | ((place == 0) & (number == 0) & (turn == 0)),
            "last of reading": f["settled"].implies(all_of(f[f"last_{name}"] == value for name, value in last.items())),
            "first word": f["r_base"] == self.first_word(f, f["out_set"], 1),
            "mark": f["settled"].implies(f["o__payload"] == last["place"]),
            "word": (f["hit"] & f["known"]).implies(self.lane(f["word"]) == f["noted"]),
        }

    def prove(self) -> None:
        def moves_on(now: Frame, then: Frame) -> dict[str, Bits]:
            return stays(now, then) | {"offered at once": (now["to_go"] != 0) == now["o__valid"]}

        rigid = ["which"] if len(self.component.maps) > 1 else []
        holds_forever(self.netlist, self.invariants, assume=self.assume, rigid=rigid, step=moves_on)


def step(f: Frame, name: str, when: Bits, last: Bits) -> Bits:
    """A counter of what is written; ``last`` is its last value, too."""
    return mux(when, mux(last, 0, (f[name] + 1)[: f[name].width]), f[name])


ODD = Maps(7, 6, 5, (2, 3), stride=2, repeats=2), Maps(9, 3, 4, (3, 4), repeats=3), Maps(2, 4, 4, (3, 2))


@pytest.mark.parametrize(
    ("maps", "parallel", "channels"),
    [
        ([Maps(20, 8, 8, (8, 8), repeats=3)], 1, 9),
        ([Maps(9, 5, 4, (5, 4), repeats=2)], 2, 4),
        pytest.param(ODD, 2, 4),
    ],
)
def test_every_word(maps: list[Maps], parallel: int, channels: int) -> None:
    Proof(channel_memory.ChannelMemory(maps, parallel, channels)).prove()


BUGS = {
    "a slot too far": ('name="w_slot", restart=last_group)', 'name="w_slot")'),
    "base stays": ("Mux(last_group, 0, base + Mux(last_slot", "Mux(0, 0, base + Mux(last_slot"),
    "what lies between is stored": ("| ~place[0]", "| 1"),
    "beyond the positions": ("(one.positions[axis] - 1) * one.stride for", "one.positions[axis] * one.stride for"),
    "read a word too early": ("Mux(last_set, 0, base + self.each(self.sizes))", "Mux(last_set, 0, base + 1)"),
    "written to every slot": ("(slot == number)", "1"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    memory = broken("channel_memory", "ChannelMemory", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(memory(ODD, 2, 4)).prove()
