"""What all commands share at the terminal: errors of one line, exit codes, progress."""

import signal
import sys
import time

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from fivebyfive.model.errors import UserError, limit_reached, shown

__all__ = ["Commands", "Stage", "say"]

QUIET_S = 2.0  # work shorter than that says nothing where there is no terminal
REPEAT_S = 15.0  # between two lines where there is no terminal
INTERRUPTED = 130  # as a shell has it: 128 + SIGINT
TERMINATED = 143
FAILURES = ("SimulationFailed", "YosysError", "RtlDiffers")  # by name: most commands never import what raises them
TOOL_FAILURES = ("ToolFailed",)  # Yosys or nextpnr could not do what was asked; their own last lines are shown


class Commands(click.Group):
    """Commands whose every failure is said in one line on standard error, and told by the exit code.

    0: all well. 1: the simulation failed, or differed. 2: something that was given cannot be used, or a disk
    is full. 130: interrupted. A defect of ours still shows its traceback.
    """

    def main(self, *args, **kwargs):
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
            sys.stdout.flush()
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "fivebyfive"
            code = fail(f"{one_line(error.format_message())} Try: {command} --help")
        except (click.ClickException, UserError) as error:
            code = fail(one_line(str(error)))
        except OSError as error:
            line = limit_reached(error) or f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
            code = fail(shown(line))
            drop_stdout()
        except click.Abort:
            code = fail("interrupted", INTERRUPTED)
        sys.exit(code or 0)

    def invoke(self, ctx):
        before = signal.signal(signal.SIGTERM, terminate)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise click.Abort from error
        except Exception as error:
            if type(error).__name__ in FAILURES:
                ctx.exit(fail(str(error), 1))
            if type(error).__name__ in TOOL_FAILURES:
                ctx.exit(fail(str(error)))
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def fail(message: str, code: int = 2) -> int:
    click.echo(f"error: {message}", err=True)
    return code


def one_line(message: str) -> str:
    """A message without line breaks or anything else that a terminal would act on, ending in a full stop."""
    text = shown(" ".join(message.split()))
    return text if text.endswith((".", "?", ":", "!")) else f"{text}."


def drop_stdout() -> None:
    """What could not be written to standard output must not fail a second time when Python ends."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = None


def terminate(number, frame):
    """SIGTERM unwinds the stack, so that simulators end and half-written files go."""
    raise SystemExit(TERMINATED)


def say(message: str) -> None:
    """A remark, on standard error: standard output is for results."""
    click.echo(message, err=True)


class Stage:
    """Progress of one piece of work (`fivebyfive.model.progress`); nothing of it stays on a terminal.

    On a terminal a bar; elsewhere a line each quarter of a minute, the first after two seconds. Both on
    standard error.
    """

    def __init__(self, text: str):
        self.console = Console(stderr=True)
        self.text = text
        self.started = self.said = time.monotonic()
        self.bar: Progress | None = None

    def __enter__(self) -> "Stage":
        if self.console.is_terminal:
            self.bar = Progress(
                SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TimeRemainingColumn(), console=self.console, transient=True,
            )  # fmt: skip
            self.task = self.bar.add_task(self.text, total=None)
            self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, done: int, total: int, text: str) -> None:
        if self.bar:
            self.bar.update(self.task, description=text, completed=done, total=total or None)
            return
        now = time.monotonic()
        if now - self.started > QUIET_S and (self.said == self.started or now - self.said > REPEAT_S):
            self.said = now
            say(f"{text}: {done} of {total}" if total else f"{text} ...")
