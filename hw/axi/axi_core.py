"""The accelerator with AXI on all sides; port names are those by which Vivado infers interfaces."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from amaranth.hdl import ClockDomain, DomainRenamer, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.common.pixels import FrameWatch
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.weights import WeightImage
from fivebyfive.model.network import Network
from fivebyfive.model.protocol.identity import identity
from fivebyfive.model.protocol.registers import ADDRESS_BITS, MAP

from .axi_lite import AxiLite
from .axi_pixels import PixelUnpacker
from .axi_results import ResultPacker
from .axi_words import PixelCollector
from .register_file import RegisterFile
from .weight_loader import WeightLoader

__all__ = ["AxiCore", "check_pixel_bytes"]

IN_FLIGHT = 8  # depth of the queue of frame numbers: more than the images between pixels and result


def check_pixel_bytes(pixel_bytes: int, pixels: int) -> None:
    """Raise ValueError for a width that a stream of pixels cannot have; ``pixels``: of the machine, at once."""
    if pixels > 1 and pixel_bytes != pixels:
        raise ValueError(f"a transfer has {pixels} bytes where the machine takes {pixels} pixels, not {pixel_bytes}")
    if pixels == 1 and pixel_bytes not in (1, 4):
        raise ValueError(f"a transfer of pixels has 1 or 4 bytes, not {pixel_bytes}, where they are taken one by one")


class AxiCore(wiring.Component):
    """An `Accelerator` with AXI4-Stream pixels and results, and AXI4-Lite status, control and weights.

    Pixels of an image end with TLAST. Each image gives the words of `ResultPacker`, with TLAST on the last. A frame of
    any other length is dropped and flagged. Registers: `fivebyfive.model.protocol.registers`; the whole: docs/axi.md.

    Latency: that of the accelerator, 1 cycle for a pixel (2 where it takes several at once), and 1 + ceil(classes / 4)
    for a result. Throughput: that of the accelerator.

    Parameters
    ----------
    network : Network
        As of `Accelerator`.
    config : Config or None
        As of `Accelerator`.
    weights : WeightImage or None
        As of `Accelerator`.
    pixel_bytes : int
        Pixels in a transfer: 1 or 4, or as many as the machine takes at once.
    tables : mapping
        As of `Accelerator`.

    Ports
    -----
    aclk : 1 bit, in
        Clock of all interfaces.
    aresetn : 1 bit, in
        Reset, active low, synchronous to ``aclk``.
    s_axis_tdata : 8 ``pixel_bytes`` bits, in
        Pixels, the first in the lowest byte.
    s_axis_tkeep : ``pixel_bytes`` bits, in
        Bytes that are pixels. Only with more than one byte.
    s_axis_tlast : 1 bit, in
        The transfer is the last of its image.
    s_axis_tvalid : 1 bit, in
        The transfer is valid.
    s_axis_tready : 1 bit, out
        The transfer is accepted. Not asserted in the cycle of a soft reset.
    m_axis_tdata : 32 bits, out
        A word of a result (`ResultPacker`).
    m_axis_tkeep : 4 bits, out
        Always 15.
    m_axis_tlast : 1 bit, out
        The word is the last of its result.
    m_axis_tvalid : 1 bit, out
        The word is valid; holds until transferred, also over a soft reset.
    m_axis_tready : 1 bit, in
        The word is accepted.
    s_axi_awaddr : 12 bits, in
        AXI4-Lite write address, in bytes; the lowest two bits are ignored.
    s_axi_awprot : 3 bits, in
        Ignored.
    s_axi_awvalid : 1 bit, in
        The write address is valid.
    s_axi_awready : 1 bit, out
        The write address is accepted.
    s_axi_wdata : 32 bits, in
        Write data.
    s_axi_wstrb : 4 bits, in
        Bytes to write.
    s_axi_wvalid : 1 bit, in
        The write data is valid.
    s_axi_wready : 1 bit, out
        The write data is accepted.
    s_axi_bresp : 2 bits, out
        Write response: OKAY, or SLVERR where the access is refused.
    s_axi_bvalid : 1 bit, out
        The write response is valid.
    s_axi_bready : 1 bit, in
        The write response is accepted.
    s_axi_araddr : 12 bits, in
        AXI4-Lite read address, in bytes; the lowest two bits are ignored.
    s_axi_arprot : 3 bits, in
        Ignored.
    s_axi_arvalid : 1 bit, in
        The read address is valid.
    s_axi_arready : 1 bit, out
        The read address is accepted.
    s_axi_rdata : 32 bits, out
        Read data; 0 where the access is refused.
    s_axi_rresp : 2 bits, out
        Read response: OKAY, or SLVERR where the access is refused.
    s_axi_rvalid : 1 bit, out
        Read data and response are valid.
    s_axi_rready : 1 bit, in
        Read data and response are accepted.
    interrupt : 1 bit, out
        Asserted while an enabled event is pending.

    Raises
    ------
    ValueError
        ``pixel_bytes`` is another number, or as of `Accelerator`.
    """

    def __init__(
        self,
        network: Network,
        config: Config | None = None,
        weights: WeightImage | None = None,
        pixel_bytes: int = 4,
        tables: Mapping[str, np.ndarray] = MappingProxyType({}),
    ):
        self.network = network
        self.config = config or sized(network)
        check_pixel_bytes(pixel_bytes, self.config.pixels)
        self.pixel_bytes = pixel_bytes
        self.accelerator = Accelerator(network, self.config, weights, tables)
        keep = {"s_axis_tkeep": In(pixel_bytes)} if pixel_bytes > 1 else {}
        super().__init__(
            {
                "aclk": In(1), "aresetn": In(1),
                "s_axis_tdata": In(8 * pixel_bytes), **keep,
                "s_axis_tlast": In(1), "s_axis_tvalid": In(1), "s_axis_tready": Out(1),
                "m_axis_tdata": Out(32), "m_axis_tkeep": Out(4),
                "m_axis_tlast": Out(1), "m_axis_tvalid": Out(1), "m_axis_tready": In(1),
                "s_axi_awaddr": In(ADDRESS_BITS), "s_axi_awprot": In(3),
                "s_axi_awvalid": In(1), "s_axi_awready": Out(1),
                "s_axi_wdata": In(32), "s_axi_wstrb": In(4), "s_axi_wvalid": In(1), "s_axi_wready": Out(1),
                "s_axi_bresp": Out(2), "s_axi_bvalid": Out(1), "s_axi_bready": In(1),
                "s_axi_araddr": In(ADDRESS_BITS), "s_axi_arprot": In(3),
                "s_axi_arvalid": In(1), "s_axi_arready": Out(1),
                "s_axi_rdata": Out(32), "s_axi_rresp": Out(2), "s_axi_rvalid": Out(1), "s_axi_rready": In(1),
                "interrupt": Out(1),
            }
        )  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        soft = Signal()  # the cycle of a soft reset
        m.domains.sync = outside = ClockDomain("sync")
        m.domains.core = core = ClockDomain("core")  # also reset by a soft reset; the same clock
        for domain in (outside, core):
            m.d.comb += domain.clk.eq(self.aclk)
        m.d.comb += [outside.rst.eq(~self.aresetn), core.rst.eq(~self.aresetn | soft)]
        restart = DomainRenamer({"sync": "core"})
        m.submodules.accelerator = restart(self.accelerator)
        if self.config.pixels > 1:
            m.submodules.collector = frames = unpacker = restart(PixelCollector(self.pixel_bytes, self.network.pixels))
        else:
            m.submodules.unpacker = unpacker = restart(PixelUnpacker(self.pixel_bytes))
            m.submodules.frames = frames = restart(FrameWatch(self.network.pixels))
        m.submodules.numbers = numbers = restart(SyncFIFO(width=16, depth=IN_FLIGHT))
        m.submodules.packer = packer = ResultPacker(self.network.classes)
        m.submodules.registers = registers = RegisterFile()
        loads = WeightLoader(
            self.accelerator.depths, {"conv": self.config.conv_word_bytes, "fc": self.config.fc_word_bytes}
        )
        m.submodules.loader = loads
        self.connect_lite(m, registers)
        self.connect_pixels(m, unpacker, frames, numbers, soft)
        self.connect_results(m, packer, numbers, soft)
        self.connect_loader(m, loads, registers)
        self.connect_identity(m, registers)
        self.connect_status(m, registers, frames, packer, loads)
        m.d.sync += soft.eq(registers.control_w.soft_reset)
        return m

    def connect_lite(self, m: Module, registers: RegisterFile):
        m.submodules.lite = lite = AxiLite()
        wiring.connect(m, lite.bus, registers.bus)
        for channel, payload in (("aw", self.s_axi_awaddr), ("ar", self.s_axi_araddr)):
            m.d.comb += getattr(lite, channel).payload.eq(payload)
        m.d.comb += [
            lite.w.payload.data.eq(self.s_axi_wdata),
            lite.w.payload.strobes.eq(self.s_axi_wstrb),
            self.s_axi_bresp.eq(lite.b.payload),
            self.s_axi_rdata.eq(lite.r.payload.data),
            self.s_axi_rresp.eq(lite.r.payload.response),
        ]
        for channel in ("aw", "w", "ar"):
            m.d.comb += getattr(lite, channel).valid.eq(getattr(self, f"s_axi_{channel}valid"))
            m.d.comb += getattr(self, f"s_axi_{channel}ready").eq(getattr(lite, channel).ready)
        for channel in ("b", "r"):
            m.d.comb += getattr(self, f"s_axi_{channel}valid").eq(getattr(lite, channel).valid)
            m.d.comb += getattr(lite, channel).ready.eq(getattr(self, f"s_axi_{channel}ready"))

    def connect_pixels(self, m: Module, unpacker, frames, numbers, soft):
        """Pixels into the accelerator; the number of each frame that it accepts into a queue."""
        wiring.connect(m, unpacker.o, self.accelerator.i)
        pixel = unpacker.o
        watched = (
            []
            if frames is unpacker
            else [
                frames.taken.eq(pixel.valid & pixel.ready),
                frames.last.eq(pixel.payload.last),
            ]
        )
        m.d.comb += [
            unpacker.i.payload.data.as_value().eq(self.s_axis_tdata),
            unpacker.i.payload.keep.eq(self.s_axis_tkeep if self.pixel_bytes > 1 else 1),
            unpacker.i.payload.last.eq(self.s_axis_tlast),
            unpacker.i.valid.eq(self.s_axis_tvalid & ~soft),
            self.s_axis_tready.eq(unpacker.i.ready & ~soft),
            *watched,
            numbers.w_en.eq(frames.accepted),
            numbers.w_data.eq(frames.number),
        ]

    def connect_results(self, m: Module, packer, numbers, soft):
        """Results out. The packer knows no soft reset: what was offered stays so."""
        result = self.accelerator.o
        m.d.comb += [
            packer.i.valid.eq(result.valid & ~soft),
            packer.i.payload.result.eq(result.payload),
            packer.i.payload.number.eq(numbers.r_data),
            result.ready.eq(packer.i.ready & ~soft),
            numbers.r_en.eq(result.valid & result.ready),
            self.m_axis_tvalid.eq(packer.o.valid),
            self.m_axis_tdata.eq(packer.o.payload.data),
            self.m_axis_tlast.eq(packer.o.payload.last),
            self.m_axis_tkeep.eq(0b1111),
            packer.o.ready.eq(self.m_axis_tready),
        ]

    def connect_loader(self, m: Module, loader: WeightLoader, registers: RegisterFile):
        wiring.connect(m, loader.o, self.accelerator.load)
        m.d.comb += [
            loader.address_w.eq(registers.load_address_w),
            loader.address_written.eq(registers.load_address_written),
            loader.data.eq(registers.load_data_w.value),
            loader.data_written.eq(registers.load_data_written),
            loader.crc_written.eq(registers.load_crc_written),
            loader.busy.eq(~self.accelerator.load.ready),
            registers.load_address.eq(loader.address),
            registers.load_crc.value.eq(loader.crc),
        ]

    @property
    def identity(self) -> dict[str, dict[str, int]]:
        """Fields of the registers that say what was generated."""
        return identity(self.network, self.config, self.accelerator.tables, self.pixel_bytes)

    def connect_identity(self, m: Module, registers: RegisterFile):
        """Registers with constant values."""
        for name, fields in self.identity.items():
            for field, value in fields.items():
                m.d.comb += getattr(registers, name)[field].eq(value)
        for entry in MAP:
            if entry.access == "ro" and entry.reset:
                m.d.comb += getattr(registers, entry.name).as_value().eq(entry.reset)

    def connect_status(self, m: Module, registers, frames, packer, loader):
        status, cycles = self.accelerator.status, self.accelerator.cycles
        dropped = frames.short | frames.long
        sent = packer.o.valid & packer.o.ready & packer.o.payload.last
        errors = registers.errors_set
        m.d.comb += [
            registers.status.busy.eq(status.busy),
            registers.status.sending.eq(packer.o.valid),
            registers.status.state.eq(status.state),
            errors.short_frame.eq(frames.short),
            errors.long_frame.eq(frames.long),
            errors.bad_address.eq(registers.bad_address),
            errors.load_refused.eq(loader.refused),
            registers.irq_status_set.result.eq(sent),
            registers.irq_status_set.error.eq(errors.as_value().any()),
        ]
        pending = registers.irq_status.as_value() & registers.irq_enable.as_value()
        m.d.sync += self.interrupt.eq(pending.any())
        for name, event in {
            "images": sent,
            "dropped": dropped,
            "input_stalls": self.s_axis_tvalid & ~self.s_axis_tready,
            "output_stalls": self.m_axis_tvalid & ~self.m_axis_tready,
        }.items():
            count = getattr(registers, name).value
            total = Signal(32, name=f"count_{name}")
            m.d.comb += count.eq(total)
            m.d.sync += total.eq(Mux(registers.control_w.clear_counters, 0, total + event))
        for name in ("conv", "fc"):
            m.d.comb += getattr(registers, f"{name}_cycles").value.eq(cycles[name])
        for name in ("latency", "interval"):
            m.d.comb += getattr(registers, name).value.eq(cycles[name])
