"""W x O array of conv PEs with its biases and partial sums."""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import choose, delay
from fivebyfive.hw.common.types import ACC, CODE, NATURAL, codes, memory_kind
from fivebyfive.hw.products.any_dot_product import layer_port
from fivebyfive.hw.products.dot_product import DotProduct
from fivebyfive.model.machine.config import DSP_SIZES, paired
from fivebyfive.model.machine.weight_form import CODES, WeightForm
from fivebyfive.model.q26 import Q2_6
from fivebyfive.model.shape import ceil_div
from fivebyfive.model.winograd import WORD_BYTES

from .conv_pe import TRANSFORM_LATENCY, ConvPE, WinogradPE, transform_of_tiles
from .packed_conv_pe import PackedConvPE

__all__ = ["ConvArray", "Sweep"]


class Sweep(data.StructLayout):
    """Flags of a position in the sweep of a kernel set over a map.

    Parameters
    ----------
    depth : int or None
        Positions of a map, where some of them may be left out.

    Fields
    ------
    load : 1 bit
        The first position of the sweep; ``kernels`` are latched with it.
    end : 1 bit
        The last position of the sweep. In a sweep of one position it is the first as well.
    first : 1 bit
        The map is the first input channel of its output channels: sums start from the biases.
    last : 1 bit
        The map is the last input channel of its output channels: codes come out.
    index : range(depth)
        Number of the position in its map, row-major. Only with ``depth``.
    """

    def __init__(self, depth: int | None = None):
        index = {} if depth is None else {"index": range(depth)}
        super().__init__({"load": 1, "end": 1, "first": 1, "last": 1} | index)


class ConvArray(wiring.Component):
    """W windows of a pool cell by O output channels: W x O PEs, weight stationary.

    The first position of a sweep latches the kernels, which stay for the whole sweep. The first input channel starts
    from the biases, the others from the partial sums of the channel before; with the last one the codes come out.

    Latency: `latency` cycles from a position of the last input channel to its codes. Throughput: a position per cycle,
    with any number of cycles between positions; there is no backpressure. A position of an input channel comes at least
    three cycles after that of the channel before (a fetch of kernels takes longer).

    Parameters
    ----------
    windows : int, 1, 2 or 4
        Windows computed at once, W.
    outputs : int, at least 1
        Output channels computed at once, O.
    rows : int
        Rows of the patch under the windows (`LineBuffer.rows`): ``kernel``, one more where W > 1.
    columns : int
        Columns of the patch (`LineBuffer.columns`): ``kernel``, one more where W = 4.
    depth : int, at least 1
        Positions in a sweep of the layers with more than one input channel. More than 64 partial sums are kept in block
        RAM.
    bias_words : int, at least 1
        Words of biases that the array holds, a bias for each code of a kernel's word.
    packed : bool
        Compute pairs in `PackedConvPE`: two windows share a kernel or, with W = 1, two kernels share a window. With
        W > 1 codes of a patch must not be negative.
    winograd : bool
        Compute the four windows of a position in a `WinogradPE`, with kernels of 5x5.
    form : WeightForm
        How weights are stored; not signs or powers of two with ``packed``, codes with ``winograd``.
    kernel : int, 3 to 7
        Rows and columns of a kernel. Smaller ones lie at its top left, with zeros elsewhere.
    strides : tuple of int
        Stride of each layer; 1 where W > 1, so that windows are a row or a column apart.
    sparse : bool
        Positions of a sweep may be left out; their partial sums stay. None is with the first or the last of several
        input channels.
    dsp_size : str
        Bits of a multiplier of packed PEs (`PackedDotProduct`).

    Ports
    -----
    i : stream of `Sweep`, in, always ready
        A position.
    patch : ``rows`` x ``columns`` codes, in
        Codes under the windows; valid in the cycle after their position.
    kernels : O words of codes, in
        Kernels of ``kernel**2`` codes, transformed ones of 72 bytes with ``winograd``. Latched `kernel_delay` cycles
        after a position with ``load``.
    bias : write port {en, index, data}, in
        Writes a word of biases as word ``index`` in a cycle in which ``en`` is asserted; only while no position is
        in flight. Biases are in the order of output channels: the first group of O uses the first O of them; each
        position with ``end`` and ``last`` moves on to the next O. A write goes back to the first group.
    o : stream of O x W codes, out, always ready
        Codes before ReLU; valid `latency` cycles after a position with ``last``.
    layer : range(layers), in
        Layer of the sums in flight: index into ``form.values``. Only with signs as ``form``.

    Raises
    ------
    ValueError
        Several windows with a stride other than 1; ``winograd`` with other than four windows and kernels of 5x5.
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
        winograd: bool = False,
        form: WeightForm = CODES,
        kernel: int = 5,
        strides: tuple[int, ...] = (1,),
        sparse: bool = False,
        dsp_size: str = DSP_SIZES[0],
    ):
        if windows > 1 and set(strides) != {1}:
            raise ValueError(f"{windows} windows at once need strides of 1, not {strides}")
        if winograd and (windows, kernel) != (4, 5):
            raise ValueError(f"winograd is of 4 windows and kernels of 5x5, not of {windows} and {kernel}x{kernel}")
        self.windows = windows
        self.outputs = outputs
        self.rows = rows
        self.columns = columns
        self.depth = depth
        self.bias_words = bias_words
        self.packed = packed
        self.winograd = winograd
        self.form = form
        self.kernel = kernel
        self.strides = tuple(strides)
        self.sparse = sparse
        self.dsp_size = dsp_size
        self.word = codes(WORD_BYTES if winograd else kernel**2)
        bias = wiring.Signature({"en": Out(1), "index": Out(range(bias_words)), "data": Out(self.word)})
        super().__init__(
            {
                "i": In(stream.Signature(Sweep(depth if sparse else None), always_ready=True)),
                "patch": In(data.ArrayLayout(codes(columns), rows)),
                "kernels": In(data.ArrayLayout(self.word, outputs)),
                "bias": In(bias),
                "o": Out(stream.Signature(data.ArrayLayout(codes(windows), outputs), always_ready=True)),
                **layer_port(form),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a position of the last input channel to its codes."""
        return 1 + self.base_latency + 1

    @property
    def base_latency(self) -> int:
        """Cycles from a patch and its kernels to the base of the sums, of any kind of PEs."""
        return DotProduct.cycles(self.kernel**2)

    @property
    def kernel_delay(self) -> int:
        """Cycles from a position with ``load`` until its kernels are latched."""
        return TRANSFORM_LATENCY if self.winograd else 0

    def elaborate(self, platform):
        m = Module()
        position, stationary = self.capture(m)
        flags = Cat(position.first, position.last, position.valid)
        first, last, valid = delay(m, flags, self.base_latency, name="flags")
        write, read = self.add_sums(m)
        sums = self.read_sums(m, position, write, read)
        biases = self.keep_biases(m, position)
        bases = [[Mux(first, biases[o], sums[o][w]) for w in range(self.windows)] for o in range(self.outputs)]
        add = self.add_winograd if self.winograd else self.add_packed if self.packed else self.add_pes
        totals = add(m, position, stationary, bases)
        done = delay(m, Cat(valid & last, valid & ~last), 1, name="done")
        m.d.comb += [self.o.valid.eq(done[0]), write.en.eq(done[1]), write.data.eq(Cat(*totals))]
        return m

    def add_pes(self, m: Module, position: data.View, stationary: data.View, bases: list) -> list:
        """One PE per window and output channel; returns the partial sums."""
        totals = []
        for o in range(self.outputs):
            for w in range(self.windows):
                m.submodules[f"pe_{o}_{w}"] = pe = ConvPE(self.form, self.kernel)
                totals.append(self.connect_pe(m, pe, o, w, position, stationary, bases))
        return totals

    def connect_pe(self, m: Module, pe: ConvPE, o: int, w: int, position, stationary, bases: list):
        """A PE as that of a window and an output channel; returns its partial sum."""
        if self.form.scaled:
            m.d.comb += pe.layer.eq(self.layer)
        m.d.comb += [
            pe.i.valid.eq(position.valid),
            pe.i.payload.x.eq(self.window(w)),
            pe.i.payload.w.eq(stationary[o]),
            pe.base.eq(bases[o][w]),
            self.o.payload[o][w].eq(pe.o.payload[Q2_6.frac_bits :]),
        ]
        return pe.o.payload

    def add_packed(self, m: Module, position: data.View, stationary: data.View, bases: list) -> list:
        """One PE per two windows of an output channel, or per two output channels of the window; as `add_pes`."""
        totals = []
        shape = CODE if self.windows == 1 else NATURAL
        places = [(o, w) for o in range(self.outputs) for w in range(self.windows)]
        for number, first in enumerate(range(0, len(places), 2)):
            pair = places[first : first + 2]  # the last PE may have a single output channel
            if first >= paired(len(places), self.dsp_size):
                m.submodules[f"pe_{number}"] = pe = ConvPE(kernel=self.kernel)
                totals.append(self.connect_pe(m, pe, *pair[0], position, stationary, bases))
                continue
            m.submodules[f"pe_{number}"] = pe = PackedConvPE(shape, self.kernel, self.dsp_size)
            o, w = pair[0]
            m.d.comb += [
                pe.i.valid.eq(position.valid),
                pe.i.payload.shared.eq(stationary[o] if self.windows > 1 else self.window(w)),
            ]
            for n, (o, w) in enumerate(pair):
                operand = self.window(w, NATURAL) if self.windows > 1 else stationary[o]
                m.d.comb += [
                    pe.i.payload.pair[n].eq(operand),
                    pe.base[n].eq(bases[o][w]),
                    self.o.payload[o][w].eq(pe.o.payload[n][Q2_6.frac_bits :]),
                ]
                totals.append(pe.o.payload[n])
        return totals

    def add_winograd(self, m: Module, position: data.View, stationary: data.View, bases: list) -> list:
        """One PE per output channel, for its four windows, and one transform for all; as `add_pes`."""
        totals = []
        m.submodules.transform = transform = transform_of_tiles()
        m.d.comb += [transform.i.valid.eq(position.valid), transform.i.payload.eq(self.patch)]
        for o in range(self.outputs):
            m.submodules[f"pe_{o}"] = pe = WinogradPE()
            m.d.comb += [
                pe.i.valid.eq(transform.o.valid),
                pe.i.payload.x.eq(transform.o.payload),
                pe.i.payload.w.eq(stationary[o]),
                pe.base.eq(Cat(bases[o])),
            ]
            for w, total in enumerate(pe.o.payload):
                m.d.comb += self.o.payload[o][w].eq(total[Q2_6.frac_bits :])
                totals.append(total)
        return totals

    def capture(self, m: Module) -> tuple[data.View, data.View]:
        """The position one cycle later, when its patch is valid, and the kernels of its sweep, as late as what PEs
        multiply them by."""
        position = Signal(data.StructLayout({"end": 1, "first": 1, "last": 1, "valid": 1}))
        stationary = Signal(data.ArrayLayout(self.word, self.outputs), reset_less=True)
        m.d.sync += [position[name].eq(self.i.payload[name]) for name in ("end", "first", "last")]
        m.d.sync += position.valid.eq(self.i.valid)
        with m.If(delay(m, self.i.valid & self.i.payload.load, self.kernel_delay, name="loads")):
            m.d.sync += stationary.eq(self.kernels)
        return position, stationary

    def window(self, w: int, shape: Shape = CODE) -> Cat:
        """Window number ``w`` of the patch, row-major; codes as wide as ``shape``."""
        size, across = range(self.kernel), self.columns - self.kernel + 1
        top, left = divmod(w, across)
        return Cat(self.patch[top + r][left + c][: shape.width] for r in size for c in size)

    def add_sums(self, m: Module) -> tuple:
        """Write and read port of the memory of partial sums."""
        layout = data.ArrayLayout(data.ArrayLayout(ACC, self.windows), self.outputs)
        # A sum is written two cycles after it was read: before it is read for the next channel.
        m.submodules.sums = sums = memory.Memory(shape=layout, depth=self.depth, init=[], attrs=memory_kind(self.depth))
        return sums.write_port(), sums.read_port()

    def read_sums(self, m: Module, position: data.View, write, read) -> data.View:
        """Partial sums of the position, in the cycle in which the PEs sample their base. Sets the address at which the
        new ones are written."""
        address = Signal(range(self.depth))
        if self.sparse:
            m.d.sync += address.eq(self.i.payload.index)
        else:
            with m.If(position.valid):
                m.d.sync += address.eq(Mux(position.end, 0, address + 1))
        early = delay(m, address, self.base_latency - 1, name="address")
        m.d.comb += [read.addr.eq(early), write.addr.eq(delay(m, early, 2, name="write_address"))]
        return read.data

    def keep_biases(self, m: Module, position: data.View) -> list:
        """Biases of the current group of output channels, aligned with the accumulators: bias << 6, 14 bits each."""
        word = Shape.cast(self.word).width
        kept = Signal(codes(self.word.length * self.bias_words), name="biases", reset_less=True)
        with m.If(self.bias.en):
            m.d.sync += kept.as_value().word_select(self.bias.index, word).eq(self.bias.data)
        # The multiplexer takes two cycles: the first base of a group is sampled three cycles after ``group`` changes.
        groups = ceil_div(len(kept), self.outputs)
        group = Signal(range(groups))
        leaves = delay(m, position.valid & position.last & position.end, self.base_latency - 2, name="leaves")
        with m.If(self.bias.en):
            m.d.sync += group.eq(0)
        with m.Elif(leaves):
            m.d.sync += group.eq(group + 1)
        chosen = choose(m, kept, group, CODE.width * self.outputs, name="biases")
        fraction = Const(0, Q2_6.frac_bits)
        return [Cat(fraction, chosen.word_select(o, CODE.width)) for o in range(self.outputs)]
