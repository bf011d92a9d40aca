"""Commands that are printed to be given next: each is run as it stands, after input that is not the default."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

import fivebyfive
import fivebyfive.hw
import fivebyfive.model
import fivebyfive.sim
from fivebyfive.cli import main
from fivebyfive.commands.demo import next_steps
from fivebyfive.output.terminal import command, quoted

FOLDER = Path("My [old] $HOME 'runs' `x`")
ROOMS = [Path(room.__path__[0]) for room in (fivebyfive, fivebyfive.model, fivebyfive.hw, fivebyfive.sim)]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], str]:
    """Gives a printed line to a shell, whose `fivebyfive` is this one and whose gtkwave only looks for its file."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (
        ("fivebyfive", f'exec {shlex.quote(sys.executable)} -m fivebyfive "$@"'), ("gtkwave", 'test -s "$1"'),
        ("openFPGALoader", 'test -s "$3"'),
    ):  # fmt: skip
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)

    def call(line: str) -> str:
        environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", line], capture_output=True, env=environment, timeout=600, check=False)
        said = os.fsdecode(done.stdout)
        assert done.returncode == 0, f"{line}\n{said}\n{done.stderr}"
        return said

    return call


@pytest.fixture
def mine(small: Path) -> Path:
    """A checkpoint of one's own, which is not the shipped one."""
    FOLDER.mkdir()
    path = FOLDER / "mine.npz"
    path.write_bytes(small.read_bytes())
    return path


def next_of(said: str) -> list[str]:
    """The commands behind "Next: "."""
    (line,) = re.findall(r"^Next: (.*)$", said, re.M)
    return line.split("; ")


def test_after_generate(cli, run, mine: Path) -> None:
    (line,) = next_of(cli("generate", mine, "--out", FOLDER / "v").stdout)
    assert "equal" in run(f"{line} --images 1")
    cli("generate", mine, "--out=-v", "--conv-pes", 2)
    (line,) = next_of(cli("generate", mine, "--out=-v").stdout)
    assert "equal" in run(f"{line} --images 1")


def test_after_unpack(cli, run, mine: Path, few_digits: Path) -> None:
    cli("pack", mine, "--out", FOLDER / "p.bin")
    (line,) = next_of(cli("unpack", FOLDER / "p.bin", "--out", FOLDER / "u.npz").stdout)
    assert "u.npz (2-3-7-10)" in run(f"{line} --data {quoted(few_digits)}")


def test_after_train(cli, run, mine: Path, few_digits: Path) -> None:
    """On a data set of one's own, which is named."""
    pytest.importorskip("torch")
    data = FOLDER / "digits"
    data.symlink_to(few_digits)
    words = ("train", "--data", data, "--shape", "2-3-7-10", "--epochs", 2, "--out", FOLDER / "t.npz")
    evaluate, simulate = next_of(cli(*words).stdout)
    assert "20 test images" in run(evaluate)
    assert "equal" in run(f"{simulate} --images 1")


def test_after_waves(cli, run, mine: Path) -> None:
    said = cli("simulate", mine, "--waves", "--folder", FOLDER / "w").stdout
    (line,) = re.findall(r"open it with: (.*)$", said, re.M)
    run(line)


def test_after_demo(run, mine: Path) -> None:
    """Each line may be pasted whole: its words are parsed; what it opens is there."""
    (FOLDER / "lenet").mkdir()
    (FOLDER / "lenet" / "lenet.v").write_text("the Verilog\n")
    for line in next_steps(FOLDER):
        assert re.search(r"\S +# \w", line)
        if line.startswith("fivebyfive "):
            parsed(shlex.split(line, comments=True)[1:])
        else:
            assert run(line.replace("less ", "cat ", 1)) == "the Verilog\n"


def test_after_build(cli, run, mine: Path, monkeypatch) -> None:
    from fivebyfive.commands import build
    from fivebyfive.sim.fpga.nextpnr import Routed
    from fivebyfive.sim.fpga.synthesis import Area

    def made(*given):
        from fivebyfive.sim.fpga.bitstream import Bitstream

        return Bitstream(b"bits", Area("ecp5", 1, 1, 1, 1, 1.0, {}), Routed(60.0, ("a",), 1.0, 1.0), {}, "log", 2)

    monkeypatch.setattr("fivebyfive.sim.fpga.bitstream.make_bitstream", made)
    (load, classify) = next_of(cli("build", mine, "--board", "ulx3s-85f", "--out", FOLDER / "b").stdout)
    run(load)
    parsed(shlex.split(classify)[1:])
    assert "fivebyfive classify --port PORT IMAGE..." in build.VIVADO_README


def test_after_a_mistake(cli, run) -> None:
    for words in (("simulate", "--nonsense"), ("sim",), ("compress", "ternary", "--x"), ("classify",)):
        line = cli(*words, code=2).stderr.rsplit("Try: ", 1)[1]
        assert run(line).startswith("Usage: ")


def test_words_for_a_shell(run) -> None:
    for word in ("plain", "a b", "it's", "$HOME", "`x`", "[b]", "*", "a\nb", "\udcff", "a\\b", "-v", "", "\x1b[31m'"):
        path = Path("t") / word
        path.mkdir(parents=True, exist_ok=True)
        assert run(f"cd {quoted(path)} && pwd") == f"{path.absolute()}\n"
    assert quoted(Path("-v")) == "./-v"
    assert quoted("--out") == "--out"
    assert command("evaluate", Path("a b.npz")) == "fivebyfive evaluate 'a b.npz'"


# Commands in messages, with capitals where a user's words go.

TEXTS = re.compile(rf"\bfivebyfive ((?:{'|'.join(main.commands)}) [^`;:()\n]*)")


def hints() -> list[str]:
    """Every command in a text of the package."""
    found = []
    for room in ROOMS:
        for path in sorted(room.glob("**/*.py")):
            for text in texts(ast.parse(path.read_text())):
                found += TEXTS.findall(text)
    return sorted({one.strip() for one in found})


def texts(node: ast.AST) -> Iterator[str]:
    """Every text below a node, X for what is put into one."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


@pytest.mark.parametrize("line", hints())
def test_commands_in_messages_are_commands(line: str) -> None:
    parsed(shlex.split(line))


def test_there_are_such_messages() -> None:
    assert {"generate --out DIR", "quantize MODEL.pt --out F.npz", "train --out F.npz"} <= set(hints())


def parsed(words: list[str]) -> None:
    """Have click read a command line and do nothing. Raises UsageError."""
    name, *rest = words
    with suppress(click.exceptions.Exit), main.commands[name].make_context(name, rest):  # as of --help
        pass
