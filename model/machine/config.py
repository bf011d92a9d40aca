"""How large the machine is: a frozen set of sizes that the generator, the weight image and the cycle counts share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from operator import index
from typing import Any

from fivebyfive.model.network import Network
from fivebyfive.model.shape import FC_WORD, KERNEL, ceil_div, summary
from fivebyfive.model.winograd import KERNEL_SIZE, PRODUCTS, WORD_BYTES

from .latency import bank_latency
from .stages import stages
from .weight_form import CODES, DENSE, Engines
from .zero_windows import skips

__all__ = ["DSP_SIZES", "FAMILY_DSP_SIZES", "LATER", "Config", "paired"]

FETCH_MARGIN = bank_latency(1) + 2  # cycles from the last address of a kernel set to its sweep: data, capture, transfer
SWEEP_WINDOWS = 64  # windows of a sweep that fetches of the most O kernels still hide behind: an 8 x 8 map
KERNELS = range(3, 8)  # rows and columns of the conv array's kernels
DSP_SIZES = ("25x18", "18x18")  # bits of a DSP block's multiplier
LATER = {"dsp_size": DSP_SIZES[0], "winograd": False}  # fields that version 0.1.0 did not have, and what it built
FAMILY_DSP_SIZES = {"xc7": DSP_SIZES[0], "ecp5": DSP_SIZES[1], "gowin": DSP_SIZES[1]}


def of_type(kind: type, name: str, value: Any) -> Any:
    """``value`` as an int, a bool, a str or engines, as the field is. Raises ValueError for anything else."""
    flag = type(value).__name__ in ("bool", "bool_")  # of Python, or of NumPy
    if kind is int and hasattr(value, "__index__") and not flag:
        return index(value)
    if kind is bool and flag:
        return bool(value)
    if kind in (Engines, str) and isinstance(value, kind):
        return value
    what = {int: "a whole number", bool: "True or False", str: "a text", Engines: "Engines"}[kind]
    raise ValueError(f"{name} must be {what}, not {value!r}")


def paired(count: int, dsp_size: str) -> int:
    """Of ``count`` PEs or outputs, those in packed ones. In 18x18 bits a last one without another is an ordinary one:
    there would be nothing to part, and LUTs that do it."""
    return count if dsp_size == DSP_SIZES[0] else count - count % 2


@lru_cache(maxsize=64)
def built(network: Network, kept: tuple[tuple[int, ...], ...]) -> Network:
    """``network`` with as many outputs of each layer as are ``kept``. Raises ValueError."""
    if len(kept) != len(network.layers) - 1 or any(
        len(one) > layer.outputs for one, layer in zip(kept, network.layers, strict=False)
    ):
        raise ValueError("the engines leave out outputs of another network")
    layers = [replace(layer, outputs=len(one)) for layer, one in zip(network.layers, kept, strict=False)]
    return replace(network, layers=(*layers, network.layers[-1]))


@dataclass(frozen=True)
class Config:
    """Sizes of the accelerator.

    ``windows``: windows of one 2x2 pool cell computed at once, W: 1, 2 (one above the other) or 4 (the whole cell).
    ``outputs``: output channels computed at once, O. The conv array has W x O PEs. 0, with one window: a machine for
    networks without convolutions, which has no conv array (`check`).
    ``fc_rows``: outputs of a fully-connected layer computed at once, R; each row has 20 lanes. 0: a machine for
    networks without fully-connected layers.
    ``kernel``: rows and columns of the kernels, K: a PE has K^2 multipliers, a conv word K^2 bytes. 3 to 7.
    ``early_fc``: fc1 takes each word of 20 activations as soon as conv2 has made it, for all of its outputs, instead of
    finishing one output before it begins the next. A single image is done sooner; each output needs a partial sum.
    ``overlap``: the conv engine works on the next image while the FC engine works on this one. Without it an image
    takes the cycles of both, and one set of activations is enough.
    ``packed``: two products that share an operand in one DSP block. In the convolutions two windows share a weight or,
    with W = 1, two output channels a pixel; in the fully-connected layers two outputs share an activation. As many
    products a cycle as without it, from half the multipliers.
    ``pixels``: pixels in a transfer of the input stream: 1, 2 or 4.
    ``skip_zeros``: positions all of whose windows are zeros take no cycle (`zero_windows`), nor do activations of zero
    in the dense engine of fully-connected layers (`fc_skips_zeros`): how many cycles an image takes depends on it.
    ``dsp_size``: bits of the multiplier in a DSP block, with ``packed``: "25x18" (AMD's 7 series and later), or "18x18"
    (ECP5 and others; some LUTs part the products).
    ``winograd``: the four windows of a pool cell by 36 multipliers instead of 100 (`fivebyfive.model.winograd`); W is 4
    and K is 5, and ``packed`` is of the fully-connected layers only.
    ``engines``: what is made for a network's weights (`engines.fitted`); the dense engines compute any network of the
    shape.

    Raises ValueError where a size is out of range, or no number. O is at most 59, 27 and 11 for W = 1, 2 and 4: a sweep
    of 64 / W windows then outlasts the fetch of O kernels.
    """

    windows: int = 1
    outputs: int = 1
    fc_rows: int = 1
    early_fc: bool = False
    overlap: bool = True
    packed: bool = False
    kernel: int = KERNEL
    pixels: int = 1
    skip_zeros: bool = False
    dsp_size: str = DSP_SIZES[0]
    winograd: bool = False
    engines: Engines = DENSE

    def __post_init__(self) -> None:
        if isinstance(self.engines, Mapping):  # as JSON has it
            object.__setattr__(self, "engines", Engines(**self.engines))
        for field in fields(self):
            object.__setattr__(self, field.name, of_type(type(field.default), field.name, getattr(self, field.name)))
        if self.windows not in (1, 2, 4):
            raise ValueError(f"windows must be 1, 2 or 4 (of a 2x2 pool cell), not {self.windows}")
        limit = self.most_outputs(self.windows)
        if not 1 <= self.outputs <= limit and (self.windows, self.outputs) != (1, 0):
            raise ValueError(f"outputs must be 1 to {limit} with {self.windows} windows, not {self.outputs}")
        if not 1 <= self.fc_rows <= 25 and (self.fc_rows, self.early_fc, self.engines.words) != (0, False, ()):
            raise ValueError(f"fc_rows must be 1 to 25, not {self.fc_rows}")
        if self.pixels not in (1, 2, 4):
            raise ValueError(f"pixels must be 1, 2 or 4 in a transfer, not {self.pixels}")
        if self.dsp_size not in DSP_SIZES:
            raise ValueError(f"dsp_size must be {' or '.join(DSP_SIZES)}, not {self.dsp_size!r}")
        if self.dsp_size != DSP_SIZES[0] and not self.packed:
            raise ValueError(f"dsp_size {self.dsp_size} is for packed machines; add packed, or leave it out")
        if self.kernel not in KERNELS:
            raise ValueError(f"kernel must be {KERNELS[0]} to {KERNELS[-1]}, not {self.kernel}")
        if self.early_fc and self.fc_rows > FC_WORD:
            raise ValueError(f"fc_rows must be 1 to {FC_WORD} with early_fc, not {self.fc_rows}")
        if self.engines.words and (self.packed or self.early_fc):
            raise ValueError("the bank-balanced engine has neither packed nor early_fc")
        if self.engines.words and self.fc_rows > FC_WORD:
            raise ValueError(f"the bank-balanced engine has 1 to {FC_WORD} rows, not {self.fc_rows}")
        if self.engines.conv.narrow and self.outputs >= limit:
            raise ValueError(f"outputs must be less than {limit} where conv weights are not stored as codes")
        if self.packed and not (self.engines.conv.multiplies and self.engines.fc.multiplies):
            raise ValueError("packed shares multipliers; signs and powers of two have none")
        if self.winograd and self.kernel != KERNEL_SIZE:
            raise ValueError(f"winograd is for kernels of 5x5, not of {self.kernel}x{self.kernel}; leave it out")
        if self.winograd and self.engines.conv != CODES:
            raise ValueError("winograd takes transformed weights; no codebook, signs or powers of two can be stored")

    @property
    def plain(self) -> dict[str, Any]:
        """Fields as JSON has them; `LATER` ones only where they are not what machines had before."""
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != LATER[name]}

    def check(self, network: Network) -> None:
        """Raise ValueError where this is no machine for the network."""
        network = self.built(network)
        convs, fc = stages(network).convs, stages(network).fc
        for name, count, layers, what in (
            ("outputs", self.outputs, convs, "convolutions"), ("fc_rows", self.fc_rows, fc, "fully-connected layers"),
        ):  # fmt: skip
            if bool(layers) != bool(count):
                rule = f"{name} must be at least 1" if layers else f"{name} must be 0: it has no {what}"
                raise ValueError(f"for {summary(network)}, {rule}")
        if self.early_fc and not convs:
            raise ValueError(
                f"early_fc is for networks with convolutions; the first layer of {summary(network)} takes pixels; "
                "leave it out"
            )
        if self.skip_zeros and not self.has_zeros_to_skip(network):
            raise ValueError(
                f"skip_zeros has no work in {summary(network)}: no convolution takes three channels, or one channel in "
                "front of another convolution, with at most a 2x2 pool between them, and fully-connected layers skip "
                "zeros only where all weights are stored as codes, without packed; leave it out"
            )
        if convs and self.kernel < stages(network).kernel:
            raise ValueError(f"kernel must be at least {stages(network).kernel} for {summary(network)}")
        self.check_winograd(network)
        self.check_windows(network)
        if self.engines.sweeps and len(self.engines.sweeps) != len(convs):
            raise ValueError("zero-skipping engines have lists of sweeps for another number of convolutions")

    def has_zeros_to_skip(self, network: Network) -> bool:
        """Whether ``skip_zeros``, which is set, leaves out anything of this network."""
        return self.fc_skips_zeros or any(skips(self.built(network), self))

    def built(self, network: Network) -> Network:
        """The network that the machine computes: with as many outputs of each layer as the engines keep. Of a network
        that has only these already it is that one."""
        return built(network, self.engines.kept) if self.engines.kept else network

    def computed(self, network: Network) -> dict[str, tuple[int, ...]]:
        """Of each layer those of its outputs that the machine computes, in its order."""
        every = [tuple(range(layer.outputs)) for layer in network.layers]
        kept = (*self.engines.kept, every[-1]) if self.engines.kept else every
        return dict(zip(network.names, kept, strict=True))

    def check_single_pixels(self, why: str) -> None:
        """Raise ValueError where the pixel stream has more than one pixel in a transfer."""
        if self.pixels > 1:
            raise ValueError(f"pixels must be 1 in a transfer, not {self.pixels}: {why}")

    def check_winograd(self, network: Network) -> None:
        """Raise ValueError where the conv PEs are Winograd's and these are not for the network or the size."""
        if not self.winograd:
            return
        convs = stages(network).convs
        if not convs:
            raise ValueError(f"winograd is for convolutions; {summary(network)} has none; leave it out")
        for stage in convs:
            if not stage.takes_windows:
                raise ValueError(
                    f"winograd computes cells of a pool: {stage.name} has no 2x2 pool of stride 2 behind a convolution "
                    "of stride 1; leave it out"
                )
        if self.windows != 4:
            raise ValueError(f"winograd computes four windows at once, not {self.windows}; ask for 4 conv PEs or more")

    def check_windows(self, network: Network) -> None:
        """Raise ValueError where several windows of a pool cell can't be computed at once."""
        if self.windows == 1:
            return
        for stage in stages(network).convs:
            if not stage.takes_windows:
                raise ValueError(
                    f"windows must be 1: {stage.name} has no 2x2 pool of stride 2 behind a convolution of stride 1"
                )
        signed = None
        for stage in stages(network).convs:
            if self.packed_pes and (signed or any(code < 0 for code in stage.layer.fill if any(stage.layer.padding))):
                what = f"packed with {self.windows} windows takes no negative codes"
                raise ValueError(f"{what}, but {stage.name} has some; choose windows=1")
            signed = stage.after[-1:] != ("relu",)

    @staticmethod
    def most_outputs(windows: int) -> int:
        """The largest O with this W."""
        return SWEEP_WINDOWS // windows - FETCH_MARGIN

    @property
    def conv_word_bytes(self) -> int:
        """Bytes of a word of the conv weight memory: one kernel, of codes or transformed, or as many biases."""
        return WORD_BYTES if self.winograd else self.kernel**2

    @property
    def packed_pes(self) -> bool:
        """Whether conv PEs compute two products in a DSP block; with ``winograd`` only rows do."""
        return self.packed and not self.winograd

    @property
    def position_products(self) -> int:
        """Products of W windows under one kernel."""
        return PRODUCTS if self.winograd else self.kernel**2 * self.windows

    @property
    def conv_multipliers(self) -> int:
        return self.position_products * self.outputs

    @property
    def fc_multipliers(self) -> int:
        return FC_WORD * self.fc_rows

    @property
    def multipliers(self) -> int:
        """Products a cycle of the whole machine: of 8 bits, or of 16 in Winograd's PEs."""
        return self.conv_multipliers + self.fc_multipliers

    def products(self, network: Network) -> float:
        """Products for the MACs of an image: as many or, in Winograd's PEs, 36 for 100."""
        convs = {stage.name for stage in stages(network).convs}
        share = self.position_products / (self.kernel**2 * self.windows)
        return sum(count * (share if name in convs else 1) for name, count in network.macs.items())

    @property
    def conv_dsps(self) -> int:
        """DSP blocks of the conv array: one a multiplier or, with ``packed``, one for two (a channel may be odd); none
        where weights are signs or powers of two."""
        if not self.engines.conv.multiplies:
            return 0
        if not self.packed_pes:
            return self.conv_multipliers
        return self.conv_word_bytes * (
            ceil_div(self.outputs, 2) if self.windows == 1 else self.windows * self.outputs // 2
        )

    @property
    def fc_dsps(self) -> int:
        """DSP blocks of the fully-connected engine, likewise; an output may be odd."""
        if not self.engines.fc.multiplies:
            return 0
        return self.fc_lanes * (ceil_div(self.fc_outputs, 2) if self.packed else self.fc_outputs)

    @property
    def dsps(self) -> int:
        """DSP blocks of the whole machine."""
        return self.conv_dsps + self.fc_dsps

    @property
    def fc_skips_zeros(self) -> bool:
        """Whether the fully-connected layers multiply only activations that are not zero, one at a time by the weights
        of 20 R outputs: with ``skip_zeros``, where weights are stored as codes, all of them, and rows are not packed.
        """
        dense = self.engines.fc == CODES and not self.engines.words
        return self.skip_zeros and dense and not self.packed and self.fc_rows > 0

    @property
    def fc_outputs(self) -> int:
        """Outputs of a fully-connected layer that are computed at once: R; 20 R where zeros are skipped; or 2 R where a
        packed row is split, so that every output has another one to pair with (as long as all of them fit a word of 20
        activations)."""
        if self.fc_skips_zeros:
            return FC_WORD * self.fc_rows
        return 2 * self.fc_rows if self._split else self.fc_rows

    @property
    def fc_lanes(self) -> int:
        """Activations that are multiplied at once, and products of each output: 20; 1 where zeros are skipped; or 10
        where rows are split."""
        if self.fc_skips_zeros:
            return 1
        return FC_WORD // 2 if self._split else FC_WORD

    @property
    def fc_word_bytes(self) -> int:
        """Bytes of a word of the FC weight memory as it is loaded: 20 R codes; for the bank-balanced engine also the
        place of each in its lane, and a byte that marks an output's last word."""
        codes = FC_WORD * self.fc_rows
        return 2 * codes + 1 if self.engines.words else codes

    def biases_first(self, memory: str) -> bool:
        """Whether all biases come before all weights in the memory "conv" or "fc": they have a memory of their own."""
        form = self.engines.conv if memory == "conv" else self.engines.fc
        return form.narrow or (memory == "fc" and bool(self.engines.words))

    def input_words(self, inputs: int) -> int:
        """Words of inputs of an output: at least as many as the cycles it takes to write what is computed at once, 20
        a cycle; a word too many is zeros. Where zeros are skipped, an input each."""
        if self.fc_skips_zeros:
            return inputs
        return max(ceil_div(inputs, self.fc_lanes), ceil_div(self.fc_outputs, FC_WORD))

    @property
    def _split(self) -> bool:
        return self.packed and self.fc_rows % 2 == 1 and 2 * self.fc_rows <= FC_WORD

    def groups(self, channels: int) -> list[range]:
        """Output channels that are computed together, in order; the last group may be short."""
        step = self.at_once
        return [range(first, min(first + step, channels)) for first in range(0, channels, step)]

    @property
    def at_once(self) -> int:
        """Most of fc1's activations that come in a cycle: of O channels, or the pixels of a transfer."""
        return self.outputs or self.pixels

    def inputs_outside(self, network: Network, layer: int) -> bool:
        """Whether fully-connected layer number ``layer`` (0 for fc1) goes through its words of inputs in the outer
        loop, as each does where zeros are skipped; with a single group of outputs there is only one order."""
        if self.fc_skips_zeros:
            return True
        return self.early_fc and layer == 0 and stages(network).fc[0].outputs > self.fc_outputs

    def fc1_order(self, network: Network) -> list[int]:
        """Index into PyTorch's flattened output of the last convolution, of each fc1 input in the order in which the
        array finishes it.

        Channels of a group finish a pool cell together; so activation words fill up densely at any size. For one
        output channel at a time it is PyTorch's own order; pixels are in theirs, channel by channel, row by row.
        """
        if not stages(network).convs:
            return list(range(network.pixels))
        last = stages(network).convs[-1]
        cells = last.cells
        return [
            channel * cells + cell for group in self.groups(last.width) for cell in range(cells) for channel in group
        ]

    def channels_at_once(self, network: Network, layer: int) -> int:
        """Input channels of a sweep of a convolution. Behind another convolution a kernel of 1x1 is a dot product over
        channels: as many groups of O as fit K^2 weights. Otherwise, with several windows and with ``skip_zeros`` it is
        one."""
        pointwise = layer > 0 and stages(network).convs[layer].layer.kernel == 1
        if not pointwise or self.windows > 1 or self.skip_zeros:
            return 1
        return max(1, self.conv_word_bytes // self.outputs * self.outputs)

    def channel_sets(self, network: Network, layer: int) -> int:
        """Sets of input channels that a convolution sweeps one after the other."""
        return ceil_div(stages(network).convs[layer].channels, self.channels_at_once(network, layer))

    def sweeps(self, network: Network, layer: int) -> list[tuple[int, ...]]:
        """The sets of input channels (`channels_at_once`) that each group of output channels of a convolution sweeps,
        ascending: those that it reads and, where zeros are skipped, that have weights."""
        stage, at_once = stages(network).convs[layer], self.channels_at_once(network, layer)
        if listed := self.engines.sweeps[layer] if self.engines.sweeps else ():
            return list(listed)
        read = [stage.group_channels(group) for group in self.groups(stage.width)]
        return [tuple(range(channels[0] // at_once, channels[-1] // at_once + 1)) for channels in read]

    def sweeps_all(self, network: Network, layer: int) -> bool:
        """Whether every group of output channels sweeps every input channel."""
        every = tuple(range(self.channel_sets(network, layer)))
        return all(channels == every for channels in self.sweeps(network, layer))

    def pace(self, network: Network, layer: int) -> int:
        """Least cycles between positions that complete codes: the FC engine takes 20 codes a cycle."""
        stage = stages(network).convs[layer]
        if layer < len(stages(network).convs) - 1 or not stages(network).fc:
            return 1
        apart = stage.pool.stride if stage.pool and self.windows < 4 else 1
        return ceil_div(ceil_div(min(self.outputs, stage.width), FC_WORD), apart)
