"""`BankFcController`: all words of an image in order, one a cycle, and the waits between layers."""

import random
from functools import cache

import cocotb
from cocotb.triggers import RisingEdge

from fivebyfive.hw.fc.bank_fc_controller import BankFcController
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.testbench import cycles, level, random_source, reset, start, until

IMAGES = 30


@cache
def component() -> BankFcController:
    return BankFcController(parameters()["words"], parameters()["drain"])


def limit(controller: BankFcController) -> int:
    """Cycles of an image that never waits, and some more."""
    return sum(controller.words) + (controller.drain + 4) * len(controller.words) + 10


async def image(dut: Dut, rng: random.Random, room_after: int = 0) -> dict[str, list]:
    """One image; there is room for its logits after that many cycles. What happened, by cycle."""
    seen: dict[str, list] = {"words": [], "inputs_done": [], "layer_done": [], "busy": []}
    dut.available.value, dut.room.value = 1, not room_after
    for at in range(limit(component()) + room_after):
        if at == room_after:
            dut.room.value = 1
        await RisingEdge(dut.clk)
        if dut.valid.value:
            seen["words"].append((at, level(dut, "layer"), int(dut.address.value)))
        for name in ("inputs_done", "layer_done", "busy"):
            if getattr(dut, name).value:
                seen[name].append(at)
        if dut.inputs_done.value:
            dut.available.value = 0
    assert not dut.busy.value
    return seen


def check(seen: dict[str, list], late: int = 0) -> None:
    """Every word once and in order; a layer without a gap; the next one after the drain."""
    controller = component()
    addresses = [address for _, _, address in seen["words"]]
    assert addresses == list(range(sum(controller.words)))
    layers = [layer for _, layer, _ in seen["words"]]
    assert layers == [number for number, count in enumerate(controller.words) for _ in range(count)]
    ends: list[int] = []
    for number, count in enumerate(controller.words):
        at = [cycle for cycle, layer, _ in seen["words"] if layer == number]
        assert at == list(range(at[0], at[0] + count))
        if ends:
            waited = at[0] - ends[-1] - (controller.drain + 1) - 2
            assert waited == 0 if not late or number < len(controller.words) - 1 else waited >= 0
        ends.append(at[-1])
    assert seen["layer_done"] == [end + controller.drain + 1 for end in ends]
    assert seen["inputs_done"] == seen["layer_done"][:1]
    assert seen["busy"] == list(range(seen["busy"][0], seen["layer_done"][-1] + 1))


@cocotb.test()
async def image_behind_image(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for _ in range(IMAGES):
        check(await image(dut, rng))
        await cycles(dut, rng.randint(0, 63))  # a fault that is there now and then meets each word some time


@cocotb.test()
async def logits_wait_for_room(dut: Dut) -> None:
    await start(dut)
    late = 2 * limit(component())
    seen = await image(dut, random_source(), late)
    check(seen, late)
    last_layer = len(component().words) - 1
    assert all((at >= late) == (layer == last_layer) for at, layer, _ in seen["words"])  # the others do not wait


@cocotb.test()
async def resets(dut: Dut) -> None:
    await start(dut)
    rng = random_source()
    for _ in range(6):
        dut.available.value = dut.room.value = 1
        await until(dut, dut.busy, 1, 20)
        await cycles(dut, rng.randint(1, limit(component())))
        dut.available.value = 0
        await reset(dut, rng.randint(1, 2))
        assert not dut.busy.value
        check(await image(dut, rng))
