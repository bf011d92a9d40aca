"""What all commands share at the terminal: errors of one line, exit codes, standard output and error, progress."""

import difflib
import io
import os
import re
import shlex
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from fivebyfive.support.errors import DEFECT, UNUSABLE, Failure, UserError, limit_reached, shown

__all__ = ["WORDS", "Commands", "Stage", "Suggesting", "command", "program", "quoted", "run_and_exit", "say"]

NAME = "fivebyfive"
WORDS = "words of fivebyfive"  # of the command line, in click's meta
WIDE = 80  # columns: on a narrower terminal progress is figures and no bar
QUIET_S = 2.0  # work shorter than that says nothing where there is no terminal
REPEAT_S = 15.0  # between two lines there that tell something new
INTERRUPTED = 130  # as a shell has it: 128 + SIGINT
READER_GONE = 141  # 128 + SIGPIPE
TERMINATED = 143
NAMES = {"<stdout>": "standard output", "<stderr>": "standard error"}
# What libraries say where memory ran out, instead of MemoryError.
NO_MEMORY = ("allocate memory", "failed to map segment", "can't start new thread", "bad_alloc")


class OutputFailed(Failure):
    """Standard output or error takes nothing any more: it is full or closed, or its reader has gone.

    No OSError, so that neither click nor rich ends the program in its own way.
    """

    def __init__(self, name: str, error: OSError | None = None):
        super().__init__(f"cannot write {name}: {error.strerror if error else 'it is closed'}")
        if isinstance(error, BrokenPipeError):
            self.exit_code = READER_GONE


class Output:
    """Standard output or error, whose failures are kept apart from those of files."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        with self.failing():
            return self.stream.write(text)

    def flush(self) -> None:
        with self.failing():
            self.stream.flush()

    @contextmanager
    def failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            name = getattr(self.stream, "name", "<stdout>")
            raise OutputFailed(NAMES.get(name, name), error) from error

    def end(self) -> None:
        """Write what is left; what cannot be written must not fail once more when Python ends."""
        try:
            self.flush()
        except OutputFailed:
            with suppress(OSError), open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def outputs() -> Iterator[None]:
    """Standard output and error that take every character, and tell what they cannot take by OutputFailed.

    What the encoding lacks, and what is no character at all, is escaped. A closed standard error is done without; a
    closed standard output is refused at once, not after the work.
    """
    open_standard_files()
    before = sys.stdout, sys.stderr
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    try:
        sys.stdout, sys.stderr = map(escaping, (sys.stdout, sys.stderr))
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Output):
                stream.end()
        sys.stdout, sys.stderr = before


def open_standard_files() -> None:
    """Open those of the three standard files that are closed: the next file that is opened would take their place, and
    the words of a child process would end in it."""
    while (handle := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(handle, True)
    os.close(handle)


def escaping(stream: TextIO | Output | None) -> TextIO | Output | None:
    if stream is None or isinstance(stream, Output):
        return stream
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return Output(stream)


def run_and_exit(work: Callable[[], int | None]) -> NoReturn:
    """Do the work, say in one line what ended it, and end the program with its exit code.

    0: done. 1: values differ, the RTL hangs, or a board does not answer. 2: an input, a tool, a disk, the memory or
    standard output cannot be used. 70: a defect of ours; its traceback is shown. 130: interrupted. 141: the reader of
    the output has gone. 143: terminated.
    """
    with outputs():
        sys.exit(exit_code_of(work))


def exit_code_of(work: Callable[[], int | None]) -> int:
    """The exit code of the work; what it raised is said on standard error."""
    try:
        if sys.stdout is None:
            raise OutputFailed("standard output")
        code = work() or 0
        sys.stdout.flush()
        return code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else NAME
        return fail(f"{one_line(error.format_message())} Try: {path.replace(NAME, program(), 1)} --help")
    except click.ClickException as error:
        return fail(one_line(error.format_message()))
    except Failure as error:
        if error.exit_code == READER_GONE:
            return READER_GONE
        return fail((one_line if isinstance(error, UserError) else lines)(str(error)), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        return READER_GONE
    except Exception as error:
        return fail(reason) if (reason := reason_outside(error)) else defect(error)


def reason_outside(error: Exception) -> str | None:
    """What of this machine or its installation stopped the work; None where it is a defect of ours."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        return "the memory ran out; close other programs, or lift the limit (ulimit -v)"
    if isinstance(error, OSError):
        if line := limit_reached(error):
            return line
        where = f": {error.filename}" if error.filename else ""
        return one_line(f"{error.strerror or str(error) or type(error).__name__}{where}")
    if isinstance(error, ImportError) and not (error.name or "").startswith("fivebyfive"):
        return one_line(f"{error}; install fivebyfive again")
    return None


def defect(error: Exception) -> int:
    """Show what a report needs, and ask for it."""
    with suppress(OutputFailed, OSError):
        traceback.print_exception(error)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return fail(f"{one_line(what)} {ASK}", DEFECT)


ASK = "This is a defect of fivebyfive; please report it as an issue, with the lines above and the command."


class Suggesting(click.Group):
    """A group of commands that knows what a wrong word may have meant, and `help` for --help."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = click.utils.make_str(args[0])
        names = self.list_commands(ctx)
        if word in names or not word[:1].isalnum():
            return super().resolve_command(ctx, args)
        close = [name for name in names if name.startswith(word)] or difflib.get_close_matches(word, names)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        ctx.fail(f"No such command {word!r}.{meant}")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args or ([] if self.invoke_without_command else ["--help"]))


class Commands(Suggesting):
    """Commands whose every end is an exit code, and every failure a line on standard error (`run_and_exit`)."""

    def main(  # type: ignore[override]  # click has overloads for standalone_mode, which has no meaning here
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        **extra: Any,
    ) -> NoReturn:
        """As click's, whose own way to end a program is in `run_and_exit`."""
        words = list(sys.argv[1:] if args is None else args)
        for ours in ("standalone_mode", "windows_expand_args"):
            extra.pop(ours, None)
        run_and_exit(lambda: self.run(words, prog_name or self.name or NAME, complete_var, extra))

    def run(self, words: list[str], name: str, complete_var: str | None, extra: dict) -> int | None:
        self._main_shell_completion(extra, name, complete_var)
        try:
            with self.make_context(name, list(words), **extra) as context:
                context.meta[WORDS] = words
                return self.invoke(context)
        except click.exceptions.Exit as end:
            return end.exit_code

    def invoke(self, ctx: click.Context) -> Any:
        before = signal.signal(signal.SIGTERM, terminate)
        try:
            return super().invoke(ctx)
        finally:
            signal.signal(signal.SIGTERM, before)


def fail(message: str, code: int = UNUSABLE) -> int:
    if code == DEFECT and not message.endswith(ASK):
        message = f"{message}\n{ASK}"
    with suppress(OutputFailed):
        say(f"error: {message}")
    return code


def one_line(message: str) -> str:
    """A message without line breaks or anything else that a terminal would act on, ending in a full stop."""
    text = shown(" ".join(line.strip() for line in message.strip().splitlines()))
    return text if text.endswith((".", "?", ":", "!")) else f"{text}."


def lines(message: str) -> str:
    """A message whose first line may be followed by those of a tool; a line that stands alone ends in a full stop."""
    first, *rest = message.strip().splitlines() or [""]
    return "\n".join((first, *rest)) if rest else one_line(first)


def terminate(number: int, frame: object) -> NoReturn:
    """SIGTERM unwinds the stack, so that simulators end and half-written files go."""
    raise SystemExit(TERMINATED)


def say(message: str) -> None:
    """A remark, on standard error: standard output is for results. Nothing in it acts on a terminal."""
    if sys.stderr is not None:
        sys.stderr.write("".join(f"{shown(line.expandtabs())}\n" for line in message.split("\n")))
        sys.stderr.flush()


def command(*words: object) -> str:
    """A command of this program as a person may give it to a shell, whatever stands in its words."""
    return " ".join([program(), *map(quoted, words)])


def program() -> str:
    """How this program was called, or may be called again: by its name, where a shell then finds the same one."""
    called, found = Path(sys.argv[0]), shutil.which(NAME)
    if called.name == NAME:
        return NAME if found and os.path.samefile(found, called) else quoted(called)
    if called.parts[-2:] == (NAME, "__main__.py"):
        beside = found and Path(found).parent == Path(sys.executable).parent
        return NAME if beside else f"{quoted(sys.executable)} -m {NAME}"
    return NAME


def quoted(word: object) -> str:
    """A word for a shell; what begins as an option does is a path here, and what cannot be printed, or not in the
    encoding of standard output, is written in bytes."""
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    with suppress(UnicodeEncodeError, LookupError):
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
        if text.isprintable():
            return shlex.quote(text)
    return "$'" + "".join(chr(byte) if chr(byte) in PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(text)) + "'"


PLAIN = {chr(code) for code in range(0x20, 0x7F)} - {"'", "\\"}


class Stage:
    """Progress of one piece of work (`fivebyfive.support.progress`); nothing of it stays on a terminal.

    On a terminal a bar; elsewhere a line each quarter of a minute, the first after two seconds, and more and more
    seldom where there is nothing new. Both on standard error.
    """

    def __init__(self, text: str):
        self.text = text
        self.due = time.monotonic() + QUIET_S
        self.pause = REPEAT_S
        self.last_news: tuple = ()
        self.bar: Any = None  # rich.progress.Progress, imported where there is a terminal

    def __enter__(self) -> "Stage":
        if sys.stderr is not None and sys.stderr.isatty():
            self.bar = bar()
            self.task = self.bar.add_task(shown(self.text), total=None)
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, done: int, total: int, text: str) -> None:
        text = shown(text)
        if self.bar:
            self.bar.update(self.task, description=text, completed=done, total=total or None)
            return
        if (now := time.monotonic()) > self.due:
            news = done, total, re.sub(r"\d+", "", text)  # without the seconds that a text may tell
            self.pause = REPEAT_S if news != self.last_news else 2 * self.pause
            self.due, self.last_news = now + self.pause, news
            say(f"{text}: {done} of {total}" if total > 1 else f"{text} ...")


def bar() -> Any:
    """A bar whose figures stay whole: where there is little room, its text is folded."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(stderr=True, markup=False, emoji=False)
    words = TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    figures = MofNCompleteColumn(table_column=Column(no_wrap=True))
    if console.width < WIDE:
        return Progress(words, figures, console=console, transient=True)
    spinner = SpinnerColumn("dots" if console.encoding.startswith("utf") else "line")
    left = TimeRemainingColumn(table_column=Column(no_wrap=True))
    return Progress(spinner, words, BarColumn(), figures, left, console=console, transient=True)
