"""A float network: the layers of a `Network` with float64 arrays, and functions where the integer one has tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from fivebyfive.model.description import describe_layer
from fivebyfive.model.network import Layer, Network
from fivebyfive.model.q26 import Q2_6

from .steps import Activation

__all__ = ["FloatNetwork", "describe_function"]


@dataclass(frozen=True)
class FloatNetwork:
    """``network``: the layers, ``fill`` left out. ``arrays``: NAME.weight and NAME.bias, float64, shaped as the integer
    ones. ``functions``: layer to the functions that its "table" stands for, in their order. ``fills``: layer to the
    value in its padding, (I,) one an input channel, where it is not 0. ``scale`` and ``shift``, (channels,): the first
    layer sees image * scale + shift, and its fill is in that unit too. ``remarks``: lines that a person should read."""

    network: Network
    arrays: Mapping[str, np.ndarray]
    functions: Mapping[str, tuple[Activation, ...]]
    fills: Mapping[str, np.ndarray]
    scale: np.ndarray
    shift: np.ndarray
    remarks: tuple[str, ...] = field(default=())

    @property
    def input(self) -> tuple[int, int, int]:
        """Channels, rows and columns of an image."""
        return self.network.input

    def taking(self, scale: float | np.ndarray = 1.0, shift: float | np.ndarray = 0.0) -> "FloatNetwork":
        """The same function of q, where the image was q * ``scale`` + ``shift`` (a number, or one a channel; no scale
        is 0); all scaling is folded into the first layer."""
        place = self.network.places[0]
        layer, channels = place.layer, self.network.input[0]
        factors = self.scale * scale, self.scale * shift + self.shift
        weight, bias = self.arrays[f"{layer.name}.weight"], self.arrays[f"{layer.name}.bias"]
        inputs = weight.reshape(len(weight), channels // layer.groups, -1)  # of an fc layer: the pixels of a channel
        by_output = [np.repeat(one.reshape(layer.groups, -1), len(weight) // layer.groups, 0) for one in factors]
        scaled = inputs * by_output[0][:, :, np.newaxis]
        moved = bias + (inputs.sum(2) * by_output[1]).sum(1)
        arrays = dict(self.arrays) | {f"{layer.name}.weight": scaled.reshape(weight.shape), f"{layer.name}.bias": moved}
        fills = dict(self.fills)
        if any(layer.padding):
            fills[layer.name] = (self.fills.get(layer.name, np.zeros(channels)) - factors[1]) / factors[0]
        return replace(self, arrays=arrays, fills=fills, scale=np.ones(channels), shift=np.zeros(channels))

    def described(self) -> dict:
        """Section "Any list of layers" of docs/checkpoint.md, with {"function": NAME, its parameters} where the integer
        network has "table". ``fill`` is in codes: they are right where a value of the network has its own code, as
        those of pixels / 128 have."""
        return {
            "input": list(self.network.input),
            "layers": [self.described_layer(layer) for layer in self.network.layers],
        } | self.network.labels_member

    def described_layer(self, layer: Layer) -> dict:
        fill = np.clip(np.rint(self.fills.get(layer.name, np.zeros(1)) * Q2_6.one), Q2_6.min, Q2_6.max).astype(int)
        codes = tuple(fill.tolist())
        described = describe_layer(replace(layer, fill=codes[:1] if len(set(codes)) == 1 else codes))
        then: list = []
        for step in described.get("then", ()):
            then += map(describe_function, self.functions[layer.name]) if step == "table" else [step]
        return described | ({"then": then} if then else {})


def describe_function(function: Activation) -> str | dict:
    if function.name == "relu":
        return "relu"
    return {"function": function.name} | {key: value for key, value in function.parameters.items() if isfinite(value)}
