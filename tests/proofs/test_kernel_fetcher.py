"""The kernel fetcher: set after set in the order of the weight memory, each kernel the right word, and what is
offered stays.

The weight memory is any contents, read with the latency that the fetcher was told: an array of the solver, behind
registers of the proof for the address. ``age`` counts the cycles since a set was begun; all of the fetcher's pipeline
follows from it, and the cycle in which a set is whole.
"""

import pytest
from bitwuzla import Kind

from fivebyfive.hw.conv import kernel_fetcher
from fivebyfive.hw.conv.kernel_fetcher import KernelPlan

from .lib.bits import TERMS, Bits, all_of, const, mux
from .lib.induction import holds_forever
from .lib.netlist import Frame, netlist
from .lib.seeded import broken
from .lib.streams import table, taken


class Proof:
    def __init__(self, component):
        self.latency, self.outputs, self.plans = component.memory_latency, component.outputs, component.plans
        self.bits, self.word = (component.depth - 1).bit_length(), 8 * component.width
        array = TERMS.mk_array_sort(TERMS.mk_bv_sort(self.bits), TERMS.mk_bv_sort(self.word))
        self.words = TERMS.mk_const(array, "weights")
        self.netlist = net = netlist(component)
        for stage in range(1, self.latency + 1):
            source = "address" if stage == 1 else f"address_{stage - 1}"
            net.ghost(f"address_{stage}", self.bits, lambda f, source=source: f[source])
        net.driven["data"] = lambda f: self.read(f[f"address_{self.latency}"])
        net.ghost("layer_before", (len(self.plans) - 1).bit_length(), lambda f: f["layer"])
        net.ghost("age", 8, self.next_age)
        net.ghost("base", self.bits, self.next_base)
        net.ghost("map", 8, lambda f: mux(self.ends(f), 0, f["map"] + taken(f, "o")))
        net.ghost("maps", 8, lambda f: mux(self.ends(f) & self.last_group(f), 0, f["maps"] + self.ends(f)))

    def read(self, address: Bits) -> Bits:
        """A word of the weight memory."""
        return Bits(TERMS.mk_term(Kind.ARRAY_SELECT, [self.words, address[: self.bits].term]), self.word)

    def plan(self, f: Frame, name: str) -> Bits:
        """A number of the present layer's plan."""
        return table(f["layer"], [getattr(plan, name) for plan in self.plans], 12)

    def ends(self, f: Frame) -> Bits:
        """The last set of a group of output channels is taken."""
        return taken(f, "o") & (f["map"] + 1 == self.plan(f, "inputs"))

    def last_group(self, f: Frame) -> Bits:
        return f["maps"] + 1 == self.plan(f, "groups")

    def size(self, f: Frame) -> Bits:
        """Kernels of the present set."""
        return mux(self.last_group(f), self.plan(f, "rest"), self.plan(f, "size"))[:8]

    def whole(self, f: Frame) -> Bits:
        """Age at which a set is offered."""
        return (self.size(f) + self.latency + 1)[:8]

    def next_age(self, f: Frame) -> Bits:
        """0: at rest. 1 in the cycle after a set was begun, and up to `whole`."""
        more = ~(self.last_group(f) & self.ends(f))
        going = mux((f["age"] == 0) | (f["age"] == self.whole(f)), f["age"], (f["age"] + 1)[:8])
        return mux(f["start"], 1, mux(taken(f, "o"), more, going))

    def next_base(self, f: Frame) -> Bits:
        """Address of the set's first kernel: behind those of the set before."""
        following = (f["base"] + mux(taken(f, "o"), self.size(f), 0))[: self.bits]
        return mux(f["start"], self.plan(f, "address")[: self.bits], following)

    def assume(self, f: Frame) -> dict[str, Bits]:
        """Started only at rest; the layer is steady from the cycle before until all sets are taken."""
        return {
            "start at rest": f["start"].implies(f["age"] == 0),
            "a layer": f["layer"] < len(self.plans),
            "steady layer": ((f["age"] != 0) | f["start"]).implies(f["layer"] == f["layer_before"]),
        }

    def invariants(self, f: Frame) -> dict[str, Bits]:
        age, active = f["age"], f["age"] != 0
        inputs, groups = self.plan(f, "inputs"), self.plan(f, "groups")
        settled = active.implies(
            (f["last_channel"] == (f["map"] + 1 == inputs)) & (f["last_group"] == self.last_group(f))
        )
        layer_known = (f["layer"] == f["layer_before"]).implies(
            (f["last_channel"] == (f["map"] + 1 == inputs)) & (f["last_group"] == self.last_group(f))
        )
        return {
            "sets": mux(active, (f["maps"] < groups) & (f["map"] < inputs), (f["maps"] == 0) & (f["map"] == 0)),
            "its counters": (f["channel"] == f["map"]) & (f["group"] == f["maps"]) & settled & layer_known,
            "age": active.implies(age <= self.whole(f)),
            "offered when whole": f["o__valid"] == (active & (age == self.whole(f))),
        } | self.pipeline(f) | self.kernels(f)  # fmt: skip

    def number(self, f: Frame, name: str) -> Bits:
        """Number of a kernel in its set; of one kernel it has no bits, and no register."""
        return f[name] if self.outputs > 1 else const(0, 1)

    def pipeline(self, f: Frame) -> dict[str, Bits]:
        """Requests and what arrives, from the age alone."""
        age, size, base = f["age"], self.size(f), f["base"]
        requesting = (age >= 1) & (age <= size)
        claims = {
            "requesting": f["requesting"] == requesting,
            "index": requesting.implies(self.number(f, "index") + 1 == age),
            "pointer": requesting.implies((f["pointer"] + 1)[: self.bits] == (base + age)[: self.bits]),
            "pointer behind": (age > size).implies(f["pointer"] == (base + size)[: self.bits]),
            "held": (age > size).implies((f["held"] + 1)[: self.bits] == (base + size)[: self.bits]),
        }
        for stage in range(1, self.latency + 1):
            arrived = (age > stage) & (age <= size + stage)
            place = (age - (stage + 1))[:8]
            claims |= {
                f"arrived {stage}": f[f"arrived_{stage}"] == arrived,
                f"place {stage}": arrived.implies(self.number(f, f"place_{stage}") == place),
                f"complete {stage}": f[f"complete_{stage}"] == ((age != 0) & (age == size + stage)),
                f"address {stage}": arrived.implies(f[f"address_{stage}"] == (base + place)[: self.bits]),
                f"address {stage} stays": (age > size + stage).implies(f[f"address_{stage}"] == f["held"]),
            }
        return claims

    def kernels(self, f: Frame) -> dict[str, Bits]:
        """Kernel n has been kept since it arrived; when the set is offered, all of them are right."""
        age, size, base = f["age"], self.size(f), f["base"]
        claims = {}
        for n in range(self.outputs):
            word = self.read((base + n)[: self.bits])
            if n < self.outputs - 1:
                kept = (age > n + 1 + self.latency) & (n < size)
                claims[f"kernel {n}"] = kept.implies(f[f"kernel_{n}"] == word)
            right = f["o__payload"].word(n, self.word) == word
            claims[f"offered kernel {n}"] = (f["o__valid"] & (n < size)).implies(right)
        return claims

    def steps(self, now: Frame, then: Frame) -> dict[str, Bits]:
        """The payload of a short set: only the kernels of the group have to stay."""
        waiting = now["o__valid"] & ~now["o__ready"]
        same = all_of(
            (n < self.size(now)).implies(now["o__payload"].word(n, self.word) == then["o__payload"].word(n, self.word))
            for n in range(self.outputs)
        )
        return {"valid stays": waiting.implies(then["o__valid"]), "payload stays": waiting.implies(same)}

    def prove(self) -> None:
        holds_forever(self.netlist, self.invariants, assume=self.assume, step=self.steps)


def plans(outputs: int) -> list[KernelPlan]:
    """Of 20-50-500-10 and an array of that many output channels."""
    return [KernelPlan(1, 20, 1, outputs), KernelPlan(23, 50, 20, outputs)]


@pytest.mark.parametrize(
    "outputs", [1, pytest.param(3, marks=pytest.mark.full), 5, pytest.param(7, marks=pytest.mark.full)]
)
def test_every_set(outputs: int) -> None:
    Proof(kernel_fetcher.KernelFetcher(plans(outputs), outputs, 1023, 3)).prove()


@pytest.mark.parametrize(
    ("outputs", "kernel", "layers"),
    [
        (1, 3, [(2, 9, 3), (30, 5, 9)]),
        (3, 3, [(1, 6, 3), (20, 4, 6), (45, 16, 4), (120, 1, 16), (140, 10, 1)]),
        (4, 7, [(0, 4, 1), (5, 10, 4), (46, 2, 10)]),
    ],
)
def test_every_set_of_any_layers(outputs: int, kernel: int, layers: list[tuple[int, int, int]]) -> None:
    plans = [KernelPlan(*layer, outputs) for layer in layers]
    Proof(kernel_fetcher.KernelFetcher(plans, outputs, 200, 2, kernel**2)).prove()


BUGS = {
    "a request too few": ("last.eq(index == size - 1)", "last.eq(index == size - 2)"),
    "size of the last group": ("Mux(last_group, rest, full), more", "full, more"),
    "address moves on": ("self.address.eq(Mux(requesting, pointer, held))", "self.address.eq(pointer)"),
    "offered too early": ("delay(m, requesting & last,", "delay(m, requesting,"),
    "kept at the wrong place": ("arrived & (place == output)", "arrived & (place == output + 1)"),
    "layer begins anywhere": ("m.d.sync += pointer.eq(first)", "m.d.sync += pointer.eq(pointer)"),
    "does not wait": ("with m.Elif(self.o.ready)", "with m.Else()"),
    "one set too many": ("~(last_group & last_channel)", "~last_channel"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_refuted(bug: str) -> None:
    fetcher = broken("kernel_fetcher", "KernelFetcher", *BUGS[bug])
    with pytest.raises(AssertionError, match="not always so"):
        Proof(fetcher(plans(3), 3, 1023, 3)).prove()
