"""Activations that are read lane by lane, each lane at its own address."""

from amaranth.hdl import Module
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.types import FC_LANES, codes, widened
from fivebyfive.model.machine.stored_codes import WHOLE, StoredCodes

from .activation_memory import ActivationMemory

__all__ = ["BankActivationMemory"]


class BankActivationMemory(ActivationMemory):
    """An `ActivationMemory` with a read port per lane and row: each lane is a bank.

    Latency: 1 cycle from ``address`` to ``data``.

    Parameters
    ----------
    inputs : int, at least 1
        As of `ActivationMemory`.
    writers : int, at least 1
        As of `ActivationMemory`.
    counts : tuple of int
        As of `ActivationMemory`.
    sets : int, 1 or 2
        As of `ActivationMemory`.
    rows : int, at least 1
        Outputs computed at once, R.
    stored : StoredCodes
        As of `ActivationMemory`.

    Ports
    -----
    i : stream of {values, count}, in
        As of `ActivationMemory`.
    rewind : 1 bit, in
        As of `ActivationMemory`.
    w_set : 1 bit, in
        As of `ActivationMemory`.
    r_set : 1 bit, in
        As of `ActivationMemory`.
    written : range(words + 1), out
        As of `ActivationMemory`.
    address : 20 R times range(words), in
        For each row and lane (lane l of row r is number 20 r + l), the word to read.
    data : 20 R codes, out
        The lane's code of that word; valid `latency` cycles after ``address``. Undefined where the word has none of the
        ``inputs`` in that lane.
    """

    def __init__(
        self,
        inputs: int,
        writers: int,
        counts: tuple[int, ...],
        sets: int = 2,
        rows: int = 1,
        stored: StoredCodes = WHOLE,
    ):
        self.rows = rows
        super().__init__(inputs, writers, counts, sets, stored)

    def read_members(self) -> dict:
        lanes = FC_LANES * self.rows
        place = range(self.words) if self.words > 1 else 1
        return {"address": In(data.ArrayLayout(place, lanes)), "data": Out(codes(lanes))}

    def read_lane(self, m: Module, index: int, codes_of_lane: memory.Memory) -> None:
        for lane in range(index, FC_LANES * self.rows, FC_LANES):
            read = codes_of_lane.read_port()
            m.d.comb += [
                read.addr.eq(self.place(self.address[lane], self.r_set)),
                self.data[lane].eq(widened(read.data, self.stored)),
            ]
