"""The W x O array of conv PEs with its biases and partial sums."""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import choose, delay
from fivebyfive.hw.common.types import ACC, CODE, CONV_KERNEL, NATURAL, codes
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import KERNEL, ceil_div

from .conv_pe import ConvPE
from .packed_conv_pe import PackedConvPE

__all__ = ["ConvArray", "Sweep"]


class Sweep(data.StructLayout):
    """Where a sweep stands at a position.

    ``load``: the first position; the kernels are taken over with it. ``end``: the last position.
    ``first``, ``last``: the map is the first, the last input channel of its output channels.
    """

    def __init__(self):
        super().__init__({"load": 1, "end": 1, "first": 1, "last": 1})


class ConvArray(wiring.Component):
    """W windows of a pool cell by O output channels, W x O PEs; a position a cycle, weight stationary.

    The first position of a sweep brings the kernels, which stay. The first input channel starts from the biases, the
    following ones from the partial sums; after the last one the codes come out, `latency` cycles after their position.
    A position may come in any cycle; nothing here ever waits.

    Parameters
    ----------
    windows, outputs : W and O.
    rows, columns : size of the patch under the windows (see `LineBuffer`).
    depth : positions of a sweep of the layers that have more than one input channel.
    bias_words : words of 25 biases that the array keeps.
    shifts : of each layer, where weights are signs (`ConvPE`); else none.
    packed : PEs compute by pairs, as `PackedConvPE`: two windows share a kernel or, where W is 1, two kernels a window.
        The codes of a patch must not be negative.

    Members
    -------
    i : stream of `Sweep`; always ready.
    patch : the codes under the windows, in the cycle after their position.
    kernels : O kernels of 25 codes; taken with ``load``.
    bias : write of a bias word {en, index, data}; only while no position is in flight. The first O biases are those of
        the next group of output channels, and so on; each ``end`` of a ``last`` sweep goes on to the next O of them.
    o : stream of O x W codes; always ready.
    layer : whose codes come out; only with ``shifts``.
    """

    def __init__(
        self,
        windows: int,
        outputs: int,
        rows: int,
        columns: int,
        depth: int,
        bias_words: int,
        packed: bool = False,
        shifts: tuple[int, ...] = (),
    ):
        self.windows = windows
        self.outputs = outputs
        self.rows = rows
        self.columns = columns
        self.depth = depth
        self.bias_words = bias_words
        self.packed = packed
        self.shifts = tuple(shifts)
        self.pe = PackedConvPE if packed else ConvPE
        bias = wiring.Signature(
            {"en": Out(1), "index": Out(range(bias_words)), "data": Out(codes(CONV_KERNEL))},
        )
        super().__init__(
            {
                "i": In(stream.Signature(Sweep(), always_ready=True)),
                "patch": In(data.ArrayLayout(codes(columns), rows)),
                "kernels": In(data.ArrayLayout(codes(CONV_KERNEL), outputs)),
                "bias": In(bias),
                "o": Out(stream.Signature(data.ArrayLayout(codes(windows), outputs), always_ready=True)),
                **({"layer": In(range(len(self.shifts)))} if self.shifts else {}),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a position of the last input channel to its codes."""
        return 1 + self.pe.latency

    def elaborate(self, platform):
        m = Module()
        position = self.capture(m)
        flags = Cat(position.first, position.last, position.valid)
        first, last, valid = delay(m, flags, self.pe.base_latency, name="flags")
        sums = self.read_sums(m, position)
        biases = self.keep_biases(m, position)
        bases = [[Mux(first, biases[o], sums[o][w]) for w in range(self.windows)] for o in range(self.outputs)]
        totals = (self.add_packed if self.packed else self.add_pes)(m, position, bases)
        done = delay(m, Cat(valid & last, valid & ~last), 1, name="done")
        m.d.comb += [self.o.valid.eq(done[0]), self.write.en.eq(done[1]), self.write.data.eq(Cat(*totals))]
        return m

    def add_pes(self, m: Module, position, bases: list) -> list:
        """A PE for each window and output channel; their partial sums."""
        totals = []
        for o in range(self.outputs):
            for w in range(self.windows):
                m.submodules[f"pe_{o}_{w}"] = pe = ConvPE(self.shifts)
                if self.shifts:
                    m.d.comb += pe.layer.eq(self.layer)
                m.d.comb += [
                    pe.i.valid.eq(position.valid),
                    pe.i.payload.x.eq(self.window(w)),
                    pe.i.payload.w.eq(self.stationary[o]),
                    pe.base.eq(bases[o][w]),
                    self.o.payload[o][w].eq(pe.o.payload[Q2_6.frac_bits :]),
                ]
                totals.append(pe.o.payload)
        return totals

    def add_packed(self, m: Module, position, bases: list) -> list:
        """A PE for each pair of windows of an output channel, or of output channels of the window; as `add_pes`."""
        totals = []
        places = [(o, w) for o in range(self.outputs) for w in range(self.windows)]
        for number, first in enumerate(range(0, len(places), 2)):
            pair = places[first : first + 2]  # an output channel may be left over: the rest of its PE is unused
            m.submodules[f"pe_{number}"] = pe = PackedConvPE(CODE if self.windows == 1 else NATURAL)
            o, w = pair[0]
            m.d.comb += [
                pe.i.valid.eq(position.valid),
                pe.i.payload.shared.eq(self.stationary[o] if self.windows > 1 else self.window(w)),
            ]
            for n, (o, w) in enumerate(pair):
                operand = self.window(w, NATURAL) if self.windows > 1 else self.stationary[o]
                m.d.comb += [
                    pe.i.payload.pair[n].eq(operand),
                    pe.base[n].eq(bases[o][w]),
                    self.o.payload[o][w].eq(pe.o.payload[n][Q2_6.frac_bits :]),
                ]
                totals.append(pe.o.payload[n])
        return totals

    def capture(self, m: Module):
        """The position a cycle later, when its patch is there, and the kernels that stay for its sweep."""
        position = Signal(data.StructLayout({"end": 1, "first": 1, "last": 1, "valid": 1}))
        self.stationary = Signal(data.ArrayLayout(codes(CONV_KERNEL), self.outputs), reset_less=True)
        m.d.sync += [position[name].eq(self.i.payload[name]) for name in ("end", "first", "last")]
        m.d.sync += position.valid.eq(self.i.valid)
        with m.If(self.i.valid & self.i.payload.load):
            m.d.sync += self.stationary.eq(self.kernels)
        return position

    def window(self, w: int, shape: Shape = CODE) -> Cat:
        """The 5x5 window number ``w`` of the patch: left to right, then top to bottom; codes as wide as ``shape``."""
        across = self.columns - KERNEL + 1
        top, left = divmod(w, across)
        return Cat(self.patch[top + r][left + c][: shape.width] for r in range(KERNEL) for c in range(KERNEL))

    def read_sums(self, m: Module, position):
        """Partial sums of the position, at the time when the PEs want their base; sets up `self.write`."""
        layout = data.ArrayLayout(data.ArrayLayout(ACC, self.windows), self.outputs)
        m.submodules.sums = sums = memory.Memory(
            shape=layout, depth=self.depth, init=[], attrs={"ram_style": "distributed"}
        )
        self.write, read = sums.write_port(), sums.read_port()
        address = Signal(range(self.depth))
        with m.If(position.valid):
            m.d.sync += address.eq(Mux(position.end, 0, address + 1))
        early = delay(m, address, self.pe.base_latency - 1, name="address")
        m.d.comb += [read.addr.eq(early), self.write.addr.eq(delay(m, early, 2, name="write_address"))]
        return read.data

    def keep_biases(self, m: Module, position) -> list:
        """Biases of the present group of output channels, aligned with the accumulators: bias << 6, 14 bits each."""
        kept = Signal(codes(CONV_KERNEL * self.bias_words), name="biases", reset_less=True)
        word = CODE.width * CONV_KERNEL
        with m.If(self.bias.en):
            m.d.sync += kept.as_value().word_select(self.bias.index, word).eq(self.bias.data)
        # One of many is chosen in two cycles of its own: three cycles after the group has moved on, the group's first
        # base is wanted.
        groups = ceil_div(len(kept), self.outputs)
        group = Signal(range(groups))
        leaves = delay(m, position.valid & position.last & position.end, self.pe.base_latency - 2, name="leaves")
        with m.If(self.bias.en):
            m.d.sync += group.eq(0)
        with m.Elif(leaves):
            m.d.sync += group.eq(group + 1)
        chosen = choose(m, kept, group, CODE.width * self.outputs, name="biases")
        fraction = Const(0, Q2_6.frac_bits)
        return [Cat(fraction, chosen.word_select(o, CODE.width)) for o in range(self.outputs)]
