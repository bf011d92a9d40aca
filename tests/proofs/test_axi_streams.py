"""Pixels from and words to AXI4-Streams: nothing is lost, doubled, reordered or changed, and what is offered stays.

Pixels are numbered as they come and as they go, modulo 16; at most four are inside, so that the numbers tell them
apart. A symbolic witness, the pixels whose number is ``rigid`` modulo 16, is noted as it comes and compared as it
goes: as the number is any, so are all pixels.
"""

import pytest

from fivebyfive.hw.axi import axi_pixels, axi_results, axi_words
from fivebyfive.hw.axi.axi_results import result_words

from .lib.bits import Bits, all_of, const, fresh, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, Netlist, netlist
from .lib.seeded import broken
from .lib.streams import count_ones, stays, taken


class Unpacker:
    """The proof's registers beside a `PixelUnpacker`: how many pixels came and went, and the witness as it came."""

    def __init__(self, component):
        self.width = component.width
        self.witness = fresh("witness", 4)
        self.netlist = netlist(component)
        self.netlist.ghost("came", 4, lambda f: mux(taken(f, "i"), f["came"] + self.pixels(f), f["came"]))
        self.netlist.ghost("went", 4, lambda f: f["went"] + mux(taken(f, "o"), self.of_word(f), 0))
        self.netlist.ghost("noted", 9, self.note)

    def of_word(self, f: Frame) -> Bits:
        """How many pixels are on the output."""
        return const(1, 4)

    def transfer(self, f: Frame) -> list[tuple[Bits, Bits]]:
        """Of each byte of a transfer: is it a pixel, and the pixel with its mark. A marked transfer of none is a black
        pixel."""
        payload, width = f["i__payload"], self.width
        keep, last = payload[8 * width : 9 * width], payload[9 * width]
        pixels = []
        for n in range(width):
            after = keep[n + 1 :].any() if n + 1 < width else const(0, 1)
            black = (last & (keep == 0)) if n == 0 else const(0, 1)
            value = mux(black, 0, payload.word(n, 8))
            pixels.append((keep[n] | black, value + (last & ~after) * 256))
        return pixels

    def pixels(self, f: Frame) -> Bits:
        """How many pixels a transfer has."""
        total = const(0, 4)
        for there, _ in self.transfer(f):
            total = (total + there)[:4]
        return total

    def note(self, f: Frame) -> Bits:
        noted, number = f["noted"], f["came"]
        for there, pixel in self.transfer(f):
            noted = mux(taken(f, "i") & there & (number == self.witness), pixel[:9], noted)
            number = (number + there)[:4]
        return noted

    def invariants(self, f: Frame) -> dict[str, Bits]:
        keep, went = f["keep"], f["went"]
        inside = {}
        for n in range(self.width):
            number = (went + count_ones(keep[:n]) if n else went + 0)[:4]
            after = keep[n + 1 :].any() if n + 1 < self.width else const(0, 1)
            same = (f["pixels"].word(n, 8) == f["noted"][:8]) & ((f["last"] & ~after) == f["noted"][8])
            inside[f"pixel {n} inside"] = (keep[n] & (number == self.witness)).implies(same)
        offered = f["o__valid"] & (went == self.witness)
        return inside | {
            "none lost, none doubled": (f["came"] - went)[:4] == count_ones(keep),
            "the right pixel": offered.implies(f["o__payload"] == f["noted"]),
            "offered while there are some": f["o__valid"] == (f["came"] != went),
        }


def prove_unpacker(component) -> None:
    proof = Unpacker(component)
    holds_forever(proof.netlist, proof.invariants, step=stays)


class Collector(Unpacker):
    """The proof's registers beside a `PixelCollector`, at whose output as many pixels go as ``fill`` says; of the frame
    on its way out, how many pixels of it went."""

    FAR = 60  # pixels of a frame are counted up to there

    def __init__(self, component):
        super().__init__(component)
        self.pixels_of_frame, self.words = component.pixels, -(-component.pixels // component.width)
        self.netlist.ghost("out", 6, lambda f: mux(taken(f, "o"), mux(self.is_last(f), 0, self.sent(f)), f["out"]))

    def of_word(self, f: Frame) -> Bits:
        return f["fill"].fit(4)

    def is_last(self, f: Frame) -> Bits:
        return f["o__payload"][8 * self.width]

    def sent(self, f: Frame) -> Bits:
        """Pixels of the frame with those of the word."""
        total = (f["out"] + f["fill"]).fit(7)
        return mux(total > self.FAR, self.FAR, total)[:6]

    def invariants(self, f: Frame) -> dict[str, Bits]:
        keep, went, fill = f["keep"], f["went"], f["fill"].fit(8)
        held = count_ones(keep)
        inside = {}
        for n in range(self.width):
            number = (went + n)[:4]
            mine = (fill > n) & (number == self.witness)
            inside[f"pixel {n} of the word"] = mine.implies(f["word"].word(n, 8) == f["noted"][:8])
            number = (went + fill + count_ones(keep[:n]) if n else went + fill)[:4]
            mine = keep[n] & (number == self.witness)
            inside[f"pixel {n} of the transfer"] = mine.implies(f["pixels"].word(n, 8) == f["noted"][:8])
        added = f["end"] & (fill == 0)
        last_pixels = (f["out"].fit(7) > self.width * (self.words - 1)) & (f["out"] <= self.width * self.words)
        return inside | {
            "none lost, none doubled": (f["came"] - went)[:4] == (held + fill)[:4],
            "no word beyond its pixels": fill <= self.width,
            "words before": mux(
                added,
                (f["count"] == self.words) & last_pixels & (f["out"] != self.pixels_of_frame) & ~f["more"],
                mux(f["count"] == self.words, f["out"] >= self.width * self.words,
                    (f["count"] < self.words) & (f["out"] == (f["count"].fit(8) * self.width).fit(8))),
            ),
            "a word more": f["more"] == (
                f["end"] & ~added & (f["count"] == self.words - 1) & (self.sent(f) != self.pixels_of_frame)
            ),
            "offered whole, or at the end": f["o__valid"] == ((fill == self.width) | f["end"]),
            "as many words only of as many pixels": (f["o__valid"] & self.is_last(f)).implies(
                (f["count"] == self.words - 1) == (self.sent(f) == self.pixels_of_frame)
            ),
        }  # fmt: skip

    def step(self, now: Frame, then: Frame) -> dict[str, Bits]:
        """What is offered stays; a frame is judged by its pixels, in the cycle in which the last one moves."""
        free = ~now["o__valid"] | taken(now, "o")
        ends = free & then["end"] & (then["fill"] != 0)
        total = self.sent(then)
        return stays(now, then) | {
            "accepted": now["accepted"] == (ends & (total == self.pixels_of_frame)),
            "short": now["short"] == (ends & (total < self.pixels_of_frame)),
            "long": now["long"] == (ends & (total > self.pixels_of_frame)),
            "number": then["number"] == (now["number"] + ends)[:16],
        }


def prove_collector(component) -> None:
    proof = Collector(component)
    holds_forever(proof.netlist, proof.invariants, step=proof.step)


class Packer:
    """The proof's registers beside a `ResultPacker`: the result that is inside, and how many of its words went."""

    def __init__(self, component):
        self.classes = component.classes
        self.words = result_words(component.classes)
        self.netlist = netlist(component)
        width = Netlist.frame(self.netlist, "any")["i__payload"].width
        self.netlist.ghost("inside", 1, lambda f: mux(taken(f, "i"), 1, f["inside"] & ~(taken(f, "o") & self.end(f))))
        self.netlist.ghost("went", 8, lambda f: mux(taken(f, "i"), 0, f["went"] + taken(f, "o")))
        self.netlist.ghost("result", width, lambda f: mux(taken(f, "i"), f["i__payload"], f["result"]))

    def end(self, f: Frame) -> Bits:
        return f["went"] + 1 == self.words

    def expected(self, f: Frame) -> Bits:
        """All words of the result, as docs/axi.md has them: class, number, logits, zeros."""
        result, logits = f["result"], 8 * self.classes
        index, number = result[logits:-16], result[-16:]
        return (index.zext(32 * self.words) | number.zext(32 * self.words) * (1 << 16)
                | result[:logits].zext(32 * self.words) * (1 << 32))[: 32 * self.words]  # fmt: skip

    def invariants(self, f: Frame) -> dict[str, Bits]:
        expected, went = self.expected(f), f["went"]
        left = mux(f["inside"], self.words - 1, 0) + f["inside"] - mux(f["inside"], went, 0)
        word = f["o__payload"]
        rest = all_of(
            (f["inside"] & (went + n < self.words)).implies(f["bits"].word(n, 32) == expected.word((went + n)[:8], 32))
            for n in range(self.words)
        )
        return {
            "words left": (f["left"] == left) & (f["inside"].implies(went < self.words)),
            "words inside": rest,
            "offered": f["o__valid"] == f["inside"],
            "ready for the next": f["i__ready"] == ~f["inside"],
            "the right word": f["inside"].implies(word[:32] == expected.word(went, 32)),
            "the mark": f["inside"].implies(word[32] == self.end(f)),
        }


def prove_packer(component) -> None:
    proof = Packer(component)
    holds_forever(proof.netlist, proof.invariants, step=stays)


@pytest.mark.parametrize("width", [1, 4])
def test_pixels(width: int) -> None:
    prove_unpacker(axi_pixels.PixelUnpacker(width))


@pytest.mark.parametrize(("width", "pixels"), [(4, 12), (4, 10), (2, 9)])
def test_several_pixels_at_once(width: int, pixels: int) -> None:
    """Frames that fill their words, and such that do not."""
    prove_collector(axi_words.PixelCollector(width, pixels))


@pytest.mark.parametrize("classes", [2, 3, 10, 64])
def test_results(classes: int) -> None:
    prove_packer(axi_results.ResultPacker(classes))


PIXEL_BUGS = {
    "takes the next too early": ("(~rest.any() & self.o.ready)", "~rest.any()"),
    "highest first": ("for number in reversed(range(self.width)):", "for number in range(self.width):"),
    "mark too early": ("last & ~rest.any()", "last"),
    "does not wait": ("with m.If(self.o.valid & self.o.ready):", "with m.If(self.o.valid):"),
    "a transfer of none is lost": ("new.keep | (new.last & nothing)", "new.keep"),
}


@pytest.mark.parametrize("bug", PIXEL_BUGS)
def test_bugs_of_pixels_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_unpacker(broken("axi_pixels", "PixelUnpacker", *PIXEL_BUGS[bug])(4))


COLLECTOR_BUGS = {
    "whole transfers beside pixels": ("whole.eq(keep.all() & (first == 0))", "whole.eq(keep.all())"),
    "a word too early": ("valid.eq((fill == self.width) | end)", "valid.eq((fill >= self.width - 1) | end)"),
    "the end is forgotten": ("end.eq(ends)]", "end.eq(0)]"),
    "takes the next too early": ("(room & ~rest.any())", "room"),
    "no word more": ("more.eq(at_last & (filled != expected))", "more.eq(0)"),
    "a short frame is a long one": ("(filled > expected)", "(filled != expected)"),
    "any last word will do": ("ends & at_last & (filled == expected)", "ends & at_last"),
    "words of the frame before": ("Mux(end & ~more, 0, following)", "following"),
}  # fmt: skip


@pytest.mark.parametrize("bug", COLLECTOR_BUGS)
def test_bugs_of_words_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_collector(broken("axi_words", "PixelCollector", *COLLECTOR_BUGS[bug])(4, 10))


RESULT_BUGS = {
    "takes a result too early": ("self.i.ready.eq(left == 0)", "self.i.ready.eq(left <= 1)"),
    "does not wait": ("m.Elif(self.o.valid & self.o.ready)", "m.Elif(self.o.valid)"),
    "number at the wrong place": ("16 - len(result.index)", "15 - len(result.index)"),
    "a word too few": ("left.eq(words)", "left.eq(words - 1)"),
}


@pytest.mark.parametrize("bug", RESULT_BUGS)
def test_bugs_of_results_are_refuted(bug: str) -> None:
    with pytest.raises(AssertionError, match="not always so"):
        prove_packer(broken("axi_results", "ResultPacker", *RESULT_BUGS[bug])(10))
