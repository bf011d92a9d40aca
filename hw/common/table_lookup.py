"""What happens to the codes of a layer, each by itself: nothing, ReLU or a table."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.model.machine.latency import TABLE_LOOKUP
from fivebyfive.model.network import TABLE_SIZE

from .pipeline import Choice, delay
from .types import CODE, codes

__all__ = ["TableLookup"]

Function = str | tuple[int, ...] | None

# For Yosys: tables are small, and their codes are needed in the cycle in which they are looked up, so they are logic.
LOGIC = {"logic_block": 1}


class TableLookup(wiring.Component):
    """A function of each of ``lanes`` codes.

    Latency: `latency` cycles. Throughput: a transfer per cycle.

    Parameters
    ----------
    lanes : int, at least 1
        Codes of a transfer.
    functions : sequence of None, "relu" or tuple of 256 int
        Functions that ``which`` selects: the code itself, the code or zero where it is negative, or code t[code + 128].

    Ports
    -----
    which : range(functions), in
        Function of the codes that come in the same cycle: index into ``functions``.
    i : stream of ``lanes`` codes, in, always ready
        Codes.
    o : stream of ``lanes`` codes, out, always ready
        Their functions.

    Raises
    ------
    ValueError
        There is no function, or one is something else.
    """

    latency = TABLE_LOOKUP

    def __init__(self, lanes: int, functions: Sequence[Function]):
        self.lanes = lanes
        self.functions = tuple(functions)
        if not self.functions:
            raise ValueError("a table lookup needs at least one function")
        for one in self.functions:
            if one not in (None, "relu") and not is_table(one):
                raise ValueError('a function is None, "relu" or a tuple of 256 codes')
        super().__init__(
            {
                "which": In(range(len(self.functions))),
                "i": In(stream.Signature(codes(lanes), always_ready=True)),
                "o": Out(stream.Signature(codes(lanes), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        choose = Choice(m, lambda: self.which)
        tables = list(dict.fromkeys(one for one in self.functions if is_table(one)))
        if tables:
            m.submodules.tables = contents = memory.Memory(
                shape=CODE, depth=TABLE_SIZE * len(tables), init=[code for one in tables for code in one], attrs=LOGIC
            )
            table = Signal(range(len(tables)))
            m.d.comb += table.eq(choose(tables.index(one) if is_table(one) else 0 for one in self.functions))
        kinds = ["table" if is_table(one) else one for one in self.functions]
        for code, result in zip(self.i.payload, self.o.payload, strict=True):
            values: dict[object, Value] = {None: code, "relu": Mux(code[-1], 0, code)}
            if tables:
                read = contents.read_port(domain="comb")
                m.d.comb += read.addr.eq(Cat(code[:-1], ~code[-1], table))
                values["table"] = read.data
            m.d.sync += result.eq(choose(kinds, values.__getitem__))
        m.d.comb += self.o.valid.eq(delay(m, self.i.valid, self.latency, name="valid"))
        return m


def is_table(function: object) -> bool:
    return (
        isinstance(function, tuple)
        and len(function) == TABLE_SIZE
        and all(-(TABLE_SIZE // 2) <= code < TABLE_SIZE // 2 for code in function)
    )
