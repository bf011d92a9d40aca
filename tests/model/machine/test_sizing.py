"""What a user asks for reaches the machine: no option of the command line is lost on the way to `Config`."""

from dataclasses import fields
from inspect import signature

from fivebyfive.cli import main
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.sizing import Size, sized
from fivebyfive.model.shape import LeNetShape

SHAPE = LeNetShape(2, 4, (10,))


def test_size_has_the_arguments_of_sized() -> None:
    arguments = set(signature(sized).parameters) - {"network"}
    assert {field.name for field in fields(Size)} == arguments | {"dense_engines"}
    chosen = {"windows", "outputs", "kernel", "engines"}  # by `sized` and `fitted`
    sizes = {field.name for field in fields(Config)} - chosen
    assert arguments == sizes | {"conv_pes"}


def test_commands_ask_for_sizes_by_these_names() -> None:
    options = {parameter.name for parameter in main.commands["generate"].params}
    assert {field.name for field in fields(Size)} <= options


def test_every_size_reaches_the_machine() -> None:
    network = Checkpoint.random(SHAPE, 1)
    size = Size(conv_pes=4, fc_rows=3, early_fc=True, overlap=False, packed=True)
    config = size.config(network)
    assert config.conv_multipliers == 4 * 25
    assert (config.fc_rows, config.early_fc, config.overlap, config.packed) == (3, True, False, True)
    assert Size().config(network) == Config()
