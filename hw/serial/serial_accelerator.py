"""An accelerator behind a serial line: the design that every board holds."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.protocol.link import DIGEST, VERSION, Info

from .deframer import Deframer
from .framer import Framer
from .link import Link
from .uart import UartReceiver, UartTransmitter, check_divisor

__all__ = ["SerialAccelerator"]


class SerialAccelerator(wiring.Component):
    """Receives images on ``rx`` and sends classes on ``tx``, by the protocol of `fivebyfive.model.protocol.link`.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network; its weights are the initial contents of the memories.
    config : Config or None
        Size of the machine; None for the smallest (`sized`).
    divisor : int, 4 to 65,536
        Clock cycles per bit of the line.

    Ports
    -----
    rx : 1 bit, in
        The line from the host; asynchronous, high when idle.
    tx : 1 bit, out
        The line to the host; high when idle.
    index : range(classes), out
        Class of the last image classified.
    done : 1 bit, out
        The result of the current image is known.
    busy : 1 bit, out
        Asserted while an image is in the accelerator.

    Raises
    ------
    ValueError
        ``divisor`` is out of range.
    """

    def __init__(self, checkpoint: Checkpoint, config: Config | None = None, divisor: int = 50):
        self.checkpoint = checkpoint
        self.config = config or sized(checkpoint.network)
        self.config.check_single_pixels("they come over a serial line")
        self.divisor = check_divisor(divisor)
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "index": Out(range(checkpoint.network.classes)),
             "done": Out(1), "busy": Out(1)}
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        checkpoint = self.checkpoint
        network = checkpoint.network
        info = Info(VERSION, network.classes, network.input, bytes.fromhex(checkpoint.digest)[:DIGEST])
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.deframer = deframer = Deframer()
        lenet = Accelerator(network, self.config, pack(checkpoint, self.config), checkpoint.tables)
        m.submodules.link = link = Link(info, lenet.counter_bits)
        m.submodules.framer = framer = Framer(link.most)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.lenet = lenet
        for output, input_ in (
            (link.answer, framer.i), (framer.o, transmitter.i), (link.pixels, lenet.i), (lenet.o, link.result),
        ):  # fmt: skip
            wiring.connect(m, output, input_)
        m.d.comb += [
            receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx),
            deframer.i.eq(receiver.o), deframer.i_valid.eq(receiver.o_valid), deframer.address.eq(link.address),
            link.header.eq(deframer.header), link.valid.eq(deframer.valid), link.payload.eq(deframer.payload),
            link.latency.eq(lenet.cycles.latency),
            self.index.eq(link.index), self.done.eq(link.done), self.busy.eq(link.busy),
        ]  # fmt: skip
        return m
