"""The image buffer: every row of every whole image comes out as its pixels went in, as often as it is asked for.

Symbolic witness: pixel (``row``, ``column``), any. It is noted as it comes in a frame, and kept for each of the two
images when a frame is accepted. Frames of any length, pauses at will on both sides, images begun and released at any
time the documentation allows. The invariant says where the pixel is: in the register before the memory, in the
memory, in a register behind it; and which rows are in the pipeline.
"""

from functools import partial

import pytest

from fivebyfive.hw.conv import image_buffer
from fivebyfive.hw.conv.map_memory import StoredMaps
from fivebyfive.model.shape import IMAGE, PIXELS

from .lib.bits import Bits, all_of, choose, const, fresh, mux
from .lib.induction import holds_forever
from .lib.maps import find_read_data, rows_move_on
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import taken


class Proof:
    def __init__(self, component):
        self.rows_out, self.repeats = component.rows_out, component.image.repeats
        self.transfers = IMAGE // self.rows_out  # of an image
        self.row, self.column = fresh("row", 5), fresh("column", 5)
        self.number = self.row * IMAGE + self.column
        self.netlist = net = netlist(component)
        self.w_set = net.register("w_set", "maps.w_set")
        self.read_data = [find_read_data(net, f"maps.word_{half}", "maps.") for half in range(self.rows_out)]
        self.add_frames(net)
        self.add_writes(net)
        net.ghost("to_go", 16, lambda f: mux(f["start"], self.transfers * self.repeats, f["to_go"] - taken(f, "o")))
        net.ghost("out_row", 5, lambda f: mux(taken(f, "o"), self.after(f["out_row"], self.transfers), f["out_row"]))

    def add_frames(self, net) -> None:
        """Pixels of the present frame, 784 where there were more; images that are there; and the witness."""
        more = lambda f: mux(f["came"] == PIXELS, PIXELS, f["came"] + 1)  # noqa: E731
        net.ghost("came", 10, lambda f: mux(taken(f, "i"), mux(self.last(f), 0, more(f)), f["came"]))
        net.ghost("images", 2, lambda f: f["images"] + self.whole(f) - f["release"])
        net.ghost("writes_to", 1, lambda f: f["writes_to"] ^ self.whole(f))
        net.ghost("reads_from", 1, lambda f: f["reads_from"] ^ f["release"])
        net.ghost("noted", 8, self.note)
        for which in range(2):
            mine = lambda f, n=which: self.whole(f) & (f["writes_to"] == n)  # noqa: E731
            net.ghost(f"image_{which}", 8, lambda f, n=which, mine=mine: mux(mine(f), self.note(f), f[f"image_{n}"]))
        net.ghost("too_short", 1, lambda f: f["too_short"] | (self.ends(f) & (f["came"] < PIXELS - 1)))
        net.ghost("too_long", 1, lambda f: f["too_long"] | (self.ends(f) & (f["came"] == PIXELS)))

    def add_writes(self, net) -> None:
        """Where the pixel goes that is in the register before the memory; and whether it ended an image."""
        valid, rewind = (lambda f: f["maps.i__valid"]), (lambda f: f["maps.rewind"])
        ends = lambda f: f["w_column"] == IMAGE - 1  # noqa: E731
        step = lambda f, name, when: mux(rewind(f), 0, mux(when, self.after(f[name], IMAGE), f[name]))  # noqa: E731
        net.ghost("w_column", 5, lambda f: step(f, "w_column", valid(f)))
        net.ghost("w_row", 5, lambda f: step(f, "w_row", valid(f) & ends(f)))
        net.ghost("just_ended", 1, self.whole)

    @staticmethod
    def after(value: Bits, limit: int) -> Bits:
        """Counts 0 to limit - 1 and again."""
        return mux(value == limit - 1, 0, (value + 1)[: value.width])

    def last(self, f: Frame) -> Bits:
        return f["i__payload"][8]

    def ends(self, f: Frame) -> Bits:
        """A frame ends."""
        return taken(f, "i") & self.last(f)

    def whole(self, f: Frame) -> Bits:
        """A frame ends that has all of its pixels."""
        return self.ends(f) & (f["came"] == PIXELS - 1)

    def note(self, f: Frame) -> Bits:
        """The witness's code: half of what the pixel was."""
        mine = taken(f, "i") & (f["came"] == self.number)
        return mux(mine, f["i__payload"][1:8].zext(8), f["noted"])

    def assume(self, f: Frame) -> dict[str, Bits]:
        idle = f["to_go"] == 0
        return {
            "the witness is a pixel": (self.row < IMAGE) & (self.column < IMAGE),
            "start": f["start"].implies((f["images"] != 0) & idle & ~f["release"]),
            "release": f["release"].implies((f["images"] != 0) & idle),
        }

    def stored(self, f: Frame, which: Bits) -> Bits:
        """The witness in the memory of an image."""
        word, half = (self.row, const(0, 1)) if self.rows_out == 1 else (self.row[1:], self.row[0])
        address = word.zext(6) | which.zext(6) * (64 // self.rows_out // 2)
        rows = [f.memory(f"maps.bank_0_{n}", address.fit(6)) for n in range(self.rows_out)]
        return choose(half, rows).word(self.column, 8)

    def image(self, f: Frame, which: Bits) -> Bits:
        return mux(which, f["image_1"], f["image_0"])

    def invariants(self, f: Frame) -> dict[str, Bits]:
        return self.frames(f) | self.writing(f) | self.reading(f)

    def frames(self, f: Frame) -> dict[str, Bits]:
        came, images = f["came"], f["images"]
        overrun = came == PIXELS
        return {
            "came": (came <= PIXELS) & (f["overrun"] == overrun) & (f["at_last"] == (came == PIXELS - 1)),
            "count": overrun | (f["count"] == came),
            "images": (images <= 2) & ((f["writes_to"] ^ f["reads_from"]) == images[0]),
            "sets": (f[self.w_set] == f["writes_to"]) & (f["maps.r_set"] == f["reads_from"]),
            "available": (f["available"] == (images != 0)) & (f["i__ready"] == (images != 2)),
            "accepted": f["accepted"] == self.whole(f),
            "flags": (f["short"] == f["too_short"]) & (f["long"] == f["too_long"]),
        }

    def writing(self, f: Frame) -> dict[str, Bits]:
        came, valid, rewind, ended = f["came"], f["maps.i__valid"], f["maps.rewind"], f["just_ended"]
        at = (f["w_row"] * IMAGE + f["w_column"])[:10]
        here = at == self.number
        full = (came == PIXELS) & mux(valid, at == PIXELS - 1, at == 0)
        half = f["maps.half"] if self.rows_out == 2 else const(0, 1)
        payload, target = f["maps.i__payload"], f["maps.w_set"]
        # Of the frame to which the pixel in the register belongs: in the memory, or in the register.
        noted = mux(rewind, self.image(f, target), f["noted"])
        known = ~rewind | ended
        in_memory = (self.number < at) | ((came == PIXELS) & ~rewind & ~valid)
        claims = {
            "place": (f["w_column"] < IMAGE) & (f["w_row"] < IMAGE),
            "pixels that came": mux(rewind, came == 0, full | ((came < PIXELS) & (at + valid == came))),
            "ended": ended.implies(rewind & valid & (at == PIXELS - 1)) & (came == PIXELS).implies(~rewind),
            "pointers": all_of(f["maps.column"][n] == (f["w_column"] == n) for n in range(IMAGE))
            & (f["maps.w_address"] * self.rows_out + half == f["w_row"])
            & (f["maps.last_w_address"] == (f["maps.w_address"] == IMAGE // self.rows_out - 1)),
            "its set": target == (f["writes_to"] ^ ended),
            "room": (valid & ~ended).implies(f["images"] < 2) & ended.implies(f["images"] != 0),
            "waits": (known & valid & here).implies(payload == noted),
            "written": (known & in_memory).implies(self.stored(f, target) == noted),
            "codes": payload[7] == 0,
        }
        if self.rows_out == 2:
            claims["half"] = f["maps.last_half"] == half
        for which in range(2):
            there = (f["images"] == 2) | ((f["images"] == 1) & (f["reads_from"] == which))
            still = ended & valid & here & (target == which)
            stored = self.stored(f, const(which, 1)) == f[f"image_{which}"]
            claims[f"image {which} is whole"] = (there & ~still).implies(stored)
        return claims

    def reading(self, f: Frame) -> dict[str, Bits]:
        rows, turn = f["maps.row"], f["maps.turn"] if self.repeats > 1 else const(0, 1)
        o_valid, held, read, busy = f["o__valid"], f["maps.held"], f["maps.read"], f["maps.busy"]
        left = (const(self.repeats * self.transfers, 16) - turn * self.transfers - rows).fit(16)
        places = [f["out_row"]]
        for valid in (o_valid, held, read):  # of the row on the output, in the registers, on the read ports, addressed
            places.append(mux(valid, self.after(places[-1], self.transfers), places[-1]))
        names = [["o__payload"] * self.rows_out, [f"maps.word_{n}" for n in range(self.rows_out)], self.read_data]
        claims = {
            "transfers": f["to_go"] == (mux(busy, left, 0) + o_valid + held + read).fit(16),
            "rows in range": (f["out_row"] < self.transfers) & (rows < self.transfers) & (turn < self.repeats),
            "rows in order": rows == places[3],
            "idle": busy | ((rows == 0) & (turn == 0)),
            "last ones": (f["maps.last_row"] == (rows == self.transfers - 1))
            & (f["maps.last_turn"] == (turn == self.repeats - 1)),
            "base": f["maps.base"] == 0,
            "an image is read": (f["to_go"] != 0).implies((f["images"] == 2) | ((f["images"] == 1) & ~f["just_ended"])),
        }
        for stage, valid in enumerate((o_valid, held, read)):
            for half in range(self.rows_out):
                offset = half if stage == 0 else 0
                code = f[names[stage][half]].word(const(offset * IMAGE, 6) + self.column, 8)
                mine = valid & (places[stage] * self.rows_out + half == self.row)
                claims[f"stage {stage}, row {half}"] = mine.implies(code == self.image(f, f["reads_from"]))
        return claims

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=self.assume, step=partial(rows_move_on, inside="maps."))


@pytest.mark.parametrize(
    ("rows_out", "repeats"),
    [(1, 20), *(pytest.param(*one, marks=pytest.mark.full) for one in ((2, 20), (1, 1))), (2, 4)],
)
def test_every_row_of_every_image(rows_out: int, repeats: int) -> None:
    Proof(image_buffer.ImageBuffer(StoredMaps(1, IMAGE, IMAGE, repeats=repeats), rows_out)).prove()


BUGS = {
    "writes the whole frame": ("maps.i.valid.eq(taken & ~overrun)", "maps.i.valid.eq(taken)"),
    "takes a short frame": ("taken & pixel.last & at_last", "taken & pixel.last"),
    "takes a long frame": ("m.d.sync += [at_last.eq(0), overrun.eq(1)]", "m.d.sync += [at_last.eq(1), overrun.eq(0)]"),
    "no room for a second": ("blocked.eq(self.available)", "blocked.eq(1)"),
    "room for a third": ("self.i.ready.eq(~blocked)", "self.i.ready.eq(1)"),
    "another set with any mark": ("with m.If(self.accepted):", "with m.If(self.i.valid & self.i.payload.last):"),
    "pixels as they are": ("given = pixel_codes(pixel.value)", "given = pixel.value[:7]"),
}
READ_BUGS = {
    "moves over what waits": ("move = ~self.o.valid | self.o.ready", "move = 1"),
    "read again": ("[port.en.eq(advance) for port in ports]", "[port.en.eq(1) for port in ports]"),
    "a row too few": ("[stored.repeats for", "[stored.repeats - 1 for"),
    "wrong set": ("port.addr.eq(self.word(address, self.r_set))", "port.addr.eq(self.word(address, ~self.r_set))"),
    "no rewind": ('row_end, name="half", restart=self.rewind)', 'row_end, name="half")'),
    "column stays": ("m.d.sync += column.eq(1)", "m.d.sync += column.eq(column)"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_of_frames_are_refuted(bug: str) -> None:
    buffer = broken("image_buffer", "ImageBuffer", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(buffer(StoredMaps(1, IMAGE, IMAGE, repeats=4), 2)).prove()


@pytest.mark.parametrize("bug", READ_BUGS)
def test_bugs_of_rows_are_refuted(bug: str) -> None:
    buffer = broken("image_buffer", "ImageBuffer", *READ_BUGS[bug], within="map_memory")
    with pytest.raises(AssertionError, match="not always so"):
        Proof(buffer(StoredMaps(1, IMAGE, IMAGE, repeats=4), 2)).prove()
