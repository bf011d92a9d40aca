"""Weight words from pieces of 32 bits, with a check-sum over them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.accelerator import Load, Target
from fivebyfive.model.protocol.registers import register
from fivebyfive.model.shape import ceil_div

from .register_file import register_layout

__all__ = ["WeightLoader"]

PIECE = 4  # bytes


class WeightLoader(wiring.Component):
    """Takes a word piece by piece, lowest first, and hands it over in the cycle of its last piece; the address goes on.

    While ``busy``, or past the end of the memory, a piece is refused and nothing changes. An address that is written
    begins a new word.

    Parameters
    ----------
    depths : words of each memory, {"conv": ..., "fc": ...}.
    widths : bytes of a word of each, likewise.

    Members
    -------
    address_w, address_written : register load_address as it is being written.
    data, data_written : a piece.
    crc_written : begin a new check-sum.
    busy : weights are in use; steady in the cycle of a piece.
    o : stream of `Load`; its ready is not looked at and must be high unless ``busy``.
    address : of the next word, as in load_address.
    crc : CRC-32 of the pieces taken, two cycles after the last.
    refused : a piece is refused in this cycle.
    """

    def __init__(self, depths: dict[str, int], widths: dict[str, int]):
        self.depths = depths
        self.widths = widths
        layout = register_layout(register("load_address"))
        super().__init__(
            {
                "address_w": In(layout),
                "address_written": In(1),
                "data": In(32),
                "data_written": In(1),
                "crc_written": In(1),
                "busy": In(1),
                "o": Out(stream.Signature(Load(max(depths.values()), max(widths.values())))),
                "address": Out(layout),
                "crc": Out(32),
                "refused": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        counts = {memory: ceil_div(width, PIECE) for memory, width in self.widths.items()}
        address = Signal(range(max(self.depths.values()) + 1))
        is_fc = Signal()
        piece = Signal(range(max(counts.values())))
        kept, word = (Signal(32 * max(counts.values()), name=name) for name in ("kept", "word"))
        taken, last = Signal(), Signal()
        inside = address < Mux(is_fc, self.depths["fc"], self.depths["conv"])
        m.d.comb += [
            taken.eq(self.data_written & ~self.busy & inside),
            self.refused.eq(self.data_written & ~taken),
            last.eq(piece == Mux(is_fc, counts["fc"] - 1, counts["conv"] - 1)),
            word.eq(kept),
            word.word_select(piece, 32).eq(self.data),
            self.o.valid.eq(taken & last),
            self.o.payload.target.eq(Mux(is_fc, Target.FC, Target.CONV)),
            self.o.payload.address.eq(address),
            self.o.payload.data.as_value().eq(word[: 8 * max(self.widths.values())]),
            self.address.address.eq(address),
            self.address.memory.eq(is_fc),
        ]
        with m.If(taken):
            m.d.sync += [kept.eq(word), piece.eq(Mux(last, 0, piece + 1)), address.eq(address + last)]
        with m.If(self.address_written):
            given = self.address_w.address
            limit = (1 << len(address)) - 1  # past the end of both memories
            m.d.sync += [address.eq(Mux(given > limit, limit, given)), is_fc.eq(self.address_w.memory), piece.eq(0)]
        self.check(m, taken)
        return m

    def check(self, m: Module, taken):
        """CRC-32 as Amaranth's library has it."""
        m.submodules.check_sum = check_sum = CRC32_ISO_HDLC(data_width=32).create()
        m.d.comb += [
            check_sum.start.eq(self.crc_written),
            check_sum.valid.eq(taken),
            check_sum.data.eq(self.data),
            self.crc.eq(check_sum.crc),
        ]
