"""The adversary's command lines, which are run in `make test-all`, leave no command out."""

from fivebyfive.cli import main

from .situations import COMMANDS


def test_every_command_is_tried() -> None:
    assert {one.words[0] for one in COMMANDS.values()} == set(main.commands)
