"""The checkpoint reader: what is good comes back as it was, everything else is one clear line."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivebyfive.model import checkpoint as module
from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint, save_checkpoint
from fivebyfive.model.shape import LeNetShape
from fivebyfive.support.errors import UserError


class Bomb:
    """Unpickling this would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(path, *words: str) -> None:
    """Reading ``path`` is a UserError of one line with these words in it."""
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.fixture
def arrays(small_checkpoint) -> dict[str, np.ndarray]:
    return dict(small_checkpoint.arrays)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.npz"


fc_widths = st.lists(st.integers(1, 64), min_size=1, max_size=4).map(tuple)
widths = st.integers(1, 40)
shapes = st.one_of(
    st.builds(LeNetShape, widths, widths, fc_widths), st.builds(LeNetShape, st.just(0), st.just(0), fc_widths)
)


@given(shapes, st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_any_network_is_loaded_as_it_was_saved(tmp_path_factory, shape, seed):
    path = tmp_path_factory.mktemp("any") / "net.npz"
    checkpoint = Checkpoint.random(shape, seed)
    save_checkpoint(path, checkpoint)
    loaded = load_checkpoint(path)
    assert (loaded.shape, loaded.digest) == (shape, checkpoint.digest)
    assert all(np.array_equal(loaded.arrays[name], array) for name, array in checkpoint.arrays.items())


@pytest.mark.parametrize("shape", ["2-3-7-10", "1-1-1", "6-16-120-84-10", "3-2-7-5-4-64"])
def test_what_is_saved_is_loaded(path, shape):
    checkpoint = Checkpoint.random(LeNetShape.parse(shape), seed=1)
    save_checkpoint(path, checkpoint)
    loaded = load_checkpoint(path)
    assert loaded.shape == checkpoint.shape
    assert list(loaded.arrays) == list(checkpoint.arrays)
    assert all(np.array_equal(loaded.arrays[name], array) for name, array in checkpoint.arrays.items())
    assert loaded.digest == checkpoint.digest


def test_order_and_packing_do_not_matter(path, arrays, small_checkpoint):
    np.savez_compressed(path, **dict(reversed(arrays.items())))
    assert load_checkpoint(path).digest == small_checkpoint.digest


def test_one_code_changes_the_digest(arrays, small_checkpoint):
    arrays["fc2.bias"] = arrays["fc2.bias"] ^ 1
    assert Checkpoint.from_arrays(arrays).digest != small_checkpoint.digest


def test_missing_file(tmp_path):
    refused(tmp_path / "none.npz", "cannot read checkpoint", "No such file")


def test_a_folder(tmp_path):
    refused(tmp_path, "cannot read checkpoint", "it is a folder")


@pytest.mark.parametrize("content", [b"", b"P", b"hello", b"\x93NUMPY"])
def test_not_an_npz(path, content):
    path.write_bytes(content)
    refused(path, "is not an .npz file")


def test_a_zip_without_arrays(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(path, "not an .npz of arrays")


@pytest.mark.parametrize("name", ["conv1.weight", "conv1.bias", "conv2.weight", "fc1.bias", "fc1.weight", "fc2.weight"])
def test_missing_array(path, arrays, name):
    del arrays[name]
    np.savez(path, **arrays)
    refused(path, f"array {name} is missing")


@pytest.mark.parametrize("name", ["fc3.weight", "fc5.weight", "bn1.weight", "step"])
def test_extra_array(path, arrays, name):
    np.savez(path, **arrays, **{name: np.zeros((4, 4), np.int8)})
    refused(path, "fc3.bias is missing" if name == "fc3.weight" else f"array {name} does not belong")


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("conv1.weight", (2, 1, 3, 3), "must have shape (2, 1, 5, 5)"),
        ("conv1.weight", (2, 3, 5, 5), "must have shape (2, 1, 5, 5)"),
        ("conv1.weight", (50,), "must have 4 dimensions"),
        ("conv2.weight", (3, 4, 5, 5), "must have shape (3, 2, 5, 5)"),
        ("fc1.weight", (7, 800), "must have shape (7, 48)"),
        ("fc1.bias", (8,), "must have shape (7,)"),
        ("fc2.weight", (65, 7), "1 to 64 classes"),
        ("fc2.weight", (0, 7), "1 to 64 classes"),
        ("conv1.weight", (0, 1, 5, 5), "1 to 256 channels"),
    ],
)
def test_wrong_shape(path, arrays, name, shape, words):
    arrays[name] = np.zeros(shape, np.int8)
    np.savez(path, **arrays)
    refused(path, words)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.bool_, np.complex64, "S4"])
def test_wrong_dtype(path, arrays, dtype):
    arrays["fc1.bias"] = np.zeros(7, dtype)
    np.savez(path, **arrays)
    refused(path, "fc1.bias must be int8")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_float_network_is_told_how_to_be_quantized(path, arrays, dtype):
    np.savez(path, **{name: array.astype(dtype) for name, array in arrays.items()})
    refused(path, "a float network", "fivebyfive quantize")


def test_objects_are_never_unpickled(path, arrays, tmp_path):
    arrays["fc1.bias"] = np.array([Bomb(tmp_path / "exploded")], dtype=object)
    np.savez(path, **arrays)
    refused(path, "fc1.bias holds Python objects", "never loaded")
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_is_never_unpickled(path, tmp_path):
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    refused(path, "is not an .npz file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conv1.weight.npy", pickle.dumps(Bomb(tmp_path / "exploded")))
    refused(path, "not an .npz of arrays")
    assert not (tmp_path / "exploded").exists()


def test_a_file_cut_anywhere(path, small_checkpoint):
    save_checkpoint(path, small_checkpoint)
    whole = path.read_bytes()
    for size in [2, 5, 30, 100, 200, len(whole) // 2, len(whole) - 30, len(whole) - 1]:
        path.write_bytes(whole[:size])
        refused(path, "is damaged or truncated")


def test_a_flipped_byte_is_noticed(path, small_checkpoint):
    save_checkpoint(path, small_checkpoint)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0x10  # in the middle of an array: only the archive's checksum can tell
    path.write_bytes(whole)
    refused(path, "damaged or truncated")


def test_an_array_that_ends_early(path, arrays):
    buffer = io.BytesIO()
    np.save(buffer, arrays["fc1.weight"])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fc1.weight.npy", buffer.getvalue()[:-9])
    refused(path, "fc1.weight", "damaged or truncated")


def test_an_archive_that_unpacks_to_too_much(path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    np.savez_compressed(path, big=np.zeros(100_000, np.int8))
    refused(path, "unpacks to 100", "at most 1000")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_pytorch_file_is_told_how_to_be_quantized(tmp_path, suffix):
    (tmp_path / f"net{suffix}").write_bytes(b"PK\x03\x04")
    refused(tmp_path / f"net{suffix}", "PyTorch state_dict", "fivebyfive quantize")


def test_a_real_pytorch_file_under_another_name(path):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": torch.zeros(2, 1, 5, 5)}, path)
    refused(path, "fivebyfive quantize")


def test_a_name_of_two_lines_stays_in_one(path, arrays):
    np.savez(path, **arrays | {"fc3\nweight\x1b[31m": np.zeros(1, np.int8)})
    refused(path, r"fc3\nweight\x1b[31m does not belong")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fc1\n.npy", b"\x93NUMPY")
    refused(path, r"fc1\n: no header")


def test_arrays_must_agree_with_the_shape(arrays):
    shape = LeNetShape(2, 3, (7, 10))
    with pytest.raises(ValueError, match="in this order"):
        Checkpoint(shape.network, dict(reversed(arrays.items())))
    with pytest.raises(ValueError, match=r"fc1.bias must be int8 \(7,\)"):
        Checkpoint(shape.network, arrays | {"fc1.bias": np.zeros(8, np.int8)})


def test_random_is_the_seed_alone():
    shape = LeNetShape(2, 3, (7, 10))
    assert Checkpoint.random(shape, 1).digest == Checkpoint.random(shape, 1).digest
    assert Checkpoint.random(shape, 1).digest != Checkpoint.random(shape, 2).digest


def test_the_shipped_one_is_there():
    assert str(load_checkpoint(SHIPPED).shape) == "20-50-500-10"


MLP = LeNetShape.parse("784-30-20-10")


def test_a_network_without_convolutions(path):
    network = Checkpoint.random(MLP, 1)
    save_checkpoint(path, network)
    assert load_checkpoint(path).shape == MLP
    assert load_checkpoint(path).digest == network.digest


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fc1.weight": (30, 785)}, "conv1.weight is missing; without convolutions, fc1.weight must have 784 columns"),
        ({"fc1.weight": (30, 28, 28)}, "array conv1.weight is missing"),
        ({"conv1.bias": (4,)}, "array conv1.weight is missing"),
        ({"fc2.weight": (20, 31)}, "fc2.weight must have shape (20, 30), not (20, 31)"),
        ({"fc4.bias": (10,)}, "array fc4.weight is missing"),
    ],
)
def test_arrays_that_are_no_network_without_convolutions(path, changed, words):
    arrays = dict(Checkpoint.random(MLP, 1).arrays) | {name: np.zeros(dims, np.int8) for name, dims in changed.items()}
    np.savez(path, **arrays)
    refused(path, words)
