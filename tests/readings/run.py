"""Networks of readings drawn at random, trained on MNIST, saved as state_dicts and read again:
``python tests/readings/run.py [NETWORKS] [SEED] [LOG]``.

A reading is right where it computes what the network does. Ends with 1 where any is wrong, or fewer than nine of ten
are chosen; the log is written as far as it is. Beside them are networks with leaky ReLU or GELU, which images do not
tell from ReLU: they must be read as that with the other one named, or asked about.
"""

import importlib.util
import random
import sys
import tempfile
import time
from pathlib import Path

import torch

from fivebyfive.model.data.datasets import Dataset, joined, load_dataset
from fivebyfive.model.readers.float_errors import USUAL_INPUTS
from fivebyfive.model.readers.state_dict.reading import Ambiguous, find_reading

HELPER = Path(__file__).parents[1] / "model" / "readers" / "trained_networks.py"
spec = importlib.util.spec_from_file_location("trained_networks", HELPER)
assert spec
assert spec.loader
networks = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = networks
spec.loader.exec_module(networks)

STEPS, EPOCHS = 938, 5  # of training, of 64 images each
TRAINED = 0.05  # errors of 5,000, at most, of a network that counts as trained
TELLABLE, RECTIFIERS = ("relu", "none", "tanh", "sigmoid"), ("leaky-relu", "gelu")
SIZES = [((1, 28, 28), False)] * 3 + [((1, 32, 32), False), ((1, 32, 32), True), ((3, 32, 32), True)]


def drawn(rng: random.Random, functions: tuple[str, ...]):
    """A plan whose maps do not become empty."""
    kernel = rng.choice((3, 5))
    count = rng.choice((1, 2, 2, 2, 3)) if kernel == 3 else rng.choice((1, 2, 2, 2))
    same, windows = kernel // 2, rng.choice(([2, 2, 2], [2, 2, 2], [2, 3, 2], [0, 2, 2]))
    paddings = rng.choice(([0] * 3, [same] * 3, [same, 0, 0]))
    if count == 1:
        windows = [2]
    convs = tuple((rng.randint(*((4, 8) if not n else (8, 16))), kernel, paddings[n], windows[n]) for n in range(count))
    size, resized = rng.choice(SIZES)
    conv, fc = (rng.choice(functions) for _ in range(2))
    scaling = rng.choice(USUAL_INPUTS[:4])
    return networks.Plan(
        convs, (*rng.choice(((), (48,), (64, 32))), 10), rng.choice(("max", "average")), conv, fc, size, resized,
        rng.random() < 0.1, scaling.mean, scaling.std, rng.random() < 0.15,
    )  # fmt: skip


def trained(plan, seed: int, training: Dataset, test: Dataset):
    """The network, and its errors; None where it does not learn."""
    torch.manual_seed(seed)
    net = networks.Trained(plan)
    rate = 5e-3 if "sigmoid" in (plan.conv, plan.fc) else 2e-3
    for epoch in range(EPOCHS):
        networks.train_on(net, training, STEPS, 100 * seed + epoch, rate / 2**epoch)
    errors = networks.errors(net, test)
    return (net, errors) if errors <= TRAINED * len(test) else None


def text(plan) -> str:
    convs = "-".join(f"{k}x{k}:{o}" + f"p{p}" * (p > 0) + f"/{w}" * (w > 0) for o, k, p, w in plan.convs)
    images = "x".join(map(str, plan.size)) + " resized" * plan.resized + " inverted" * plan.inverted
    return f"{images} {convs} {plan.pool} {plan.conv},{plan.fc} {plan.dense}" + " BatchNorm" * plan.norm


def main(count: int = 50, seed: int = 1, log: str = "build/readings.log") -> int:
    torch.set_num_threads(1)
    training, test = load_dataset("mnist", "train"), load_dataset("mnist", "test")
    both = joined(test, training)
    few = Dataset("first", test.images[:5000], test.labels[:5000])
    rng, lines = random.Random(seed), []
    outcomes: dict[bool, list[str]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count + count // 5):
            tellable = number < count
            made = None
            while made is None:
                plan = drawn(rng, TELLABLE if tellable else RECTIFIERS)
                made = trained(plan, number, training, few)
            net, errors = made
            path, began = networks.save(net, Path(folder) / "net.pt"), time.monotonic()
            try:
                reading = find_reading(path, both)
                outcome, said = ("right" if networks.equal(net, reading.network) else "wrong"), str(reading)
                if outcome == "wrong" and reading.rectifiers and not tellable:
                    outcome = "named"
            except Ambiguous as error:
                outcome, said = "asked", str(error).partition("tell apart: ")[2] or str(error)
            outcomes[tellable].append(outcome)
            lines.append(
                f"{number + 1:3d} {outcome:6s} {errors:4d} errors, {time.monotonic() - began:5.1f} s  {text(plan)}\n"
                f"           {said}\n"
            )
            print(lines[-1], end="", flush=True)
            summary = [
                f"{len(found)} networks with {', '.join(TELLABLE if key else RECTIFIERS)}: "
                + ", ".join(f"{found.count(word)} {word}" for word in ("right", "asked", "named", "wrong")) + "\n"
                for key, found in outcomes.items() if found
            ]  # fmt: skip
            Path(log).write_text("".join([f"Readings of trained networks, seed {seed}\n", *summary, "\n", *lines]))
    print("".join(summary), end="")
    bad = "wrong" in outcomes[True] or "wrong" in outcomes[False] or outcomes[True].count("right") < 0.9 * count
    return int(bad)


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(*map(int, given[:2]), *given[2:3]))
