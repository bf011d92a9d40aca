"""What the logs of the long checks have in common: their form, the checkpoint, versions of the tools."""

import platform
from collections.abc import Callable
from pathlib import Path

import click

from fivebyfive.model.training.report import versions
from fivebyfive.support.files import replacing

__all__ = ["about_tools", "checkpoint_text", "interval_text", "log_of", "log_option", "tools", "write_log"]


def log_option(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option ``--log`` of a long check."""
    return click.option("--log", type=click.Path(path_type=Path), default=Path(default), show_default=True)


def write_log(path: Path, text: str, echo: bool = True) -> None:
    """Write a finished log and, with ``echo``, print it."""
    with replacing(path, "w") as file:
        file.write(text)
    if echo:
        click.echo(text, nl=False)


def checkpoint_text(summary: dict) -> str:
    return f"{summary['checkpoint']}, {summary['network']}, sha256 {summary['sha256']}"


def about_tools(summary: dict) -> dict[str, str]:
    """Lines that every log has: what a simulation ran with, and where."""
    return tools(summary["simulator_version"])


def tools(simulator: str) -> dict[str, str]:
    of = versions()
    return {
        "simulator": simulator,
        "fivebyfive": of["fivebyfive"],
        "python, numpy": f"{platform.python_version()}, {of['numpy']}",
        "machine": of["machine"],
    }


def interval_text(summary: dict) -> str:
    return "-" if summary["interval_cycles"] is None else f"{summary['interval_cycles']:,.2f}"


def log_of(lines: dict[str, str]) -> str:
    """Lines of a log, what they tell in a column."""
    return "".join(f"{name + ':':17} {value}\n" for name, value in lines.items())
