"""Forty networks that people keep in public, built, trained on MNIST, read, quantized and simulated:
``python tests/networks/run.py [--page FILE] [--until STAGE] [--only N ...]``.

It goes on where it was stopped: in build/networks each network has a folder with its file; what each stage found is in
the JSON file beside the page, with the digests of what it was made by and of the network's file, so that it counts on
another machine too. A network is built again there for what is not known of it. The page is written after each result.
Ends with 1 where a network was read as another one, or its Verilog differs from the golden model.
"""

import argparse
import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from fivebyfive.model.data.datasets import Dataset, load_dataset
from fivebyfive.support.files import replacing

ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "model" / "readers"
spec = importlib.util.spec_from_file_location(
    "readers", HELPERS / "__init__.py", submodule_search_locations=[str(HELPERS)]
)
assert spec
sys.modules["readers"] = importlib.util.module_from_spec(spec)
public = importlib.import_module("readers.public_networks")

COMPARED, TESTED, SIMULATED = 100, 1000, 5  # images
LEARNED, EVALUATED = 60_000, 10_000  # images that are calibrated and tuned on, and that count errors
EPOCHS = 4  # of fine-tuning
LIMIT_S = 3600  # of a command
CLOSE = 1e-4  # of the largest score, or of 1
QUICK = os.environ | {"FIVEBYFIVE_QUICK_BUILDS": "1"}  # compiles simulations without optimization, as tests do
QUICK.pop("PYTHONDONTWRITEBYTECODE", None)  # Python keeps what it compiled, as it does by default
Found = dict[str, dict]  # what the stages before found of a network


class Place:
    """A network's folder. ``model``: the file to name; ``found``: what is known of it."""

    def __init__(self, listed, folder: Path, found: Found) -> None:
        self.listed, self.folder, self.found = listed, folder / f"{listed.number:02d}", found
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model = self.folder / f"network{listed.form.partition(' ')[0]}"

    def line(self, stage: Callable) -> str:
        """What the list says of it, so far as that is its own and of use to a stage."""
        said = {field.name: getattr(self.listed, field.name) for field in dataclasses.fields(self.listed)}
        defaults = {field.name: field.default for field in dataclasses.fields(self.listed)}
        if stage is trained:
            said["options"] = defaults["options"]
        return repr({name: value for name, value in said.items() if value != defaults[name]})

    def digest(self, stage: Callable) -> str:
        """Of the script's part that a stage is, of the network's line and, of reading, of the readers that it needs."""
        whole = hashlib.sha256((SOURCES[stage] + self.line(stage)).encode())
        if stage is read:
            for path in sorted((ROOT / "model" / "readers").rglob("*.py")):
                if not self.listed.has_graph or path.parent.name not in ("state_dict", "tensorflow"):
                    whole.update(path.read_bytes())
        return whole.hexdigest()[:16]

    @property
    def files(self) -> str:
        """The digest of the network's files; empty where there are none here."""
        paths = sorted(self.folder.glob("network.*"))
        return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16] if paths else ""

    def has(self, stage: Callable) -> bool:
        known = self.found.get(stage.__name__, {})
        return known.get("digest") == self.digest(stage) and self.files in ("", known.get("files"))

    def run(self, stage: Callable) -> None:
        if stage is not trained and not self.files:
            self.run(trained)
        began = time.monotonic()
        made = {key: value for key, value in stage(self).items() if key not in UNSHOWN}
        known = {"digest": self.digest(stage), "files": self.files, "seconds": round(time.monotonic() - began, 1)}
        self.found[stage.__name__] = made | known

    def command(self, *arguments: object) -> tuple[int, dict, str, float]:
        """Exit code, report, error line and seconds of CPU of a command of fivebyfive."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "fivebyfive", *map(str, arguments), "--json"]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=LIMIT_S, cwd=self.folder, env=QUICK, check=False
        )
        lines = done.stdout.strip().splitlines()
        report = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        line = (done.stderr.strip().splitlines()[-1:] or [""])[0].removeprefix("error: ")
        return done.returncode, report, line, seconds


# stages


def trained(place: Place) -> dict:
    """The network's file; what it gives for 100 images, and its errors."""
    listed, test = place.listed, load_dataset("mnist", "test")
    net = public.build(listed)
    if listed.steps:
        public.train(listed, net, load_dataset("mnist", "train"))
    public.write(listed, net, place.folder)
    images = listed.inputs(test.images[:COMPARED]).numpy()
    np.save(place.folder / "images.npy", images)
    np.save(place.folder / "scores.npy", public.source_scores(listed, net, place.model, images))
    np.save(place.folder / "pixels.npy", listed.preparation.apply(test.images[:SIMULATED]))
    few = Dataset(test.name, test.images[:TESTED], test.labels[:TESTED])
    wrong = public.scores_of(listed, net, few.images).argmax(1) != listed.labels(few)
    return {
        "errors": int(wrong.sum()) if listed.steps else None,
        "bytes": place.model.stat().st_size if place.model.exists() else 0,
    }


def read(place: Place) -> dict:
    """What inspect makes of it: without options and, where it asks, with those of the list. Files
    without a graph are tried on MNIST, which they were trained on."""
    given = ["inspect", place.model.name, "--check", "scores.npy", "--images", "images.npy"]
    if not place.listed.has_graph:
        given += ["--data", "mnist"]
    code, report, line, seconds = place.command(*given)
    made = {"status": "refused" if code == 2 else "read", "inspect_s": seconds}
    if code == 2:
        made |= {"line": line}
    if code == 2 and report.get("status") == "ambiguous":
        made["status"] = "asked"
        if place.listed.options:
            code, report, line, _ = place.command(*given, *place.listed.options.split())
            made |= {"status": "refused" if code == 2 else "read", "with_options": True, "answer": line}
    if made["status"] == "read":
        made |= {key: report[key] for key in ("network", "float_errors", "images", "machine", "check", "remarks")}
        made["status"] = "read" if report["check"]["equal"] else "another"
    return made


def calibrated(place: Place) -> dict:
    """Scales and rounding alone."""
    return quantized(place, "calibrated.npz", "--calibrate-only")


def tuned(place: Place) -> dict:
    """Some epochs of fine-tuning."""
    return quantized(place, "tuned.npz", "--epochs", str(EPOCHS))


def quantized(place: Place, out: str, *how: str) -> dict:
    """Errors and wraps of images of the network's own size; the reading of a file without a graph is given, not found
    again."""
    listed, data, sets = place.listed, place.folder / "data.npz", {}
    for split, count in (("train", LEARNED), ("test", EVALUATED)):
        images = load_dataset("mnist", split)
        sets[f"x_{split}"] = listed.preparation.apply(images.images[:count]).transpose(0, 2, 3, 1)  # as Keras's sets
        sets[f"y_{split}"] = listed.labels(images)[:count]
    np.savez(data, **sets)
    said = ["--mean", listed.scaling.mean, "--std", listed.scaling.std, "--data", data.name]
    if "--padding" in listed.options:  # all of the reading is said
        said += listed.options.split()
    elif not listed.has_graph:
        network = place.found["read"]["network"]
        layers = [{key: value for key, value in layer.items() if key != "fill"} for layer in network["layers"]]
        (place.folder / "reading.json").write_text(json.dumps(network | {"layers": layers}))
        said += ["--network", "reading.json"]
    code, report, line, _ = place.command(
        "quantize", place.model.name, *said, *how, "--threads", 1, "--out", out, "--force"
    )
    return {key: report.get(key) for key in ("float", "before", "after")} if code == 0 else {"line": line}


def simulated(place: Place) -> dict:
    """Some images through the Verilog of the checkpoint there is, every layer compared."""
    checkpoint = "tuned.npz" if "after" in place.found.get("tuned", {}) else "calibrated.npz"
    code, report, line, _ = place.command("simulate", checkpoint, "--images", "pixels.npy")
    return {"equal": code == 0, "line": line, "checkpoint": checkpoint, "report": report}


STAGES = trained, read, calibrated, simulated, tuned
SOURCES = {stage: inspect.getsource(stage) for stage in STAGES}


def wanted(stage: Callable, place: Place) -> bool:
    """Whether a network comes so far."""
    if stage in (trained, read):
        return True
    if place.found.get("read", {}).get("status") != "read":
        return False
    return stage is not simulated or "after" in place.found.get("calibrated", {})


# the page

HEAD = """# Public networks

Forty LeNets that people keep in public, built from descriptions of them, trained here on MNIST, and written in the form
that each is stored in. Those for CIFAR take MNIST resized to 32x32, in three channels. `make networks` writes this
page.

{summary}

Scores before any softmax are compared on 100 images with those of the source framework: ONNX Runtime for ONNX, PyTorch
in float64 for its own files and for QONNX; Keras is not in this environment, so for its files NumPy computes the same
layers. They are equal where they differ by at most 1e-4 of the largest score, or of 1.

| | network | form | read as | float errors | difference | calibrated | tuned | RTL | cycles | inspect |
|---|---|---|---|---|---|---|---|---|---|---|
"""
LEGEND = """
- *read as*: 6@5x5 is a convolution of 6 outputs, p2 padding, s2 a stride, g3 groups; m2 and a2 are pools; a number
  alone is a fully-connected layer; \\* with options.
- *float errors*: of the source network on 1,000 test images; of what was read, on the images that `inspect` counted on.
- *calibrated*, *tuned*: errors on {evaluated:,} test images in floats and of the integer network after `quantize
  --calibrate-only`, and after `--epochs {epochs}` on {learned:,} images. An empty place was not measured.
- *RTL*: {images} images through the Verilog on Verilator, every layer compared with the golden model. *cycles*: latency
  of the smallest machine. *inspect*: seconds of CPU; state_dicts are tried on MNIST (`--data mnist`).
"""


def page(places: list[Place]) -> str:
    """docs/networks.md, of what is known."""
    by_status = {
        status: [place for place in places if place.found.get("read", {}).get("status") == status]
        for status in ("read", "asked", "refused", "another")
    }
    rows = by_status["read"]
    plain = sum("with_options" not in place.found["read"] for place in rows)
    others = [(len(by_status["asked"]), "asked about"), (len(by_status["refused"]), "refused")]
    others += [(len(by_status["another"]), "READ AS ANOTHER NETWORK")] * bool(by_status["another"])
    others += [(len(places) - sum(map(len, by_status.values())), "not tried yet")]
    counts = ", ".join(f"{count} {what}" for count, what in others if count)
    summary = f"{len(rows)} are read, {plain} of them without options; {counts}. {differences(rows)}"
    text = HEAD.format(summary=textwrap.fill(summary, 120))
    text += "".join(map(row, rows))
    text += LEGEND.format(epochs=EPOCHS, images=SIMULATED, evaluated=EVALUATED, learned=LEARNED)
    for status in ("asked", "refused"):
        if lines := [f"- {name(place)}: {literal(place.found['read']['line'])}\n" for place in by_status[status]]:
            text += f"\n## {status.capitalize()}\n\n" + "".join(lines)
    return text


def differences(places: list[Place]) -> str:
    """What quantization costs."""
    tuned = [place.found["tuned"] for place in places if place.found.get("tuned", {}).get("after")]
    if not tuned:
        return ""
    points = [100 * (one["after"]["errors"] - one["float"]["errors"]) / EVALUATED for one in tuned]
    return (
        f"Errors after `--epochs {EPOCHS}`, less those in floats, of {len(points)} networks: {median(points):+.2f} "
        f"percentage points in the median, {max(points):+.2f} at most; they were trained for an epoch or two, and "
        "here for more."
    )


def name(place: Place) -> str:
    return f"{place.listed.number} {place.listed.source}, {place.listed.form}"


def literal(line: str) -> str:
    """A line of the program, as code."""
    return f"`{line.replace('`', '')}`"


def row(place: Place) -> str:
    found, listed = place.found, place.listed
    seen = found["read"]
    errors = f"{found['trained']['errors']}; {seen['float_errors']} of {seen['images']:,}" if seen["images"] else ""
    rtl = {True: "equal", False: "differs", None: ""}[found.get("simulated", {}).get("equal")]
    stages = [after(found.get(stage, {})) for stage in ("calibrated", "tuned")]
    machine = seen["machine"] or {}
    cells = [
        listed.number, listed.source, listed.form, read_as(seen["network"]) + " \\*" * bool(seen.get("with_options")),
        errors, f"{seen['check']['difference']:.0e}", *stages, rtl, f"{machine.get('latency', 0):,}",
        f"{seen['inspect_s']:.1f} s",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |\n"


def after(found: dict) -> str:
    """Errors in floats and of the integer network, and its wraps."""
    if "line" in found:
        return literal(found["line"])
    made = found.get("after")
    wraps = sum(made["wraps"].values()) if made else 0
    return f"{found['float']['errors']}, {made['errors']}" + (f" ({wraps:,} wraps)" if wraps else "") if made else ""


def read_as(network: dict) -> str:
    """A network in a line."""
    parts = ["x".join(map(str, network["input"]))]
    for layer in network["layers"]:
        said = str(layer["outputs"])
        if layer["kind"] == "conv":
            said += f"@{layer['kernel']}x{layer['kernel']}"
            for key, letter in (("stride", "s"), ("padding", "p"), ("groups", "g")):
                said += f"{letter}{str(layer[key]).replace(' ', '')}" if key in layer else ""
        parts.append(" ".join([said, *map(step_text, layer.get("then", ()))]))
    return ", ".join(parts)


def step_text(step: str | dict) -> str:
    if isinstance(step, str):
        return step
    if "function" in step:
        return step["function"]
    kind, size = next(iter(step.items()))
    return f"{kind[0]}{size}" + (f"s{step['stride']}" if "stride" in step else "")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "networks")
    parser.add_argument("--until", choices=[stage.__name__ for stage in STAGES], default=STAGES[-1].__name__)
    parser.add_argument("--only", type=int, nargs="+")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    known = given.page.with_suffix(".json") if given.page else given.folder / "results.json"
    everything = [Place(one, given.folder, load(known).get(str(one.number), {})) for one in public.LISTED]
    places = [place for place in everything if not given.only or place.listed.number in given.only]
    stages = STAGES[: [stage.__name__ for stage in STAGES].index(given.until) + 1]
    for place in sorted(places, key=cost):
        for stage in stages:
            if wanted(stage, place) and not place.has(stage):
                place.run(stage)
                keep(known, place, everything, given.page)
                made = {key: value for key, value in place.found[stage.__name__].items() if key not in LONG}
                print(f"{place.listed.number:3d} {stage.__name__} {made}", flush=True)
    seen = {place.found.get("read", {}).get("status") for place in places}
    return int("another" in seen or any(place.found.get("simulated", {}).get("equal") is False for place in places))


LONG = "network", "machine", "digest", "files"  # not printed
UNSHOWN = "remarks", "report"  # not kept


def load(known: Path) -> dict[str, Found]:
    return json.loads(known.read_text()) if known.exists() else {}


def keep(known: Path, place: Place, everything: list[Place], shown: Path | None) -> None:
    """Write what is known, and the page; another process may have found out about others."""
    found = load(known) | {str(place.listed.number): place.found}
    with replacing(known, "w") as file:
        file.write(json.dumps(found, indent=1) + "\n")
    for one in everything:
        one.found = found.get(str(one.listed.number), {})
    if shown:
        with replacing(shown, "w") as file:
            file.write(page(everything))


def cost(place: Place) -> int:
    """Of work on it: the bytes of its file, as a rule."""
    return place.found.get("trained", {}).get("bytes", place.listed.steps)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
