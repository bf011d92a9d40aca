"""The cycle model: how long the hardware takes, from the shape of the network and the size of the machine alone.

Equal to the hardware's counters, cycle by cycle (`tests/sim/test_cycles.py`); planning uses it instead of simulation.
The constants are the schedule's fixed waits; each names where it comes from.
"""

from dataclasses import dataclass

from .config import Config
from .shape import CONV_WORD, FC_WORD, IMAGE, KERNEL, LeNetShape

__all__ = ["CyclePlan", "plan"]

MEMORY = 2  # latency of a weight memory: block RAM and its output register
TREE_25, TREE_20 = 6, 6  # products and adder tree of 25 and of 20 terms
BIAS_WORD = MEMORY + 2  # PREPARING counts down the memory's latency, LOAD_..._BIAS takes the word
CONV_DRAIN = 1 + TREE_25 + 1 + 1 + 2  # input register, tree, partial sum, pooling; the write and a cycle to read it
FC_DRAIN = MEMORY + TREE_20 + 1  # memory, tree, accumulator
IDLE = 1  # an engine is idle for one cycle between two images


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
    layers = [
        (shape.conv1, 1, shape.conv1_out**2 // config.windows),
        (shape.conv2, shape.conv1, shape.conv2_out**2 // config.windows),
    ]
    sweeps = [len(config.groups(outputs)) * inputs * positions for outputs, inputs, positions in layers]
    # conv2 takes its bias words in pairs; the features come from as many banks as channels are computed at once.
    words = [_ceil(outputs, CONV_WORD) for outputs, _, _ in layers]
    words[1] += words[1] % 2
    banks = [1, min(config.outputs, shape.conv1)]
    conv = sum(
        words[n] * BIAS_WORD + fill(config, layers[n][0], banks[n]) + sweeps[n] + CONV_DRAIN for n in range(2)
    )
    fc_layers = [
        _ceil(outputs, config.fc_rows) * _ceil(inputs, FC_WORD)
        for outputs, inputs in zip(shape.fc, shape.fc_inputs, strict=True)
    ]
    drain = FC_DRAIN + (config.fc_rows - 1) // FC_WORD
    fc = sum(
        1 + _ceil(outputs, FC_WORD * config.fc_rows) + weights + drain
        for outputs, weights in zip(shape.fc, fc_layers, strict=True)
    )
    latency = 2 + conv + fc + argmax(shape, config) - (config.fc_rows - 1) // FC_WORD
    interval = max(conv + IDLE, fc + IDLE, IMAGE * IMAGE)
    return CyclePlan(conv, fc, latency, interval, sum(sweeps), sum(fc_layers))


def fill(config: Config, outputs: int, banks: int) -> int:
    """Cycles from a layer's last bias to its first position: its first kernels are fetched, its first rows come."""
    kernels = min(config.outputs, outputs) + MEMORY
    rows = KERNEL + (0 if config.windows == 1 else 1)
    transfers = rows // (2 if config.windows == 4 else 1)
    reading = 2 if banks == 1 else 3
    return max(kernels, transfers + reading)


def argmax(shape: LeNetShape, config: Config) -> int:
    """Cycles from the last logits to the result: one logit is looked at in a cycle, as soon as it has come."""
    period = _ceil(shape.fc_inputs[-1], FC_WORD)
    looked = 0  # when the latest logit was looked at, counted from the first logits
    for logit in range(shape.classes):
        arrived = logit // config.fc_rows * period
        looked = max(looked + 1, arrived + 1)
    return looked - (_ceil(shape.classes, config.fc_rows) - 1) * period + 1


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)
