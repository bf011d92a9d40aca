"""What is printed, wherever it goes: names as they are, figures and paths whole, every encoding, every width."""

import csv
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.output.terminal import Stage, outputs, say

from .conftest import SMALL, one_line, python_m

NAME = "run [old] [bold]  :smile: <x|y* $x$"  # markup of rich, an emoji of its, Markdown, mathematics of matplotlib
COMMAND = (sys.executable, "-m", "fivebyfive")


@pytest.fixture
def odd(small: Path) -> Path:
    """A checkpoint in a folder of that name, with that name."""
    path = Path(NAME) / f"{NAME}.npz"
    path.parent.mkdir()
    path.write_bytes(small.read_bytes())
    return path


# Names.


def test_names_are_printed_as_they_are(cli, odd: Path, few_digits: Path) -> None:
    folder = Path(NAME)
    assert f"{odd.name} (2-3-7-10) on" in cli("evaluate", odd, "--data", few_digits).stdout
    assert f"{folder / 'v[/b]' / 'lenet.v'} " in cli("generate", odd, "--out", folder / "v[/b]").stdout
    assert f"in {folder / 'x[/b].bin'}: " in cli("pack", odd, "--out", folder / "x[/b].bin").stdout
    said = cli("unpack", folder / "x[/b].bin", "--out", folder / "y[/b].npz").stdout
    assert f"in {folder / 'y[/b].npz'}.\n" in said
    assert f"{folder / 'nowhere[/b]'}: No such file" in cli("evaluate", folder / "nowhere[/b]", code=2).stderr


def test_names_in_what_compare_writes(cli, odd: Path, few_digits: Path) -> None:
    """A column of the table, a row of Markdown, a label of the picture."""
    words = ("compare", odd, "--data", few_digits, "--rtl-images", 0, "--no-synthesis", "--out", NAME)
    said = cli(*words).stdout
    assert f"checkpoint  {NAME}\n" in said
    assert f"engines of {NAME}: dense\n" in said
    assert f"in {NAME}/compare.json, {NAME}/compare.csv" in said
    assert r"| run \[old\] \[bold\]  :smile: \<x\|y\* $x$ |" in Path(NAME, "compare.md").read_text()
    assert list(csv.reader(Path(NAME, "compare.csv").read_text().splitlines()))[1][0] == NAME
    assert NAME.replace("<", "&lt;") in Path(NAME, "compare.svg").read_text()


def test_pictures_of_a_board_have_their_names(cli, odd: Path, monkeypatch) -> None:
    from contextlib import nullcontext

    from PIL import Image

    from fivebyfive.commands import classify as command
    from fivebyfive.host.board import Classified
    from fivebyfive.model.protocol.link import VERSION, Info

    class Prompt:
        info = Info(VERSION, 10, (1, 28, 28), bytes(8))
        decoder = type("Decoder", (), {"bad": 0})

        def classify(self, pixels):
            return Classified(3, np.zeros(10, np.int8), 9, 1, 0.1)

    monkeypatch.setattr(command, "open_port", lambda *given: nullcontext((None, None)))
    monkeypatch.setattr(command, "open_board", lambda *given: Prompt())
    picture = odd.with_suffix(".png")
    bar = Image.new("L", (28, 28))
    bar.paste(255, (12, 6, 16, 22))
    bar.save(picture)
    said = cli("classify", picture, "--port", "[/b]", "--checkpoint", odd).stdout
    assert f"\n{picture.stem} " in said
    assert "port [/b]\n" in said
    for column in ("cycles: ", "ms: ", "resent: "):  # each is explained
        assert column in said


def test_names_that_are_no_text(cli, small: Path, few_digits: Path) -> None:
    """A byte that is no UTF-8, an escape sequence: shown in a way that acts on nothing."""
    for name in ("a\udcffb", "a\x1b[31mb"):
        shown = name.encode("unicode_escape").decode()
        path = Path(f"{name}.npz")
        path.write_bytes(small.read_bytes())
        assert f"{shown}.npz (2-3-7-10)" in cli("evaluate", path, "--data", few_digits).stdout
        cli("pack", path, "--out", f"{name}.bin")
        said = cli("unpack", f"{name}.bin", "--out", f"{name}2.npz").stdout
        assert f"2-3-7-10 of {shown}.bin in {shown}2.npz.\n" in said
        assert f"{shown}/lenet.v " in cli("generate", path, "--out", name).stdout
        assert f"{shown}.no: No such file" in one_line(cli("evaluate", f"{name}.no", code=2).stderr)
        words = ("compare", path, "--data", few_digits, "--rtl-images", 0, "--no-synthesis", "--out", f"{name}3")
        assert f"engines of {shown}: dense" in cli(*words).stdout
        assert (
            f"| {shown.replace(chr(92), 2 * chr(92)).replace('[', chr(92) + '[')} |"
            in Path(f"{name}3/compare.md").read_text()
        )


def test_a_plan_cannot_hold_such_a_name(refused, small: Path) -> None:
    pytest.importorskip("torch")
    path = Path("a\udcffb.npz")
    path.write_bytes(small.read_bytes())
    assert "a plan is UTF-8, but a path in it is not" in refused("compress", "ternary", path)


def test_remarks_act_on_nothing(capsys) -> None:
    say("going on from a\x1b[31mb\udcff\tc")
    assert capsys.readouterr().err == "going on from a\\x1b[31mb\\udcff  c\n"


# Encodings.


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_takes_every_name(encoding: str, small: Path, few_digits: Path) -> None:
    path = Path("Ж\udcff ü €.npz")
    path.write_bytes(small.read_bytes())
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for words in (("evaluate", path, "--data", few_digits), ("generate", path, "--out", "Жü"), ("evaluate", "Жü.no")):
        command = [*COMMAND, *map(os.fspath, words)]
        done = subprocess.run(command, capture_output=True, env=os.environ | environment, timeout=300, check=False)
        said = (done.stdout + done.stderr).decode(encoding)
        assert done.returncode == (2 if words[-1] == "Жü.no" else 0), said
        for character in "Жü":
            escaped = character.encode(encoding, "backslashreplace").decode(encoding)
            assert escaped in said or ("evaluate" in words and character == "Ж")
        assert "Traceback" not in said


def test_standard_output_of_a_locale_without_utf_8(small: Path, few_digits: Path) -> None:
    """Also in the files that are written."""
    path = Path("Жü.npz")
    path.write_bytes(small.read_bytes())
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = ("compare", path, "--data", few_digits, "--rtl-images", 0, "--no-synthesis", "--out", "c")
    done = python_m(*words, env=environment)
    assert done.returncode == 0, done.stderr


# Widths.


def on_a_terminal(width: int, *words: object, **environment: str) -> str:
    """What a command writes on a terminal of that many columns, colours and cursor taken out."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = os.environ | {"COLUMNS": str(width), "TERM": "xterm"} | environment
    with subprocess.Popen(
        [*COMMAND, *map(str, words)], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment
    ) as child:
        os.close(theirs)
        seen = b""
        while True:
            try:
                some = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not some:
                break
            seen += some
        _, err = child.communicate(timeout=300)
    os.close(ours)
    assert child.returncode == 0, err
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r\n", "\n")


LONG = "a folder with a long name, as people have them/and another one below it"


def test_a_line_break_in_a_name_breaks_no_line(cli, small: Path, few_digits: Path) -> None:
    path = Path("a\nb.npz")
    path.write_bytes(small.read_bytes())
    assert "a\\nb.npz (2-3-7-10)" in cli("evaluate", path, "--data", few_digits).stdout
    assert "a\\nb/lenet.v " in cli("generate", path, "--out", "a\nb").stdout
    assert "a b.no: No such file" in one_line(cli("evaluate", "a\nb.no", code=2).stderr)


def commands(small: Path, few_digits: Path) -> dict[str, tuple]:
    return {
        "evaluate": ("evaluate", small, "--data", few_digits),
        "generate": ("generate", small, "--out", LONG),
        "measure": ("measure", "--estimate", "--part", "lfe5u-85f", "--part", "xc7z020", "--part", "xc7vx690t"),
    }


@pytest.mark.parametrize(
    "name",
    ["evaluate", pytest.param("generate", marks=pytest.mark.full), pytest.param("measure", marks=pytest.mark.full)],
)
def test_figures_and_paths_are_whole_at_any_width(name: str, small: Path, few_digits: Path) -> None:
    """A terminal of any width shows what a pipe does, and a pipe has no layout of a terminal."""
    words = commands(small, few_digits)[name]
    piped = python_m(*words, env={"COLUMNS": "20"})
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == python_m(*words, env={"COLUMNS": "300"}).stdout
    assert "…" not in piped.stdout
    assert "\x1b" not in piped.stdout
    for width in (20, 80):
        assert on_a_terminal(width, *words) == piped.stdout
    if name == "generate":
        assert f"{LONG}/lenet_conv_weights_words.mem" in piped.stdout
    if name == "measure":
        assert all(line.count("multipliers") <= 1 for line in piped.stdout.splitlines())
        assert sum(line.startswith("cycles an image") for line in piped.stdout.splitlines()) == 1


def test_colours_are_kept_where_they_are_asked_for(small: Path, few_digits: Path) -> None:
    words = ("evaluate", small, "--data", few_digits)
    plain = python_m(*words).stdout
    coloured = python_m(*words, env={"FORCE_COLOR": "1", "TERM": "xterm"}).stdout
    assert coloured != plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_a_bar_is_whole_at_any_width(width: int) -> None:
    """Its figures and its text, which is no markup."""
    script = (
        "from fivebyfive.output.terminal import Stage\n"
        "with Stage('reading') as stage:\n"
        "    stage(123456, 789012, 'packing [/b] net')\n"
        "    stage.bar.refresh()\n"
    )
    seen = error_terminal(width, script)
    assert "123456/789012" in seen
    assert "…" not in seen
    assert "packing[/b]net" in "".join(seen.split()) or width < 80


def test_a_bar_in_ascii() -> None:
    script = "from fivebyfive.output.terminal import Stage\nwith Stage('reading') as stage: stage(1, 2, 'Ж')\n"
    wrapped = "from fivebyfive.output.terminal import outputs\nwith outputs():\n    " + script.replace("\n", "\n    ")
    assert "1/2" in error_terminal(80, wrapped, PYTHONIOENCODING="ascii")


def error_terminal(width: int, script: str, **environment: str) -> str:
    """What a script writes on a terminal that is its standard error."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = os.environ | {"COLUMNS": str(width), "TERM": "xterm"} | environment
    done = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            some = os.read(ours, 4096)
        except OSError:
            break
        seen += some
    assert done.wait(300) == 0, seen
    done.stdout.close()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


# Progress where there is no terminal.


@pytest.fixture
def clock(monkeypatch):
    """The time, which goes on at a call."""

    class Clock:
        now = 100.0

        def monotonic(self) -> float:
            return self.now

    made = Clock()
    monkeypatch.setattr("fivebyfive.output.terminal.time", made)
    monkeypatch.setattr("fivebyfive.output.terminal.QUIET_S", 2.0)  # conftest.py has made it endless
    return made


def test_progress_is_told_more_seldom_where_nothing_is_new(clock, capsys) -> None:
    """One piece of work that takes minutes: no "0 of 1" every quarter of a minute."""
    with Stage("measuring") as stage:
        for _ in range(600):
            clock.now += 1
            stage(0, 1, f"synthesizing, {clock.now - 100:.0f} s")
    said = capsys.readouterr().err.splitlines()
    assert said == [f"synthesizing, {seconds} s ..." for seconds in (3, 19, 50, 111, 232, 473)]


def test_progress_that_is_new_is_told_each_quarter_of_a_minute(clock, capsys) -> None:
    with Stage("simulating") as stage:
        for done in range(61):
            stage(done, 60, "simulating [/b]")
            clock.now += 1
    said = capsys.readouterr().err.splitlines()
    assert said == [f"simulating [/b]: {done} of 60" for done in (3, 19, 35, 51)]


def test_quick_work_says_nothing(clock, capsys) -> None:
    with Stage("simulating") as stage:
        clock.now += 1
        stage(1, 60, "simulating")
    assert capsys.readouterr() == ("", "")


# Words that are no command.


def test_without_a_command_the_help_is_shown(cli) -> None:
    assert cli().stdout == cli("--help").stdout
    assert len(cli().stdout.splitlines()) > 20


def test_help_is_a_word_too(cli) -> None:
    assert cli("help").stdout == cli("--help").stdout
    assert cli("help", "simulate").stdout == cli("simulate", "--help").stdout
    assert cli("help", "compress", "ternary").stdout == cli("compress", "ternary", "--help").stdout


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("sim",), "simulate"), (("simulat",), "simulate"), (("evalaute",), "evaluate"), (("help", "sim"), "simulate"),
        (("comp",), "compare or compress"), (("compress", "ternery"), "ternary"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_answered_with_the_right_one(refused, words: tuple, meant: str) -> None:
    said = refused(*words)
    assert f"No such command {words[-1]!r}. Did you mean {meant}? Try: fivebyfive" in said


def test_a_word_like_no_other_has_no_hint(refused) -> None:
    assert "Did you mean" not in refused("xyzzy")


def test_outputs_are_as_they_were_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with outputs():
        assert (sys.stdout, sys.stderr) != before
    assert (sys.stdout, sys.stderr) == before


def test_json_is_ascii_whatever_a_name_is(small: Path) -> None:
    save_checkpoint(Path("Ж.npz"), Checkpoint.random(SMALL, seed=1))
    done = python_m("pack", "Ж.npz", "--out", "Ж.bin", "--json")
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["out"] == "Ж.bin"
