"""The command compress: a method with its options, or a plan of several."""

import json
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import ModuleType

import click

from fivebyfive.model.checkpoint import SHIPPED, save_checkpoint
from fivebyfive.model.compress.options import ByLayer
from fivebyfive.model.compress.plan import Plan, Step, write_plan
from fivebyfive.model.errors import UserError, user_values

from .places import check_file
from .report import console, show_training, table
from .terminal import Stage, say

__all__ = ["method_command", "run_compress"]

TYPES = {int: click.INT, float: click.FLOAT, str: click.STRING, ByLayer: click.STRING}
SIZES = ("contents", "bytes", "huffman_bytes")
RESULT_KEYS = ("start", "digest", "shape", *SIZES, "held_out", "test", "seconds", "versions")


def method_command(name: str, module: ModuleType, common: list) -> click.Command:
    """The command of a method: its options are the fields of its ``Config``, then the ``common`` ones."""

    def call(checkpoint: Path, out: Path, seed: int, threads: int, data: str, as_json: bool, **values) -> None:
        with user_values():
            step = Step(name, module.Config(**values))
            start = "" if checkpoint == SHIPPED else str(checkpoint)
            plan = Plan((step,), start, seed, threads, data)
        run_compress(plan, out, as_json)

    own = [method_option(one) for one in fields(module.Config)]
    return click.Command(name, callback=call, params=[*common[:1], *own, *common[1:]], help=module.__doc__)


def method_option(one: Field) -> click.Option:
    """The option of a hyper-parameter."""
    assert one.default is not MISSING
    name = "--" + one.name.replace("_", "-")
    text = one.metadata["help"]
    if one.type is bool:
        return click.Option([name], is_flag=True, default=one.default, help=text)
    kind = click.Choice(one.metadata["choices"]) if one.metadata["choices"] else TYPES[one.type]
    default = one.default.plain if one.type is ByLayer else one.default
    return click.Option([name], type=kind, default=str(default) if kind is click.STRING else default, help=text,
                        show_default=default != "")  # fmt: skip


def run_compress(plan: Plan, out: Path, as_json: bool) -> None:
    """Run a plan, write the checkpoint and the plan with its results beside it, and tell of it."""
    from fivebyfive.model.compress.run import compress
    from fivebyfive.model.datasets import load_dataset
    from fivebyfive.model.extras import require, require_torch

    require_torch()
    from fivebyfive.model.saved import States, state_folder

    for package in ("constriction", "bitarray", "tomli_w"):
        require(package, "compressing needs", package, "compress")
    check_file(out)  # what has no name, such as ., has no suffix either
    card = out.with_suffix(".toml")
    if plan.start_path.resolve() in (out.resolve(), card.resolve()):
        raise UserError(f"{out} is what the work starts from; name another file with --out")
    if out == card:
        raise UserError(f"{out} is what its plan is called; name the checkpoint otherwise, such as {out.stem}.npz")
    check_file(card)
    states = States(state_folder(out), say)
    with Stage("reading the data") as stage:
        sets = load_dataset(plan.data, "train", stage), load_dataset(plan.data, "test", stage)
        result = compress(plan, *sets, states, stage)
    save_checkpoint(out, result.checkpoint)
    write_plan(card, plan, told(result.report))
    states.forget()
    report = result.report | {"out": str(out)}
    if as_json:
        click.echo(json.dumps(report))
    else:
        show_compressed(report)


def told(report: dict) -> dict:
    """What a plan's file tells of its results; TOML has no null."""
    return {key: report[key] for key in RESULT_KEYS if report[key] is not None}


def show_compressed(report: dict) -> None:
    """What is left of each layer after each step, and the sizes."""
    out = console()
    rows = table("<after", "<network", "held-out errors", "<weights that are not zero, and their values")
    for step in report["steps"]:
        left = ", ".join(f"{layer} {one['nonzero']:,} ({one['values']})" for layer, one in step["contents"].items())
        rows.add_row(step["method"], step["shape"], str(step["held_out"]["errors"]), left)
    out.print(rows)
    out.print()
    show_training(report)
    out.print(f"Packed: {report['bytes']:,} bytes; with Huffman codes alone {report['huffman_bytes']:,}.")
