"""Files of frameworks that are not read: a line that names them and says how to convert them."""

from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.readers.foreign import MXNET
from fivebyfive.model.readers.state_dict.weights import read_weights
from fivebyfive.model.readers.tensorflow.table import MAGIC
from fivebyfive.support.errors import UserError

FILES: dict[str, tuple[dict[str, bytes], str, str]] = {
    "zeros": ({"a.ckpt.index": bytes(60) + MAGIC}, "a.ckpt.index", "damaged or no checkpoint of TensorFlow"),
    "an empty index": ({"a.ckpt.index": b"", "a.ckpt.data-00000-of-00001": b""}, "a.ckpt", "its end is missing"),
    "a short index": ({"a.index": MAGIC}, "a", "a.index is damaged or no checkpoint of TensorFlow"),
    "values": ({"a.index": MAGIC, "a.data-00000-of-00001": bytes(9)}, "a.data-00000-of-00001", "a.index is damaged"),
    "values alone": ({"a.data-00000-of-00001": bytes(9)}, "a.data-00000-of-00001", "checkpoint's index.*a.index"),
    "TensorFlow's first": ({"a.ckpt": MAGIC}, "a.ckpt", "a checkpoint of TensorFlow in one file.*a.ckpt.meta"),
    "a folder": ({"a/saved_model.pb": b"x"}, "a", "SavedModel.*--saved-model a"),
    "TFLite": ({"a.bin": b"\x1c\0\0\0TFL3"}, "a.bin", "TFLite"),
    "MXNet": ({"a.params": MXNET + bytes(8)}, "a.params", "of MXNet"),
    "Caffe": ({"a.caffemodel": b"x"}, "a.caffemodel", "of Caffe"),
    "nothing": ({"a.bin": b""}, "a.bin", "damaged or not a PyTorch file"),
    "no file": ({}, "a.bin", "cannot read model"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_framework(name: str, tmp_path: Path) -> None:
    files, model, said = FILES[name]
    for one, data in files.items():
        (tmp_path / one).parent.mkdir(exist_ok=True)
        (tmp_path / one).write_bytes(data)
    with pytest.raises(UserError, match=said) as caught:
        read_weights(tmp_path / model)
    assert "\n" not in str(caught.value)


def test_arrays_of_numpy(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weight=np.zeros((2, 2)))
    with pytest.raises(UserError, match=r"NumPy arrays.*torch\.save"):
        read_weights(tmp_path / "a.npz")


def test_an_integer_checkpoint() -> None:
    with pytest.raises(UserError, match=r"smallest\.npz is an integer checkpoint already: evaluate"):
        read_weights(SHIPPED.with_name("smallest.npz"))
