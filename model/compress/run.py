"""Do what a plan says: a checkpoint goes in, a smaller one comes out."""

import time
from typing import TYPE_CHECKING

import numpy as np

from fivebyfive.model.compress.packing.packed import pack
from fivebyfive.model.data.datasets import Dataset
from fivebyfive.model.training.report import figures, finished
from fivebyfive.model.training.train import Result, counter, divide
from fivebyfive.support.errors import user_values
from fivebyfive.support.optional import require_torch
from fivebyfive.support.progress import Progress, silent

from ..checkpoint import Checkpoint, load_checkpoint
from .methods import METHODS
from .plan import Plan, Step

if TYPE_CHECKING:
    from fivebyfive.model.compress.operations.job import Compression
    from fivebyfive.model.training.resume import States

__all__ = ["compress", "contents"]


def compress(
    plan: Plan,
    training: Dataset,
    test: Dataset | None = None,
    states: "States | None" = None,
    progress: Progress = silent,
) -> Result:
    """Run a plan. ``states`` keep how far it is after each epoch, so that the same call goes on from there; the caller
    removes them once the result is stored. ``progress`` counts batches, then images and codes.

    The report has ``command``, ``plan``, ``data``, ``hold_out``, ``start`` (its digest), ``steps`` (method, contents,
    and the golden model's figures on the held-out images after each), ``epochs``, ``contents``, ``bytes`` (packed),
    ``huffman_bytes``, and what `finished` tells. Nothing is chosen by ``test``. Raises UserError.
    """
    require_torch()
    from fivebyfive.model.training.lenet import to_checkpoint
    from fivebyfive.model.training.loop import threads
    from fivebyfive.model.training.resume import States

    started = time.monotonic()
    start = load_checkpoint(plan.start_path)
    hold_out = plan.held_out
    learning, held_out = divide(start.network, training, test, hold_out, plan.folder)
    states = states or States()
    states.begin(plan.digest(start.digest), learning, held_out)
    with threads(plan.threads):
        job = make_job(plan, start, learning, held_out, states, progress)
        steps = [run_step(job, step, held_out) for step in plan.steps]
    checkpoint = to_checkpoint(job.net).labelled(start.network.labels)  # methods may make another network
    packed = pack(checkpoint, progress)
    report = {"command": "compress", "plan": plan.plain, "seed": plan.seed, "data": training.name}
    report |= {
        "hold_out": str(hold_out),
        "start": start.digest,
        "steps": steps,
        "epochs": job.records,
        "contents": contents(checkpoint),
    }
    report |= {"bytes": packed.bytes, "huffman_bytes": packed.huffman_bytes}
    return Result(checkpoint, report | finished(checkpoint, held_out, test, started, progress))


def make_job(
    plan: Plan, start: Checkpoint, learning: Dataset, held_out: Dataset, states: "States", progress: Progress
) -> "Compression":
    """The work before its first step."""
    import torch

    from fivebyfive.model.compress.operations.job import Compression, loaded, temperature_of
    from fivebyfive.model.training.lenet import from_checkpoint
    from fivebyfive.model.training.loop import TrainingImages

    batches = [step.config.stage(step.config.all_epochs).steps(len(learning)) for step in plan.steps]
    net, images = loaded(from_checkpoint(start)), TrainingImages.of(held_out)
    generator = torch.Generator().manual_seed(plan.seed)
    about = generator, temperature_of(net, images), states, counter(progress, batches), plan.folder
    return Compression(net, TrainingImages.of(learning), images, *about, from_checkpoint(start))


def run_step(job: "Compression", step: Step, held_out: Dataset) -> dict:
    """One method; what is left after it."""
    from fivebyfive.model.training.lenet import to_checkpoint

    with user_values():
        METHODS[step.method].run(job, step.config)
    checkpoint = to_checkpoint(job.net)
    seen = figures(checkpoint, held_out, silent)
    return {"method": step.method, "shape": checkpoint.summary, "held_out": seen, "contents": contents(checkpoint)}


def contents(checkpoint: Checkpoint) -> dict[str, dict[str, int]]:
    """Of each layer its weights, how many are not zero, and how many values these have."""
    found = {}
    for layer in checkpoint.network.names:
        codes = checkpoint.arrays[f"{layer}.weight"]
        values = np.unique(codes[codes != 0])
        found[layer] = {"weights": codes.size, "nonzero": int(np.count_nonzero(codes)), "values": len(values)}
    return found
