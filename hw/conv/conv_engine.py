"""The convolutions of an image: pixels in, codes of the last one out."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from functools import reduce
from math import prod
from operator import or_
from types import MappingProxyType

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.narrow_weight_memory import NarrowWeightMemory
from fivebyfive.hw.common.pipeline import delay, pick
from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.common.table_lookup import TableLookup
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.hw.common.weight_memory import WeightMemory, WriteSignature
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.stages import ConvStage, function_codes, stages
from fivebyfive.model.machine.stored_codes import StoredCodes, stored_outputs
from fivebyfive.model.machine.weights import memory_map
from fivebyfive.model.machine.zero_windows import skips
from fivebyfive.model.network import Network
from fivebyfive.model.shape import ceil_div

from .channel_memory import ChannelMaps, ChannelMemory
from .conv_array import ConvArray
from .conv_controller import ConvController, ConvLayer, Mode, conv_states
from .image_buffer import ImageBuffer
from .kernel_fetcher import KernelFetcher, KernelPlan
from .line_buffer import LineBuffer, LineMap
from .map_memory import MapMemory, StoredMaps
from .pooling import PooledMap, Pooling
from .sparse_line_buffer import SparseLineBuffer

__all__ = ["ConvEngine", "ConvTap"]


class ConvTap(data.StructLayout):
    """Every group of pooled codes as it is written, for observation.

    Fields
    ------
    toggle : 1 bit
        Changes with each write.
    layer : range(layers)
        0 for the first convolution.
    group : range(groups)
        Group of output channels.
    cell : range(cells)
        Position in the pooled map, row-major.
    values : O codes
        Codes of the group's output channels; undefined beyond the last channel.
    zero : 1 bit
        The cells of the group that are not shown have these codes, too: their windows are all zeros. They lie behind
        this one. Only with ``skip_zeros``.
    """

    def __init__(self, network: Network, config: Config):
        convs = stages(network).convs
        super().__init__(
            {
                "toggle": 1,
                "layer": range(len(convs)),
                "group": range(max(len(config.groups(stage.width)) for stage in convs)),
                "cell": range(max(stage.cells for stage in convs)),
                "values": codes(config.outputs),
                **({"zero": 1} if config.skip_zeros else {}),
            }
        )


@dataclass(frozen=True)
class Cell:
    """Of the codes that leave the pooling unit, with `Config.skip_zeros`: their ``column`` in the map; whether they are
    the last ones of a row (``row_end``), and those of cells of zeros that are left out (``zero``)."""

    column: Value
    row_end: Value
    zero: Value


@dataclass(frozen=True)
class Parts:
    """The components of a `ConvEngine`. ``features``: memories of maps, of which one is read while the other is
    written; ``before``, ``after``: functions of codes in front of and behind the pooling unit, where some layer has a
    table or, in front, any; ``channels``: as ``features``, of the maps that 1x1 kernels read as dot products over
    channels."""

    image: ImageBuffer
    lines: LineBuffer
    array: ConvArray
    pooling: Pooling
    features: list[MapMemory]
    weights: WeightMemory | NarrowWeightMemory
    controller: ConvController
    fetcher: KernelFetcher
    before: TableLookup | None
    after: TableLookup | None
    channels: list[ChannelMemory]

    @property
    def named(self) -> dict[str, wiring.Component]:
        """Each one by the name of its submodule."""
        found: dict[str, wiring.Component] = {}
        for field in fields(self):
            part = getattr(self, field.name)
            many = part if isinstance(part, list) else [part] if part is not None else []
            found |= {f"{field.name}_{n}" if n > 1 else field.name: one for n, one in enumerate(many, 1)}
        return found


class ConvEngine(wiring.Component):
    """The convolutions of an image, each with its pooling and what else happens to its codes.

    ``fivebyfive.model.golden`` defines the result. A layer takes a cycle for each position of W windows, each group of
    O output channels and each input channel that the group reads, and a few more at its start
    (`fivebyfive.model.machine.cycles`); the pixels of the next image are received meanwhile. Maps go from layer to
    layer through two memories in turn. A 1x1 kernel behind another convolution is a dot product over channels
    (`Config.channels_at_once`). With `Config.engines`, kernels of zeros take no cycle, and weights may be stored
    as indices of values or need no multiplier.

    Parameters
    ----------
    network : Network
        The network, which has convolutions.
    config : Config
        Size of the machine; W, O and K are used here.
    words : list of int
        Contents of the conv weight memory (`fivebyfive.model.machine.weights`), code 0 in the lowest bits.
    tables : mapping
        Tables of the layers that have one, int8 (256,), by name such as c1.table.

    Ports
    -----
    i : stream of `Pixel`, in
        The pixels of an image: channel after channel, row-major.
    o : stream of {values, count}, out, always ready
        Codes of the last convolution: those of one group of output channels at one cell. The first ``count`` of the O
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
        Asserted for one cycle when the first convolution no longer needs its image.
    short : 1 bit, out
        Asserted from the first frame with too few pixels until reset.
    long : 1 bit, out
        Asserted from the first frame with too many pixels until reset.
    busy : 1 bit, out
        Asserted while an image is computed.
    state : `conv_states`, out
        State of the controller.
    tap : `ConvTap`, out
        Results of all layers, one cycle after they leave the pooling unit.
    """

    def __init__(
        self,
        network: Network,
        config: Config,
        words: list[int],
        tables: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        self.network = network
        self.config = config
        self.words = words
        self.tables = tables
        self.layers = stages(network).convs
        out = data.StructLayout({"values": codes(config.outputs), "count": range(config.outputs + 1)})
        super().__init__(
            {
                "i": In(stream.Signature(Pixel(config.pixels))),
                "o": Out(stream.Signature(out, always_ready=True)),
                "grant": In(1),
                "done": Out(1),
                "load": In(WriteSignature(len(words), config.conv_word_bytes)),
                "available": Out(1),
                "accepted": Out(1),
                "released": Out(1),
                "short": Out(1),
                "long": Out(1),
                "busy": Out(1),
                "state": Out(conv_states(len(self.layers))),
                "tap": Out(ConvTap(network, config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        parts = self.parts()
        for name, part in parts.named.items():
            m.submodules[name] = part
        self.connect_image(m, parts)
        self.connect_weights(m, parts)
        self.connect_positions(m, parts)
        self.connect_results(m, parts, self.connect_cells(m, parts) if self.config.skip_zeros else None)
        return m

    def parts(self) -> Parts:
        """The components of the engine."""
        config, engines = self.config, self.config.engines
        maps, sparse = [self.line_map(layer) for layer in range(len(self.layers))], config.skip_zeros
        lines = (
            SparseLineBuffer(config.windows, config.kernel, maps, skips(self.network, config))
            if sparse
            else LineBuffer(config.windows, config.kernel, maps)
        )
        array = ConvArray(
            config.windows,
            config.outputs,
            lines.rows,
            lines.columns,
            depth=max(
                (
                    prod(self.positions(stage))
                    for layer, stage in enumerate(self.layers)
                    if config.channel_sets(self.network, layer) > 1
                ),
                default=1,
            ),
            bias_words=max(ceil_div(stage.width, config.conv_word_bytes) for stage in self.layers),
            packed=config.packed_pes,
            winograd=config.winograd,
            form=engines.conv,
            kernel=config.kernel,
            strides=tuple(stage.layer.stride for stage in self.layers),
            sparse=sparse,
            dsp_size=config.dsp_size,
        )
        pooling = Pooling(config.outputs, config.windows, [self.pooled_map(stage) for stage in self.layers], sparse)
        weights = self.weight_memory()
        before, after = self.lookups()
        lookups = sum(lookup.latency for lookup in (before, after) if lookup is not None)
        return Parts(
            image=ImageBuffer(self.stored_maps(0, lines), rows_out=lines.rows_in, at_once=config.pixels),
            lines=lines,
            array=array,
            pooling=pooling,
            features=[
                MapMemory(
                    [self.stored_maps(layer, lines) for layer in readers],
                    parallel=config.outputs,
                    rows_out=lines.rows_in,
                    sparse=sparse,
                    stored=self.stored(readers),
                )
                for readers in self.readers(over_channels=False)
            ],
            weights=weights,
            controller=ConvController(
                self.controller_layers(),
                weights.depth,
                weights.latency,
                # From the last position: the array, the pooling unit, a write, and a cycle until it can be read.
                drain=array.latency + pooling.latency + lookups + 1,
            ),
            fetcher=KernelFetcher(
                self.kernel_plans(), config.outputs, weights.depth, weights.latency, width=config.conv_word_bytes
            ),
            before=before,
            after=after,
            channels=[
                ChannelMemory(
                    [self.channel_maps(layer) for layer in readers],
                    config.outputs,
                    config.channels_at_once(self.network, readers[0]),
                    self.stored(readers),
                )
                for readers in self.readers(over_channels=True)
            ],
        )

    def over_channels(self, layer: int) -> bool:
        """Whether a layer is computed as dot products over channels."""
        return self.config.channels_at_once(self.network, layer) > 1

    def readers(self, over_channels: bool) -> list[list[int]]:
        """The layers that read each memory of maps, or of maps read ``over_channels``: those of the second, fourth,
        ...; and of the third, fifth, ..."""
        turns = range(1, len(self.layers), 2), range(2, len(self.layers), 2)
        kept = [[layer for layer in turn if self.over_channels(layer) == over_channels] for turn in turns]
        return [readers for readers in kept if readers]

    def stored(self, readers: list[int]) -> StoredCodes:
        """What a memory holds of the codes that these layers read."""
        return stored_outputs([self.layers[layer - 1].layer for layer in readers], self.tables)

    def positions(self, stage: ConvStage) -> tuple[int, int]:
        return stage.positions(self.config.windows)

    def line_map(self, layer: int) -> LineMap:
        """A layer's input as the line buffer sees it; of a layer that does without it, that of the first one."""
        stage = self.layers[0 if self.over_channels(layer) else layer]
        rows, columns = self.positions(stage)
        top, left, _, _ = stage.layer.padding
        return LineMap(stage.rows, stage.columns, rows, columns, stride=stage.layer.stride, top=top, left=left)

    def stored_maps(self, layer: int, lines: LineBuffer) -> StoredMaps:
        """A layer's input as a memory streams it."""
        stage, swept = self.layers[layer], self.config.sweeps(self.network, layer)
        every = self.config.sweeps_all(self.network, layer)
        return StoredMaps(
            stage.channels,
            stage.rows,
            stage.columns,
            top=stage.layer.padding[0],
            transfers=len(lines.maps[layer].real_transfers(lines.windows, lines.kernel)),
            repeats=len(swept),
            order=() if every else [channel for channels in swept for channel in channels],
            fill=stage.layer.fill if any(stage.layer.padding) else (),
        )

    def channel_maps(self, layer: int) -> ChannelMaps:
        """A layer's input as a memory of channels streams it."""
        stage, swept = self.layers[layer], self.config.sweeps(self.network, layer)
        every = self.config.sweeps_all(self.network, layer)
        return ChannelMaps(
            stage.channels,
            stage.rows,
            stage.columns,
            positions=self.positions(stage),
            stride=stage.layer.stride,
            repeats=len(swept),
            order=() if every else [channels for one in swept for channels in one],
        )

    def pooled_map(self, stage: ConvStage) -> PooledMap:
        """A layer's codes as the pooling unit sees them."""
        return PooledMap(*stage.used, pool=stage.pool, relu=self.function(stage, stage.after) == "relu")

    def function(self, stage: ConvStage, steps: tuple[str, ...]):
        """What some steps of a layer do to its codes, as a function of `TableLookup`."""
        return function_codes(stage, steps, self.tables)

    def lookups(self) -> tuple[TableLookup | None, TableLookup | None]:
        """Functions of codes in front of and behind the pooling unit, whose ReLU is not among them."""
        config = self.config
        before = [self.function(stage, stage.before) for stage in self.layers]
        after = [self.function(stage, stage.after) for stage in self.layers]
        after = [None if function == "relu" else function for function in after]
        return (
            TableLookup(config.outputs * config.windows, before) if any(before) else None,
            TableLookup(config.outputs, after) if any(after) else None,
        )

    def address(self, layer: int, kind: str) -> int:
        """Where the biases or kernels ("weight") of a layer begin in the weight memory."""
        regions = memory_map(self.network, self.config)
        return next(one.address for one in regions if (one.memory, one.layer, one.kind) == ("conv", layer, kind))

    def kernel_plans(self) -> list[KernelPlan]:
        """Where the kernels of each layer are. Where sweeps are listed, every set of kernels has full size."""
        plans = []
        for layer, stage in enumerate(self.layers):
            address, together = self.address(layer, "weight"), min(self.config.outputs, stage.width)
            if self.config.sweeps_all(self.network, layer):
                sets = self.config.channel_sets(self.network, layer)
                plans.append(KernelPlan(address, stage.width, sets, self.config.outputs))
            else:
                sweeps = sum(map(len, self.config.sweeps(self.network, layer)))
                plans.append(KernelPlan(address, together * sweeps, 1, together))
        return plans

    def controller_layers(self) -> list[ConvLayer]:
        """The layers as the controller sees them."""
        config = self.config
        return [
            ConvLayer(
                stage.width,
                config.channel_sets(self.network, layer),
                config.outputs,
                self.address(layer, "bias"),
                width=config.conv_word_bytes,
                sweeps=()
                if config.sweeps_all(self.network, layer)
                else list(map(len, config.sweeps(self.network, layer))),
                pace=config.pace(self.network, layer),
                single=prod(self.positions(stage)) == 1,
            )
            for layer, stage in enumerate(self.layers)
        ]

    def weight_memory(self) -> WeightMemory | NarrowWeightMemory:
        """The memory that fits how weights are stored."""
        form = self.config.engines.conv
        if not form.narrow:
            return WeightMemory(self.words, self.config.conv_word_bytes)
        return NarrowWeightMemory(self.words, self.config.conv_word_bytes, self.address(0, "weight"), form)

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
            self.busy.eq(controller.state != controller.states.CONV_IDLE),
        ]

    def connect_weights(self, m: Module, parts: Parts):
        """Words from the memory to the array: kernels through the fetcher, biases past it."""
        weights, controller, fetcher, array = parts.weights, parts.controller, parts.fetcher, parts.array
        wiring.connect(m, wiring.flipped(self.load), weights.load)
        if self.config.engines.conv.narrow:
            m.d.comb += weights.layer.eq(controller.layer)
        if array.form.scaled:
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
        """Rows of the image or of maps into the line buffer, its positions into the array; or those of channels."""
        lines, controller, array = parts.lines, parts.controller, parts.array
        sources = [parts.image, *parts.features]
        for features, readers in self.memories(parts):
            begins = reduce(or_, [controller.layer == layer for layer in readers])
            m.d.comb += features.start.eq(controller.start & begins)
            if len(readers) > 1:
                m.d.comb += features.which.eq(self.index(controller.layer, readers))
        m.d.comb += [
            lines.size.eq(controller.layer),
            # Each streams only in its own layer, and only the rows that the layer needs.
            lines.i.valid.eq(reduce(or_, [source.o.valid for source in sources])),
        ]
        m.d.comb += [source.o.ready.eq(lines.i.ready) for source in sources]
        for row in range(lines.rows_in):
            rows = [source.o.payload[row].as_value() for source in sources]
            m.d.comb += lines.i.payload[row].as_value().eq(self.from_source(controller.layer, rows))
        if lines.fills:
            fills = [source.fill if hasattr(source, "fill") else Const(0, CODE) for source in sources]
            m.d.comb += lines.fill.eq(self.from_source(controller.layer, fills))
        position, streams = array.i.payload, [lines.o, *(one.o for one in parts.channels)]
        valid, last, patch = (
            self.of_layer(controller.layer, values)
            for values in (
                [one.valid for one in streams],
                [one.payload.last for one in streams],
                [lines.patch.as_value(), *(one.word.as_value() for one in parts.channels)],
            )
        )
        m.d.comb += [
            controller.position_valid.eq(valid),
            controller.position_last.eq(last),
            *(one.ready.eq(controller.go) for one in streams),
            array.i.valid.eq(controller.go),
            array.patch.as_value().eq(patch),
            position.end.eq(last),
            position.load.eq(controller.load),
            position.first.eq(controller.first),
            position.last.eq(controller.last),
        ]
        if self.config.skip_zeros:
            inner = controller.first | controller.last
            every = [
                Const(1) if skip is None else Const(0) if skip.codes else inner
                for skip in skips(self.network, self.config)
            ]
            m.d.comb += [lines.every.eq(pick(every, controller.layer)), position.index.eq(lines.o.payload.index)]

    def memories(self, parts: Parts) -> list[tuple[MapMemory | ChannelMemory, list[int]]]:
        """All memories of maps, each with the layers that read it."""
        return [
            *zip(parts.features, self.readers(over_channels=False), strict=True),
            *zip(parts.channels, self.readers(over_channels=True), strict=True),
        ]

    @staticmethod
    def index(layer: Signal, readers: list[int]) -> Value:
        """Index of the reader that reads what was written last, or for which maps are being written."""
        first, *_, last = readers
        if readers == list(range(first, last + 1, 2)):
            return (layer - (first - 1)) >> 1
        return Array(sum(reader < number for reader in readers[:-1]) for number in range(last + 1))[layer]

    def of_layer(self, layer: Signal, values: Sequence) -> Value:
        """The one of the values of line buffer and memories of channels that belongs to the layer."""
        chosen, *others = values
        for value, readers in zip(others, self.readers(over_channels=True), strict=True):
            chosen = Mux(layer.matches(*readers), value, chosen)
        return chosen

    def connect_cells(self, m: Module, parts: Parts) -> Cell:
        """What goes past the array and the pooling unit with each position: where its codes belong."""
        position, layer = parts.lines.o.payload, parts.controller.layer
        columns = range(parts.lines.row_positions)
        tables = [
            Array(stage.cell_column(n, self.config.windows) for n in columns)[position.column] for stage in self.layers
        ]
        column = Signal(range(max(stage.outputs[2] for stage in self.layers)), name="cell_column")
        m.d.comb += column.eq(pick(tables, layer))
        cycles = parts.array.latency + (parts.before.latency if parts.before is not None else 0)
        row_end, rest = (
            delay(m, value, cycles, name=name)
            for name, value in (("row_end", position.row_end), ("cell", Cat(position.zero, column)))
        )
        m.d.comb += parts.pooling.row_end.eq(row_end)
        cycles = parts.pooling.latency + (parts.after.latency if parts.after is not None else 0)
        done = delay(m, Cat(row_end, rest), cycles, name="pooled")
        return Cell(done[2:], done[0], done[1])

    @staticmethod
    def from_source(layer: Signal, values: Sequence) -> Value:
        """The one of the values of image buffer and map memories that belongs to the layer."""
        image, *features = values
        if not features:
            return image
        later = Mux(layer[0], features[0], features[1]) if len(features) > 1 else features[0]
        return Mux(layer if len(layer) == 1 else layer.any(), later, image)

    def connect_results(self, m: Module, parts: Parts, place: Cell | None):
        """Codes through the pooling unit and the functions around it into a memory of maps or out, and past the tap."""
        array, pooling, layer = parts.array, parts.pooling, parts.controller.layer
        last = len(self.layers) - 1
        m.d.comb += pooling.size.eq(layer)
        self.look_up(m, parts.before, layer, array.o, pooling.i)
        results = pooling.o
        if parts.after is not None:
            self.look_up(m, parts.after, layer, pooling.o, None)
            results = parts.after.o
        for features, readers in self.memories(parts):
            writes = reduce(or_, [self.is_layer(layer, reader - 1) for reader in readers])
            m.d.comb += [features.i.valid.eq(results.valid & writes), features.i.payload.eq(results.payload)]
            if place is not None:
                m.d.comb += [
                    features.column.eq(place.column), features.row_end.eq(place.row_end), features.zero.eq(place.zero),
                ]  # fmt: skip
        m.d.comb += [
            self.o.valid.eq(results.valid & self.is_layer(layer, last)),
            self.o.payload.values.eq(results.payload),
            self.done.eq(parts.controller.done),
        ]
        cells = [stage.cells for stage in self.layers]
        groups = [self.config.groups(stage.width) for stage in self.layers]
        cell, group = Signal(range(max(cells))), Signal(range(max(map(len, groups))))
        # Where cells may be left out it is the first cell of the row.
        steps = [1 if place is None else stage.outputs[2] for stage in self.layers]
        with m.If(results.valid):
            with m.If(place.row_end) if place is not None else nullcontext():
                m.d.sync += cell.eq(cell + (1 if place is None else pick(steps, layer)))
                with m.If(cell == pick([count - step for count, step in zip(cells, steps, strict=True)], layer)):
                    m.d.sync += [cell.eq(0), group.eq(group + 1)]
                    with m.If(group == pick([len(one) - 1 for one in groups], layer)):
                        m.d.sync += group.eq(0)
            if place is not None:
                m.d.sync += self.tap.zero.eq(place.zero)
            m.d.sync += [
                self.tap.toggle.eq(~self.tap.toggle),
                self.tap.layer.eq(layer),
                self.tap.group.eq(group),
                self.tap.cell.eq(cell if place is None else cell + place.column),
                self.tap.values.eq(results.payload),
            ]
        short = group == len(groups[last]) - 1
        m.d.comb += self.o.payload.count.eq(Mux(short, len(groups[last][-1]), len(groups[last][0])))

    def is_layer(self, layer: Signal, number: int) -> Value:
        """Whether it is that layer."""
        if len(self.layers) == 2:
            return layer if number else ~layer
        return layer == number

    @staticmethod
    def look_up(m: Module, lookup: TableLookup | None, layer: Signal, source, target):
        """Codes from a stream through a lookup, if there is one, to another stream, if there is one."""
        if lookup is not None:
            m.d.comb += [
                lookup.i.valid.eq(source.valid),
                lookup.i.payload.as_value().eq(source.payload),
                lookup.which.eq(layer),
            ]
            source = lookup.o
        if target is not None:
            m.d.comb += [target.valid.eq(source.valid), target.payload.as_value().eq(source.payload)]
