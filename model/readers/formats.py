"""A float network of a file, whatever its format."""

from collections.abc import Callable
from pathlib import Path

from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path

from .float_network import FloatNetwork
from .folding import fold
from .keras.keras_reader import read_keras
from .onnx.onnx_reader import read_onnx
from .pytorch.torch_reader import read_pt2
from .steps import Steps, Unsupported

__all__ = ["FORMATS", "has_graph", "read_float_network"]

FORMATS: dict[str, Callable[[Path], Steps]] = {  # by suffix
    ".onnx": read_onnx, ".keras": read_keras, ".h5": read_keras, ".hdf5": read_keras, ".pt2": read_pt2,
}  # fmt: skip


def has_graph(path: Path) -> bool:
    """Whether a file is of a format that says what its layers compute, by its suffix; all others are taken for
    state_dicts (`fivebyfive.model.readers.state_dict`)."""
    return path.suffix.lower() in FORMATS


def read_float_network(path: Path | str) -> FloatNetwork:
    """The layers of a file. Raises UserError, one line, for what cannot be read or holds what no layer computes."""
    path = as_path(path, "model")
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: networks are read from {', '.join(FORMATS)} files; export it as one of them")
    try:
        return fold(reader(path))
    except Unsupported as error:
        raise UserError(f"{path}: {shown(error)}") from error
