"""A checkpoint goes into a packed file and comes out the same."""

from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import load_checkpoint

pytest.importorskip("constriction")


def test_a_checkpoint_comes_back(answer, cli, small: Path) -> None:
    report = answer("pack", small, "--out", "new/g.bin")
    assert report["bytes"] == Path("new/g.bin").stat().st_size
    assert report["bytes"] <= report["huffman_bytes"]
    assert (report["parameters"], report["float_bytes"]) == (628, 2512)
    assert report["arrays"]["fc1.weight"]["nonzero"] == np.count_nonzero(load_checkpoint(small).arrays["fc1.weight"])
    back = answer("unpack", "new/g.bin", "--out", "h.npz")
    assert back["sha256"] == load_checkpoint(small).digest == load_checkpoint(Path("h.npz")).digest
    assert back["network"] == "2-3-7-10"


def test_what_a_person_reads(cli, small: Path) -> None:
    said = cli("pack", small).stdout
    size = Path("build/lenet.bin").stat().st_size
    assert f"2-3-7-10 in build/lenet.bin: {size:,} bytes, {2512 / size:.1f} times smaller than 2,512 in floats" in said
    assert "2-3-7-10 of lenet.bin in build/lenet.npz." in cli("unpack", "build/lenet.bin").stdout


def test_files_that_are_no_packed_checkpoint(refused, cli, small: Path, tmp_path: Path) -> None:
    assert "cannot read packed checkpoint nowhere.bin: No such file" in refused("unpack", "nowhere.bin")
    assert "is not a packed checkpoint" in refused("unpack", small)
    assert "cannot read checkpoint" in refused("pack", "nowhere.npz")
    path = tmp_path / "g.bin"
    cli("pack", small, "--out", path)
    path.write_bytes(path.read_bytes()[:-1])
    assert "g.bin is damaged or truncated (its CRC-32 differs); get it again" in refused("unpack", path)
    Path("folder").mkdir()
    assert "cannot write folder: it is a folder" in refused("pack", small, "--out", "folder")
    assert "cannot write folder: it is a folder" in refused("unpack", path, "--out", "folder")


def test_without_the_packages(refused, small: Path, monkeypatch) -> None:
    for package in ("constriction", "bitarray"):
        with monkeypatch.context() as without:
            without.setitem(__import__("sys").modules, package, None)
            assert "pip install 'fivebyfive[compress]'" in refused("pack", small)
