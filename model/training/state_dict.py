"""Read a state_dict of PyTorch: tensors and nothing else, from .pt, .pth or .safetensors."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from fivebyfive.model.checkpoint import infer_shape
from fivebyfive.model.readers.float_network import FloatNetwork
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path, open_limited
from fivebyfive.support.optional import require_torch

if TYPE_CHECKING:
    import torch

__all__ = ["SUFFIXES", "read_state", "read_state_dict"]

MAX_BYTES = 1 << 30  # of the file, and of what it unpacks to; the largest LeNet allowed has 210 MB in float32
MAX_MAGNITUDE = 1e12  # of a weight; no training that went well comes near
FIRSTS = ("conv1.weight", "fc1.weight")  # of a network with convolutions, and without
WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts keep it beside an optimizer's
SUFFIXES = (".pt", ".pth", ".safetensors")
SAVE_HINT = "save it with: torch.save(model.state_dict(), 'model.pt')"
NAMES = "conv1.weight, conv1.bias, conv2.weight, conv2.bias, fc1.weight, fc1.bias and so on, or no conv1 and conv2"


def read_state(path: Path) -> tuple[LeNetShape, dict[str, "torch.Tensor"]]:
    """The shape of a float LeNet and its float32 tensors under the names of `LeNetShape.arrays`.

    A prefix common to all names ("module.", "model.") is taken off. Raises UserError, one line, for
    anything else.
    """
    path = as_path(path, "model")
    tensors = _strip(path, _tensors(path))
    for name, tensor in tensors.items():
        _check_kind(f"{path}: {name}", tensor)
    try:
        shape = infer_shape({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except ValueError as error:
        raise UserError(f"{path} is not a LeNet: {error}; it needs {NAMES}") from error
    for name, tensor in tensors.items():
        if name not in shape.arrays:
            raise UserError(f"{path} is not a LeNet: {name} does not belong to one; it needs {NAMES}")
        if not tensor.is_floating_point():
            raise UserError(f"{path}: {name} is {tensor.dtype}, not a float; quantize starts from a float network")
    return shape, {name: _float32(f"{path}: {name}", tensors[name]) for name in shape.arrays}


def read_state_dict(path: Path) -> FloatNetwork:
    """The network of the brief's form that has the tensors of a file. Raises UserError as `read_state` does."""
    shape, state = read_state(path)
    arrays = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}
    channels = shape.network.input[0]
    return FloatNetwork(shape.network, arrays, {}, {}, np.ones(channels), np.zeros(channels))


def _check_kind(what: str, tensor: "torch.Tensor") -> None:
    """Raise UserError for a tensor without values, or without a shape."""
    if tensor.is_nested:
        raise UserError(f"{what} is a nested tensor, of parts that differ in shape; {SAVE_HINT}")
    if tensor.is_meta:
        raise UserError(f"{what} has a shape but no values (it was saved from the device meta); load the weights first")


def _float32(what: str, tensor: "torch.Tensor") -> "torch.Tensor":
    """The same values, dense, in float32. Raises UserError for what is not finite, or far too large."""
    torch = require_torch()
    try:
        dense = tensor if tensor.layout == torch.strided else tensor.to_dense()
        values = dense.to(torch.float64)  # float8 knows neither isfinite nor abs
    except RuntimeError as error:
        kind = f"{tensor.dtype} ({tensor.layout})"
        raise UserError(f"{what} is {kind}, which PyTorch does not convert; save it in float32") from error
    if not torch.isfinite(values).all():
        raise UserError(f"{what} holds values that are not finite; the training went wrong")
    if (largest := float(values.abs().max())) > MAX_MAGNITUDE:
        raise UserError(f"{what} holds a value of {largest:g}, larger than {MAX_MAGNITUDE:g}; the training went wrong")
    return values.to(torch.float32)


def _tensors(path: Path) -> dict[str, "torch.Tensor"]:
    """Whatever tensors the file holds, by name."""
    torch = require_torch()
    with open_limited(path, MAX_BYTES, "model") as file:
        if path.suffix == ".safetensors":
            found = _read_safetensors(path, file)
        elif path.suffix in SUFFIXES:
            found = _read_torch(path, file)
        else:
            raise UserError(f"{path}: a float model is a .pt, .pth or .safetensors file; {SAVE_HINT}")
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UserError(f"{path} is not a state_dict (names and tensors); {SAVE_HINT}")
    return {shown(str(name)): value.detach() for name, value in found.items()}


def _read_torch(path: Path, file: BinaryIO) -> object:
    torch = require_torch()
    try:
        if (size := _unpacked_bytes(file)) > MAX_BYTES:
            raise UserError(f"{path} unpacks to {size} bytes; a model has at most {MAX_BYTES}")
        with warnings.catch_warnings(action="ignore"), torch.sparse.check_sparse_tensor_invariants():
            return torch.load(file, map_location="cpu", weights_only=True)  # warns of TorchScript, refused just below
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or holds more than tensors (a pickled model?), never loaded; {SAVE_HINT}"
        ) from error
    except Exception as error:  # a damaged file makes torch.load raise almost anything
        raise UserError(f"{path} is damaged or not a PyTorch file ({type(error).__name__}); {SAVE_HINT}") from error


def _unpacked_bytes(file: BinaryIO) -> int:
    """Bytes that a zip archive says it unpacks to; 0 for a file of the format before."""
    archive = zipfile.is_zipfile(file)
    file.seek(0)
    if not archive:
        return 0
    with zipfile.ZipFile(file) as members:
        size = sum(info.file_size for info in members.infolist())
    file.seek(0)
    return size


def _read_safetensors(path: Path, file: BinaryIO) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise UserError(".safetensors needs that package; install it: pip install 'fivebyfive[train]'") from error
    try:
        return load(file.read())
    except KeyError as error:
        raise UserError(f"{path} holds values of type {error}, which PyTorch does not take; save float32") from error
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path} is damaged or not a .safetensors file; save it again") from error


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
