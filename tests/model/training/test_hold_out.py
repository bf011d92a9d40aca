"""Which images are held out: whole writers, never some digits of one."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.commands.options.hold_out import chosen_hold_out, usual_hold_out
from fivebyfive.model.checkpoint import SHIPPED
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.training import hold_out
from fivebyfive.model.training.hold_out import DRAWN, HoldOut, fold_of, read_writers, recorded_hold_out
from fivebyfive.support.errors import UserError

WRITER = np.random.default_rng(7).integers(100, 160, 1000)
LABELS = np.zeros(1000, np.uint8)
DIGITS = Dataset("mine", np.arange(1000, dtype=">u2").view(np.uint8).reshape(1000, 1, 2), LABELS)


def held_out(divided: tuple[Dataset, Dataset]) -> list[int]:
    """Numbers of the images that are held out; the others are learned from."""
    learning, kept = (one.images.reshape(-1).view(">u2").astype(int).tolist() for one in divided)
    assert sorted([*learning, *kept]) == list(range(1000))
    return kept


def test_folds_hold_out_whole_writers_once() -> None:
    folds = [fold_of(WRITER, fold) for fold in range(5)]
    assert np.sum(folds, axis=0).max() == 1  # disjoint
    for mask in folds:
        assert 150 <= mask.sum() <= 250
        assert not set(WRITER[mask]) & set(WRITER[~mask])
    with pytest.raises(UserError, match="make 5 folds, from 0; there is no fold 5"):
        fold_of(WRITER, 5)
    with pytest.raises(UserError, match="1 writers of 9 images"):
        fold_of(np.ones(9, int), 0)


def test_the_split_that_ships() -> None:
    """5,060 images of MNIST's training set, and no other set's."""
    bits = hold_out.read_array(hold_out.SPLIT, "held_out.npy")
    assert (bits.dtype, bits.shape, int(np.unpackbits(bits).sum())) == (np.uint8, (7500,), 5060)
    with pytest.raises(UserError, match="who wrote the images of mine is not known: hold out drawn ones"):
        HoldOut("writers").divide(DIGITS)


def test_a_changed_split_is_not_used(monkeypatch, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", held_out=np.ones(125, np.uint8))
    monkeypatch.setattr(hold_out, "SPLIT", tmp_path / "other.npz")
    monkeypatch.setattr(hold_out, "genuine", lambda *_: True)
    with pytest.raises(UserError, match=r"other.npz was changed; install fivebyfive again"):
        HoldOut("writers").divide(DIGITS)


def files(folder: Path) -> dict[str, Path]:
    """The same numbers in every form that is read."""
    np.save(folder / "w.npy", WRITER.astype(np.uint16))
    np.savez(folder / "w.npz", writer=WRITER, other=1)
    columns = np.zeros((1000, 8), ">i4")
    columns[:, 2] = WRITER
    idx = bytes([0, 0, 0x0C, 2]) + struct.pack(">II", 1000, 8) + columns.tobytes()
    (folder / "labels-idx2-int").write_bytes(idx)
    (folder / "labels-idx2-int.gz").write_bytes(gzip.compress(idx))
    return {path.name: path for path in folder.iterdir()}


def test_files_of_writers(tmp_path: Path) -> None:
    found = files(tmp_path)
    assert len(found) == 4
    expected = np.flatnonzero(fold_of(WRITER, 1)).tolist()
    for name, path in found.items():
        assert np.array_equal(read_writers(path), WRITER), name
        assert held_out(HoldOut("writers", name, 1).divide(DIGITS, tmp_path)) == expected
    assert str(HoldOut("writers", "w.npy", 1)) == "writers of w.npy, fold 1"
    assert HoldOut("writers", "w.npy", 1).plain == {"hold_out": "writers", "writers": "w.npy", "fold": 1}
    assert (str(DRAWN), DRAWN.plain) == ("drawn", {"hold_out": "drawn"})
    assert held_out(DRAWN.divide(DIGITS)) == held_out(DIGITS.split(200, 5000))


def test_labels_by_name_are_those_of_qmnist(monkeypatch, tmp_path: Path) -> None:
    def contents(source: str, names: list[str], archive: str | None, progress: object) -> list[bytes]:
        assert (source, names, archive) == ("qmnist", ["qmnist-train-labels-idx2-int"], None)
        return [files(tmp_path)["labels-idx2-int"].read_bytes()]

    monkeypatch.setattr(hold_out, "published_contents", contents)
    assert np.array_equal(read_writers("qmnist"), WRITER)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for array, said in ((np.zeros(3), "holds float64"), (np.zeros((3, 2), int), r"int64 \(3, 2\)"),
                        (np.array([None]), "Python objects, which are never loaded")):  # fmt: skip
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=True)
        with pytest.raises(UserError, match=said):
            read_writers(path)
    narrow = bytes([0, 0, 0x0C, 2]) + struct.pack(">II", 2, 2) + bytes(16)
    for data, said in ((b"hello", "is no file of writer numbers; give qmnist"), (narrow, "has 2 columns"),
                       (b"\x93NUMPY", "is damaged"), (narrow[:-1], "is truncated")):  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(UserError, match=said):
            read_writers(path)
    np.save(tmp_path / "few.npy", WRITER[:10])
    with pytest.raises(UserError, match="has 10 writer numbers, but mine 1000 images"):
        HoldOut("writers", "few.npy").divide(DIGITS, tmp_path)


def test_options_that_do_not_go_together() -> None:
    assert chosen_hold_out(None, None, 0) is None
    assert chosen_hold_out(None, "w.npy", 2) == HoldOut("writers", "w.npy", 2)
    assert chosen_hold_out("drawn", None, 0) == DRAWN
    assert (usual_hold_out("mnist"), usual_hold_out("kmnist")) == (HoldOut("writers"), DRAWN)
    for values in (("drawn", "w.npy", 0), (None, None, 3), ("drawn", None, 1)):
        with pytest.raises(ValueError, match="a fold is one of a file of writers"):
            chosen_hold_out(*values)
    with pytest.raises(ValueError, match="drawn or by writers, not luck"):
        HoldOut("luck")
    with pytest.raises(ValueError, match="from 0, not -1"):
        HoldOut("writers", "w", -1)


def test_the_report_of_a_checkpoint_says_what_was_held_out(tmp_path: Path) -> None:
    """That of train, or the card of compress; what says nothing is from before."""
    path = tmp_path / "net.npz"
    assert recorded_hold_out(path) == DRAWN
    for name, text in (("net.json", "[]"), ("net.toml", "= no"), ("net.toml", "seed = 1")):
        (tmp_path / name).write_text(text)
        assert recorded_hold_out(path) == DRAWN
    (tmp_path / "net.toml").write_text('hold_out = "drawn"\n[result]\nhold_out = "writers"\n')
    assert recorded_hold_out(path) == HoldOut("writers")
    (tmp_path / "net.toml").write_text('hold_out = "writers"\n[result]\nbytes = 1\n')
    assert recorded_hold_out(path) == HoldOut("writers")
    (tmp_path / "net.json").write_text('{"hold_out": "writers of w.npy, fold 2"}')
    with pytest.raises(UserError, match=r"with other images held out .writers of w.npy, fold 2.; give"):
        recorded_hold_out(path)
    for shipped in SHIPPED.parent.glob("*.npz"):
        assert recorded_hold_out(shipped) == HoldOut("writers"), shipped
