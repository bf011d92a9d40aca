"""`Cascade`: images in, answers out, into arrays that the caller compares (`fivebyfive.sim.cascade`)."""

from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from fivebyfive.hw.cascade import Answer
from fivebyfive.sim.benchlib.given import Dut, parameters
from fivebyfive.sim.benchlib.payload import unpack
from fivebyfive.sim.benchlib.pixel_words import words_of
from fivebyfive.sim.benchlib.streams import StreamSource
from fivebyfive.sim.benchlib.testbench import cycle, limited, start


async def feed(dut: Dut, pixels: np.ndarray, at_once: int, limit_cycles: int) -> None:
    source = StreamSource(dut, "i", limit_cycles=limit_cycles)
    for image in pixels:
        await source.send(words_of(image, at_once))


async def valid(dut: Dut) -> None:
    """Until an answer is there."""
    if not dut.o__valid.value:
        await RisingEdge(dut.o__valid)
    await RisingEdge(dut.clk)


@cocotb.test()
async def images(dut: Dut) -> None:
    """All images, one behind the other; each answer is taken at once."""
    given = parameters()
    names = ("logits", "classes", "second", "cycle", "done")
    arrays = {name: np.load(Path(given["folder"]) / f"run-{name}.npy", mmap_mode="r+") for name in names}
    pixels = np.load(Path(given["folder"]) / "run-pixels.npy")
    await start(dut)
    dut.o__ready.value = 1
    feeder = cocotb.start_soon(feed(dut, pixels, given["pixels"], given["limit_cycles"]))
    layout = Answer(arrays["logits"].shape[1])
    for image in range(len(pixels)):
        await limited(valid(dut), given["limit_cycles"], f"the answer of image {image}")
        got = unpack(layout, int(dut.o__payload.value))
        arrays["logits"][image], arrays["classes"][image] = got["result"]["logits"], got["result"]["index"]
        arrays["second"][image], arrays["cycle"][image], arrays["done"][0] = got["second"], cycle(), image + 1
        await RisingEdge(dut.clk)
    await feeder
