"""A float network of a file, whatever its format."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fivebyfive.support.errors import UserError, shown
from fivebyfive.support.inputs import as_path

from .float_network import FloatNetwork
from .folding import fold
from .keras.keras_reader import read_keras
from .onnx.onnx_reader import read_onnx
from .pytorch.torch_reader import read_pt2
from .quantized import is_quantized, unquantized
from .steps import Steps, Unsupported

__all__ = ["FORMATS", "float_network", "folded", "has_graph", "read_steps"]

FORMATS: dict[str, Callable[[Path], Steps]] = {  # by suffix
    ".onnx": read_onnx, ".keras": read_keras, ".h5": read_keras, ".hdf5": read_keras, ".pt2": read_pt2,
}  # fmt: skip


def has_graph(path: Path) -> bool:
    """Whether a file is of a format that says what its layers compute, by its suffix; all others are taken for
    state_dicts or checkpoints of TensorFlow (`fivebyfive.model.readers.state_dict`)."""
    return path.suffix.lower() in FORMATS


def read_steps(path: Path | str) -> Steps:
    """What a file computes. Raises UserError, one line, for what cannot be read."""
    path = as_path(path, "model")
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: networks are read from {', '.join(FORMATS)} files; export it as one of them")
    with unsupported(path):
        return reader(path)


def float_network(path: Path | str, steps: Steps) -> FloatNetwork:
    """The layers of a file, whose quantizers are functions of their layers, or left out where no layer has such a one.
    Raises UserError, one line, for what no layer computes."""
    try:
        return fold(steps)
    except Unsupported:
        return folded(path, unquantized(steps) if is_quantized(steps) else steps)


def folded(path: Path | str, steps: Steps) -> FloatNetwork:
    """The layers that compute what a file does. Raises UserError, one line."""
    with unsupported(path):
        return fold(steps)


@contextmanager
def unsupported(path: Path | str) -> Iterator[None]:
    """What the file holds is a line about it."""
    try:
        yield
    except Unsupported as error:
        raise UserError(f"{path}: {shown(error)}") from error
