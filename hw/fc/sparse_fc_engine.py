"""The fully-connected engine that multiplies only activations that are not zero, and its rows."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from fivebyfive.hw.common.pipeline import delay
from fivebyfive.hw.common.types import ACC, CODE, FC_LANES, codes, memory_kind
from fivebyfive.hw.common.weight_memory import WeightMemory
from fivebyfive.model.machine.latency import SELECT, dot_product_latency
from fivebyfive.model.q26 import Q2_6

from .fc_controller import FcLayer
from .fc_engine import FcEngine
from .sparse_fc_controller import SparseFcController, SparseFcLayer

__all__ = ["SparseFcEngine", "SparseFcRow", "SparseRowWord"]


class SparseRowWord(data.StructLayout):
    """An activation, and its weights for 20 outputs.

    Parameters
    ----------
    groups : int
        Groups of 20 outputs.

    Fields
    ------
    x : code
        Activation.
    w : 20 codes
        Weights.
    first : 1 bit
        The products begin the sums of the group; else they are added.
    last : 1 bit
        The sums of the group, with these products, come out.
    group : range(groups)
        Group of outputs.
    """

    def __init__(self, groups: int):
        super().__init__({"x": CODE, "w": codes(FC_LANES), "first": 1, "last": 1, "group": range(groups)})


class SparseFcRow(wiring.Component):
    """Sums of 20 outputs at once: an activation times a weight of each is added per cycle.

    The sums of each group of 20 outputs are kept in a memory, modulo 2**14. Words of any groups may follow each other.

    Latency: `latency` cycles from a word with ``last`` to its codes. Throughput: a word per cycle.

    Parameters
    ----------
    groups : int, at least 1
        Groups of 20 outputs.

    Ports
    -----
    i : stream of `SparseRowWord`, in, always ready
        An activation and 20 weights. The first word of each group after reset must have ``first``.
    o : stream of 20 codes, out, always ready
        The outputs of the group before ReLU; valid `latency` cycles after the word with ``last``.
    """

    latency = dot_product_latency(1) + 1

    def __init__(self, groups: int):
        self.groups = groups
        super().__init__(
            {
                "i": In(stream.Signature(SparseRowWord(groups), always_ready=True)),
                "o": Out(stream.Signature(codes(FC_LANES), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sums = data.ArrayLayout(ACC, FC_LANES)
        m.submodules.sums = kept = memory.Memory(shape=sums, depth=self.groups, init=[], attrs=memory_kind(self.groups))
        read, write = kept.read_port(), kept.write_port()
        held, total = Signal.like(self.i.payload, name="held", reset_less=True), Signal(sums, reset_less=True)
        group = delay(m, held.group, 1, name="group", reset_less=True)  # of the products
        flags = delay(m, Cat(self.i.valid, self.i.payload.first, self.i.payload.last), 2, name="flags")
        valid, first, last = flags
        again = Signal()  # the sums of the word before are not in the memory yet
        m.d.sync += [held.eq(self.i.payload), again.eq(valid & (held.group == group)), self.o.valid.eq(valid & last)]
        m.d.comb += [read.addr.eq(held.group), write.addr.eq(group), write.en.eq(valid)]
        for lane in range(FC_LANES):
            product = Signal(2 * Q2_6.bits, name=f"product_{lane}", reset_less=True)
            before = Mux(again, total[lane], read.data[lane])
            m.d.sync += product.eq(held.x * held.w[lane])
            m.d.comb += [
                write.data[lane].eq(Mux(first, 0, before) + product[: ACC.width]),
                self.o.payload[lane].eq(total[lane][Q2_6.frac_bits :].as_signed()),
            ]
        with m.If(valid):
            m.d.sync += total.eq(write.data)
        return m


class SparseFcEngine(FcEngine):
    """An `FcEngine` that skips activations of zero: 20 R outputs at once, of each a product per cycle.

    The activations of a layer are gone through word by word. Each that is not zero is multiplied by its weights for
    all outputs, 20 R of them a cycle, and the products are added to sums that each row keeps. A layer takes
    ceil(outputs / (20 R)) cycles for each of those activations, one for a word of 20 zeros, and a few more
    (`fivebyfive.model.machine.cycles`). With ``early_fc`` fc1 begins while an image's activations are received.

    Parameters
    ----------
    network : Network
        As of `FcEngine`.
    config : Config
        As of `FcEngine`; with `Config.fc_skips_zeros`.
    words : list of int
        As of `FcEngine`.
    tables : mapping
        As of `FcEngine`.

    Ports
    -----
    i : stream of {values, count}, in
        As of `FcEngine`.
    commit : 1 bit, in
        As of `FcEngine`.
    drop : 1 bit, in
        As of `FcEngine`. Only without convolutions.
    grant : 1 bit, out
        As of `FcEngine`.
    o : stream of `Result`, out
        As of `FcEngine`.
    load : `WriteSignature`, in
        As of `FcEngine`.
    inputs_done : 1 bit, out
        As of `FcEngine`.
    busy : 1 bit, out
        As of `FcEngine`.
    tap : `FcTap`, out
        As of `FcEngine`.
    """

    def add_controller(self, m: Module, layers: list[FcLayer], weights: WeightMemory, inputs) -> SparseFcController:
        parts = [SparseFcLayer(stage.inputs, layer.groups) for stage, layer in zip(self.stages, layers, strict=True)]
        drain = SELECT + weights.latency + SparseFcRow.latency - 1 + self.lookup_latency
        m.submodules.controller = controller = SparseFcController(
            parts, drain, self.config.fc_rows, self.config.early_fc
        )
        return controller

    def compute(self, m: Module, layers: list[FcLayer], weights: WeightMemory, inputs, hidden, controller) -> list:
        m.d.comb += [inputs.address.eq(controller.word), controller.data.eq(inputs.data)]
        if hidden is not None:
            m.d.comb += hidden.address.eq(controller.word)
            with m.If(controller.layer != 0):
                m.d.comb += controller.data.eq(hidden.data)
        late = Cat(controller.command, controller.x)
        late = delay(m, late, weights.latency, name="command")
        command = data.View(controller.command.shape(), late[: -CODE.width])
        streams = []
        for r in range(self.config.fc_rows):
            m.submodules[f"row_{r}"] = row = SparseFcRow(max(layer.groups for layer in layers))
            m.d.comb += [
                row.i.valid.eq(command.valid),
                row.i.payload.x.eq(late[-CODE.width :].as_signed()),
                row.i.payload.w.eq(weights.data.as_value().word_select(r, CODE.width * FC_LANES)),
                row.i.payload.first.eq(command.first),
                row.i.payload.last.eq(command.last),
                row.i.payload.group.eq(command.group),
            ]
            streams.append(row.o)
        return streams

    def split(self, word) -> tuple:
        return word, None
