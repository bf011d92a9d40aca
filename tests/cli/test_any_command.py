"""Any command with any options and values: it is done, or refused with one line, and never leaves half of anything.

Commands, options and their types come from the command line's own parser, so an option that is new is tried too. Values
come from one pool for all of them: numbers, words that some option knows, good files of every kind and broken ones.
What takes long (training, Verilator, synthesis, place and route) ends, where it would begin, in `Begun`: everything
before it is real.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import click.testing
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

from fivebyfive.api import load
from fivebyfive.cli import main
from fivebyfive.hw.generate import generate
from fivebyfive.model.checkpoint import SHIPPED, load_checkpoint
from fivebyfive.model.compress.packing.packed import pack

from .conftest import SMALL, snapshot

pytest.importorskip("torch")
pytest.importorskip("constriction")

SLOW = (
    "fivebyfive.model.training.train.train", "fivebyfive.model.training.quantize.quantized",
    "fivebyfive.model.compress.run.compress",
    "fivebyfive.api.simulate", "fivebyfive.commands.simulate.synthesized", "fivebyfive.sim.jobs.workers.LocalPool.run",
    "fivebyfive.sim.jobs.workers.ClusterPool.__init__", "fivebyfive.sim.fpga.bitstream.make_bitstream",
    "fivebyfive.sim.devices.board.simulated_board", "fivebyfive.model.data.datasets.fetch",
    "fivebyfive.studio.serve.serve",
)  # fmt: skip


WAVES = (
    "$timescale 1ns $end\n$scope module lenet $end\n$var wire 1 ! clk $end\n$var wire 9 @ i__payload [8:0] $end\n"
    "$upscope $end\n$enddefinitions $end\n#0\n1!\nb0 @\n#5\n0!\nb101 @\n#10\n1!\n#15\n0!\n#20\n1!\n"
)
MADE: dict[tuple, object] = {}  # what was generated


class Begun(SystemExit):
    """What was asked for is being done."""


def begun(*given, **named):
    raise Begun(-1)


@pytest.fixture(scope="module")
def inputs(small: Path, few_digits: Path, tmp_path_factory) -> Path:
    """Files of every kind that a command reads, good and broken."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("inputs")
    shutil.copy(small, folder / "good.npz")
    shutil.copytree(few_digits, folder / "digits")
    network = load_checkpoint(small)
    (folder / "good.bin").write_bytes(pack(network).data)
    torch.save({name: torch.zeros(shape) for name, shape in SMALL.arrays.items()}, folder / "good.pt")
    (folder / "good.toml").write_text('start = "good.npz"\ndata = "digits"\n[[step]]\nmethod = "ternary"\n')
    np.save(folder / "good.npy", np.zeros((1, 28, 28), np.uint8))
    (folder / "pictures").mkdir()
    one = Image.new("L", (30, 40), 255)
    one.paste(0, (13, 8, 17, 32))
    one.save(folder / "pictures" / "good.png")
    generate(network).write(folder / "verilog")
    (folder / "good.vcd").write_text(WAVES)
    for path in [*folder.glob("good.*"), folder / "pictures" / "good.png"]:
        path.with_name(f"cut{path.suffix}").write_bytes(path.read_bytes()[:-20])
    (folder / "text").write_text("hello\n")
    (folder / "none").mkdir()
    return folder


@pytest.fixture(scope="module")
def quick(inputs: Path) -> Iterator[None]:
    """What takes long only begins, and the shipped network is a small one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SLOW:
            patch.setattr(name, begun)
        patch.setattr("fivebyfive.api.generate", generated)
        patch.setattr("fivebyfive.commands.demo.load", lambda: load(inputs / "good.npz"))
        for command in commands().values():
            for one in command.params:
                if one.default == SHIPPED:
                    patch.setattr(one, "default", inputs / "good.npz")
        yield


def generated(checkpoint, config, source):
    """`generate`, each machine once."""
    key = checkpoint.digest, config, source
    if key not in MADE:
        MADE[key] = generate(checkpoint, config, source)
    return MADE[key]


def commands() -> dict[tuple[str, ...], click.Command]:
    """Every command by its words, methods of compress and pictures of draw included."""
    found = {(name,): command for name, command in main.commands.items()}
    for outer in ("compress", "draw"):
        group = main.commands[outer]
        if not group.invoke_without_command:
            del found[(outer,)]
        found |= {(outer, name): group.get_command(None, name) for name in group.list_commands(None)}
    return found


# Values. Relative paths only, and none with a "..": a command may write wherever its options say.

WORDS = (
    "good.npz", "good.bin", "good.pt", "good.toml", "good.npy", "pictures", "pictures/good.png", "verilog", "digits",
    "cut.npz", "cut.bin", "cut.pt", "cut.toml", "cut.npy", "pictures/cut.png", "text", "none", "nowhere", "new/place",
    "good.vcd", "cut.vcd", "new.svg", "new.png", "clk", "i__payload", "i__payload[3:1]:signed", "i__payload[9]",
    "text/below", "mnist", "fashion-mnist", "emnist-letters",
    "cifar-10", "lfe5u-85f", "xc7z020", "xc7z020clg400-1", "ulx3s-85f", "arty-a7-100",
    "ecp5", "xc7", "verilator", "icarus", "sim", "2-3-10", "2-3-7-10", "0.5", "fc1=0.2,conv2=0.5", "fc1", "8", "",
    ".", "-", "--", "-1", "--5", "a b", "a\nb", "\x1b[31m", "\udcff", "\ud800", "ü", "²", "٣", "1e3", "0x10", "1_0",
    "9" * 30, "x" * 300, "=", ",", "{", "nan", "inf", "tcp://127.0.0.1:1", "/proc/nothing",
)  # fmt: skip
CHARACTERS = st.characters(exclude_characters="\0/", exclude_categories=())
TEXT = st.text(CHARACTERS, max_size=6).filter(lambda text: ".." not in text)
ANY = st.sampled_from(WORDS) | TEXT
NUMBERS = st.integers(-3, 70) | st.sampled_from([100, 101, 784, 10_000, 10_001, 2**31, 2**63, 2**64, -(2**40)])
FLOATS = st.floats() | st.floats(0, 1) | st.integers(-2, 200)


def values(of: click.Parameter) -> st.SearchStrategy[str]:
    """What may stand for a parameter: mostly something of its kind."""
    if isinstance(of.type, click.Choice):
        return st.sampled_from(of.type.choices) | ANY
    if isinstance(of.type, click.types.IntParamType):
        return NUMBERS.map(str) | ANY
    if isinstance(of.type, click.types.FloatParamType):
        return FLOATS.map(str) | ANY
    return ANY | NUMBERS.map(str)


@dataclass(frozen=True)
class Line:
    """A command line: ``words``, and those ``places`` among them that are paths it may write to."""

    words: tuple[str, ...]
    places: tuple[str, ...]


@st.composite
def lines(draw, words: tuple[str, ...], command: click.Command) -> Line:
    given, places = list(words), []
    for one in command.params:
        if isinstance(one, click.Argument):
            given += draw(st.lists(values(one), max_size=2 if one.nargs == -1 else 1))
    options = [one for one in command.params if isinstance(one, click.Option)]
    needed = [one for one in options if one.required]
    for one in draw(st.lists(st.sampled_from(options), max_size=4, unique=True)) + needed:
        name = draw(st.sampled_from([*one.opts, *one.secondary_opts]))
        if one.is_flag:
            given.append(name)
        else:
            value = draw(values(one))
            given += draw(st.sampled_from([[name, value], [f"{name}={value}"]]))
            places += [value] if one.name in ("out", "folder") else []
    return Line(tuple(given), tuple(places))


@contextmanager
def workplace(inputs: Path) -> Iterator[Path]:
    """A folder with copies of all inputs, to work in."""
    with tempfile.TemporaryDirectory(prefix="fivebyfive-any-") as place:
        folder = Path(place) / "work"
        shutil.copytree(inputs, folder)
        with chdir(folder):
            yield Path(place)


def of_its_own(words: tuple[str, ...]) -> bool:
    """Methods of compress share their options but for a few: one of them in every test run."""
    return words[0] != "compress" or words[1:] in ((), ("magnitude",))


EVERY = [pytest.param(words, marks=[] if of_its_own(words) else pytest.mark.full) for words in commands()]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_done_or_refused(words: tuple[str, ...], inputs: Path) -> None:
    @settings(max_examples=40, deadline=None)
    @given(lines(words, commands()[words]))
    def check(line: Line) -> None:
        with workplace(inputs) as place:
            before = snapshot(place)
            result = click.testing.CliRunner().invoke(main, line.words)
            changed = {Path(path).relative_to(place) for path, _ in snapshot(place).items() ^ before.items()}
            outcome = judged(result)
            event(outcome)
            assert all(outcome != "refused" and allowed(path, line.places) for path in changed), changed

    check()


FOUND = (  # by this test, or by hand
    ("simulate", "--images=--5"), ("pack", "good.npz", "--out", "pipe"), ("unpack", "good.bin", "--out", "pipe"),
    ("unpack", "good.bin", "--out", "\ud800"), ("pack", "good.npz", "--out", "a/\udfff"),
    ("evaluate", "\ud800"), ("evaluate", "good.npz", "--data", "\ud800"), ("simulate", "--images", "\ud800"),
    ("compress", "--plan", "\ud800"), ("compress", "--plan", "good.toml", "--out", "\ud800"),
    ("compress", "ternary", "good.npz", "--data", "\ud800"), ("train", "--data", "digits", "--out", "\ud800"),
    ("evaluate", "loop"), ("compare", "loop", "good.npz"), ("compare", "good.npz", "loop"),
    ("compress", "ternary", "bytes\udcff.npz"), ("compress", "ternary", "good.npz", "--data", "bytes\udcff"),
    ("compress", "ternary", "good.npz", "--teacher", "bytes\udcff.npz", "--seeds", "2"),
)  # fmt: skip


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("words", FOUND, ids=" ".join)
def test_refused_since_it_was_found(words: tuple[str, ...], inputs: Path) -> None:
    with workplace(inputs):
        os.mkfifo("pipe")
        Path("loop").symlink_to("loop")
        Path("bytes\udcff.npz").symlink_to("good.npz")
        Path("bytes\udcff").symlink_to("digits")
        assert judged(click.testing.CliRunner().invoke(main, words)) == "refused"
        assert Path("pipe").is_fifo()


def judged(result: click.testing.Result) -> str:
    """What became of a command line; AssertionError where that is not how commands end."""
    if isinstance(result.exception, Begun):
        return "begun"
    assert isinstance(result.exception, SystemExit | None), result.exc_info
    said = result.stderr.splitlines()
    if result.exit_code == 0:
        return "done"
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert [one.split(" ")[0] for one in said if not one.startswith("warning: ")] == ["error:"], result.stderr
    assert said[-1].isprintable(), said
    assert len(said[-1]) > len("error: ") + 10, said
    return "refused"


def allowed(path: Path, places: tuple[str, ...]) -> bool:
    """Whether a command may have written a path: build or a place it was told, below it, or beside it with its stem."""
    report = [Path("work", place) for place in ("build", *places)]
    return any(place in (path, *path.parents) or path.with_suffix("") == place.with_suffix("") for place in report)
