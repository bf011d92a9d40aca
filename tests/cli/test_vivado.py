"""generate --target vivado at the command line."""

from pathlib import Path

import pytest


def test_folder_for_vivado(answer, cli, small: Path) -> None:
    report = answer("generate", small, "--target", "vivado", "--part", "xc7a35tcpg236-1", "--stream-bits", 8)
    folder = Path(report["out"])
    assert folder == Path("build/vivado")
    assert sorted(report["files"]) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    assert {"component.xml", "README.md", "scripts/project.tcl", "hdl/lenet_axi.v"} <= set(report["files"])
    assert report["manifest"]["part"] == "xc7a35tcpg236-1"
    assert report["manifest"]["pixel_bytes"] == 1
    said = cli("generate", small, "--target", "vivado", "--fc-rows", 2).stdout  # its own folder is replaced
    assert "25 + 40 multipliers" in said
    assert "what was not tried" in said
    assert (folder / "scripts" / "block_design.tcl").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "quartus"), "'quartus' is not one of 'verilog', 'vivado'"),
        (("--target", "vivado", "--part", "lfe5u-85f"), "no part as Vivado writes it"),
        (("--target", "vivado", "--stream-bits", "64"), "'64' is not one of '8', '16', '32'"),
        (("--target", "vivado", "--pixels", "2", "--stream-bits", "32"), "2 bytes where the machine takes 2 pixels"),
        (("--target", "vivado", "--fc-rows", "99"), "fc_rows must be 1 to 25"),
        (("--part", "xc7z020clg400-1"), "--part and --stream-bits are of --target vivado"),
        (("--stream-bits", "8"), "--part and --stream-bits are of --target vivado"),
    ],
)
def test_refusals(refused, small: Path, words, said) -> None:
    assert said in refused("generate", small, *words)


def test_not_over_other_files(refused, small: Path) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("years of work")
    assert "would be lost" in refused("generate", small, "--target", "vivado", "--out", "thesis")
    assert Path("thesis/chapter.tex").read_text() == "years of work"


def test_simulate_says_that_it_takes_no_such_folder(refused, cli, small: Path) -> None:
    cli("generate", small, "--target", "vivado", "--out", "v")
    assert "simulate takes what generate writes without --target" in refused("simulate", small, "--verilog", "v")
