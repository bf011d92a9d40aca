"""Which positions are computed where windows of zeros take no cycle, against loops over plain numbers."""

import random

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import forward, pixels_to_codes
from fivebyfive.model.image_cycles import cycles_of_images, work_of
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import Work, cycles_of_run, plan
from fivebyfive.model.machine.sizing import Size, sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.zero_windows import Skip, computed_cells, skips, visits
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.benchlib.random_networks import random_network
from fivebyfive.support.errors import UserError

LENET = LeNetShape(4, 5, (10,)).network
MAX2 = Pool("max", 2, 2)


def computed(windows: list[list[bool]], skip: Skip) -> list[list[bool]]:
    """Cells of a map that are computed, row by row, of positions with a code that is not zero."""
    found, seen = [], False
    for top in range(0, len(windows), skip.rows):
        row = []
        for left in range(0, len(windows[0]), skip.columns):
            some = any(windows[top + r][left + c] for r in range(skip.rows) for c in range(skip.columns))
            row.append(some or (skip.codes and not seen))
            seen = seen or not some
        if not any(row):
            row[-1] = True
        found.append(row)
    return found


@pytest.mark.parametrize("skip", [Skip(), Skip(codes=True), Skip(1, 2, codes=True), Skip(2, 2, codes=True)], ids=str)
def test_computed_cells(skip: Skip) -> None:
    arrays = np.random.default_rng(1)
    for share in (0, 0.02, 0.3, 0.9, 1):
        windows = arrays.random((3, 6, 8)) < share
        assert computed_cells(windows, skip).tolist() == [computed(one.tolist(), skip) for one in windows]


@pytest.mark.parametrize("seed", range(12))
def test_windows_of_a_map(seed: int) -> None:
    """Padding and its fill, strides, kernels smaller than the array's, several windows at once."""
    rng, arrays = random.Random(seed), np.random.default_rng(seed)
    windows = rng.choice((1, 2, 4))
    stride, kernel = rng.choice((1, 2)) if windows == 1 else 1, rng.randint(1, 3)
    padding = tuple(rng.randrange(kernel) for _ in range(4))
    fill = (rng.choice((0, 0, 7)),)
    layer = Layer("c", "conv", 2, kernel, stride, padding, fill, 1, (MAX2,))
    after = Layer("d", "conv", 2, 1, 1, (0, 0, 0, 0), (0,), 1, ())
    network = Network((3, 9, 8), (layer, after, Layer("f", "fc", 3)))
    config = Config(windows=windows if windows > 1 and stage_takes(network) else 1, kernel=3, skip_zeros=True)
    stage, skip = stages(network).convs[0], skips(network, config)[0]
    codes = arrays.integers(0, 128, (3, 9, 8)) * (arrays.random((3, 9, 8)) < 0.05)
    assert skip == Skip()
    (counts, *_) = visits(network, config, [codes, np.zeros((2, *stage.outputs[1:]), int)])
    rows, columns = stage.positions(config.windows)
    down, across = 1 + (config.windows > 1), 1 + (config.windows == 4)

    def code(channel: int, row: int, column: int) -> int:
        row, column = row - padding[0], column - padding[1]
        inside = 0 <= row < 9 and 0 <= column < 8
        return int(codes[channel, row, column]) if inside else fill[0] * any(padding)

    for channel in range(3):
        for row in range(rows):
            count = sum(
                any(
                    code(channel, row * down * stride + r, column * across * stride + c)
                    for r in range(3 + down - 1)
                    for c in range(3 + across - 1)
                )
                for column in range(columns)
            )
            assert counts[channel, row] == max(count, 1)


def stage_takes(network: Network) -> bool:
    return all(stage.takes_windows for stage in stages(network).convs)


def test_what_is_left_out() -> None:
    """Cells of a single channel's codes, in front of another convolution; positions between a first and a last one."""
    for windows, cell in ((1, Skip(2, 2, codes=True)), (2, Skip(1, 2, codes=True)), (4, Skip(codes=True))):
        assert skips(LENET, Config(windows, skip_zeros=True)) == (cell, Skip())
    assert skips(LENET, Config()) == (None, None)
    two_channels = LeNetShape(2, 5, (10,)).network
    assert skips(two_channels, Config(skip_zeros=True)) == (Skip(2, 2, codes=True), None)


def test_images_without_zeros_take_what_the_plan_says() -> None:
    checkpoint, config = Checkpoint.random(LENET, 3), Config(skip_zeros=True)
    network = checkpoint.network
    whole = tuple(
        np.tile(stage.positions(1)[1], (stage.channels, stage.positions(1)[0])) for stage in stages(LENET).convs
    )
    done, planned = cycles_of_run(network, config, [Work(whole)] * 12), plan(network, config)
    assert {(one.conv, one.fc) for one in done} == {(planned.conv, planned.fc)}
    assert (done[0].latency, done[-1].interval) == (planned.latency, planned.interval)
    assert planned.conv == plan(network, Config()).conv


def test_black_images_take_fewest_cycles() -> None:
    checkpoint, config = Checkpoint.random(LENET, 3), Config(skip_zeros=True)
    images = np.zeros((3, 28, 28), np.uint8)
    images[1, 9, 9], images[2] = 2, 255
    black, pixel, white = (one.conv for one in cycles_of_images(checkpoint, config, images))
    assert black < pixel < white <= plan(LENET, config).conv
    images[1, 9, 9] = 1  # code 0
    assert cycles_of_images(checkpoint, config, images)[1].conv == black


def test_maps_are_those_of_the_golden_model() -> None:
    checkpoint, config = Checkpoint.random(LENET, 3), Config(skip_zeros=True)
    images = np.random.default_rng(1).integers(0, 256, (2, 28, 28), np.uint8)
    images[:, 5:] = 0
    outputs = forward(checkpoint, images).outputs
    maps = pixels_to_codes(images)[:, np.newaxis], outputs["conv1"]
    for number, found in enumerate(work_of(checkpoint, config, images)):
        expected = visits(LENET, config, [one[number] for one in maps])
        assert all(np.array_equal(a, b) for a, b in zip(found.visits, expected, strict=True))


def test_networks_without_work_for_it() -> None:
    """Without convolutions, or with one that takes a single channel and gives its codes to the fully-connected layers,
    where these do not skip zeros either; with such a convolution only."""
    single = Network((1, 12, 12), (Layer("c", "conv", 3, 3, then=(MAX2,)), Layer("f", "fc", 4)))
    flat = LeNetShape.parse("784-20-10").network
    alone = Network((1, 6, 6), (Layer("c", "conv", 3, 3, then=(Pool("max", 4, 4),)),))
    for network, packed in ((flat, True), (single, True), (alone, False)):
        with pytest.raises(ValueError, match=r"skip_zeros has no work in .*; leave it out"):
            sized(network, skip_zeros=True, packed=packed)
        with pytest.raises(UserError, match="skip_zeros has no work"):
            Size(skip_zeros=True, packed=packed).config(Checkpoint.random(network, 1))
    for kind in ("banks", "codebook"):  # other engines are chosen
        with pytest.raises(ValueError, match="skip_zeros has no work"):
            sized(random_network(LeNetShape.parse("784-20-10"), 1, kind), skip_zeros=True)
    for network in (LENET, flat, single):
        assert sized(network, skip_zeros=True).fc_skips_zeros
    banks = sized(random_network(LeNetShape(4, 5, (30, 10)), 1, "banks"), skip_zeros=True)
    assert banks.skip_zeros
    assert banks.engines.words
    assert not banks.fc_skips_zeros
