"""The whole machine: pixels in, logits and class out."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.pixels import Pixel
from fivebyfive.hw.common.types import CODE, codes
from fivebyfive.hw.conv.conv_controller import ConvState
from fivebyfive.hw.conv.conv_engine import ConvEngine, ConvTap
from fivebyfive.hw.fc.argmax import Result
from fivebyfive.hw.fc.bank_fc_engine import BankFcEngine
from fivebyfive.hw.fc.fc_engine import FcEngine, FcTap
from fivebyfive.hw.fc.pixel_feeder import PixelFeeder
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import WeightImage, memory_depths, memory_map
from fivebyfive.model.shape import CONV_WORD, LeNetShape

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
        The word, in the low bits: 25 codes for the conv memory, 20 R for the FC memory; 40 R + 1 for the bank-balanced
        engine (`fivebyfive.model.machine.weights`).
    """

    def __init__(self, depth: int, width: int):
        super().__init__({"target": Target, "address": range(depth), "data": codes(width)})


class Status(data.StructLayout):
    """State of the accelerator.

    Fields
    ------
    busy : 1 bit
        An image is inside: its last pixel is accepted, its result not yet transferred.
    short_frame : 1 bit
        A frame with too few pixels was dropped since reset.
    long_frame : 1 bit
        A frame with too many pixels was dropped since reset.
    state : `ConvState`
        State of the conv controller; ``CONV_IDLE`` without convolutions.
    """

    def __init__(self):
        super().__init__({"busy": 1, "short_frame": 1, "long_frame": 1, "state": ConvState})


class Accelerator(wiring.Component):
    """A LeNet with its weights on chip.

    The conv engine works on one image and the FC engine on the one before, while the pixels of the next are received.
    Backpressure on ``o`` stalls the pipeline; nothing is lost. Without convolutions pixels go straight into the
    activations of the FC engine. Cycles of an image: `fivebyfive.model.machine.cycles`.

    Parameters
    ----------
    shape : LeNetShape
        Widths of the network.
    config : Config or None
        Size of the machine; None for the smallest (`sized`).
    weights : WeightImage or None
        Contents of the weight memories, packed for this shape and size; zeros if None.

    Ports
    -----
    i : stream of `Pixel`, in
        784 pixels per image, row-major; ``last`` on the last. Not ready while two images wait or, without convolutions,
        while there is no room for an image's activations.
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
        Outputs of conv1 and conv2 as they are written; may be left open. Only with convolutions.
    fc_tap : `FcTap`, out
        Outputs of the fully-connected layers as they are written; may be left open.

    Raises
    ------
    ValueError
        ``config`` is not for a network of this shape, or ``weights`` have another size.
    """

    def __init__(self, shape: LeNetShape, config: Config | None = None, weights: WeightImage | None = None):
        self.shape = shape
        self.config = config or sized(shape)
        self.config.check(shape)
        self.map = {region.name: region for region in memory_map(shape, self.config)}
        self.depths = memory_depths(shape, self.config)
        self.words = self.contents(weights)
        width = max(CONV_WORD, self.config.fc_word_bytes)
        conv = {"conv_tap": Out(ConvTap(shape, self.config))} if shape.has_convolutions else {}
        super().__init__(
            {
                "i": In(stream.Signature(Pixel())),
                "o": Out(stream.Signature(Result(shape.classes))),
                "load": In(stream.Signature(Load(max(self.depths.values()), width))),
                "status": Out(Status()),
                "cycles": Out(Cycles()),
                **conv,
                "fc_tap": Out(FcTap(shape, self.config)),
            }
        )

    def contents(self, weights: WeightImage | None) -> dict[str, list[int]]:
        """Words of both memories as integers. Raises ValueError where they do not fit the shape and size."""
        if weights is None:
            return {memory: [0] * depth for memory, depth in self.depths.items()}
        widths = {"conv": CONV_WORD, "fc": self.config.fc_word_bytes}
        words = {}
        for memory, image in (("conv", weights.conv), ("fc", weights.fc)):
            expected = (self.depths[memory], widths[memory])
            if image.shape != expected:
                raise ValueError(f"{memory} weights must be {expected} bytes for {self.shape}, not {image.shape}")
            words[memory] = [int.from_bytes(word.tobytes(), "little") for word in image]
        return words

    def elaborate(self, platform):
        m = Module()
        if self.shape.has_convolutions:
            biases, kernels = (
                tuple(self.map[f"conv{n}.{kind}"].address for n in (1, 2)) for kind in ("bias", "weight")
            )
            front = m.submodules.conv = ConvEngine(self.shape, self.config, self.words["conv"], biases, kernels)
        else:
            front = m.submodules.pixels = PixelFeeder()
        engine = BankFcEngine if self.config.engines.words else FcEngine
        fc = m.submodules.fc = engine(self.shape, self.config, self.words["fc"])
        wiring.connect(m, wiring.flipped(self.i), front.i)
        wiring.connect(m, fc.o, wiring.flipped(self.o))
        m.d.comb += [
            fc.i.valid.eq(front.o.valid),  # never stalled: `grant` guaranteed room for the whole image
            fc.i.payload.eq(front.o.payload),
            fc.commit.eq(front.done),
            front.grant.eq(fc.grant),
            self.fc_tap.eq(fc.tap),
        ]
        if self.shape.has_convolutions:
            m.d.comb += [self.conv_tap.eq(front.tap), self.status.state.eq(front.state)]
        else:
            m.d.comb += fc.drop.eq(front.drop)
        self.connect_status(m, front)
        self.connect_load(m, [(front.load, Target.CONV)] if self.shape.has_convolutions else [], fc)
        self.connect_counters(m, front, fc)
        return m

    def connect_status(self, m: Module, front: ConvEngine | PixelFeeder):
        inside = Signal(range(8))  # images accepted whose result is not transferred yet
        taken = self.o.valid & self.o.ready
        m.d.sync += inside.eq(inside + front.accepted - taken)
        m.d.comb += [
            self.status.busy.eq(inside != 0),
            self.status.short_frame.eq(front.short),
            self.status.long_frame.eq(front.long),
        ]

    def connect_load(self, m: Module, conv: list, fc: FcEngine):
        word = self.load.payload
        taken = self.load.valid & self.load.ready
        m.d.comb += self.load.ready.eq(~self.status.busy)
        for port, target in (*conv, (fc.load, Target.FC)):
            bits = CODE.width * port.signature.width
            m.d.comb += [
                port.en.eq(taken & (word.target == target)),
                port.address.eq(word.address),
                port.data.as_value().eq(word.data.as_value()[:bits]),
            ]

    def connect_counters(self, m: Module, front: ConvEngine | PixelFeeder, fc: FcEngine):
        m.submodules.counters = counters = Counters()
        events = self.front_events(m, front) | {
            "inputs_done": fc.inputs_done,
            "fc_busy": fc.busy,
            "result": self.o.valid,
            "taken": self.o.valid & self.o.ready,
        }
        # All of them one cycle late: the counts are the same, and no path of the engines ends in a counter.
        for name, event in events.items():
            m.d.comb += getattr(counters, name).eq(delay(m, event, 1, name=f"counted_{name}"))
        m.d.comb += self.cycles.eq(counters.cycles)

    def front_events(self, m: Module, front: ConvEngine | PixelFeeder) -> dict:
        """What the counters count before the FC engine. Without convolutions no cycle is a conv cycle, and an image's
        time stamp passes the counters' stages in one cycle each.
        """
        if self.shape.has_convolutions:
            names = {"accepted": "accepted", "released": "released", "conv_busy": "busy", "conv_done": "done"}
            return {name: getattr(front, member) for name, member in names.items()}
        released = delay(m, front.accepted, 1, name="released")
        done = delay(m, released, 1, name="done")
        return {"accepted": front.accepted, "released": released, "conv_busy": Const(0), "conv_done": done}
