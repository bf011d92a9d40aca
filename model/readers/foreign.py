"""Files of frameworks that are not read: known by their first and last bytes, so that the line says what to do."""

from pathlib import Path

from fivebyfive.model.checkpoint import load_checkpoint
from fivebyfive.model.readers.tensorflow.table import MAGIC
from fivebyfive.support.errors import UserError
from fivebyfive.support.inputs import open_limited

__all__ = ["check_readable"]

MAX_BYTES = 1 << 30
TENSORFLOW = "python -m tf2onnx.convert {} --inputs x:0 --outputs scores:0 --output model.onnx"
MXNET = (0x112).to_bytes(8, "little")
FLATBUFFER = slice(4, 8)


def check_readable(path: Path) -> None:
    """Raise UserError, one line, for a file of TensorFlow (SavedModel, TFLite, a checkpoint in one file), MXNet, Caffe
    or NumPy, also for an integer checkpoint."""
    name = path.name
    if (path / "saved_model.pb").is_file():
        raise refused(path, "a SavedModel of TensorFlow", TENSORFLOW.format(f"--saved-model {name}"))
    with open_limited(path, MAX_BYTES, "model") as file:
        start = file.read(8)
        file.seek(max(0, file.seek(0, 2) - len(MAGIC)))
        end = file.read(len(MAGIC))
    if end == MAGIC:
        what = "a checkpoint of TensorFlow in one file, its first form"
        raise refused(path, what, TENSORFLOW.format(f"--checkpoint {name}.meta"))
    if start[FLATBUFFER] == b"TFL3":
        raise refused(path, "a TFLite file", TENSORFLOW.format(f"--tflite {name}"))
    if start == MXNET:
        raise refused(path, "a file of MXNet", "mxnet.onnx.export_model(symbol, parameters)")
    if path.suffix in (".caffemodel", ".prototxt"):
        raise refused(path, "a file of Caffe", "another framework that reads it")
    if path.suffix in (".npy", ".npz"):
        if is_checkpoint(path):
            raise UserError(f"{path} is an integer checkpoint already: evaluate, simulate or generate it")
        raise refused(path, "a file of NumPy arrays", "torch.save({name: torch.from_numpy(array), ...}, 'model.pt')")


def is_checkpoint(path: Path) -> bool:
    """Whether it is an integer checkpoint."""
    try:
        load_checkpoint(path)
    except UserError:
        return False
    return True


def refused(path: Path, what: str, how: str) -> UserError:
    return UserError(f"{path} is {what}, which is not read; convert it with: {how}")
