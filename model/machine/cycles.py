"""The cycle model: how long the hardware takes, from the shape of the network and the size of the machine alone.

Equal to the hardware's counters, cycle by cycle (`tests/sim/test_cycles.py`); planning uses it instead of simulation.
The constants are the fixed waits of the schedule, in cycles; those of single components are in `latency`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise, repeat

import numpy as np

from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, ceil_div

from .config import Config
from .latency import (
    ACTIVATION_MEMORY,
    MAP_MEMORY,
    SELECT,
    TABLE_LOOKUP,
    bank_latency,
    dot_product_latency,
    pooling_latency,
)
from .stages import stages
from .weights import fc_banks
from .zero_windows import Visits, skips

__all__ = [
    "COUNTER_BITS", "CyclePlan", "ImageCycles", "Work", "counter_bits", "cycles_of_run", "fc_of_images", "overtakes",
    "plan",
]  # fmt: skip

AVAILABLE = 1  # from the last pixel of an image to its being complete in the image buffer
LEAVE_IDLE = 1  # a controller sees an image in its idle state; the next cycle is its first busy one
LOAD_BIAS = 2  # of a word of conv biases beside the memory's latency: entering PREPARING, and LOAD_..._BIAS
INPUT_REGISTER = 1  # a position waits for its patch
ADD_BASE = 1  # the sum of products is added to a bias or partial sum, in both engines
WRITE = 1  # of a code into a memory
READABLE = 1  # the controller's step from the write to the state that follows it
FETCH = 1  # a kernel set is complete in the cycle after its last word
MOVE = 1  # rows that are complete go to the windows in the next cycle, the first position in the one after
FED = 1  # from an image's last pixel to its activations being complete, where pixels are the activations
PREPARE = 1  # FC_PREPARING, before the words of a layer or, early, of a word of inputs
PLACES = ACTIVATION_MEMORY + 1  # from a word with places to its activations, which pass a register
COMPARE = 1  # a logit is compared in the cycle after it was selected
SHOWN = ACTIVATION_MEMORY  # where zeros are skipped: until a word that can be read is there to select from
COUNTER_BITS = 24  # of the hardware's counters, 16.7 million cycles: some hundred images of the smallest machine
LONG_COUNTER_BITS = 32  # of machines whose images take millions of cycles
STEADY = 12  # images after which the interval between results is constant


@dataclass(frozen=True)
class CyclePlan:
    """Cycles of one image: of each engine; from the last pixel to the result; between results in a long run.

    ``fc`` and ``latency`` are those of an image that has the machine to itself. In a run the last fully-connected layer
    may have to wait for the class of the image before (`fc_of_images`).
    ``limit_conv`` and ``limit_fc`` are the arithmetic limits, with every multiplier busy in every cycle.
    With `Config.skip_zeros` these are the cycles of images without a window or an activation of zero: none takes more.
    """

    conv: int
    fc: int
    latency: int
    interval: int
    limit_conv: int
    limit_fc: int

    def utilization(self, network: Network, config: Config) -> float:
        """MACs (as `Config.products`) / (interval x multipliers): the part of the multipliers that does useful work."""
        return config.products(network) / (self.interval * config.multipliers)


@dataclass(frozen=True)
class ImageCycles:
    """What the counters show of an image in a run: busy cycles of each engine; from its last pixel to its result; from
    the result before it, of the first image None."""

    conv: int
    fc: int
    latency: int
    interval: int | None


def plan(network: Network, config: Config) -> CyclePlan:
    """The cycles of a network on a machine."""
    network = config.built(network)
    parts = stages(network)
    conv = conv_image(network, config)
    # One image that has the machine to itself, counted from its last pixel's cycle.
    if parts.convs:
        begin = AVAILABLE + LEAVE_IDLE
        alone = behind(network, config)(0, [begin + cycle for cycle in conv.words], begin + conv.busy)
    else:
        alone = behind(network, config)(0, [], FED)
    *_, before, last = in_a_run(network, config, repeat(conv, STEADY))
    return CyclePlan(
        conv=conv.busy,
        fc=alone.cycles,
        latency=alone.result,
        interval=last.result - before.result,
        limit_conv=sum(conv_limit(network, config, layer) for layer in range(len(parts.convs))),
        limit_fc=sum(map(sum, fc_words(network, config))),
    )


def fc_of_images(network: Network, config: Config, count: int) -> list[int]:
    """Busy cycles of the FC engine of each of ``count`` images in a run in which pixels never fail."""
    network = config.built(network)
    conv = conv_image(network, config)
    cycles = [done.cycles for done in in_a_run(network, config, repeat(conv, STEADY))]
    return (cycles + cycles[-1:] * count)[:count]


Inputs = tuple[tuple[int, ...], ...] | None  # `Work.inputs`


@dataclass(frozen=True)
class Work:
    """What is computed of an image where zeros are skipped. ``visits``: positions of each convolution. ``inputs``: of
    each fully-connected layer how many activations are not zero in each word of 20; None: all of them."""

    visits: Visits | None = None
    inputs: Inputs = None


def cycles_of_run(network: Network, config: Config, images: Sequence[Work]) -> list[ImageCycles]:
    """The cycles of each image of a run in which pixels never fail and results are taken at once. ``images``: what is
    computed of each."""
    network = config.built(network)
    convs = [conv_image(network, config, one.visits) for one in images]
    done = in_a_run(network, config, convs, [one.inputs for one in images])
    apart = [None, *(b.result - a.result for a, b in pairwise(done))]
    return [
        ImageCycles(conv.busy, one.cycles, one.result - one.accepted, interval)
        for conv, one, interval in zip(convs, done, apart, strict=True)
    ]


def counter_bits(network: Network, config: Config) -> int:
    """Width of the hardware's counters: that of the brief's machine unless an image takes too long for it."""
    planned = plan(network, config)
    return COUNTER_BITS if max(planned.latency, planned.interval) < 1 << COUNTER_BITS - 2 else LONG_COUNTER_BITS


def overtakes(network: Network, config: Config) -> bool:
    """Whether the FC engine may be done with the inputs of an image before the class of the image before is found."""
    network = config.built(network)
    if len(stages(network).fc) < 2:  # it begins when that result is taken
        return False
    soon = [0] * ceil_div(stages(network).fc[0].inputs, FC_WORD)  # inputs that are there when the engine becomes idle
    image = behind(network, config)(0, soon, 0, inputs=black(network, config))
    return image.done <= image.result - image.idle


def conv_limit(network: Network, config: Config, layer: int) -> int:
    """Cycles of a convolution with every multiplier busy. A sweep takes as long as the fetch of the next kernels."""
    stage = stages(network).convs[layer]
    rows, columns = stage.positions(config.windows)
    if stage.layer.kernel == 1 and stage.layer.groups == 1:  # a dot product over channels
        pes = config.windows * config.outputs
        return stage.used[0] * stage.used[1] * ceil_div(stage.width, pes) * ceil_div(stage.channels, config.kernel**2)
    return sum(map(len, config.sweeps(network, layer))) * max(rows * columns, config.outputs + bank_latency(1) + 2)


def conv_memory(config: Config) -> int:
    """Latency of the conv weight memory: a cycle more where values are looked up."""
    return bank_latency(1) + config.engines.conv.narrow


def conv_pipeline(network: Network, config: Config) -> int:
    """Cycles from a position to the code of a cell that it completes."""
    convs = stages(network).convs
    tables = any(stage.before for stage in convs) + any("table" in stage.after for stage in convs)
    pools = [stage.pool for stage in convs]
    return (
        INPUT_REGISTER
        + dot_product_latency(config.kernel**2)
        + ADD_BASE
        + pooling_latency(pools)
        + TABLE_LOOKUP * tables
    )


@dataclass(frozen=True)
class ConvImage:
    """An image in the conv engine: ``busy`` cycles; and, counted from the first of them, the cycle in which the first
    convolution no longer needs it (``released``), and those in which each activation word can be read or, without
    fully-connected layers, each group of logits is taken (``words``)."""

    busy: int = 0
    released: int = 0
    words: tuple[int, ...] = ()


def conv_image(network: Network, config: Config, visits: Visits | None = None) -> ConvImage:
    """An image in the conv engine, where only ``visits`` are computed. Zeros for a network without convolutions."""
    network = config.built(network)
    if not stages(network).convs:
        return ConvImage()
    ends, last = layers_end(network, config, visits)
    return ConvImage(ends[-1], ends[0] - 1, tuple(activation_words(network, config, last)))


def conv_sweeps(network: Network, config: Config) -> tuple[int, list[list[int]]]:
    """Busy cycles of the conv engine; and `sweeps` of its last convolution, counted from the first of them."""
    ends, last = layers_end(config.built(network), config)
    return ends[-1], last


def layers_end(network: Network, config: Config, visits: Visits | None = None) -> tuple[list[int], list[list[int]]]:
    """The cycle, counted from the first busy one of the conv engine, in which each convolution has ended; and `sweeps`
    of the last one."""
    cycle, ends, found = 0, [], []
    for layer, stage in enumerate(stages(network).convs):
        words = ceil_div(stage.width, config.conv_word_bytes)
        words += words % 2 if layer else 0  # from the second convolution on, words of biases are loaded in pairs
        begin = cycle + words * (conv_memory(config) + LOAD_BIAS)
        found = sweeps(network, config, layer, begin, visits[layer] if visits else None)
        # The controller waits until the last code can be read.
        cycle = found[-1][-1] + 1 + conv_pipeline(network, config) + WRITE + READABLE
        ends.append(cycle)
    return ends, found


def sweeps(
    network: Network, config: Config, layer: int, begin: int, visits: np.ndarray | None = None
) -> list[list[int]]:
    """Of each group of output channels of a convolution, whose maps and kernels are asked for in the cycle before
    ``begin``: the cycle of the first position of each row of its last sweep, and at the end that of its last position.
    ``visits``: positions (channels, rows) that are computed in a sweep that may leave some out; None: all.

    Rows come into a stage, a transfer a cycle, while the windows slide over the rows before; a kernel set is fetched
    during the sweep before it.
    """
    stage = stages(network).convs[layer]
    rows, columns = stage.positions(config.windows)
    over_channels = config.channels_at_once(network, layer) > 1
    whole, step = (0, 0) if over_channels else stage.transfers(config.kernel, config.windows)
    pace, memory = config.pace(network, layer), conv_memory(config)
    groups, listed = config.groups(stage.width), not config.sweeps_all(network, layer)
    swept = config.sweeps(network, layer)
    sizes = [min(config.outputs, stage.width) if listed else len(group) for group in groups]
    skip = skips(network, config)[layer]
    whole_sweep = (columns,) * rows
    partly = [] if visits is None or skip is None else [tuple(counts) for counts in visits.tolist()]
    # By what has come, counted from the end of a sweep, and what is computed.
    found: dict[tuple[int, int, int, int, tuple[int, ...]], tuple[list[int], int]] = {}

    def one(rows_come: int, kernels_come: int, rest: int, apart: int, counts: tuple[int, ...]) -> tuple[list[int], int]:
        """First position of each row of a sweep and last position; when the next sweep's rows have come. ``counts``:
        positions of each row."""
        firsts, come = [max(rows_come + MOVE, kernels_come, rest)], rows_come
        for count in counts[:-1]:
            last = firsts[-1] + (count - 1) * apart
            come = max(come + step + MOVE, last)
            firsts.append(max(come + MOVE, last + apart))
        last = firsts[-1] + (counts[-1] - 1) * apart
        return [*firsts, last], max(come + whole + MOVE, last)

    end, rest = begin, 0
    # Counted from ``end``; what 1x1 kernels read needs no line buffer and comes sooner than any kernels.
    rows_come, kernels_come = 0 if over_channels else MAP_MEMORY + whole - MOVE, sizes[0] + memory
    results = []
    for group, channels in enumerate(swept):
        for number, channel in enumerate(channels):
            last = number == len(channels) - 1
            leaves_out = skip is not None and (skip.codes or not (number == 0 or last))
            counts = partly[channel] if partly and leaves_out else whole_sweep
            key = rows_come, kernels_come, rest, pace if last else 1, counts
            if key not in found:
                found[key] = one(*key)
            times, come = found[key]
            following = sizes[min(group + last, len(groups) - 1)]
            if last:
                results.append([end + time for time in times])
            rest = key[3]
            end, rows_come, kernels_come = (
                end + times[-1], come - times[-1], times[0] + following + memory + FETCH - times[-1],
            )  # fmt: skip
    return results


def activation_words(network: Network, config: Config, ends: list[list[int]]) -> list[int]:
    """When each word of 20 activations can be read, where the last sweeps of the last convolution are at ``ends``
    (`sweeps`). Without fully-connected layers: when each group of logits is valid."""
    stage, pace = stages(network).convs[-1], config.pace(network, len(stages(network).convs) - 1)
    pipeline, fc = conv_pipeline(network, config), stages(network).fc
    finished: list[int] = []
    count = 0
    positions = [stage.last_position(cell, config.windows) for cell in range(stage.cells)]
    for group, times in zip(config.groups(stage.width), ends, strict=True):
        for row, column in positions:
            written = times[row] + column * pace + pipeline + WRITE
            if not fc:
                finished.append(written)
                continue
            for chunk in range(0, len(group), FC_WORD):  # at most 20 activations are written in a cycle
                count += min(FC_WORD, len(group) - chunk)
                if count // FC_WORD > len(finished):
                    finished.append(written + chunk // FC_WORD)
    return finished


def fc_words(network: Network, config: Config) -> list[tuple[int, ...]]:
    """Of each fully-connected layer the words of inputs of each group of outputs."""
    network = config.built(network)
    dense = [
        (config.input_words(stage.inputs),) * ceil_div(stage.outputs, config.fc_outputs) for stage in stages(network).fc
    ]
    return list(config.engines.words) or dense


def full(network: Network) -> tuple[tuple[int, ...], ...]:
    """`Work.inputs` of an image of which no activation is zero."""
    return tuple(
        tuple(min(FC_WORD, stage.inputs - first) for first in range(0, stage.inputs, FC_WORD))
        for stage in stages(network).fc
    )


def black(network: Network, config: Config) -> tuple[tuple[int, ...], ...] | None:
    """`Work.inputs` of an image of which all activations are zero, where these are skipped."""
    return tuple((0,) * len(words) for words in full(network)) if config.fc_skips_zeros else None


def fc_memory(network: Network, config: Config) -> int:
    """Cycles from the address of weights to a row: the latency of their memory; then values are looked up, or
    activations by their places."""
    memory = bank_latency(len(fc_banks(network, config)))
    return memory + (PLACES if config.engines.words else config.engines.fc.narrow)


@dataclass(frozen=True)
class _Fc:
    """One image in the FC engine: busy ``cycles``; the cycle in which fc1 is ``done`` with its inputs, in which the
    engine is ``idle`` again, and in which the ``result`` is valid; and, in a run, that in which its last pixel was
    ``accepted``."""

    cycles: int
    done: int
    idle: int
    result: int
    accepted: int = 0


def behind(network: Network, config: Config) -> "FcImage | Logits":
    """What becomes of an image behind the conv engine or the pixels."""
    if not stages(network).fc:
        return Logits(network, config)
    return (SparseFcImage if config.fc_skips_zeros else FcImage)(network, config)


class FcImage:
    """An image in the FC engine; what is the same for all images is found once."""

    def __init__(self, network: Network, config: Config):
        layers = stages(network).fc
        self.words = fc_words(network, config)
        rows = FC_WORD * config.fc_rows
        self.biases = [0 if config.engines.words else ceil_div(layer.outputs, rows) for layer in layers]
        self.outside = config.inputs_outside(network, 0)
        self.parts = FC_WORD // config.fc_lanes  # words of inputs in a word of activations
        self.writing = (config.fc_outputs - 1) // FC_WORD  # cycles of a group beyond the first, where a layer follows
        tables = TABLE_LOOKUP * any("table" in stage.after for stage in layers)
        self.drain = fc_memory(network, config) + dot_product_latency(config.fc_lanes) + ADD_BASE + tables
        self.found = argmax(network.classes, logits_arrive(network, config), config.fc_outputs)

    def __call__(self, idle: int, words: list[int], commit: int, room: int = 0, inputs: Inputs = None) -> _Fc:
        """The engine is idle from cycle ``idle`` on; the activation ``words`` can be read in these cycles, all of them
        from ``commit`` on; the argmax can take logits from ``room`` on, which the last layer waits for. ``inputs``:
        `Work.inputs`."""
        start = cycle = max(idle, min(words[0], commit) if self.outside and words else commit) + LEAVE_IDLE
        done = 0
        for layer, (words_of, biases) in enumerate(zip(self.words, self.biases, strict=True)):
            cycle = max(cycle, room) if layer == len(self.words) - 1 else cycle
            if self.outside and layer == 0:
                groups, count = len(words_of), words_of[0]
                ready = [min(word, commit) for word in words for _ in range(self.parts)]
                ready += [commit] * (count - len(ready))
                for word in range(count):
                    cycle = max(cycle, ready[word]) + PREPARE + groups + (0 if word else biases)
            else:
                cycle += PREPARE + biases + sum(words_of)
            cycle += self.drain + (self.writing if layer < len(self.words) - 1 else 0)
            done = done or cycle
        return _Fc(cycle - start, done, cycle, cycle + self.found)


class SparseFcImage(FcImage):
    """An image in an FC engine that skips activations of zero."""

    def __init__(self, network: Network, config: Config):
        super().__init__(network, config)
        self.early, self.rows, self.all_inputs = config.early_fc, config.fc_rows, full(network)
        self.drain += SELECT

    def __call__(self, idle: int, words: list[int], commit: int, room: int = 0, inputs: Inputs = None) -> _Fc:
        available = [min(word, commit) for word in words] if self.early else []
        available += [commit] * (len(self.all_inputs[0]) - len(available))
        start = cycle = max(idle, available[0]) + LEAVE_IDLE
        done = 0
        for layer, counts in enumerate(inputs or self.all_inputs):
            groups, last = self.biases[layer], layer == len(self.biases) - 1
            cycle = max(cycle, room) if last else cycle
            cycle += PREPARE + groups
            # A word comes when the one before it has been gone through.
            for count, there in zip(counts, available if layer == 0 else [0] * len(counts), strict=True):
                cycle = max(cycle, there + SHOWN) + max(1, count * groups)
            apart = 1 if last else self.rows
            cycle += 1 + groups * apart + self.drain
            done = done or cycle
        return _Fc(cycle - start, done, cycle, cycle + self.found)


class Logits:
    """An image without fully-connected layers: groups of logits come from the conv engine, which waits for the result
    to be taken."""

    def __init__(self, network: Network, config: Config):
        self.classes, self.at_once = network.classes, config.outputs

    def __call__(self, idle: int, words: list[int], commit: int, room: int = 0, inputs: Inputs = None) -> _Fc:
        """Groups of logits come in the cycles ``words``."""
        result = words[-1] + argmax(self.classes, words, self.at_once)
        return _Fc(0, result + 1, result + 1, result)


def in_a_run(
    network: Network, config: Config, images: Iterable[ConvImage], inputs: Iterable[Inputs] = repeat(None)
) -> list[_Fc]:
    """Images one behind the other when pixels never fail: each engine in turn. ``inputs``: `Work.inputs` of each."""
    if not stages(network).convs:
        return fed_run(network, config, [one for _, one in zip(images, inputs, strict=False)])
    conv_idle = fc_idle = 0
    sets = [0, 0]  # from when on each set of activations may be written
    free = [0, 0]  # from when on each of two images may be received
    results: list[_Fc] = []
    transfers, two_sets = ceil_div(network.pixels, config.pixels), config.overlap and bool(stages(network).fc)
    image_behind = behind(network, config)
    image_end = -1  # cycle of its last pixel
    for image, (conv, fc) in enumerate(zip(images, inputs, strict=False)):
        room = sets[image % 2] if two_sets else fc_idle
        image_end = max(image_end + 1, free[image % 2]) + transfers - 1
        begin = max(conv_idle, room, image_end + AVAILABLE) + LEAVE_IDLE
        free[image % 2] = begin + conv.released + 1
        conv_idle = begin + conv.busy
        done = image_behind(fc_idle, [begin + word for word in conv.words], conv_idle, taken(results), fc)
        sets[image % 2], fc_idle = done.done, done.idle
        results.append(replace(done, accepted=image_end))
    return results


def taken(results: list[_Fc]) -> int:
    """From when on the next logits can come: the last result was taken in the cycle in which it was valid."""
    return results[-1].result + 1 if results else 0


def fed_run(network: Network, config: Config, images: list[Inputs]) -> list[_Fc]:
    """The same of images whose pixels are fc1's activations: they come as soon as a set is free, one a cycle."""
    fed = fc_idle = 0  # the cycle after the last pixel
    sets = [0, 0]
    results: list[_Fc] = []
    image_behind = behind(network, config)
    for image, inputs in enumerate(images):
        fed = ceil_div(network.pixels, config.pixels) + max(fed, sets[image % 2] if config.overlap else fc_idle)
        done = image_behind(fc_idle, [], fed - 1 + FED, taken(results), inputs)
        sets[image % 2], fc_idle = done.done, done.idle
        results.append(replace(done, accepted=fed - 1))
    return results


def logits_arrive(network: Network, config: Config) -> list[int]:
    """When each group of logits comes from the rows, counted from an instant before the first."""
    words = fc_words(network, config)[-1]
    if config.fc_skips_zeros:
        return list(range(1, len(words) + 1))
    outside = config.inputs_outside(network, len(stages(network).fc) - 1)
    apart = [1] * len(words) if outside else list(words)
    if not config.engines.words and (not outside or words[0] == 1):  # a word of biases between groups takes a cycle
        for group in range(config.fc_lanes, len(words), config.fc_lanes):
            apart[group] += 1
    return list(accumulate(apart))


def argmax(classes: int, arrived: list[int], at_once: int) -> int:
    """Cycles from the last of the groups of ``at_once`` logits that have ``arrived`` to the result: one logit is looked
    at in a cycle, as soon as it has come, and compared in the next."""
    looked = 0  # when the latest logit was looked at
    for logit in range(classes):
        looked = max(looked, arrived[logit // at_once]) + 1
    return looked + COMPARE - arrived[-1]
