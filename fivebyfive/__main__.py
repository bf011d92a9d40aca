"""The command line, as the script `fivebyfive` and as `python -m fivebyfive`.

It is imported as the rest of the work is done: what ends that is told in a line too.
"""

from .terminal import leave

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end with its exit code."""
    leave(run)


def run() -> None:
    from .cli import main as commands

    commands(prog_name="fivebyfive")


if __name__ == "__main__":
    main()
