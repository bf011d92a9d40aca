"""The tensors of a state_dict and nothing else, of a file of torch.save or a .safetensors file under any name."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fivebyfive.model.readers.chain import MAX_MAGNITUDE, brief
from fivebyfive.model.readers.foreign import check_readable
from fivebyfive.model.readers.formats import FORMATS
from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path, open_limited
from fivebyfive.support.optional import require_torch

if TYPE_CHECKING:
    import torch

__all__ = ["SAVE_HINT", "check_kind", "float64", "natural", "read_tensors"]

MAX_BYTES = 1 << 30  # of the file, and of what it unpacks to; the largest LeNet allowed has 210 MB in float32
MAX_HEADER = 100 << 20  # bytes, of a .safetensors file
STARTS = b"PK", b"\x80"  # of files of torch.save: a zip archive or, before, a pickle
MAX_DEPTH = 4  # of dictionaries in dictionaries
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params")
SAVE_HINT = "save it with: torch.save(model.state_dict(), 'model.pt')"
EXPORT_HINT = (
    "export it where its code is: model = torch.load(FILE, weights_only=False); model.eval();"
    " torch.save(model.state_dict(), 'model.pt') or, which keeps the graph,"
    " torch.export.save(torch.export.export(model, (torch.zeros(1, 1, 28, 28),)), 'model.pt2')"
)


def read_tensors(path: Path) -> dict[str, "torch.Tensor"]:
    """The tensors of the state_dict in a file, by name, in its order; of .safetensors, which has none, in that of the
    names. The dictionary that it lies in (`WRAPPERS`, or any other that alone holds tensors) is taken off. Raises
    UserError, one line; nothing is unpickled but tensors."""
    require_torch()
    path = as_path(path, "model")
    check_readable(path)
    with open_limited(path, MAX_BYTES, "model") as file:
        start = file.read(9)
        file.seek(0)
        safetensors = start[8:] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER
        read = _read_safetensors if safetensors or path.suffix == ".safetensors" else _read_torch
        if read is _read_torch and not start.startswith(STARTS):
            graphs = ", ".join(FORMATS)
            raise UserError(f"{path} is damaged or not a PyTorch file, and has no suffix of {graphs}; {SAVE_HINT}")
        found = read(path, file)
    if isinstance(found, Mapping) and not found:
        return {}
    states = dict(_states(found))
    names = [name for wrapper in ("", *WRAPPERS) for name in states if name.rpartition(".")[2] == wrapper] or [*states]
    if not names:
        raise UserError(f"{path} is not a state_dict (names and tensors); {SAVE_HINT}")
    if len(names) > 1 and names[0].rpartition(".")[2] not in ("", *WRAPPERS):
        raise UserError(f"{path} holds several state_dicts, {shown(', '.join(names[:4]))}; save one of them alone")
    tensors = {shown(name): value.detach() for name, value in states[names[0]].items()}
    if len(tensors) < len(states[names[0]]):
        raise UserError(f"{path} has two tensors of the same name; {SAVE_HINT}")
    return tensors if read is _read_torch else dict(sorted(tensors.items(), key=lambda item: natural(item[0])))


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts names with numbers in them by the numbers: features.3 before features.10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,18})", name)]


def check_kind(what: str, tensor: "torch.Tensor") -> None:
    """Raise UserError for a tensor without values, or without a shape. So each one behind it has a value."""
    if tensor.is_nested:
        raise UserError(f"{what} is a nested tensor, of parts that differ in shape; {SAVE_HINT}")
    if tensor.is_meta:
        raise UserError(f"{what} has a shape but no values (it was saved from the device meta); load the weights first")
    if not tensor.numel():
        raise UserError(f"{what}, of shape {brief(tuple(tensor.shape))}, has no values; {SAVE_HINT}")


def float64(what: str, tensor: "torch.Tensor") -> "torch.Tensor":
    """The same values, dense, in float64. Raises UserError for what is no float, not finite, or far too large."""
    torch = require_torch()
    if not tensor.is_floating_point():
        raise UserError(f"{what} is {tensor.dtype}, not a float; a float network is needed")
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
    return values


def _states(found: object, name: str = "", depth: int = MAX_DEPTH) -> Iterator[tuple[str, Mapping]]:
    """The dictionaries of tensors alone, by the names that lead there; not those of an optimizer."""
    torch = require_torch()
    if not isinstance(found, Mapping) or not found or not all(isinstance(key, str) for key in found):
        return
    if all(isinstance(value, torch.Tensor) for value in found.values()):
        yield name, found
    elif depth and "param_groups" not in found:
        for key, value in found.items():
            yield from _states(value, f"{name}.{key}" if name else key, depth - 1)


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
            f"{path} is damaged or holds more than tensors (a pickled model?), never loaded; {EXPORT_HINT}"
        ) from error
    except Exception as error:  # a damaged file makes torch.load raise almost anything
        if "TorchScript" in str(error):
            raise UserError(f"{path} is a TorchScript archive, whose code is never run; {EXPORT_HINT}") from error
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
        from safetensors.torch import load
    except ImportError as error:
        raise UserError(".safetensors needs that package; install it: pip install 'fivebyfive[train]'") from error
    try:
        return load(file.read())
    except KeyError as error:
        raise UserError(f"{path} holds values of type {error}, which PyTorch does not take; save float32") from error
    except Exception as error:  # of its own, of Rust's and of PyTorch's, as of sizes that no tensor can have
        raise UserError(f"{path} is damaged or not a .safetensors file; save it again") from error
