"""The whole machine: pixels in, logits and class out."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.hw.conv.conv_controller import conv_states
from fivebyfive.hw.conv.conv_engine import ConvEngine, ConvTap
from fivebyfive.hw.fc.argmax import Argmax, Result
from fivebyfive.hw.fc.bank_fc_engine import BankFcEngine
from fivebyfive.hw.fc.fc_engine import FcEngine, FcTap
from fivebyfive.hw.fc.pixel_feeder import PixelFeeder
from fivebyfive.hw.fc.sparse_fc_engine import SparseFcEngine
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import counter_bits, overtakes
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.stored_codes import reads_bits
from fivebyfive.model.machine.weights import WeightImage, memory_depths
from fivebyfive.model.machine.zero_windows import skips
from fivebyfive.model.network import Network
from fivebyfive.model.shape import summary

from .counters import Counters, Cycles

__all__ = ["Accelerator", "Load", "Status", "Target"]


class Target(enum.Enum, shape=1):
    """Weight memory that a word is for."""

    CONV = 0
    FC = 1


class Load(data.StructLayout):
    """A word for a weight memory.

    Parameters
    ----------
    depth : int
        Words of the deeper memory.
    width : int
        Codes in a word of the wider memory.

    Fields
    ------
    target : `Target`
        The memory.
    address : range(depth)
        Address of the word.
    data : ``width`` codes
        The word, in the low bits: K^2 codes for the conv memory, 20 R for the FC memory; 40 R + 1 for the bank-balanced
        engine (`fivebyfive.model.machine.weights`).
    """

    def __init__(self, depth: int, width: int):
        super().__init__({"target": Target, "address": range(depth), "data": codes(width)})


class Status(data.StructLayout):
    """State of the accelerator.

    Parameters
    ----------
    convs : int, at least 0
        Convolutions of the network.

    Fields
    ------
    busy : 1 bit
        An image is inside: its last pixel is accepted, its result not yet transferred.
    short_frame : 1 bit
        A frame with too few pixels was dropped since reset.
    long_frame : 1 bit
        A frame with too many pixels was dropped since reset.
    state : `conv_states`
        State of the conv controller; ``CONV_IDLE`` without convolutions.
    """

    def __init__(self, convs: int = 2):
        super().__init__({"busy": 1, "short_frame": 1, "long_frame": 1, "state": conv_states(convs or 2)})


class Accelerator(wiring.Component):
    """A LeNet with its weights on chip.

    The conv engine works on one image and the FC engine on the one before, while the pixels of the next are received.
    Backpressure on ``o`` stalls the pipeline; nothing is lost. Without convolutions pixels go straight into the
    activations of the FC engine; without fully-connected layers the codes of the last convolution are the logits.
    Cycles of an image: `fivebyfive.model.machine.cycles`.

    Parameters
    ----------
    network : Network
        The network.
    config : Config or None
        Size of the machine; None for the smallest (`sized`).
    weights : WeightImage or None
        Contents of the weight memories, packed for this network and size; zeros if None.
    tables : mapping
        Tables of the layers that have one, int8 (256,), by name such as c1.table (`Checkpoint.tables`).

    Ports
    -----
    i : stream of `Pixel`, in
        The pixels of an image, channel after channel, row-major; ``last`` on the last transfer. Not ready while two
        images wait or, without convolutions, while there is no room for an image's activations.
    o : stream of `Result`, out
        Logits and class, in the order of the images.
    load : stream of `Load`, in
        Replaces a word of weights. Ready while ``status.busy`` is not asserted. A word for a memory that the network
        does not have is accepted and ignored.
    status : `Status`, out
        State of the accelerator.
    cycles : `counters.Cycles`, out
        Cycle counts of the last image.
    conv_tap : `ConvTap`, out
        Outputs of the convolutions as they are written; may be left open. Only with convolutions.
    fc_tap : `FcTap`, out
        Outputs of the fully-connected layers as they are written; may be left open. Only with such layers.

    Raises
    ------
    ValueError
        ``config`` is not for this network, ``weights`` have another size, or a table is missing or has other codes than
        the engines need.
    """

    def __init__(
        self,
        network: Network,
        config: Config | None = None,
        weights: WeightImage | None = None,
        tables: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        self.config = config or sized(network)
        self.config.check(network)
        self.network = network = self.config.built(network)
        self.stages = stages(network)
        self.counter_bits = counter_bits(network, self.config)
        self.depths = memory_depths(network, self.config)
        self.words = self.contents(weights)
        self.tables = tables
        for name in self.stages.tables:
            if f"{name}.table" not in tables:
                raise ValueError(f"{name} has a table, which is a constant of the machine; give it as {name}.table")
        if self.config.engines.fc.kind == "xnor" and not reads_bits(network, tables):
            raise ValueError("exclusive nors are for fully-connected layers that read -1 and 1 alone; choose signs")
        width = max(self.config.conv_word_bytes, self.config.fc_word_bytes)
        convs, fc = self.stages.convs, self.stages.fc
        super().__init__(
            {
                "i": In(stream.Signature(Pixel(self.config.pixels))),
                "o": Out(stream.Signature(Result(network.classes))),
                "load": In(stream.Signature(Load(max(self.depths.values()), width))),
                "status": Out(Status(len(convs))),
                "cycles": Out(Cycles(self.counter_bits)),
                **({"conv_tap": Out(ConvTap(network, self.config))} if convs else {}),
                **({"fc_tap": Out(FcTap(network, self.config))} if fc else {}),
            }
        )

    def contents(self, weights: WeightImage | None) -> dict[str, list[int]]:
        """Words of both memories as integers. Raises ValueError where they do not fit the network and size."""
        if weights is None:
            return {memory: [0] * depth for memory, depth in self.depths.items()}
        widths = {"conv": self.config.conv_word_bytes, "fc": self.config.fc_word_bytes}
        words = {}
        for memory, image in (("conv", weights.conv), ("fc", weights.fc)):
            expected = (self.depths[memory], widths[memory])
            if image.shape != expected:
                raise ValueError(
                    f"{memory} weights must be {expected} bytes for {summary(self.network)}, not {image.shape}"
                )
            words[memory] = [int.from_bytes(word.tobytes(), "little") for word in image]
        return words

    def elaborate(self, platform):
        m = Module()
        if self.stages.convs:
            front = m.submodules.conv = ConvEngine(self.network, self.config, self.words["conv"], self.tables)
        else:
            front = m.submodules.pixels = PixelFeeder(self.network.pixels, self.config.pixels)
        wiring.connect(m, wiring.flipped(self.i), front.i)
        if self.stages.fc:
            back = self.add_fc(m, front)
        else:
            back = self.add_argmax(m, front)
        if self.stages.convs:
            m.d.comb += [self.conv_tap.eq(front.tap), self.status.state.eq(front.state)]
        self.connect_status(m, front)
        loads = [(front.load, Target.CONV)] if self.stages.convs else []
        self.connect_load(m, loads + ([(back.load, Target.FC)] if self.stages.fc else []))
        self.connect_counters(m, front, back)
        return m

    def add_fc(self, m: Module, front: ConvEngine | PixelFeeder) -> FcEngine:
        """The engine of the fully-connected layers, behind the conv engine or the pixels."""
        engine = BankFcEngine if self.config.engines.words else FcEngine
        engine = SparseFcEngine if self.config.fc_skips_zeros else engine
        fc = m.submodules.fc = engine(self.network, self.config, self.words["fc"], self.tables)
        wiring.connect(m, fc.o, wiring.flipped(self.o))
        m.d.comb += [
            fc.i.valid.eq(front.o.valid),  # never stalled: `grant` guaranteed room for the whole image
            fc.i.payload.eq(front.o.payload),
            fc.commit.eq(front.done),
            front.grant.eq(fc.grant),
            self.fc_tap.eq(fc.tap),
        ]
        if not self.stages.convs:
            m.d.comb += fc.drop.eq(front.drop)
        return fc

    def add_argmax(self, m: Module, front: ConvEngine) -> Argmax:
        """Logits straight from the conv engine, which begins the next image when they are taken."""
        argmax = m.submodules.argmax = Argmax(self.network.classes, self.config.outputs)
        wiring.connect(m, argmax.o, wiring.flipped(self.o))
        m.d.comb += [
            argmax.i.valid.eq(front.o.valid),
            argmax.i.payload.eq(front.o.payload.values),
            front.grant.eq(argmax.i.ready),
        ]
        return argmax

    def connect_status(self, m: Module, front: ConvEngine | PixelFeeder):
        inside = Signal(range(8))  # images accepted whose result is not transferred yet
        taken = self.o.valid & self.o.ready
        m.d.sync += inside.eq(inside + front.accepted - taken)
        m.d.comb += [
            self.status.busy.eq(inside != 0),
            self.status.short_frame.eq(front.short),
            self.status.long_frame.eq(front.long),
        ]

    def connect_load(self, m: Module, ports: list):
        word = self.load.payload
        taken = self.load.valid & self.load.ready
        m.d.comb += self.load.ready.eq(~self.status.busy)
        for port, target in ports:
            bits = CODE.width * port.signature.width
            m.d.comb += [
                port.en.eq(taken & (word.target == target)),
                port.address.eq(word.address),
                port.data.as_value().eq(word.data.as_value()[:bits]),
            ]

    def connect_counters(self, m: Module, front: ConvEngine | PixelFeeder, back: FcEngine | Argmax):
        varies = bool(self.stages.fc) and any(skips(self.network, self.config))
        m.submodules.counters = counters = Counters(self.counter_bits, overtakes(self.network, self.config), varies)
        events = self.engine_events(m, front, back) | {
            "result": self.o.valid,
            "taken": self.o.valid & self.o.ready,
        }
        # All of them one cycle late: the counts are the same, and no path of the engines ends in a counter.
        for name, event in events.items():
            m.d.comb += getattr(counters, name).eq(delay(m, event, 1, name=f"counted_{name}"))
        m.d.comb += self.cycles.eq(counters.cycles)

    def engine_events(self, m: Module, front: ConvEngine | PixelFeeder, back: FcEngine | Argmax) -> dict:
        """What the counters count in the engines. Where one of them is missing, no cycle is one of its cycles, and an
        image's time stamp passes its stages of the counters in one cycle each.
        """
        if self.stages.convs and self.stages.fc:
            # A single convolution needs its image to its end; a stamp must leave the image before.
            released = self.began(m, front) if len(self.stages.convs) == 1 else front.released
            return {
                "accepted": front.accepted, "released": released, "conv_busy": front.busy,
                "conv_done": front.done, "inputs_done": back.inputs_done, "fc_busy": back.busy,
            }  # fmt: skip
        if self.stages.fc:
            released = delay(m, front.accepted, 1, name="released")
            done = delay(m, released, 1, name="done")
            return {
                "accepted": front.accepted, "released": released, "conv_busy": Const(0), "conv_done": done,
                "inputs_done": back.inputs_done, "fc_busy": back.busy,
            }  # fmt: skip
        began = self.began(m, front)
        done = delay(m, began, 1, name="done")
        return {
            "accepted": front.accepted, "released": began, "conv_busy": front.busy, "conv_done": done,
            "inputs_done": delay(m, done, 1, name="inputs_done"), "fc_busy": Const(0),
        }  # fmt: skip

    def began(self, m: Module, front: ConvEngine):
        """Asserted in the first busy cycle of the conv engine."""
        return front.busy & ~delay(m, front.busy, 1, name="was_busy")
