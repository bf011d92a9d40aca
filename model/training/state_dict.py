"""The state_dict of a float LeNet: tensors that `fivebyfive.model.readers.state_dict` reads, under known names."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fivebyfive.model.checkpoint import infer_shape
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.readers.state_dict.tensors import check_kind, float64, read_tensors
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import as_path
from fivebyfive.support.optional import require_torch

if TYPE_CHECKING:
    import torch

__all__ = ["SUFFIXES", "read_state", "read_state_dict"]

FIRSTS = ("conv1.weight", "fc1.weight")  # of a network with convolutions, and without
SUFFIXES = (".pt", ".pth", ".safetensors")
NAMES = "conv1.weight, conv1.bias, conv2.weight, conv2.bias, fc1.weight, fc1.bias and so on, or no conv1 and conv2"


def read_state(path: Path) -> tuple[LeNetShape, dict[str, "torch.Tensor"]]:
    """The shape of a float LeNet and its float32 tensors under the names of `LeNetShape.arrays`.

    A prefix common to all names ("module.", "model.") is taken off. Raises UserError, one line, for
    anything else.
    """
    torch = require_torch()
    path = as_path(path, "model")
    tensors = _strip(path, read_tensors(path))
    for name, tensor in tensors.items():
        check_kind(f"{path}: {name}", tensor)
    try:
        shape = infer_shape({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except ValueError as error:
        raise UserError(f"{path} is not a LeNet: {error}; it needs {NAMES}") from error
    for name in tensors:
        if name not in shape.arrays:
            raise UserError(f"{path} is not a LeNet: {name} does not belong to one; it needs {NAMES}")
    return shape, {name: float64(f"{path}: {name}", tensors[name]).to(torch.float32) for name in shape.arrays}


def read_state_dict(path: Path) -> FloatNetwork:
    """The network of the brief's form that has the tensors of a file. Raises UserError as `read_state` does."""
    shape, state = read_state(path)
    arrays = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}
    channels = shape.network.input[0]
    return FloatNetwork(shape.network, arrays, {}, {}, np.ones(channels), np.zeros(channels))


def _strip(path: Path, tensors: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """Names without the prefix that stands before the first layer's weight, if it stands before every name."""
    found = ((name, end) for end in FIRSTS for name in tensors if name == end or name.endswith(f".{end}"))
    first, end = next(found, (None, ""))
    if first is None:
        names = ", ".join(list(tensors)[:4]) or "nothing"
        raise UserError(f"{path} is not a LeNet: it has {names}; it needs {NAMES}")
    prefix = first.removesuffix(end)
    for name in tensors:
        if not name.startswith(prefix):
            raise UserError(f"{path} is not a LeNet: {name} does not begin with {prefix} as {first} does")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
