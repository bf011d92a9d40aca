"""Read a state_dict of PyTorch: tensors and nothing else, from .pt, .pth or .safetensors."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoint import infer_shape
from .errors import UserError, shown
from .extras import require_torch
from .shape import LeNetShape

if TYPE_CHECKING:
    import torch

__all__ = ["read_state"]

MAX_BYTES = 1 << 30  # of the file; the largest LeNet allowed has 100 MB of float32 weights
FIRSTS = ("conv1.weight", "fc1.weight")  # of a network with convolutions, and without
WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts keep it beside an optimizer's
SAVE_HINT = "save it with: torch.save(model.state_dict(), 'model.pt')"
NAMES = "conv1.weight, conv1.bias, conv2.weight, conv2.bias, fc1.weight, fc1.bias and so on, or no conv1 and conv2"


def read_state(path: Path) -> tuple[LeNetShape, dict[str, "torch.Tensor"]]:
    """The shape of a float LeNet and its float32 tensors under the names of `LeNetShape.arrays`.

    A prefix common to all names ("module.", "model.") is taken off. Raises UserError, one line, for
    anything else.
    """
    torch = require_torch()
    tensors = _strip(path, _tensors(path))
    try:
        shape = infer_shape({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except ValueError as error:
        raise UserError(f"{path} is not a LeNet: {error}; it needs {NAMES}") from error
    for name, tensor in tensors.items():
        if name not in shape.arrays:
            raise UserError(f"{path} is not a LeNet: {name} does not belong to one; it needs {NAMES}")
        if not tensor.is_floating_point():
            raise UserError(
                f"{path}: {name} is {tensor.dtype}, not a float; quantize starts from a float network"
            )
        if not torch.isfinite(tensor).all():
            raise UserError(f"{path}: {name} holds values that are not finite; the training went wrong")
    return shape, {name: tensors[name].to(torch.float32) for name in shape.arrays}


def _tensors(path: Path) -> dict[str, "torch.Tensor"]:
    """Whatever tensors the file holds, by name."""
    torch = require_torch()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES >> 30} GiB; it cannot be a LeNet")
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UserError(f"cannot read model {path}: {error.strerror}") from error
    if path.suffix == ".safetensors":
        found = _read_safetensors(path)
    elif path.suffix in (".pt", ".pth"):
        found = _read_torch(path)
    else:
        raise UserError(f"{path}: a float model is a .pt, .pth or .safetensors file; {SAVE_HINT}")
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise UserError(f"{path} is not a state_dict (names and tensors); {SAVE_HINT}")
    return {shown(str(name)): value.detach() for name, value in found.items()}


def _read_torch(path: Path) -> object:
    torch = require_torch()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TorchScript archives, which are refused just below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or holds more than tensors (a pickled model?), never loaded; {SAVE_HINT}"
        ) from error
    except Exception as error:  # a damaged file makes torch.load raise almost anything
        raise UserError(
            f"{path} is damaged or not a PyTorch file ({type(error).__name__}); {SAVE_HINT}"
        ) from error


def _read_safetensors(path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(
            ".safetensors needs that package; install it: pip install 'fivebyfive[train]'"
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
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
