"""Hardware of the registers of `fivebyfive.model.protocol.registers`."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.protocol.registers import MAP, Register

from .axi_lite import RegisterBus

__all__ = ["RegisterFile", "register_layout"]


def register_layout(entry: Register) -> data.FlexibleLayout:
    """The fields of a register at their places in its 32 bits."""
    return data.FlexibleLayout(32, {field.name: data.Field(field.width, field.low) for field in entry.fields})


def members(entry: Register) -> dict:
    """Ports of `RegisterFile` for one register."""
    layout = register_layout(entry)
    written = {f"{entry.name}_w": Out(layout), f"{entry.name}_written": Out(1)}
    if entry.access == "ro":
        return {entry.name: In(layout)}
    if entry.access == "wo":
        return written
    if entry.held:
        return {entry.name: In(layout)} | written
    if entry.access == "w1c":
        return {entry.name: Out(layout), f"{entry.name}_set": In(layout)}
    return {entry.name: Out(layout)}


class RegisterFile(wiring.Component):
    """Registers behind a `RegisterBus`.

    A read returns the values of its cycle. Of a write, bytes without a strobe keep their value in a "rw" register and
    are 0 for others; a write without any strobe does nothing.

    Each register NAME of the map has ports by its access, with its fields as layout. "ro": NAME. "rw": NAME, as an
    output; where other hardware holds the value, NAME as an input with NAME_w and NAME_written. "w1c": NAME and
    NAME_set. "wo": NAME_w and NAME_written.

    Ports
    -----
    bus : `RegisterBus`, in
        Accesses.
    bad_address : 1 bit, out
        Asserted in the cycle of a refused access: to no register, or a write to a read-only one.
    NAME : register's fields, in
        Its value; of a register that the register file holds itself an output.
    NAME_set : register's fields, in
        Bits to set; a bit set and cleared in the same cycle is set.
    NAME_w : register's fields, out
        Data that is written; valid with ``NAME_written``, else 0.
    NAME_written : 1 bit, out
        Asserted in the cycle of a write.
    """

    def __init__(self):
        signature = {"bus": In(RegisterBus()), "bad_address": Out(1)}
        for entry in MAP:
            signature |= members(entry)
        super().__init__(signature)

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        mask = Signal(32)
        wrong = Signal(2)
        m.d.comb += [
            mask.eq(Cat(strobe.replicate(8) for strobe in bus.w_strobes)),
            bus.w_error.eq(1),
            bus.r_error.eq(1),
            wrong.eq(Cat(bus.write & bus.w_error, bus.read & bus.r_error)),
            self.bad_address.eq(wrong.any()),
        ]
        with m.Switch(bus.r_address):
            for entry in MAP:
                with m.Case(entry.offset >> 2):
                    m.d.comb += [bus.r_error.eq(0), bus.r_data.eq(self.value(entry))]
        for entry in MAP:
            if entry.writable:
                written = Signal(name=f"writes_{entry.name}")
                m.d.comb += written.eq(bus.write & (bus.w_address == entry.offset >> 2))
                with m.If(written):
                    m.d.comb += bus.w_error.eq(0)
                self.write(m, entry, written & bus.w_strobes.any(), mask)
        return m

    def value(self, entry: Register):
        """Data of a read; bits without a field are 0."""
        if entry.access == "wo":
            return 0
        return getattr(self, entry.name).as_value() & sum(field.mask for field in entry.fields)

    def write(self, m: Module, entry: Register, written, mask):
        """Effect of a write."""
        new = self.bus.w_data & mask
        if entry.access == "wo" or entry.held:
            word, strobe = (getattr(self, f"{entry.name}_{what}") for what in ("w", "written"))
            with m.If(written):
                m.d.comb += [word.as_value().eq(new), strobe.eq(1)]
            return
        kept = getattr(self, entry.name).as_value()
        if entry.access == "w1c":
            cleared = Signal(32, name=f"{entry.name}_cleared")
            with m.If(written):
                m.d.comb += cleared.eq(new)
            m.d.sync += kept.eq((kept & ~cleared) | getattr(self, f"{entry.name}_set").as_value())
        else:
            used = sum(field.mask for field in entry.fields)
            with m.If(written):
                m.d.sync += kept.eq(((kept & ~mask) | new) & used)
