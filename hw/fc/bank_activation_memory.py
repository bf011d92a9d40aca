"""Activations that are read lane by lane, each at a place of its own."""

from amaranth.hdl import Module
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import FC_LANES, codes

from .activation_memory import ActivationMemory

__all__ = ["BankActivationMemory"]


class BankActivationMemory(ActivationMemory):
    """As `ActivationMemory`, but each lane is a bank that is read at a place of its own, for each of ``rows`` outputs.

    Members
    -------
    address : for each row and lane, the place to read.
    data : its codes, `latency` cycles later.
    """

    def __init__(self, inputs: int, writers: int, counts: tuple[int, ...], sets: int = 2, rows: int = 1):
        self.rows = rows
        super().__init__(inputs, writers, counts, sets)

    def read_members(self) -> dict:
        lanes = FC_LANES * self.rows
        place = range(self.words) if self.words > 1 else 1
        return {"address": In(data.ArrayLayout(place, lanes)), "data": Out(codes(lanes))}

    def read_lane(self, m: Module, index: int, codes_of_lane: memory.Memory) -> None:
        for lane in range(index, FC_LANES * self.rows, FC_LANES):
            read = codes_of_lane.read_port()
            m.d.comb += [
                read.addr.eq(self.place(self.address[lane], self.r_set)),
                self.data[lane].eq(read.data),
            ]
