"""The cycle model: how long the hardware takes, from the shape of the network and the size of the machine alone.

Equal to the hardware's counters, cycle by cycle (`tests/sim/test_cycles.py`); planning uses it instead of simulation.
The constants are the fixed waits of the schedule, in cycles; those of single components are in `latency`.
"""

from dataclasses import dataclass
from itertools import accumulate

from fivebyfive.model.shape import CONV_WORD, FC_WORD, KERNEL, PIXELS, LeNetShape, ceil_div

from .config import Config
from .latency import ACTIVATION_MEMORY, MAP_MEMORY, POOLING, bank_latency, dot_product_latency
from .weights import fc_banks

__all__ = ["CyclePlan", "plan"]

AVAILABLE = 1  # from the last pixel of an image to its being complete in the image buffer
LEAVE_IDLE = 1  # a controller sees an image in its idle state; the next cycle is its first busy one
LOAD_BIAS = 2  # of a word of conv biases beside the memory's latency: entering PREPARING, and LOAD_..._BIAS
INPUT_REGISTER = 1  # a position waits for its patch
ADD_BASE = 1  # the sum of products is added to a bias or partial sum, in both engines
WRITE = 1  # of a code into a memory
READABLE = 1  # the controller's step from the write to the state that follows it
CONV_PIPELINE = INPUT_REGISTER + dot_product_latency(CONV_WORD) + ADD_BASE + POOLING  # position to pooled code
CONV_DRAIN = CONV_PIPELINE + WRITE + READABLE  # from a layer's last position to the state after it
CELL = CONV_PIPELINE + WRITE  # from a cell's last position to its activations being readable
FED = 1  # from an image's last pixel to its activations being complete, where pixels are the activations
PREPARE = 1  # FC_PREPARING, before the words of a layer or, early, of a word of inputs
PLACES = ACTIVATION_MEMORY + 1  # from a word with places to its activations, which pass a register
COMPARE = 1  # a logit is compared in the cycle after it was selected
STEADY = 12  # images after which the interval between results is constant


@dataclass(frozen=True)
class CyclePlan:
    """Cycles of one image: of each engine; from the last pixel to the result; between results in a long run.

    ``limit_conv`` and ``limit_fc`` are the arithmetic limits, with every multiplier busy in every cycle.
    """

    conv: int
    fc: int
    latency: int
    interval: int
    limit_conv: int
    limit_fc: int

    def utilization(self, shape: LeNetShape, config: Config) -> float:
        """MACs / (interval x multipliers): the part of the multipliers that does useful work."""
        return sum(shape.macs.values()) / (self.interval * config.multipliers)


def plan(shape: LeNetShape, config: Config) -> CyclePlan:
    """The cycles of a network on a machine."""
    if not shape.has_convolutions:
        conv, alone, between = 0, fc_cycles(shape, config, 0, [], FED), fed_interval(shape, config)
    else:
        conv, finished = conv_cycles(shape, config)
        # One image that has the machine to itself, counted from its last pixel's cycle.
        begin = AVAILABLE + LEAVE_IDLE
        alone = fc_cycles(shape, config, 0, [begin + cycle for cycle in finished], begin + conv)
        between = interval(shape, config, conv, finished)
    return CyclePlan(
        conv=conv,
        fc=alone.cycles,
        latency=alone.result,
        interval=between,
        limit_conv=sum(layer.positions for layer in conv_layers(shape, config)),
        limit_fc=sum(map(sum, fc_layers(shape, config))),
    )


@dataclass(frozen=True)
class _Conv:
    """A conv layer: its ``outputs``; the ``positions`` of a ``sweep``, and of all its sweeps."""

    outputs: int
    sweep: int
    positions: int


def conv_layers(shape: LeNetShape, config: Config) -> list[_Conv]:
    """conv1 and conv2; nothing without convolutions."""
    if not shape.has_convolutions:
        return []
    sizes = [(shape.conv1, shape.conv1_out**2 // config.windows), (shape.conv2, shape.conv2_out**2 // config.windows)]
    counts = [len(config.groups(shape.conv1)), sum(conv2_sweeps(shape, config))]
    return [_Conv(outputs, sweep, sweep * count) for (outputs, sweep), count in zip(sizes, counts, strict=True)]


def conv2_sweeps(shape: LeNetShape, config: Config) -> list[int]:
    """Sweeps of each group of conv2's output channels: of every input channel, or fewer where zeros are skipped."""
    sweeps = config.engines.sweeps
    return [len(one) for one in sweeps] if sweeps else [shape.conv1] * len(config.groups(shape.conv2))


def conv_memory(config: Config) -> int:
    """Latency of the conv weight memory: a cycle more where values are looked up."""
    return bank_latency(1) + config.engines.conv.narrow


def conv_cycles(shape: LeNetShape, config: Config) -> tuple[int, list[int]]:
    """Busy cycles of the conv engine; and when, counted from the first of them, each activation word can be read."""
    cycle = 0
    for number, layer in enumerate(conv_layers(shape, config)):
        words = ceil_div(layer.outputs, CONV_WORD)
        words += words % 2 if number else 0  # conv2 loads its bias words in pairs
        begin = cycle + words * (conv_memory(config) + LOAD_BIAS) + fill(config, layer.outputs)
        cycle = begin + layer.positions + CONV_DRAIN
    return cycle, activation_words(shape, config, begin)


def activation_words(shape: LeNetShape, config: Config, begin: int) -> list[int]:
    """When each word of 20 activations can be read, where conv2's first position is in cycle ``begin``."""
    sweep = conv_layers(shape, config)[1].sweep
    finished: list[int] = []
    count = 0
    swept = 0
    for group, sweeps in zip(config.groups(shape.conv2), conv2_sweeps(shape, config), strict=True):
        swept += sweeps
        last_sweep = begin + (swept - 1) * sweep
        for cell in range(shape.pool2_out**2):
            written = last_sweep + last_position(shape, config, cell) + CELL
            for chunk in range(0, len(group), FC_WORD):  # at most 20 activations are written in a cycle
                count += min(FC_WORD, len(group) - chunk)
                if count // FC_WORD > len(finished):
                    finished.append(written + chunk // FC_WORD)
    return finished


def last_position(shape: LeNetShape, config: Config, cell: int) -> int:
    """Position of a sweep at which the last window of a pool cell of conv2 is computed."""
    row, column = divmod(cell, shape.pool2_out)
    if config.windows == 4:
        return cell
    if config.windows == 2:
        return row * shape.conv2_out + 2 * column + 1
    return (2 * row + 1) * shape.conv2_out + 2 * column + 1


def fill(config: Config, outputs: int) -> int:
    """Cycles from a layer's last bias to its first position: its first kernels are fetched, its first rows come."""
    kernels = min(config.outputs, outputs) + conv_memory(config)
    rows = KERNEL + (0 if config.windows == 1 else 1)
    transfers = rows // (2 if config.windows == 4 else 1)
    return max(kernels, transfers + MAP_MEMORY)


def fc_layers(shape: LeNetShape, config: Config) -> list[tuple[int, ...]]:
    """Of each fully-connected layer the words of inputs of each group of outputs."""
    sizes = zip(shape.fc, shape.fc_inputs, strict=True)
    dense = [(config.input_words(inputs),) * ceil_div(outputs, config.fc_outputs) for outputs, inputs in sizes]
    return list(config.engines.words) or dense


def fc_memory(shape: LeNetShape, config: Config) -> int:
    """Cycles from the address of weights to a row: the latency of their memory; then values are looked up, or
    activations by their places."""
    memory = bank_latency(len(fc_banks(shape, config)))
    return memory + (PLACES if config.engines.words else config.engines.fc.narrow)


@dataclass(frozen=True)
class _Fc:
    """One image in the FC engine: busy ``cycles``; the cycle in which fc1 is ``done`` with its inputs, in which the
    engine is ``idle`` again, and in which the ``result`` is valid."""

    cycles: int
    done: int
    idle: int
    result: int


def fc_cycles(shape: LeNetShape, config: Config, idle: int, words: list[int], commit: int) -> _Fc:
    """An image whose activation ``words`` can be read in these cycles, all of them from ``commit`` on; the engine is
    idle from cycle ``idle`` on."""
    outside = config.inputs_outside(shape, 0)
    late = (config.fc_outputs - 1) // FC_WORD
    drain = fc_memory(shape, config) + dot_product_latency(config.fc_lanes) + ADD_BASE + late
    start = cycle = max(idle, min(words[0], commit) if outside and words else commit) + LEAVE_IDLE
    done = 0
    for layer, words_of in enumerate(fc_layers(shape, config)):
        groups, inputs = len(words_of), words_of[0]
        biases = 0 if config.engines.words else ceil_div(shape.fc[layer], FC_WORD * config.fc_rows)
        if outside and layer == 0:
            ready = [min(word, commit) for word in words for _ in range(FC_WORD // config.fc_lanes)]
            ready += [commit] * (inputs - len(ready))
            for word in range(inputs):
                cycle = max(cycle, ready[word]) + PREPARE + groups + (0 if word else biases)
        else:
            cycle += PREPARE + biases + sum(words_of)
        cycle += drain
        done = done or cycle
    return _Fc(cycle - start, done, cycle, cycle + argmax(shape, config) - late)


def interval(shape: LeNetShape, config: Config, conv: int, words: list[int]) -> int:
    """Cycles between results when pixels never fail: each engine in turn, until the distance is steady."""
    conv_idle = fc_idle = 0
    sets = [0, 0]  # from when on each set of activations may be written
    results: list[int] = []
    for image in range(STEADY):
        room = sets[image % 2] if config.overlap else fc_idle
        image_end = (image + 1) * PIXELS - 1  # cycle of its last pixel
        begin = max(conv_idle, room, image_end + AVAILABLE) + LEAVE_IDLE
        conv_idle = begin + conv
        done = fc_cycles(shape, config, fc_idle, [begin + word for word in words], conv_idle)
        sets[image % 2], fc_idle = done.done, done.idle
        results.append(done.result)
    return results[-1] - results[-2]


def fed_interval(shape: LeNetShape, config: Config) -> int:
    """The same where pixels are fc1's activations: they come as soon as a set is free, one a cycle."""
    taken = fc_idle = 0  # the cycle after the last pixel
    sets = [0, 0]
    results: list[int] = []
    for image in range(STEADY):
        taken = PIXELS + max(taken, sets[image % 2] if config.overlap else fc_idle)
        done = fc_cycles(shape, config, fc_idle, [], taken - 1 + FED)
        sets[image % 2], fc_idle = done.done, done.idle
        results.append(done.result)
    return results[-1] - results[-2]


def argmax(shape: LeNetShape, config: Config) -> int:
    """Cycles from the last logits to the result: one logit is looked at in a cycle, as soon as it has come, and
    compared in the next."""
    words = fc_layers(shape, config)[-1]
    periods = [1] * len(words) if config.inputs_outside(shape, len(shape.fc) - 1) else words
    arrived = list(accumulate(periods))  # each group of logits
    looked = 0  # when the latest logit was looked at
    for logit in range(shape.classes):
        looked = max(looked, arrived[logit // config.fc_outputs]) + 1
    return looked + COMPARE - arrived[-1]
