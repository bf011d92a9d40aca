"""Weight words from pieces of 32 bits, with a checksum."""

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
    """Collects the pieces of a word, lowest first, and writes the word in the cycle of its last piece; then the address
    advances.

    While ``busy`` is asserted, or past the end of the memory, a piece is refused and nothing changes. Writing the
    address begins a new word.

    Parameters
    ----------
    depths : dict of str to int
        Words of each memory: {"conv": ..., "fc": ...}.
    widths : dict of str to int, bytes
        Width of a word of each memory, likewise.

    Ports
    -----
    address_w : fields of register load_address, in
        Address to continue at; valid with ``address_written``.
    address_written : 1 bit, in
        Asserted for one cycle to set the address.
    data : 32 bits, in
        A piece; valid with ``data_written``.
    data_written : 1 bit, in
        Asserted for one cycle per piece.
    crc_written : 1 bit, in
        Asserted for one cycle to restart the checksum.
    busy : 1 bit, in
        Weights are in use; sampled in the cycle of a piece.
    o : stream of `Load`, out
        The word; valid in the cycle of its last piece. Its ready is ignored: it must be asserted unless ``busy`` is.
    address : fields of register load_address, out
        Memory and address of the next word.
    crc : 32 bits, out
        CRC-32 of the pieces accepted, two cycles after the last.
    refused : 1 bit, out
        Asserted in the cycle in which a piece is refused.
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
        counts = {memory: max(1, ceil_div(width, PIECE)) for memory, width in self.widths.items()}  # of no words: any
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
        """CRC-32 by Amaranth's library."""
        m.submodules.check_sum = check_sum = CRC32_ISO_HDLC(data_width=32).create()
        m.d.comb += [
            check_sum.start.eq(self.crc_written),
            check_sum.valid.eq(taken),
            check_sum.data.eq(self.data),
            self.crc.eq(check_sum.crc),
        ]
