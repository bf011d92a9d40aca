"""The serial line: every answer becomes one frame, byte by byte as `fivebyfive.model.protocol.link` has it; and what a
framer sends a deframer gives, whatever was on the line before.

The proof decodes what goes out with a decoder of its own: FLAG, then bytes, of which ESCAPE changes the next. Byte n
of a frame is byte n of the answer, and the last four are its CRC-32, computed bit by bit here. Nothing is lost,
doubled or reordered; no FLAG is inside a frame.

Framer and deframer in a row, noise at will while the framer rests: in the cycle after a frame's last byte the
deframer is valid, with the answer's header and payload (symbolic witness: one byte of it, any), and is not at any
other time while the framer works.
"""

import zlib

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.serial import deframer, framer
from fivebyfive.hw.serial.framer import Answer
from fivebyfive.model.protocol.link import CRC, ESCAPE, FLAG, FLIP, HEADER, LARGEST

from .lib.bits import Bits, all_of, choose, const, fresh, mux, prove
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import stays, taken

REST, SEND_FLAG, BODY, TAKE_CRC, SEND_CRC = range(5)  # the framer's states
POLYNOMIAL = 0xEDB88320  # CRC-32 of ISO 3309, lowest bit first
ONES = 0xFFFFFFFF
RESIDUE = 0xDEBB20E3  # the CRC of whatever with its CRC behind it


def crc_step(crc, byte):
    """CRC-32 of one more byte, bit by bit, of terms or of numbers."""
    crc = crc ^ byte
    for _ in range(8):
        low = crc & 1
        if isinstance(crc, int):
            crc = crc >> 1 ^ (POLYNOMIAL if low else 0)
        else:
            crc = (crc[1:].zext(32)) ^ mux(low[0], POLYNOMIAL, 0).zext(32)
    return crc


class Line(wiring.Component):
    """A framer, or a framer and a deframer: its bytes go there, and while it rests, noise."""

    def __init__(self, sender, receiver=None):
        self.sender = sender
        self.receiver = receiver
        members = {"i": In(stream.Signature(Answer(sender.most))), "o": Out(stream.Signature(8))}
        if receiver is not None:
            members |= {"noise": In(8), "noisy": In(1), "address": In(range(LARGEST))}
            members |= {"given": Out(1), "wrong": Out(1), "head": Out(32), "body": Out(8)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.framer = sender = self.sender
        wiring.connect(m, wiring.flipped(self.i), sender.i)
        wiring.connect(m, sender.o, wiring.flipped(self.o))
        if self.receiver is not None:
            m.submodules.deframer = receiver = self.receiver
            m.d.comb += [
                receiver.i.eq(self.noise), receiver.i_valid.eq(self.noisy & sender.i.ready),
                receiver.address.eq(self.address), self.given.eq(receiver.valid), self.wrong.eq(receiver.bad),
                self.head.eq(receiver.header), self.body.eq(receiver.payload),
            ]  # fmt: skip
            with m.If(~sender.i.ready):
                m.d.comb += [receiver.i.eq(sender.o.payload), receiver.i_valid.eq(sender.o.valid & self.o.ready)]
        return m


class Sending:
    """The proof's registers beside a framer: the answer that is inside, and how much of its frame has gone."""

    def __init__(self, sender, receiver=None):
        self.most = sender.most
        self.bits = 8 * (HEADER + self.most)
        self.netlist = net = netlist(Line(sender, receiver))
        net.ghost("inside", 1, lambda f: mux(taken(f, "i"), 1, f["inside"] & ~self.ends(f)))
        net.ghost("answer", self.bits, lambda f: mux(taken(f, "i"), f["i__payload"], f["answer"]))
        net.ghost("flagged", 1, lambda f: ~taken(f, "i") & (f["flagged"] | taken(f, "o")))
        escape = lambda f: ~f["escape"] & (f["o__payload"] == ESCAPE)  # noqa: E731
        net.ghost("escape", 1, lambda f: mux(self.byte_of_frame(f), escape(f), f["escape"]))
        net.ghost("went", 8, lambda f: mux(taken(f, "i"), 0, f["went"] + self.decoded(f)))
        net.ghost("spec", 32, self.next_crc, ONES)

    def byte_of_frame(self, f: Frame) -> Bits:
        return taken(f, "o") & f["flagged"]

    def decoded(self, f: Frame) -> Bits:
        """A byte behind FLAG has gone, its escape before it."""
        return self.byte_of_frame(f) & (f["escape"] | (f["o__payload"] != ESCAPE))

    def total(self, f: Frame) -> Bits:
        """Bytes of header and payload."""
        return (f["answer"][:8] + HEADER)[:8]

    def ends(self, f: Frame) -> Bits:
        return self.decoded(f) & (f["went"] + 1 == self.total(f) + CRC)

    def next_crc(self, f: Frame) -> Bits:
        more = self.decoded(f) & (f["went"] < self.total(f))
        return mux(taken(f, "i"), ONES, mux(more, crc_step(f["spec"], self.expected(f).zext(32)), f["spec"]))

    def expected(self, f: Frame) -> Bits:
        """The next byte of the frame, before it is escaped."""
        number = (f["went"] - self.total(f))[:2]
        return mux(f["went"] < self.total(f), f["answer"].word(f["went"], 8), (~f["spec"]).word(number, 8))

    def assume(self, f: Frame) -> dict[str, Bits]:
        return {"length": f["i__payload"][:8] <= self.most}

    def invariants(self, f: Frame) -> dict[str, Bits]:
        state, went, total = f["framer.fsm_state"], f["went"], self.total(f)
        in_check, check = f["framer.in_check"], f["framer.check"]
        expected, byte, valid = self.expected(f), f["o__payload"], f["o__valid"]
        special = (expected == FLAG) | (expected == ESCAPE)
        plain = valid & f["flagged"] & ~f["escape"]
        rotated = all_of(check.word(n, 8) == (~f["spec"]).word((in_check + n)[:2], 8) for n in range(CRC))
        body = (state == SEND_FLAG) | (state == BODY)
        return {
            "states": (state <= SEND_CRC) & (f["inside"] == (state != REST)) & (f["answer"][:8] <= self.most),
            "flag": f["inside"].implies(f["flagged"] == (state >= BODY)) & (f["inside"] | ~f["escape"]),
            "escape": (f["framer.escaped"] == f["escape"]) & (f["escape"].implies(special & (state >= BODY))),
            "no escape between": ((state == SEND_FLAG) | (state == TAKE_CRC)).implies(~f["escape"]),
            "rest": body.implies(f["framer.rest"] == self.shifted(f)),
            "left": body.implies((f["framer.left"] + went == total) & (went < total)),
            "flag first": (state == SEND_FLAG).implies((went == 0) & (f["spec"] == ONES)),
            "crc": (state == SEND_CRC) | ((state == REST) | (f["framer.crc"] == ~f["spec"])),
            "crc is due": (state == TAKE_CRC).implies(went == total),
            "check": (state == SEND_CRC).implies(rotated & (went == total + in_check)),
            "ready": f["i__ready"] == ~f["inside"],
            "offers only what is inside": valid.implies(f["inside"]),
            "FLAG begins a frame": (valid & ~f["flagged"]).implies(byte == FLAG),
            "no FLAG inside": (valid & f["flagged"]).implies(byte != FLAG),
            "the right byte": plain.implies(byte == mux(special, ESCAPE, expected)),
            "the right byte, escaped": (valid & f["flagged"] & f["escape"]).implies(byte == (expected ^ FLIP)),
        }

    def shifted(self, f: Frame) -> Bits:
        """The answer without the bytes that have gone."""
        return choose(f["went"], [f["answer"][8 * n :].zext(self.bits) for n in range(HEADER + self.most)])

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        return stays(now, then) | {"goes on": (now["inside"] & ~now["o__valid"]).implies(then["o__valid"])}

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=self.assume, step=self.steps)


class Receiving(Sending):
    """Framer and deframer in a row."""

    def __init__(self, sender, receiver):
        super().__init__(sender, receiver)
        self.witness = fresh("witness", 6)
        self.netlist.driven["address"] = lambda f: self.witness
        self.netlist.ghost("whole", 1, self.ends)

    def crc_behind(self, f: Frame) -> Bits:
        """The receiver's CRC when some bytes of the sender's have been put through it, too: those of ``spec`` leave it
        one after the other, and what they leave behind does not depend on it."""
        behind = (f["went"] - self.total(f))[:3]
        states, rest = [], [f["spec"][8 * n :].zext(32) if n < CRC else const(0, 32) for n in range(CRC + 1)]
        left = 0
        for n in range(CRC + 1):
            states.append(rest[n] ^ left)
            left = crc_step(left, 0xFF)  # of a byte and itself inverted
        return mux(f["went"] <= self.total(f), f["spec"], choose(behind, states))

    def invariants(self, f: Frame) -> dict[str, Bits]:
        went, length, flagged = f["went"], f["answer"][:8], f["inside"] & f["flagged"]
        inside, header = f["deframer.inside"], f["head"]
        got = [(flagged & (went > n)).implies(header.word(n, 8) == f["answer"].word(n, 8)) for n in range(HEADER)]
        came = flagged | f["whole"]
        mine = (self.witness < length) & (went > HEADER + self.witness)
        stored = f.memory("deframer.memory", self.witness) == f["answer"].word((self.witness + HEADER)[:8], 8)
        claims = {
            "it counts": flagged.implies(inside & (f["deframer.count"] == went)),
            "its escape": flagged.implies(f["deframer.escaped"] == f["escape"]),
            "its header": all_of(got),
            "its memory": (came & mine).implies(stored),
            "its CRC": came.implies(~f["deframer.crc.crc"] == self.crc_behind(f)),
            "the end": f["deframer.ended"].implies(f["whole"] | ~flagged),
            "ended": f["whole"].implies(f["deframer.ended"] & (went == self.total(f) + CRC) & ~f["inside"]
                                        & (header == f["answer"][:32])),
            "a frame is given": f["whole"].implies(f["given"] & (header == f["answer"][:32])),
            "its payload": (f["whole"] & (self.witness < length)).implies(
                f["body"] == f["answer"].word((self.witness + HEADER)[:8], 8)
            ),
            "none else": flagged.implies(~f["given"] & ~f["wrong"]),
        }  # fmt: skip
        return super().invariants(f) | claims


class Ear(wiring.Component):
    """A deframer, with names of its own for what goes in and comes out."""

    def __init__(self, receiver):
        self.receiver = receiver
        super().__init__({"byte": In(8), "comes": In(1), "given": Out(1), "wrong": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.deframer = receiver = self.receiver
        m.d.comb += [
            receiver.i.eq(self.byte), receiver.i_valid.eq(self.comes),
            self.given.eq(receiver.valid), self.wrong.eq(receiver.bad),
        ]  # fmt: skip
        return m


class Listening:
    """A deframer and any bytes: what it gives has the right CRC, what has another one is counted."""

    def __init__(self, receiver):
        self.netlist = net = netlist(Ear(receiver))
        net.ghost("line_escape", 1, lambda f: mux(f["comes"], f["byte"] == ESCAPE, f["line_escape"]))
        net.ghost("line_crc", 32, self.crc, ONES)

    def crc(self, f: Frame) -> Bits:
        """CRC-32 of all that came since FLAG."""
        byte = mux(f["line_escape"], f["byte"] ^ FLIP, f["byte"]).zext(32)
        after = mux(f["byte"] == ESCAPE, f["line_crc"], crc_step(f["line_crc"], byte))
        return mux(f["comes"], mux(f["byte"] == FLAG, ONES, after), f["line_crc"])

    def invariants(self, f: Frame) -> dict[str, Bits]:
        inside, ended = f["deframer.inside"], f["deframer.ended"]
        return {
            "its CRC is the line's": (inside | ended).implies(~f["deframer.crc.crc"] == f["line_crc"]),
            "its escape is the line's": inside.implies(f["deframer.escaped"] == f["line_escape"]),
            "one frame at a time": ~(inside & ended),
            "given with the right CRC only": f["given"] == (ended & (f["line_crc"] == RESIDUE)),
            "given or wrong": ended.implies(f["given"] | f["wrong"]),
        }

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants)


def test_the_crc_is_zlib_s() -> None:
    crc = ONES
    for byte in b"123456789":
        crc = crc_step(crc, byte)
    assert crc ^ ONES == zlib.crc32(b"123456789")
    for byte in zlib.crc32(b"123456789").to_bytes(4, "little"):
        crc = crc_step(crc, byte)
    assert crc == RESIDUE
    terms = crc_step(const(0x12345678, 32), const(0x5A, 32))
    prove({"terms as numbers": terms == crc_step(0x12345678, 0x5A)})


@pytest.mark.parametrize("most", [14, pytest.param(20, marks=pytest.mark.full)])
def test_frames_are_right(most: int) -> None:
    Sending(framer.Framer(most)).prove()


@pytest.mark.parametrize("most", [14])
def test_what_is_sent_is_received(most: int) -> None:
    Receiving(framer.Framer(most), deframer.Deframer()).prove()


def test_frames_with_another_crc_are_not_given() -> None:
    Listening(deframer.Deframer()).prove()


BUGS = {
    "escapes FLAG only": ("special.eq((byte == FLAG) | (byte == ESCAPE))", "special.eq(byte == FLAG)"),
    "does not wait": ("sent.eq(self.o.ready & ~(special & ~escaped))", "sent.eq(~(special & ~escaped))"),
    "a byte too few": ("with m.If(left == 1):", "with m.If(left == 2):"),
    "CRC of what is escaped": ("crc.data.eq(byte)", "crc.data.eq(self.o.payload)"),
    "CRC too early": ("crc.valid.eq(sent)", "crc.valid.eq(self.o.ready)"),
    "CRC from the top": ("Cat(check[8:], check[:8])", "Cat(check[24:], check[:24])"),
    "ready too early": ("m.d.sync += [check.eq(crc.crc), in_check.eq(0)]",
                        "m.d.sync += [check.eq(crc.crc), in_check.eq(1)]"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_of_the_framer_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        Sending(broken("framer", "Framer", *BUGS[bug])(14)).prove()


RECEIVER_BUGS = {
    "no escape": ("byte.eq(Mux(escaped, self.i ^ FLIP, self.i))", "byte.eq(self.i)"),
    "FLAG does not begin": ("[inside.eq(1), escaped.eq(0), count.eq(0)]", "[inside.eq(1), escaped.eq(0)]"),
    "escape stays": ("m.d.sync += [escaped.eq(0), count.eq(count + 1)]", "m.d.sync += count.eq(count + 1)"),
    "payload a byte late": ("count - HEADER, byte)", "count - HEADER + 1, byte)"),
    "noise is kept": ("check.start.eq(flag)", "check.start.eq(flag & ~inside)"),
}


@pytest.mark.parametrize("bug", RECEIVER_BUGS)
def test_bugs_of_the_deframer_are_refuted(bug: str) -> None:
    receiver = broken("deframer", "Deframer", *RECEIVER_BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Receiving(framer.Framer(14), receiver()).prove()


LISTENER_BUGS = {
    "any CRC will do": ("self.valid.eq(ended & check.match_detected)", "self.valid.eq(ended)"),
    "forgotten in silence": ("self.bad.eq((ended & ~check.match_detected) |", "self.bad.eq("),
    "CRC of escapes": ("check.valid.eq(take)", "check.valid.eq(self.i_valid)"),
}


@pytest.mark.parametrize("bug", LISTENER_BUGS)
def test_bugs_of_listening_are_refuted(bug: str) -> None:
    receiver = broken("deframer", "Deframer", *LISTENER_BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Listening(receiver()).prove()
