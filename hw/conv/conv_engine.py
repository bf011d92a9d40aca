"""Both conv layers of an image: pixels in, pooled codes of conv2 out."""

from dataclasses import dataclass, fields

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.common.types import codes
from fivebyfive.hw.common.weight_memory import WeightMemory, WriteSignature
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import CONV_WORD, IMAGE, LeNetShape, ceil_div

from .conv_array import ConvArray
from .conv_controller import ConvController, ConvLayer, ConvState, Mode
from .image_buffer import ImageBuffer
from .kernel_fetcher import KernelFetcher, KernelPlan
from .line_buffer import LineBuffer
from .map_memory import MapMemory
from .pooling import Pooling

__all__ = ["ConvEngine", "ConvTap"]


class ConvTap(data.StructLayout):
    """Every group of pooled codes as it is written, for observation.

    Fields
    ------
    toggle : 1 bit
        Changes with each write.
    layer : 1 bit
        0 for conv1, 1 for conv2.
    group : range(groups)
        Group of output channels.
    cell : range(cells)
        Position in the pooled map, row-major.
    values : O codes
        Codes of the group's output channels; undefined beyond the last channel.
    """

    def __init__(self, shape: LeNetShape, config: Config):
        groups = max(len(config.groups(shape.conv1)), len(config.groups(shape.conv2)))
        super().__init__(
            {
                "toggle": 1,
                "layer": 1,
                "group": range(groups),
                "cell": range(shape.pool1_out**2),
                "values": codes(config.outputs),
            }
        )


@dataclass(frozen=True)
class Parts:
    """The components of a `ConvEngine`, by the names of its submodules."""

    image: ImageBuffer
    lines: LineBuffer
    array: ConvArray
    pooling: Pooling
    features: MapMemory
    weights: WeightMemory | NarrowWeightMemory
    controller: ConvController
    fetcher: KernelFetcher


class ConvEngine(wiring.Component):
    """conv1 and conv2 of an image, each with max pooling and ReLU.

    ``fivebyfive.model.golden`` defines the result. An image takes (576 ceil(C1/O) + 64 C1 ceil(C2/O)) / W cycles and a
    few more at the start of each layer (`fivebyfive.model.machine.cycles`); the pixels of the next image are received
    meanwhile. With `Config.engines`, kernels of zeros take no cycle, and weights may be stored as indices of values or
    need no multiplier.

    Parameters
    ----------
    shape : LeNetShape
        Widths of the network, which has convolutions.
    config : Config
        Size of the machine; W and O are used here.
    words : list of int
        Contents of the conv weight memory (`fivebyfive.model.machine.weights`), code 0 in the lowest bits.
    bias_addresses : tuple of two int
        Addresses of the biases of conv1 and conv2.
    kernel_addresses : tuple of two int or None
        Addresses of the kernels of conv1 and conv2; None where they follow the biases of their layer.

    Ports
    -----
    i : stream of `Pixel`, in
        784 pixels per image, row-major.
    o : stream of {values, count}, out, always ready
        Pooled codes of conv2: those of one group of output channels at one cell. The first ``count`` of the O
        ``values`` are valid, the others undefined.
    grant : 1 bit, in
        The receiver has room for all codes of an image. Sampled while the engine is idle; no image starts without it.
    done : 1 bit, out
        Asserted for one cycle, after the image's last code.
    load : `WriteSignature`, in
        Replaces a word of weights; only while neither ``busy`` nor ``available`` is asserted.
    available : 1 bit, out
        An image is complete in the image buffer (`ImageBuffer`).
    accepted : 1 bit, out
        Asserted in the cycle in which the last pixel of an image is transferred.
    released : 1 bit, out
        Asserted for one cycle when conv1 no longer needs its image.
    short : 1 bit, out
        Asserted from the first frame with too few pixels until reset.
    long : 1 bit, out
        Asserted from the first frame with too many pixels until reset.
    busy : 1 bit, out
        Asserted while an image is computed.
    state : `ConvState`, out
        State of the controller.
    tap : `ConvTap`, out
        Results of both layers, one cycle after they leave the pooling unit.
    """

    def __init__(
        self,
        shape: LeNetShape,
        config: Config,
        words: list[int],
        bias_addresses: tuple[int, int],
        kernel_addresses: tuple[int, int] | None = None,
    ):
        self.shape = shape
        self.config = config
        self.words = words
        self.bias_addresses = bias_addresses
        self.kernel_addresses = kernel_addresses or tuple(
            address + ceil_div(outputs, CONV_WORD)
            for (outputs, _), address in zip(self.layers, bias_addresses, strict=True)
        )
        out = data.StructLayout({"values": codes(config.outputs), "count": range(config.outputs + 1)})
        super().__init__(
            {
                "i": In(stream.Signature(Pixel())),
                "o": Out(stream.Signature(out, always_ready=True)),
                "grant": In(1),
                "done": Out(1),
                "load": In(WriteSignature(len(words), CONV_WORD)),
                "available": Out(1),
                "accepted": Out(1),
                "released": Out(1),
                "short": Out(1),
                "long": Out(1),
                "busy": Out(1),
                "state": Out(ConvState),
                "tap": Out(ConvTap(shape, config)),
            }
        )

    @property
    def layers(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Output and input channels of conv1 and conv2."""
        return (self.shape.conv1, 1), (self.shape.conv2, self.shape.conv1)

    def elaborate(self, platform):
        m = Module()
        parts = self.parts()
        for field in fields(parts):
            m.submodules[field.name] = getattr(parts, field.name)
        self.connect_image(m, parts)
        self.connect_weights(m, parts)
        self.connect_positions(m, parts)
        self.connect_results(m, parts)
        return m

    def parts(self) -> Parts:
        """The components of the engine."""
        shape, config, engines = self.shape, self.config, self.config.engines
        lines = LineBuffer(config.windows, (IMAGE, shape.pool1_out))
        array = ConvArray(
            config.windows,
            config.outputs,
            lines.rows,
            lines.columns,
            depth=shape.conv2_out**2 // config.windows,
            bias_words=ceil_div(max(shape.conv1, shape.conv2), CONV_WORD),
            packed=config.packed,
            shifts=engines.conv.shifts if engines.conv.kind == "signs" else (),
        )
        pooling = Pooling(config.outputs, config.windows, (shape.conv1_out, shape.conv2_out))
        weights = self.weight_memory()
        return Parts(
            image=ImageBuffer(lines.rows_in, repeats=len(config.groups(shape.conv1))),
            lines=lines,
            array=array,
            pooling=pooling,
            features=MapMemory(
                shape.conv1,
                shape.pool1_out,
                parallel=config.outputs,
                rows_out=lines.rows_in,
                repeats=len(config.groups(shape.conv2)),
                order=[channel for sweeps in engines.sweeps for channel in sweeps],
            ),
            weights=weights,
            controller=ConvController(
                self.controller_layers(),
                weights.depth,
                weights.latency,
                # From the last position: the array, the pooling unit, a write, and a cycle until it can be read.
                drain=array.latency + pooling.latency + 1,
            ),
            fetcher=KernelFetcher(self.kernel_plans(), config.outputs, weights.depth, weights.latency),
        )

    def kernel_plans(self) -> list[KernelPlan]:
        """Where the kernels of each layer are. Where sweeps are skipped, every set of kernels has full size."""
        plans = [
            KernelPlan(address, outputs, inputs, self.config.outputs)
            for (outputs, inputs), address in zip(self.layers, self.kernel_addresses, strict=True)
        ]
        if sweeps := self.config.engines.sweeps:
            together = min(self.config.outputs, self.shape.conv2)
            plans[1] = KernelPlan(self.kernel_addresses[1], together * sum(map(len, sweeps)), 1, together)
        return plans

    def controller_layers(self) -> list[ConvLayer]:
        """conv1 and conv2 as the controller sees them."""
        sweeps = (), tuple(map(len, self.config.engines.sweeps))
        return [
            ConvLayer(outputs, inputs, self.config.outputs, address, swept)
            for (outputs, inputs), address, swept in zip(self.layers, self.bias_addresses, sweeps, strict=True)
        ]

    def weight_memory(self) -> WeightMemory | NarrowWeightMemory:
        """The memory that fits how weights are stored."""
        form = self.config.engines.conv
        if not form.narrow:
            return WeightMemory(self.words, CONV_WORD)
        return NarrowWeightMemory(self.words, CONV_WORD, self.kernel_addresses[0], form)

    def connect_image(self, m: Module, parts: Parts):
        """Pixels into the image buffer; an image that is complete to the controller."""
        image, controller = parts.image, parts.controller
        wiring.connect(m, wiring.flipped(self.i), image.i)
        m.d.comb += [
            controller.mode.eq(Mux(image.available & self.grant, Mode.CONV1, Mode.IDLE)),
            image.start.eq(controller.start & (controller.layer == 0)),
            image.release.eq(controller.conv1_done),
            self.available.eq(image.available),
            self.accepted.eq(image.accepted),
            self.released.eq(image.release),
            self.short.eq(image.short),
            self.long.eq(image.long),
            self.state.eq(controller.state),
            self.busy.eq(controller.state != ConvState.CONV_IDLE),
        ]

    def connect_weights(self, m: Module, parts: Parts):
        """Words from the memory to the array: kernels through the fetcher, biases past it."""
        weights, controller, fetcher, array = parts.weights, parts.controller, parts.fetcher, parts.array
        wiring.connect(m, wiring.flipped(self.load), weights.load)
        if self.config.engines.conv.narrow:
            m.d.comb += weights.layer.eq(controller.layer)
        if array.shifts:
            m.d.comb += array.layer.eq(controller.layer)
        m.d.comb += [
            weights.address.eq(Mux(controller.bias_request, controller.bias_address, fetcher.address)),
            fetcher.layer.eq(controller.layer),
            fetcher.start.eq(controller.start),
            fetcher.data.eq(weights.data),
            fetcher.o.ready.eq(controller.go & controller.load),
            controller.kernel_valid.eq(fetcher.o.valid),
            array.kernels.eq(fetcher.o.payload),
            array.bias.en.eq(controller.bias_en),
            array.bias.index.eq(controller.bias_index),
            array.bias.data.eq(weights.data),
        ]

    def connect_positions(self, m: Module, parts: Parts):
        """Rows of the image or of the features into the line buffer, its positions into the array."""
        image, features, lines = parts.image, parts.features, parts.lines
        controller, array = parts.controller, parts.array
        m.d.comb += [
            features.start.eq(controller.start & (controller.layer == 1)),
            lines.size.eq(controller.layer),
            # Each streams only in its own layer, and only the rows that the layer needs.
            lines.i.valid.eq(image.o.valid | features.o.valid),
            image.o.ready.eq(lines.i.ready),
            features.o.ready.eq(lines.i.ready),
        ]
        for row in range(lines.rows_in):
            wide, narrow = image.o.payload[row].as_value(), features.o.payload[row].as_value()
            m.d.comb += lines.i.payload[row].as_value().eq(Mux(controller.layer, narrow, wide))
        position = array.i.payload
        m.d.comb += [
            controller.position_valid.eq(lines.o.valid),
            controller.position_last.eq(lines.o.payload.last),
            lines.o.ready.eq(controller.go),
            array.i.valid.eq(controller.go),
            array.patch.eq(lines.patch),
            position.end.eq(lines.o.payload.last),
            position.load.eq(controller.load),
            position.first.eq(controller.first),
            position.last.eq(controller.last),
        ]

    def connect_results(self, m: Module, parts: Parts):
        """Codes through the pooling unit into the feature memory or out, and past the tap."""
        array, pooling, features, controller = parts.array, parts.pooling, parts.features, parts.controller
        layer = controller.layer
        m.d.comb += [
            pooling.size.eq(layer),
            pooling.i.valid.eq(array.o.valid),
            pooling.i.payload.eq(array.o.payload),
            features.i.valid.eq(pooling.o.valid & ~layer),
            features.i.payload.eq(pooling.o.payload),
            self.o.valid.eq(pooling.o.valid & layer),
            self.o.payload.values.eq(pooling.o.payload),
            self.done.eq(controller.done),
        ]
        cells = [self.shape.pool1_out**2, self.shape.pool2_out**2]
        groups = [self.config.groups(outputs) for outputs, _ in self.layers]
        cell, group = Signal(range(max(cells))), Signal(range(max(map(len, groups))))
        with m.If(pooling.o.valid):
            m.d.sync += cell.eq(cell + 1)
            with m.If(cell == Mux(layer, cells[1] - 1, cells[0] - 1)):
                m.d.sync += [cell.eq(0), group.eq(group + 1)]
                with m.If(group == Mux(layer, len(groups[1]) - 1, len(groups[0]) - 1)):
                    m.d.sync += group.eq(0)
            m.d.sync += [
                self.tap.toggle.eq(~self.tap.toggle),
                self.tap.layer.eq(layer),
                self.tap.group.eq(group),
                self.tap.cell.eq(cell),
                self.tap.values.eq(pooling.o.payload),
            ]
        short = group == len(groups[1]) - 1
        m.d.comb += self.o.payload.count.eq(Mux(short, len(groups[1][-1]), len(groups[1][0])))
