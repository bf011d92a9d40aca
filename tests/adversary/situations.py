"""Command lines in hostile situations: names, links, pipes, limits, terminals, signals.

Each command has one good line that takes seconds (`COMMANDS`); a situation changes it, or what is around it, and says
how the command may end; what holds for all of them is in `test_adversary`.
"""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = ["COMMANDS", "Case", "cases"]

DONE, REFUSED, BROKEN_PIPE, INTERRUPTED, TERMINATED = 0, 2, 141, 130, 143
ODD = "run [old] $HOME;`id`#%'é"  # a folder's name that a shell, make, rich and ASCII each take offence at


@dataclass(frozen=True)
class Command:
    """``words``: a line that is done within seconds. ``input``, ``output``: what in it is read and written;
    ``folder``: whether the output is a folder, ``whole``: which is replaced as one; ``beside``: suffixes of what is
    written beside an output. ``endless``: it is done only when it is terminated."""

    words: tuple[str, ...]
    input: str | None = None
    output: str | None = None
    folder: bool = False
    whole: bool = True
    beside: tuple[str, ...] = ()
    endless: bool = False


def command(line: str, **about) -> Command:
    return Command(tuple(line.split()), **about)


COMMANDS = {
    "train": command("train --data digits --shape 2-3-10 --epochs 2 --out new.npz", input="digits", output="new.npz",
                     beside=(".json",)),
    "quantize": command("quantize good.pt --data digits --pool max2 --activation relu --padding 0 --mean 0 --std 1"
                        " --epochs 1 --out new.npz", input="good.pt", output="new.npz", beside=(".json",)),
    "inspect": command("inspect good.pt2", input="good.pt2"),
    "inspect with pictures": command("inspect good.pt2 --picture network.svg --plot new.svg", input="good.pt2",
                                     output="new.svg"),
    "evaluate": command("evaluate good.npz --data digits", input="good.npz"),
    "generate": command("generate good.npz --out new", input="good.npz", output="new", folder=True),
    "vivado": command("generate good.npz --target vivado --out new", input="good.npz", output="new", folder=True),
    "simulate": command("simulate good.npz --images good.npy --simulator icarus --seed 1 --out new.npy",
                        input="good.npy", output="new.npy"),
    "simulate a folder": command("simulate good.npz --images good.npy --simulator icarus --seed 1 --verilog verilog",
                                 input="verilog/lenet.v"),
    "measure": command("measure good.npz --estimate --part xc7z020", input="good.npz"),
    "explore": command("explore good.npz --estimate --part xc7z020", input="good.npz"),
    "compare": command("compare good.npz --data digits --no-synthesis --rtl-images 0 --workers 1 --out new",
                       input="good.npz", output="new", folder=True, whole=False),
    "build": command("build good.npz --board arty-a7-100 --out new", input="good.npz", output="new", folder=True),
    "classify": command("classify pictures --port sim --checkpoint good.npz", input="good.npz"),
    "compress": command("compress magnitude good.npz --data digits --seed 1 --keep fc1=0.5 --epochs 1 --out new.npz",
                        input="good.npz", output="new.npz", beside=(".toml",)),
    "pack": command("pack good.npz --out new.bin", input="good.npz", output="new.bin"),
    "unpack": command("unpack good.bin --out new.npz", input="good.bin", output="new.npz"),
    "diagram": command("draw diagram good.npz --out new.svg", input="good.npz", output="new.svg"),
    "waves": command("draw waves good.vcd --out new.svg", input="good.vcd", output="new.svg"),
    "demo": command("demo --images 1 --out new", output="new", folder=True, whole=False),
    "studio": command("studio good.npz --no-browser", input="good.npz", endless=True),
}  # fmt: skip
# What demo writes first, the Verilog, stays, whole, where it cannot be simulated afterwards.
LATE = {"demo": ("the cache is a file", "twelve open files")}


@dataclass(frozen=True)
class Case:
    """A line in a situation. ``ends``: exit codes that are right. ``prepare``: what is done in the folder first.
    ``environment``: beside the usual one. ``limits``: of the process (`resource.setrlimit`). ``stdout``: "pipe", or
    what else it leads to (`test_adversary.run`). ``columns``: of a terminal. ``kill``: the signal that it gets after a
    second. ``inside``: the folder it runs in; "gone": one that is removed."""

    name: str
    words: tuple[str, ...]
    ends: tuple[int, ...]
    prepare: Callable[[Path], None] = lambda folder: None
    environment: dict[str, str] = field(default_factory=dict)
    limits: dict[int, int] = field(default_factory=dict)
    stdout: str = "pipe"
    columns: int | None = None
    kill: signal.Signals | None = None
    inside: str = "."


def cases() -> list[Case]:
    """All of them."""
    found = []
    for name, one in COMMANDS.items():
        about = [*inputs(one), *outputs(one)]
        about += [case for case in surroundings(one) if case.name not in LATE.get(name, ())]
        if one.endless:
            about = [terminated(case) for case in about]
        found += [replace(case, name=f"{name}: {case.name}") for case in about]
    return [*found, *help_lines()]


def terminated(case: Case) -> Case:
    """A case that would be done, with a signal instead."""
    if DONE not in case.ends:
        return case
    ends = tuple(TERMINATED if end == DONE and case.kill is None else end for end in case.ends if end or not case.kill)
    return replace(case, kill=case.kill or signal.SIGTERM, ends=ends)


def put(words: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    return tuple(new if word == old else word for word in words)


def surroundings(one: Command) -> Iterator[Case]:
    """The good line where output, folders, limits or signals are not as usual."""
    words, any_end = one.words, (DONE, REFUSED)
    yield Case("as it is", words, (DONE,))
    yield Case("standard output closed", words, (REFUSED,), stdout="closed")
    yield Case("standard output full", words, (REFUSED,), stdout="full")
    yield Case("nobody reads", words, (BROKEN_PIPE, DONE), stdout="nobody")
    yield Case("standard error closed", words, (DONE,), stdout="no errors")
    yield Case("ASCII, 20 columns", words, (DONE,), environment={"PYTHONIOENCODING": "ascii", "COLUMNS": "20"})
    yield Case("a terminal of 20 columns", words, (DONE,), stdout="terminal", columns=20)
    yield Case("no folder for temporary files", words, any_end, environment={"TMPDIR": "nowhere"})
    yield Case("the cache is a file", words, any_end, environment={"FIVEBYFIVE_CACHE": "text"})
    yield Case("no home", words, any_end, environment={"HOME": "/nonexistent/home", "XDG_CACHE_HOME": ""})
    yield Case("twelve open files", words, any_end, limits={resource.RLIMIT_NOFILE: 12})
    yield Case("files of 1,000 bytes", words, any_end, limits={resource.RLIMIT_FSIZE: 1_000})
    yield Case("the folder has gone", words, (REFUSED,), inside="gone")
    yield Case("SIGINT", words, (INTERRUPTED, DONE), kill=signal.SIGINT)
    yield Case("SIGTERM", words, (TERMINATED, DONE), kill=signal.SIGTERM)
    yield Case("in an odd folder", words, (DONE,), inside=ODD)
    yield Case("an option that is not there", (*words, "--bogus[/b]"), (REFUSED,))


def inputs(one: Command) -> Iterator[Case]:
    """The input is something else."""
    if one.input is None:
        return
    made: dict[str, Callable[[Path], None]] = {
        "a pipe": os.mkfifo,
        "a folder": Path.mkdir,
        "empty": Path.touch,
        "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "of zeros": lambda path: path.write_bytes(bytes(3_000)),
        "missing": lambda path: None,
    }
    for what, make in made.items():
        if one.input == "digits" and what in ("a folder", "missing"):
            what, make = f"{what} with nothing in it", Path.mkdir
        yield Case(f"input {what}", one.words, (REFUSED,), prepare=replaced(one.input, make))
    for name in ("x[/b].npz", "nowhere\udcff", "a\nb", "\x1b[31m", "-", "~/nowhere", "x" * 300):
        if one.input in one.words:
            yield Case(f"input {name!r}", put(one.words, one.input, name), (REFUSED,))


def replaced(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Puts something else where the input ``name`` is."""

    def prepare(folder: Path) -> None:
        path = folder / name
        path.rename(folder / "before")
        make(path)

    return prepare


def outputs(one: Command) -> Iterator[Case]:
    """The output leads somewhere else."""
    if one.output is None:
        return
    for name in ("/", "/dev/null", "/proc/self/fd/1", "text/below", "", "stdout", "pipe", "loop", "x" * 300):
        yield Case(f"output {name[:20]!r}", put(one.words, one.output, name), (REFUSED,), prepare=strange_outputs)
    if one.input in one.words:
        yield Case("output is the input", put(one.words, one.output, one.input), (REFUSED,))
        yield Case(
            "output is a link to the input",
            put(one.words, one.output, "same"),
            (REFUSED,),
            prepare=lambda folder: (folder / "same").symlink_to(one.input),
        )
        yield Case(
            "output is another name of the input",
            put(one.words, one.output, "same"),
            (REFUSED,),
            prepare=lambda folder: same_file(folder, one.input),
        )
    if one.folder:
        ends = (REFUSED,) if one.whole else (DONE, REFUSED)  # files beside somebody's lose nothing
        for what, prepare in FOREIGN.items() if one.whole or one.input else ():
            for more in ((), ("--force",)):
                yield Case(f"output a folder with {what} {' '.join(more)}", (*one.words, *more), ends, prepare)
    else:
        yield Case("output a folder", put(one.words, one.output, "none"), (REFUSED,))
        for suffix in one.beside:
            yield Case(
                f"a foreign {suffix} beside the output",
                one.words,
                (REFUSED,),
                prepare=lambda folder, suffix=suffix: (folder / f"new{suffix}").write_text("mine\n"),
            )


def strange_outputs(folder: Path) -> None:
    (folder / "stdout").symlink_to("/proc/self/fd/1")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")


def same_file(folder: Path, name: str) -> None:
    if (folder / name).is_dir():
        (folder / "same").symlink_to(name)
    else:
        os.link(folder / name, folder / "same")


def foreign_manifest(text: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        (folder / "new" / "src").mkdir(parents=True)
        (folder / "new" / "manifest.json").write_text(text)
        (folder / "new" / "src" / "thesis.tex").write_text("a year's work\n")

    return prepare


FOREIGN = {
    "somebody's manifest {}": foreign_manifest("{}"),
    "somebody's manifest that names its files": foreign_manifest('{"generator": "webpack 5", "files": ["src"]}'),
    "no manifest": lambda folder: foreign_manifest("x")(folder) or (folder / "new" / "manifest.json").unlink(),
}


def help_lines() -> Iterator[Case]:
    """What people type who do not know the commands yet."""
    done, refused, either = (DONE,), (REFUSED,), (DONE, REFUSED)
    for words, ends in {
        (): either, ("help",): either, ("--help",): done, ("-h",): done, ("--version",): done, ("sim",): refused,
        ("Simulate",): refused, ("\udcff",): refused, ("[/b]",): refused, ("",): refused, ("generate", "--help"): done,
        ("compress", "--help"): done, ("compress", "kmean"): refused, ("compress",): refused,
        ("help", "simulate"): either, ("--", "evaluate"): either,
    }.items():  # fmt: skip
        yield Case(f"fivebyfive {' '.join(words)!r}", words, ends)
