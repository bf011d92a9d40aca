"""`AxiCore` between the bus models of cocotbext-axi, with stalls on every channel and the rules checked throughout."""

import random
import zlib
from functools import cache

import cocotb
import numpy as np
from cocotb.triggers import Timer
from cocotbext.axi import AxiResp, AxiStreamFrame

from fivebyfive.model.checkpoint import Checkpoint, load_checkpoint
from fivebyfive.model.description import read_network
from fivebyfive.model.golden import classify, predict
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.weights import pack
from fivebyfive.model.protocol.identity import identity
from fivebyfive.model.protocol.registers import MAP, WINDOW_BYTES, decode, encode, field_mask, register
from fivebyfive.model.shape import ceil_div
from fivebyfive.sim.benchlib.axi import LIMIT_CYCLES, Core
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.random_networks import other_network, random_network
from fivebyfive.sim.benchlib.random_padding import pad_randomly
from fivebyfive.sim.benchlib.testbench import limited, random_arrays, random_source


def config() -> Config:
    return Config(**parameters()["config"])


@cache
def checkpoint(offset: int = 0) -> Checkpoint:
    """The checkpoint that the core was generated from, or another one of the same network."""
    given = parameters()
    if given.get("checkpoint") and not offset:
        return load_checkpoint(given["checkpoint"])
    kind = given.get("kind", "")
    network = random_network(read_network(given["network"]), given["seed"], kind)
    return other_network(network, given["seed"] + offset, kind) if offset else network


def draw(count: int) -> np.ndarray:
    return random_arrays().integers(0, 256, (count, *checkpoint().network.input), np.uint8)


def pixel_count() -> int:
    """Of an image."""
    return checkpoint().network.pixels


async def begin(dut: Dut, stalls: float = 0.0) -> Core:
    given = parameters()
    core = Core(dut, checkpoint().network.classes, random_source(), given.get("limit_cycles", LIMIT_CYCLES))
    await core.reset()
    core.stall(stalls)
    return core


async def check(core: Core, images: np.ndarray, network: Checkpoint, first: int = 0) -> None:
    """Images in, their results out in order, frame numbers from ``first`` on."""
    for image in images:
        core.pixels.send_nowait(image.tobytes())
    logits = predict(network, images)
    classes = classify(logits)
    for number in range(len(images)):
        expected = ((first + number) % 65536, classes[number], logits[number].tolist())
        assert await core.receive() == expected, f"image {number}"


async def check_cycles(core: Core) -> None:
    """The counters of the last image are the model's, wherever in their range they began."""
    model = plan(checkpoint().network, config())
    assert (await core.read("conv_cycles"), await core.read("fc_cycles")) == (model.conv, model.fc)


@cocotb.test()
async def images(dut: Dut) -> None:
    """All images, while somebody reads registers all the time; counters agree with what the checkers saw."""
    given = parameters()
    core = await begin(dut, given["stalls"])
    pixels = np.load(given["pixels"]) if given.get("pixels") else draw(given["images"])
    readers = [cocotb.start_soon(read_on(core)) for _ in range(3)]
    await check(core, pixels, checkpoint())
    for reader in readers:
        reader.cancel()
    core.stall(0)
    await core.cycles(50)  # an access that was under way ends
    counted = {name: await core.read(name) for name in ("images", "dropped", "input_stalls", "output_stalls")}
    assert counted == {
        "images": len(pixels), "dropped": 0,
        "input_stalls": core.rules.stalls["s_axis_tvalid"], "output_stalls": core.rules.stalls["m_axis_tvalid"],
    }  # fmt: skip
    assert core.rules.moved["s_axis_tvalid"] == len(pixels) * ceil_div(pixel_count(), given["pixel_bytes"])
    await check_cycles(core)
    assert await core.read("errors") == 0
    assert await core.read("status") == 0
    await core.write("control", encode("control", clear_counters=1))
    assert [await core.read(name) for name in counted] == [0, 0, 0, 0]
    if given["stalls"] and len(pixels) >= 8:  # a few images never fill the buffers
        assert all(core.rules.stalls.values()), f"a channel never stalled: {core.rules.stalls}"


async def read_on(core: Core) -> None:
    """Read and write registers for ever; several at once keep the channels full."""
    constant = [entry for entry in MAP if entry.access == "ro" and entry.reset]
    while True:
        entry = core.rng.choice(constant)
        assert await core.read(entry.name) == entry.reset
        await core.write("irq_status", 3)
        await core.cycles(core.rng.randint(0, 30))


@cocotb.test()
async def receiver_asleep(dut: Dut) -> None:
    """Nobody takes results: pixels come in until all is full; then every result is still there, in order."""
    core = await begin(dut)
    core.results.pause = True
    pictures = draw(9)
    for image in pictures:
        core.pixels.send_nowait(image.tobytes())
    await core.cycles(10 * parameters()["image_cycles"])
    assert not core.pixels.empty(), "pixels were taken without end"
    assert await core.read("images") == 0
    core.results.pause = False
    logits = predict(checkpoint(), pictures)
    for number in range(len(pictures)):
        assert await core.receive() == (number, classify(logits)[number], logits[number].tolist())


def lengths(rng: random.Random) -> dict[str, tuple[int, ...]]:
    """Lengths of frames that are too short, too long; the first of each are the nearest ones."""
    whole = pixel_count()
    return {
        "short_frame": (whole - 1, 1, 4, rng.randint(5, whole - 5), whole - 4),
        "long_frame": (whole + 1, whole + 4, whole + rng.randint(5, 900), 2 * whole),
    }


@cocotb.test()
async def wrong_frames(dut: Dut) -> None:
    """Frames of wrong length are dropped, flagged and numbered; the next good one is right."""
    core = await begin(dut, 0.2)
    rng, number, dropped = core.rng, 0, 0
    for name, wrong in lengths(rng).items():
        for length in wrong[: parameters()["frames"]]:
            core.pixels.send_nowait(bytes(rng.getrandbits(8) for _ in range(length)))
            await check(core, draw(1), checkpoint(), number + 1)
            number, dropped = number + 2, dropped + 1
            assert await core.read("errors") == field_mask("errors", name), length
            assert await core.read("irq_status") == 3
            await core.write("errors", field_mask("errors", name))
            await core.write("irq_status", 3)
            assert await core.read("errors") == 0
            assert await core.read("dropped") == dropped
            await check_cycles(core)


@cocotb.test()
async def resets(dut: Dut) -> None:
    """A reset in the middle of anything leads back to a working core."""
    core = await begin(dut, 0.1)
    pictures = draw(4)
    await core.write("irq_enable", 3)
    for _ in range(parameters()["resets"]):
        for image in pictures:
            core.pixels.send_nowait(image.tobytes())
        await core.cycles(core.rng.randint(1, 3 * parameters()["image_cycles"]))
        core.pixels.clear()
        core.results.clear()
        await core.reset(core.rng.randint(1, 3))
        core.results.clear()
        for name in ("status", "errors", "images", "irq_enable", "irq_status"):
            assert await core.read(name) == 0, name
        for number, picture in enumerate(pictures):
            await check(core, picture[np.newaxis], checkpoint(), number)
            await check_cycles(core)
            assert await core.read("latency") == plan(checkpoint().network, config()).latency


@cocotb.test()
async def soft_resets(dut: Dut) -> None:
    """The same by register: a result under way is sent whole, what is left of a frame is a short one."""
    core = await begin(dut, 0.1)
    pictures = draw(3)
    for _ in range(parameters()["resets"]):
        core.stall(0.1)
        for image in pictures:
            core.pixels.send_nowait(image.tobytes())
        await core.cycles(core.rng.randint(1, 3 * parameters()["image_cycles"]))
        await core.write("control", encode("control", soft_reset=1))
        core.stall(0)
        await limited(core.pixels.wait(), core.limit_cycles, "the rest of the pixels")
        await core.cycles(5 * parameters()["image_cycles"])
        assert not await core.read("status") & field_mask("status", "sending")
        core.results.clear()
        await core.write("control", encode("control", soft_reset=1))
        assert await core.read("status") == 0
        await check(core, pictures[:2], checkpoint())


@cocotb.test()
async def registers(dut: Dut) -> None:
    """What each register holds after reset; strobes; bits that clear themselves; the interrupt."""
    core = await begin(dut, 0.3)
    network, image = checkpoint(), pack(checkpoint(), config())
    said = identity(network.network, config(), network.tables, parameters()["pixel_bytes"])
    known = {name: encode(name, **fields) for name, fields in said.items()}
    assert (known["conv_words"], known["fc_words"]) == (len(image.conv), len(image.fc))
    for entry in MAP:
        expected = known[entry.name] if entry.reset is None else entry.reset
        assert await core.read(entry.name) == expected, entry.name
    for value, strobes, expected in ((3, range(4), 3), (0, range(1, 4), 3), (0xFFFFFFFE, range(2), 2)):
        await core.access(register("irq_enable").offset, value, strobes)
        assert await core.read("irq_enable") == expected
    assert not dut.interrupt.value
    await core.access(0xFFC)
    await core.cycles(2)
    assert dut.interrupt.value  # an error, and errors are enabled
    await core.write("irq_status", encode("irq_status", result=1))
    await core.cycles(2)
    assert dut.interrupt.value
    await core.write("irq_status", encode("irq_status", error=1))
    await core.cycles(2)
    assert not dut.interrupt.value
    await core.write("irq_enable", encode("irq_enable", result=1))
    await check(core, draw(1), checkpoint())
    await core.cycles(3)
    assert dut.interrupt.value


@cocotb.test()
async def addresses(dut: Dut) -> None:
    """All registers and other addresses: where there is none, or none that can be written, SLVERR and a flag.

    The address of any byte of a word is as good as that of the first."""
    core = await begin(dut, 0.05)
    there = {entry.offset: entry for entry in MAP}
    keep = {"control", "load_data"}  # writes act
    others = [address for address in range(0, WINDOW_BYTES, 4) if address not in there]
    for address in [*there, *core.rng.sample(others, min(len(others), parameters()["addresses"]))]:
        entry = there.get(address)
        value, response = await core.access(address)
        assert response == (AxiResp.OKAY if entry else AxiResp.SLVERR), hex(address)
        if not entry:
            assert value == 0
        first = core.rng.randrange(4)
        assert await core.access(address, strobes=range(first, 4)) == (value >> 8 * first << 8 * first, response)
        await expect_flag(core, not entry)
        if entry and entry.name in keep:
            continue
        writable = entry is not None and entry.writable
        _, response = await core.access(address, 0, range(core.rng.randrange(4), 4))
        assert response == (AxiResp.OKAY if writable else AxiResp.SLVERR), hex(address)
        await expect_flag(core, not writable)
    await check(core, draw(1), checkpoint())


async def expect_flag(core: Core, flag: bool) -> None:
    if flag:  # otherwise the next flag that is expected would find one too many
        assert await core.read("errors") == field_mask("errors", "bad_address")
        await core.write("errors", 0xF)
    else:
        assert not core.rng.randrange(4) or await core.read("errors") == 0


@cocotb.test()
async def bytes_left_out(dut: Dut) -> None:
    """Bytes without tkeep are no pixels, wherever they are; a last transfer without any is a pixel too many."""
    core = await begin(dut, 0.1)
    if not hasattr(dut, "s_axis_tkeep"):
        return
    pictures, number, width = draw(3), 0, parameters()["pixel_bytes"]
    for image in pictures:
        data, keep, pixels = [], [], list(image.tobytes())
        while pixels:
            kept = [core.rng.random() < 0.7 for _ in range(width)]
            if len(pixels) <= sum(kept):
                kept = [n < len(pixels) for n in range(width)]
            keep += kept
            data += [pixels.pop(0) if k else 0xEE for k in kept]
        core.pixels.send_nowait(AxiStreamFrame(data, tkeep=keep))
        logits = predict(checkpoint(), image[np.newaxis])
        assert await core.receive() == (number, classify(logits)[0], logits[0].tolist())
        number += 1
    whole = pixel_count()
    beside = width + -whole % width  # to the end of a transfer, and another one
    core.pixels.send_nowait(AxiStreamFrame([*pictures[0].tobytes(), *[9] * beside], tkeep=[1] * whole + [0] * beside))
    await limited(core.pixels.wait(), core.limit_cycles, "the pixels")
    await core.cycles(8)
    assert await core.read("errors") == field_mask("errors", "long_frame")
    await check(core, pictures, checkpoint(), number + 1)


async def load(core: Core, network: Checkpoint) -> int:
    """Write all weights; the check-sum that they should have."""
    image, check_sum = pad_randomly(pack(network, config()), network.network, config(), parameters()["seed"]), 0
    for memory, words in ((0, image.conv), (1, image.fc)):
        await core.write("load_address", encode("load_address", memory=memory))
        for word in words:
            data = word.tobytes()
            data += bytes(-len(data) % 4)
            check_sum = zlib.crc32(data, check_sum)
            for n in range(0, len(data), 4):
                await core.write("load_data", int.from_bytes(data[n : n + 4], "little"))
        assert decode("load_address", await core.read("load_address")) == {"address": len(words), "memory": memory}
    return check_sum


@cocotb.test()
async def other_weights(dut: Dut) -> None:
    """A second checkpoint, loaded while idle, is what counts from then on; the last test, as no reset brings the first
    one back."""
    core = await begin(dut)
    pictures, other = draw(2), checkpoint(1)
    await check(core, pictures, checkpoint())
    check_sum = await load(core, other)
    assert await core.read("load_crc") == check_sum
    assert await core.read("errors") == 0
    await check(core, pictures, other, 2)
    await core.write("load_crc", 0)
    assert await core.read("load_crc") == 0
    await refused(core)
    await check(core, pictures, other, 6)


async def refused(core: Core) -> None:
    """While an image is inside, and past a memory's end, a piece changes nothing and is flagged."""
    core.results.pause = True
    for image in draw(2):  # nobody takes the first result, so that the second image stays inside
        core.pixels.send_nowait(image.tobytes())
    inside = field_mask("status", "busy") | field_mask("status", "sending")
    while await core.read("status") & inside != inside or not core.pixels.empty():
        await Timer(100, "ns")
    await core.write("load_address", 0)
    for _ in range(20):
        await core.write("load_data", 0x55555555)
    assert await core.read("errors") == field_mask("errors", "load_refused")
    assert await core.read("load_address") == 0
    assert await core.read("load_crc") == 0
    core.results.pause = False
    for _ in range(2):
        await core.receive()
    await core.write("errors", 0xF)
    image = pack(checkpoint(), config())
    for memory, words in ((0, image.conv), (1, image.fc)):
        depth, pieces = len(words), ceil_div(words.shape[1], 4)
        for address in (depth, *(1 << bit for bit in range(depth.bit_length(), 31))):
            await core.write("load_address", encode("load_address", address=address, memory=memory))
            for _ in range(max(1, pieces)):
                await core.write("load_data", 0xAAAAAAAA)
            assert await core.read("errors") == field_mask("errors", "load_refused")
            await core.write("errors", 0xF)
    assert await core.read("load_crc") == 0
