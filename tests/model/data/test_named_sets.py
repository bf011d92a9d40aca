"""Published sets, in archives and files that are made here in the same format."""

import gzip
import io
import struct
import tarfile
import zipfile
from hashlib import sha256

import numpy as np
import pytest

from fivebyfive.model.data import datasets, download
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.data.idx import idx_bytes
from fivebyfive.model.data.named_sets import EMNIST, NAMED_SETS
from fivebyfive.support.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8)
LETTERS = np.array([1, 26, 2, 3, 1, 26], np.uint8)
COLOURS = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
CLASSES = np.arange(12, dtype=np.uint8)


@pytest.fixture
def publish(monkeypatch, tmp_path):
    """A function that makes a file the published one, and puts it where the environment says."""
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(datasets, "cache_folder", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(download, "MIRRORS", dict.fromkeys(download.SETS, ("http://127.0.0.1:9/nobody",)))

    def put(source, name, data, file=None):
        monkeypatch.setitem(download.SETS[source], name, (sha256(data).hexdigest(),))
        (tmp_path / source).mkdir(exist_ok=True)
        (tmp_path / source / (file or name)).write_bytes(data)

    return put


def zip_file(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def tar_file(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def emnist_file(name, images, labels, split="test"):
    """Images as EMNIST has them: rows where columns should lie."""
    start = f"gzip/emnist-{name}-{split}"
    return {
        f"{start}-images-idx3-ubyte.gz": gzip.compress(idx_bytes(images.transpose(0, 2, 1))),
        f"{start}-labels-idx1-ubyte.gz": gzip.compress(idx_bytes(labels)),
    }


def records(images, *labels):
    return np.column_stack([*labels, images.reshape(len(images), -1)]).astype(np.uint8).tobytes()


def test_every_set_has_its_files_and_somewhere_to_get_them():
    assert {known.source for known in NAMED_SETS.values()} == set(download.SETS) == set(download.MIRRORS)
    for name, known in NAMED_SETS.items():
        for split in known.splits:
            asked = []

            def contents(names, archive, asked=asked):
                asked.extend([archive] if archive else names)
                raise UserError("enough")

            with pytest.raises(UserError, match="enough"):
                known.read(split, contents)
            assert set(asked) <= set(download.SETS[known.source]), name
    assert all(len(one) == 64 for files in download.SETS.values() for hashes in files.values() for one in hashes)


def test_emnist_is_turned_and_its_letters_count_from_0(publish):
    publish("emnist", "gzip.zip", zip_file(
        emnist_file("letters", IMAGES, LETTERS) | emnist_file("digits", IMAGES[:3], LETTERS[:3] % 10, "train")
    ))  # fmt: skip
    found = load_dataset("emnist-letters", "test")
    assert np.array_equal(found.images, IMAGES)
    assert found.labels.tolist() == [0, 25, 1, 2, 0, 25]
    assert (found.name, found.classes) == ("emnist-letters-test", 26)
    found = load_dataset("emnist-digits", "train")
    assert np.array_equal(found.images, IMAGES[:3])
    assert found.labels.tolist() == [1, 6, 2]
    with pytest.raises(UserError, match=r"gzip.zip lacks a file \(.*emnist-balanced-test-images"):
        load_dataset("emnist-balanced")
    assert {f"emnist-{name}" for name in EMNIST} <= set(NAMED_SETS)


def test_a_letter_without_a_number_is_refused(publish):
    publish("emnist", "gzip.zip", zip_file(emnist_file("letters", IMAGES, LETTERS - 1)))
    with pytest.raises(UserError, match="labels from -1 to 24"):
        load_dataset("emnist-letters")


def test_labels_of_qmnist_have_more_columns(publish):
    wide = np.zeros((6, 8), ">i4")
    wide[:, 0], wide[:, 2] = [5, 0, 4, 1, 9, 2], 3600
    labels = bytes([0, 0, 0x0C, 2]) + struct.pack(">2I", 6, 8) + wide.tobytes()
    publish(
        "qmnist", "qmnist-test-images-idx3-ubyte", gzip.compress(idx_bytes(IMAGES)), "qmnist-test-images-idx3-ubyte.gz"
    )
    publish("qmnist", "qmnist-test-labels-idx2-int", labels)
    found = load_dataset("qmnist", "test")
    assert np.array_equal(found.images, IMAGES)
    assert found.labels.tolist() == [5, 0, 4, 1, 9, 2]
    publish("qmnist", "qmnist-test-labels-idx2-int", labels[:-4])
    with pytest.raises(UserError, match="idx2-int is truncated: 47 values, its header says 48"):
        load_dataset("qmnist", "test")
    publish("qmnist", "qmnist-test-labels-idx2-int", idx_bytes(LETTERS))
    with pytest.raises(UserError, match="holds idx type 0x08; it should be 0x0c"):
        load_dataset("qmnist", "test")


def test_cifar_10(publish):
    members = {
        f"cifar-10-batches-bin/data_batch_{n}.bin": records(COLOURS[n : n + 1], CLASSES[n : n + 1]) for n in range(1, 6)
    }
    members["cifar-10-batches-bin/test_batch.bin"] = records(COLOURS[:3], CLASSES[:3])
    publish("cifar-10", "cifar-10-binary.tar.gz", tar_file(members))
    train, test = (load_dataset("cifar-10", split) for split in ("train", "test"))
    assert np.array_equal(train.images, COLOURS[1:6])
    assert np.array_equal(test.images, COLOURS[:3])
    assert (train.labels.tolist(), test.labels.tolist()) == ([1, 2, 3, 4, 5], [0, 1, 2])
    assert test.size == (3, 32, 32)


def test_cifar_100_has_its_fine_labels(publish):
    members = {"cifar-100-binary/test.bin": records(COLOURS, CLASSES % 2, CLASSES + 80)}
    publish("cifar-100", "cifar-100-binary.tar.gz", tar_file(members))
    found = load_dataset("cifar-100", "test")
    assert np.array_equal(found.images, COLOURS)
    assert found.labels.tolist() == list(range(80, 92))
    publish("cifar-100", "cifar-100-binary.tar.gz", tar_file({"cifar-100-binary/test.bin": bytes(3075)}))
    with pytest.raises(UserError, match=r"test.bin has 3075 bytes, no whole records of 3074"):
        load_dataset("cifar-100", "test")


def test_an_archive_that_is_another_one_is_not_read(publish, monkeypatch):
    publish("cifar-100", "cifar-100-binary.tar.gz", tar_file({"cifar-100-binary/test.bin": bytes(3074)}))
    monkeypatch.setitem(download.SETS["cifar-100"], "cifar-100-binary.tar.gz", ("0" * 64,))
    with pytest.raises(
        UserError, match=r"no source of cifar-100-binary.tar.gz .* put the files of cifar-100, as published"
    ):
        load_dataset("cifar-100", "test")
