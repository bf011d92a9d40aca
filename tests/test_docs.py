"""Tables in docs/ are those of the code."""

import json
import re
import tomllib
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.model.checkpoint import SHIPPED, Checkpoint, load_checkpoint
from fivebyfive.model.compress.methods import METHODS
from fivebyfive.model.estimates.area import TABLE, estimate_area
from fivebyfive.model.estimates.measurement import size_text
from fivebyfive.model.estimates.parts import PARTS
from fivebyfive.model.machine import engines
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import layers_end, plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.weights import memory_map
from fivebyfive.model.shape import LeNetShape, summary
from fivebyfive.model.statistics import wilson
from fivebyfive.sim.benchlib.listed_networks import LISTED
from fivebyfive.sim.jobs.fit_area import error_rows
from fivebyfive.sim.quality.small_machines import SMALL_MACHINES
from fivebyfive.verify.bench import SIZES

DOCS = Path(__file__).parents[1] / "docs"
COMPRESSION = DOCS / "compression.md"
MEASURING = (DOCS / "measuring.md").read_text()
VERIFICATION = (DOCS / "verification.md").read_text()
MEASURED = (DOCS / "measured.md").read_text()
NUMBERS = {12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen", 18: "eighteen"}


def test_the_parts() -> None:
    for part in PARTS.values():
        figures = " | ".join(f"{figure:,}" for figure in (part.lut, part.ff, part.dsp, part.bram))
        routed = f"{part.package}, grade {part.grade}" if part.device else "-"
        assert f"| {part.name} | {part.family} | {figures} | {routed} |\n" in MEASURING


def test_how_far_off_the_area_model_is() -> None:
    """`make fit-area` prints the rows."""
    for row in error_rows(json.loads(TABLE.read_text())):
        assert row in MEASURING


ROWS = (  # name, and what issue and literature ask for
    ("lenet", ""), ("deep-compression", "74"), ("lenet-300-100", "158"), ("bank-1", "65"), ("bank-kernel", "65"),
    ("narrow", "72"), ("codebook-4", "47"), ("ternary", "75"), ("binary", "65"),
    ("powers", "52"), ("smallest", "99"),
)  # fmt: skip
COLUMNS = (
    "checkpoint", "errors", "limit", "held out", "soft, crisp", "weights not zero", "bytes", "cycles", "latency",
    "conv w., RAMB36", "fc w., RAMB36", "DSP", "nJ",
)  # fmt: skip


def compressed_rows() -> list[str]:
    """The table of docs/compression.md, of the cards and of what `make compressed` measured."""
    report = json.loads((DOCS / "compressed" / "compare.json").read_text())
    found = {one["name"]: one for one in report["results"]}
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name, limit in ROWS:
        one, card = found[name], tomllib.loads(SHIPPED.with_name(f"{name}.toml").read_text())
        card = card.get("result", card)
        others = ", ".join(str(card["other_hands"][one]["errors"]) for one in ("soft", "crisp"))
        counts = ("nonzero_weights", "bytes", "interval_cycles", "latency_cycles", "conv_weights_ramb36",
                  "fc_weights_ramb36", "dsp")  # fmt: skip
        figures = [f"{one[figure]:,.10g}" for figure in counts]
        errors = str(one["errors"]), limit, str(card["held_out"]["errors"]), others
        rows.append([f"`{name}`", *errors, *figures, f"{one['energy_pj'] / 1000:,.0f}"])
    return [f"| {' | '.join(row)} |" for row in rows]


def test_what_compression_comes_to() -> None:
    """Of the checkpoints that ship, on 200 images. When they are others: python tests/test_docs.py."""
    assert "\n".join(compressed_rows()) in COMPRESSION.read_text()
    report = json.loads((DOCS / "compressed" / "compare.json").read_text())
    assert report["rtl_images"] >= 200
    for one in report["results"]:
        path = SHIPPED.with_name(f"{one['name']}.npz")
        assert (one["sha256"], one["images"], one["rtl_images"]) == (load_checkpoint(path).digest, 10_000, 200)
        card = tomllib.loads(path.with_suffix(".toml").read_text())
        assert one["errors"] == card.get("result", card)["test"]["errors"]
        if "result" in card:
            assert one["bytes"] == card["result"]["bytes"]


def shipped(name: str) -> Checkpoint:
    return load_checkpoint(SHIPPED.with_name(f"{name}.npz"))


def card(name: str) -> dict:
    return tomllib.loads(SHIPPED.with_name(f"{name}.toml").read_text())


def compared() -> dict[str, dict]:
    """What `make compressed` measured, by the checkpoint's name."""
    report = json.loads((DOCS / "compressed" / "compare.json").read_text())
    return {one["name"]: one for one in report["results"]}


def test_what_is_said_of_the_compressed_checkpoints() -> None:
    """Figures between the tables, computed from what ships."""
    said, found = COMPRESSION.read_text(), compared()
    deep = shipped("deep-compression").arrays
    kernels, weights = deep["conv2.weight"].any(axis=(2, 3)).mean(), (deep["conv2.weight"] != 0).mean()
    assert f"`deep-compression`: {100 * weights:.0f} % stay, spread over {100 * kernels:.0f} % of the kernels" in said
    for name in ("deep-compression", "lenet-300-100"):
        floats = 4 * found[name]["parameters"]
        assert f"{floats / found[name]['bytes']:.0f} times" in said
        assert f"its {floats / 1000:,.0f} kB" in said
    assert f"({found['codebook-4']['errors']}, {found['lenet']['errors']} before)" in said
    assert f"{found['lenet-300-100']['errors'] / found['lenet']['errors']:.1f} times the errors" in said
    fewer = 1 - found["binary"]["bytes"] / found["ternary"]["bytes"]
    assert f"packed it takes {100 * fewer:.0f} % fewer bytes" in said
    ram = {name: found[name]["conv_weights_ramb36"] + found[name]["fc_weights_ramb36"] for name in ("lenet", "binary")}
    assert "a seventh" in said
    assert round(ram["lenet"] / ram["binary"]) == 7
    lenet = shipped("lenet").arrays
    share = lenet["fc1.weight"].size / sum(array.size for array in lenet.values())
    assert f"fc1 has {100 * share:.0f} % of them" in said


def test_what_is_said_of_one_bit() -> None:
    """Figures of docs/one-bit/compare.md, which `compare` wrote."""
    page = (DOCS / "one-bit" / "compare.md").read_text()
    names, _, *rows = (line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|"))
    seeds, said = [dict(zip(names, row, strict=True)) for row in rows], " ".join(COMPRESSION.read_text().split())
    assert {(one["engines"], one["DSP"]) for one in seeds} == {("conv signs, 1 bits; fc xnor, 1 bits", "0")}
    assert "200 images simulated, their logits equal to the golden model's" in page
    *first, last = (one["errors"] for one in seeds)
    assert f"{', '.join(first)} and {last} of 10,000 MNIST test images" in said
    luts = max(one["LUT"] for one in seeds)
    for one in seeds:
        assert f"an image takes {one['cycles']} cycles and {one['RAMB36']} RAMB36E1 in all, {luts} LUTs" in said


def test_values_and_minutes_of_the_compressed_checkpoints() -> None:
    table = COMPRESSION.read_text().partition("### What each costs")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| (\d+) \| ", table, re.M)
    assert {name for name, _, _ in rows} == {name for name, _ in ROWS} - {"lenet"}
    for name, what, minutes in rows:
        assert float(minutes) <= card(name)["result"]["seconds"] / 60 + 0.5  # those of the quickest seed
        if values := re.search(r"(\d+) values a layer(?: \(conv1 (\d+) at most\))?", what):
            for layer, array in shipped(name).arrays.items():
                most = int(values[2] or values[1]) if layer == "conv1.weight" else int(values[1])
                assert layer.endswith("bias") or len(np.unique(array)) <= most, f"{layer} of {name}"


def test_area_and_frequency_of_what_ships() -> None:
    """Those of `make bench`, in docs/measured.md."""
    page = (DOCS / "performance.md").read_text()
    for size, part in (("25 + 20", "xc7z020"), ("25 + 20", "lfe5u-85f"), ("100 + 20", "lfe5u-85f")):
        row = next(line for line in page.splitlines() if line.startswith(f"| {size} | {part} |")).split(" | ")
        lut, lutram = re.match(r"([\d,]+) \+ ([\d,]+) as RAM", row[4]).groups()
        cells = [re.sub(r" \(.*", "", row[number]).replace(" |", "") for number in (5, 6, 7)]
        text = f"{lut} LUT and {lutram} as RAM, {cells[0]} FF, {cells[1]}, {cells[2]}"
        assert text in MEASURED, text
        if mhz := re.match(r"([\d.]+) MHz \(median of \d, (\d+ to \d+)\)", row[9]):
            assert f"{size}: {mhz[1]} MHz ({mhz[2]})" in MEASURED.replace("| | ", "| ")


def test_cycles_in_the_logs_and_of_the_sizes() -> None:
    """By the cycle model, which every simulation holds against the counters; logs that are marked may have others."""
    shape, splits, page = (
        load_checkpoint().shape,
        *((DOCS / f"{name}.md").read_text() for name in ("cycles", "performance")),
    )
    sizes = (DOCS / "verify-sizes.log").read_text()
    for pes, rows in SIZES:
        config = sized(shape.network, pes, rows)
        now = plan(shape.network, config)
        split = f"{config.windows} x {config.outputs}"
        assert f"| {pes}, {rows} | {size_text(config)} | {split} |" in splits
        assert f"| {size_text(config)} | {now.interval:,} | {now.latency:,} | " in page
        for early in (False, True):
            now = plan(shape.network, replace(config, early_fc=early))
            counts = [f"{count:,}" for count in (now.conv, now.fc, now.latency, now.interval)]
            line = rf" {size_text(config, '').replace('+', '.')} +{'yes' if early else 'no'} +100 +" + " +".join(counts)
            assert re.search(line, sizes), line
    for log, pes in (("verify-all.log", 1), ("verify-100-20.log", 4), ("verify-netlist.log", 1)):
        text, now = (DOCS / log).read_text(), plan(shape.network, sized(shape.network, pes))
        if "an older schedule" not in text:
            assert re.search(rf"interval cycles: +{now.interval:,}\.00\n", text), log


def test_what_is_said_of_sizes_and_of_what_is_not_built(monkeypatch) -> None:
    deep, cycles = shipped("deep-compression"), page("cycles")
    two = plan(deep.network, sized(deep, 2)).interval
    other = plan(deep.network, fitted(deep, Config(1, 2))).interval
    assert f"with two PEs gets 2 x 1 and {two:,} cycles an image, since 1 x 2 would take {other:,}." in cycles
    budget = sized(shipped("lenet"), multipliers=260)
    assert (budget.windows, budget.outputs, budget.fc_rows) == (4, 2, 3)
    interval = plan(shipped("lenet").network, budget).interval
    assert f"gets 4 x 2 and three rows, {interval:,} cycles an image" in cycles
    rows = re.findall(r"^\| `(.*)` \| ([\d-]+) \| ([\d,]+) \| ([\d,]+) \|$", (DOCS / "engines.md").read_text(), re.M)
    every = [path.stem for path in SHIPPED.parent.glob("*.npz")]
    assert {name for name, *_ in rows} == {name for name in every if sized(shipped(name)).engines.kept}
    for name, built, now, _ in rows:
        config = sized(shipped(name))
        assert built == summary(config.built(shipped(name).network))
        assert f"{plan(shipped(name).network, config).interval:,}" == now
    monkeypatch.setattr(
        engines, "used_outputs", lambda one: [np.ones(layer.outputs, bool) for layer in one.network.layers[:-1]]
    )
    for name, *_, before in rows:
        assert f"{plan(shipped(name).network, sized(shipped(name))).interval:,}" == before


def page(name: str) -> str:
    """A page on one line."""
    return " ".join((DOCS / f"{name}.md").read_text().split())


def test_cycles_in_prose() -> None:
    """By the cycle model."""
    shape, dense = load_checkpoint().shape, LeNetShape.parse("784-300-100-10").network
    small, four, packed = (
        plan(shape.network, sized(shape.network, pes, packed=half)) for pes, half in ((1, False), (4, False), (4, True))
    )
    assert f"R = 1: {small.limit_conv:,} and {small.limit_fc:,}." in page("cycles")
    assert f"{plan(dense, sized(dense)).interval:,} cycles an image with 20 multipliers" in page("own-network")
    assert f"One image of the shipped network takes {small.interval:,} cycles" in page("simulation")
    for options, pair, half in (("", four, False), (" --packed", packed, True)):
        dsps = sized(shape.network, 4, packed=half).dsps
        assert f"| `--conv-pes 4{options}` | 100 + 20 | {dsps} | {pair.interval:,} |" in page("arithmetic")
    multiplied = sum(shape.macs.values()) / (small.interval * sized(shape.network).multipliers)
    readme = " ".join((DOCS.parent / "README.md").read_text().split())
    parameters = sum(array.size for array in shipped("lenet").arrays.values())
    assert f"20-50-500-10 ({parameters:,} parameters)" in readme
    assert f"{100 * multiplied:.0f} % of all multipliers busy" in readme
    assert f"{100 * multiplied:.0f} % of all multipliers busy" in page("measured")


def test_addresses_in_the_memory_map() -> None:
    """The example of docs/architecture.md, and its table."""
    shape, said = load_checkpoint().shape, page("architecture")
    at = {region.name: region for region in memory_map(shape.network, sized(shape.network))}
    for name in ("conv1.weight", "conv2.weight", "fc1.bias", "fc1.weight"):
        region = at[name]
        assert f"`{name}` | {region.address:,} to {region.address + region.words - 1:,}" in said, name
    first = at["conv2.weight"].address
    assert f"word {first} + 7 x 20 + 3 = {first + 7 * 20 + 3}, byte 1" in said


def test_cycles_of_pointwise_convolutions() -> None:
    """The table of docs/cycles.md. With `skip_zeros` a 1x1 convolution takes one channel at a time."""
    said, network = page("cycles"), LISTED["depthwise 5x5, then pointwise"].network
    config = sized(network)
    before = replace(config, skip_zeros=True)
    cycles = [f"{plan(network, one).interval:,}" for one in (before, config)]
    regions = [region for one in (before, config) for region in memory_map(network, one)]
    words = [region.words for region in regions if region.name == "pointwise.weight"]
    assert f"pointwise 10 to 20) | {cycles[0]} | {cycles[1]} | {words[0]}, now {words[1]} |" in said
    depthwise, pointwise = np.diff(layers_end(network, config)[0])
    products = sum(network.macs[name] for name in ("depthwise", "pointwise"))
    share = 100 * products / (config.conv_multipliers * (depthwise + pointwise))
    assert f"{depthwise:,} and {pointwise:,} cycles, {share:.1f} %" in said
    changes = (DOCS.parent / "CHANGELOG.md").read_text()
    assert f"takes {cycles[1]} cycles an image instead of {cycles[0]}" in changes
    assert f"{words[1]} weight words instead of {words[0]}" in changes


def test_what_is_said_of_other_ways_to_convolve() -> None:
    """In docs/arithmetic.md, beside Winograd's."""
    said, lenet = page("arithmetic"), shipped("lenet").network
    convs = stages(lenet).convs
    outputs = [prod(one.used) for one in convs]
    inputs = [one.rows * one.columns for one in convs]
    kernels = [one.channels * one.width for one in convs]
    macs = [lenet.macs[one.name] for one in convs]
    assert f"in numbers for the {sum(macs):,} products" in said
    (maps, patches), (first_maps, first_patches) = (
        (one.channels * inside, one.channels * 25 * outside)
        for one, inside, outside in reversed(list(zip(convs, inputs, outputs, strict=True)))
    )
    assert f"{patches:,} codes of patches for conv2, {patches / maps:.1f} times its maps" in said
    assert f"{first_patches:,} for conv1, {first_patches / first_maps:.1f} times" in said
    kn2row = [25 * inside * count for inside, count in zip(inputs, kernels, strict=True)]
    sums = [one.width * outside for one, outside in zip(convs, outputs, strict=True)]
    assert f"| {sum(kn2row):,} | {sums[1]:,} sums for conv2, {sums[0]:,} for conv1 |" in said
    assert f"{kn2row[0] / macs[0]:.2f} and {kn2row[1] / macs[1]:.2f} times the products" in said
    products = bits = 0
    for one, size, count in zip(convs, (32, 16), kernels, strict=True):
        frequencies, transform = size**2 // 2, size**2 // 2 * (size.bit_length() - 1)
        products += 3 * (count * frequencies + (one.channels + one.width) * transform)
        bits += count * frequencies * 2 * 16
    assert (
        f"| {products:,} | {bits:,} bits of transformed kernels at 16 bits a number, {bits // 36_864} RAMB36E1 |"
        in said
    )
    config = sized(lenet, winograd=True)
    tiles = sum(
        prod(one.positions(4)) * count * config.position_products for one, count in zip(convs, kernels, strict=True)
    )
    assert f"| {tiles:,} | {sum(kernels) * 576:,} bits of transformed kernels" in said
    assert plan(lenet, config) == plan(lenet, sized(lenet, 4))
    assert f"conv cycles are {plan(lenet, config).conv:,}, an image takes {plan(lenet, config).interval:,}" in said


def test_training_is_that_of_the_card() -> None:
    said, report = page("training"), card("lenet")
    for title, part in (("5,060 held out", "held_out"), ("10,000 of the test set", "test")):
        one = report[part]
        codes = ", ".join(str(one["peak"][layer]) for layer in ("conv1", "conv2", "fc1", "fc2"))
        assert f"| {title} | {one['errors']} | {sum(one['wraps'].values())} | {codes} |" in said
    assert f"they are {report['test']['errors']} (ships)" in said
    assert report["command"] in said
    assert f"It took {report['seconds'] / 60:.0f} minutes" in said


def test_digits_of_other_hands_are_those_of_the_card() -> None:
    """In docs/measured.md, with 95 % intervals of Wilson, and in docs/training.md; the images in tests/model."""
    report, found = card("lenet"), card("lenet")["other_hands"]
    intervals = [
        f"{one['errors']} ({low * one['images']:.0f} to {high * one['images']:.0f})"
        for one in (found["soft"], found["crisp"])
        for low, high in [wilson(one["errors"], one["images"])]
    ]
    assert f"| {', '.join(intervals)} |" in MEASURED
    errors = [str(one["errors"]) for one in found.values()]
    assert f"| {', '.join(errors[2:])} |" in MEASURED
    assert f"; ships** | {report['test']['errors']} | {' | '.join(errors)} |" in page("training")


LINK = 2_500  # LUTs of the serial link, those used as RAM too: of the LeNet on ULX3S-85F less those of `make bench`
BOOTH = 190  # LUTs of a multiplier for which there is no DSP block


def board_rows() -> list[str]:
    """The table of docs/boards.md, of the area model: which checkpoint fits which part."""
    parts = [PARTS[name] for name in ("lfe5u-12f", "lfe5u-25f", "lfe5u-45f", "lfe5u-85f", "xc7a100t")]
    rows = [["checkpoint", *(part.name.upper() for part in parts)], ["---"] * (1 + len(parts))]
    for name, _ in ROWS:
        network = shipped(name)
        config, cells = sized(network), []
        for part in parts:
            area = estimate_area(network.network, config, part.family)
            wanting = max(0, config.dsps - part.dsp) if part.family == "ecp5" else 0
            luts = area["lut"] + area["lutram"] + LINK + BOOTH * wanting
            if area["bram"] > part.bram:
                cells.append(f"no: {area['bram']:,.10g} of {part.bram} blocks of RAM")
            elif luts > part.lut:
                cells.append(f"no: {luts:,.0f} of {part.lut:,} LUT")
            else:
                cells.append("yes" + (f", {wanting} multipliers of LUTs" if wanting else ""))
        rows.append([f"`{name}`", *cells])
    return [f"| {' | '.join(row)} |" for row in rows]


def test_which_checkpoint_fits_which_board() -> None:
    assert "\n".join(board_rows()) in (DOCS / "boards.md").read_text()
    for row in board_rows()[2:]:
        assert row.count("| yes") >= 2, f"docs/boards.md must say of {row} what is too large"


def test_how_many_methods() -> None:
    assert f"`compress` has {NUMBERS[len(METHODS)]} methods" in (DOCS / "compress.md").read_text()
    assert f"smaller by {NUMBERS[len(METHODS)]} methods" in (DOCS.parent / "CHANGELOG.md").read_text()
    for name in METHODS:
        assert f"`{name}`" in COMPRESSION.read_text()


def test_kills_are_those_of_the_log() -> None:
    """Of the table in docs/verification.md."""
    log = (DOCS / "faults.log").read_text()
    job = r"^(\w+): 100 kills .* of (.* s)\n +found: (.*); with temporary files: (\d+)\n +.*: (\d+)$"
    jobs = re.findall(job, log, re.M)
    assert len(jobs) == 4
    for job, lasts, found, temporary, restarts in jobs:
        counts = dict(one.rsplit(" ", 1) for one in found.split(", "))
        row = ", ".join(counts.get(name, "0") for name in ("old", "new", "none"))
        assert f"| `{job}` | {lasts} | {row} | {temporary} | {restarts} of 100 |" in VERIFICATION


def test_the_mutation_score_is_that_of_the_log() -> None:
    """That every component has a row; docs/status.md has their scores, docs/verification.md the one of all."""
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) +(\d+) +(\d+) +([\d.]+ %)$", (DOCS / "mutants.log").read_text(), re.M)
    missing = "python -m fivebyfive.verify.mutants --component NAME --log docs/mutants.log"
    assert [name for name, *_ in rows] == [*(make.__name__ for make in SMALL_MACHINES), "all"], missing
    mutants, score = sum(int(count) for _, count, *_ in rows[:-1]), rows[-1][-1]
    for page, sentence in (
        ("docs/verification.md", f"the score of {mutants:,} mutants of {len(SMALL_MACHINES)} components is {score}"),
        ("docs/verification.md", f"{rows[-1][4]} are neither noticed nor proved"),
        ("CHANGELOG.md", f"The mutation score is {score} "),
    ):
        said = " ".join((DOCS.parent / page).read_text().split())
        assert sentence in said, f"{page} must say: {sentence}"


def test_tests_and_files_in_the_changelog_exist() -> None:
    """Those of what is not released; a version's own tests may have other names later."""
    root = DOCS.parent
    said = (root / "CHANGELOG.md").read_text().partition("\n## 0.1.0\n")[0]
    defined = "\n".join(path.read_text() for path in sorted((root / "tests").rglob("*.py")))
    tests, files = re.findall(r"`(test_\w+)`", said), re.findall(r"`((?:\w+/)+\w+\.(?:py|md|toml|log))`", said)
    assert len(tests) > 100
    assert len(files) > 10
    assert [name for name in tests if f"def {name}(" not in defined] == []
    assert [name for name in files if not (root / name).is_file()] == []


def test_coverage_is_that_of_the_log() -> None:
    """The table of docs/verification.md, once the log is there."""
    if not (DOCS / "coverage.log").is_file():
        pytest.skip("make coverage writes docs/coverage.log")
    number = r" +([\d,]+)"
    rows = re.findall(rf"^(\w+){5 * number}$", (DOCS / "coverage.log").read_text(), re.M)
    assert [name for name, *_ in rows] == [make.__name__ for make in SMALL_MACHINES]
    for row in rows:
        assert f"| {' | '.join(row)} |\n" in VERIFICATION


if __name__ == "__main__":
    print("\n".join([*compressed_rows(), "", *board_rows()]))


def test_how_fast_the_studio_is() -> None:
    """The table is that of the log."""
    first, *lines = (DOCS / "studio-speed.log").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("measured: ")]
    page = (DOCS / "studio.md").read_text()
    assert f"at a load of {first.rpartition(' ')[2]}:" in page
    assert len(lines) == 2
    for line in lines:
        machine, figures = line.split(": ")
        seconds = re.findall(r"[\d.]+ s", figures)
        assert f"| {machine} | {' | '.join(seconds)} |\n" in page
