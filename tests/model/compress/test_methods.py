"""Every method on a small network: what the checkpoint then holds, and that it was learned."""

import numpy as np
import pytest

from fivebyfive.model.compress.methods import METHODS
from fivebyfive.model.compress.methods.netadapt import candidates
from fivebyfive.model.compress.schedules import cubic, geometric
from fivebyfive.model.evaluate import evaluate
from fivebyfive.model.golden import convolve, forward, pixels_to_codes
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.sizing import sized
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.support.errors import UserError

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from fivebyfive.model.compress.methods.linear import even  # noqa: E402
from fivebyfive.model.compress.operations.binarized import Binarized  # noqa: E402
from fivebyfive.model.compress.operations.losses import Distilled, attention, soft_loss  # noqa: E402
from fivebyfive.model.compress.operations.narrow import found_shape  # noqa: E402
from fivebyfive.model.compress.operations.projections import Binary, Ternary  # noqa: E402
from fivebyfive.model.shape import LeNetShape  # noqa: E402
from fivebyfive.model.training.lenet import LeNet, pixels_to_values, to_checkpoint  # noqa: E402
from fivebyfive.model.training.loop import TrainingImages, fit  # noqa: E402
from fivebyfive.model.training.stage import Stage  # noqa: E402
from fivebyfive.model.training.state import Extras  # noqa: E402

STEPS = {
    "fine": 'method = "magnitude"\nkeep = { conv2 = 0.3, fc1 = 0.1 }',
    "threshold": 'method = "magnitude"\nsensitivity = 0.5\nschedule = "iterative"\nrounds = 2\nround_epochs = 1',
    "kernels": 'method = "magnitude"\nkeep = { conv2 = 0.5 }\ngranularity = "kernel"',
    "gradual": 'method = "magnitude"\nkeep = 0.25\nschedule = "gradual"\ninterval = 1\nregrow = true',
    "banks": 'method = "magnitude"\neach = { fc1 = 2 }\nschedule = "gradual"\ninterval = 2',
    "uneven": 'method = "magnitude"\neach = { fc1 = 2 }\nuneven = true',
    "l1": 'method = "l1"\nshape = "3-4-12-10"\nrounds = 2\nround_epochs = 1',
    "slimming": 'method = "slimming"\nshape = "3-4-12-10"\nfloat_epochs = 6',
    "slimming by one threshold": 'method = "slimming"\nkeep = 0.6\nfloat_epochs = 6\nteacher = "start"',
    "l1 by one threshold": 'method = "l1"\nkeep = 0.6',
    "taylor": 'method = "taylor"\nshape = "3-4-12-10"\nrounds = 2',
    "budget": 'method = "taylor"\nmacs = 120_000\nparameters = 2500\nrounds = 2',
    "lasso": 'method = "lasso"\nshape = "3-4-12-10"',
    "thinet": 'method = "thinet"\nshape = "3-4-12-10"',
    "svd": 'method = "svd"\nrank = 8',
    "kmeans": 'method = "kmeans"\nbits = { conv2 = 3, fc1 = 2 }',
    "reassigned": 'method = "kmeans"\nbits = 3\nreassign = true\nstart = "k-means++"',
    "linear": 'method = "linear"\nbits = 4',
    "powers": 'method = "powers"',
    "incremental": 'method = "powers"\nrounds = 3\nround_epochs = 1\nbits = 3',
    "ternary": 'method = "ternary"',
    "ttq": 'method = "ttq"',
    "binary": 'method = "binary"\nlayers = "fc1,fc2"\nreach = 1.0',
    "xnor": 'method = "xnor"\nepochs = 12\nteacher = "start"\ndistribution = 0.1',
    "pupil": 'method = "distill"\nshape = "3-5-10"\nlooks = 1.0\nhints = 0.1\nfloat_epochs = 20',
    "staged": 'method = "distill"\nshape = "3-5-10"\nhint_epochs = 6\nfloat_epochs = 14',
    "scratch": 'method = "scratch"\nshape = "3-5-10"\nfloat_epochs = 20',
    "netadapt": 'method = "netadapt"\nbudget = 3000\nrounds = 3\nshort_images = 300',
    "narrowed": 'method = "lasso"\nshape = "3-4-12-10"\ntargets = "narrowed"\ndecay = "all"',
    "tune": 'method = "tune"\nteacher = "start"',
}
PAIRS = ["18-1-500-10", "3-50-295-10"]
CALLED = {"fine": "magnitude", "threshold": "magnitude", "kernels": "magnitude", "gradual": "magnitude"}


@pytest.fixture(scope="module")
def results() -> dict:
    """Each method's result, made once."""
    return {}


@pytest.fixture
def result(run, results):
    def call(name: str):
        if name not in results:
            results[name] = run("[[step]]\n" + STEPS[name])
        return results[name]

    return call


def codes(result, layer: str) -> np.ndarray:
    return result.checkpoint.arrays[f"{layer}.weight"]


def share(result, layer: str) -> float:
    return np.count_nonzero(codes(result, layer)) / codes(result, layer).size


@pytest.mark.parametrize("name", STEPS)
def test_what_comes_out_works(name: str, result, few_digits) -> None:
    found = result(name)
    seen = evaluate(found.checkpoint, few_digits)
    assert seen.errors < 240  # of 400; guessing would miss 360
    assert sum(seen.wraps.values()) < 5  # held-out images choose, and these few are not all
    (step,) = found.report["steps"]
    assert step["held_out"]["errors"] == found.report["held_out"]["errors"]
    for layer, shown in step["contents"].items():
        array = codes(found, layer)
        assert shown == {
            "weights": array.size, "nonzero": np.count_nonzero(array), "values": len(set(array[array != 0].tolist())),
        }  # fmt: skip
    assert found.report["bytes"] < 4 * found.report["huffman_bytes"]


def test_every_method_is_here() -> None:
    tried = {step.split('"')[1] for step in STEPS.values()}
    assert tried == set(METHODS)
    for name, module in METHODS.items():
        assert module.__doc__
        assert "Options" in vars(module), name


def test_so_many_weights_stay(result) -> None:
    assert 0.27 < share(result("fine"), "conv2") <= 0.301  # some that stay may round to zero
    assert 0.08 < share(result("fine"), "fc1") <= 0.101
    assert share(result("fine"), "fc2") > 0.9
    for layer in ("conv1", "conv2", "fc1", "fc2"):
        assert 0.2 < share(result("gradual"), layer) <= 0.26
    kernels = codes(result("kernels"), "conv2").any(axis=(2, 3))
    assert kernels.sum() <= 12 < kernels.size == 24
    assert share(result("threshold"), "fc1") < 0.8


@pytest.mark.parametrize("name", ["banks", "uneven"])
def test_lanes_hold_as_many_as_asked_for(result, name: str) -> None:
    held = (codes(result(name), "fc1") != 0).astype(int)  # (20, 96)
    lanes = np.stack([held[:, lane::20].sum(1) for lane in range(20)], 1)
    assert held.sum() <= 20 * 20 * 2
    assert held.sum() > 600
    assert (lanes.max() == 2) or name == "uneven"


@pytest.mark.parametrize("name", ["l1", "slimming", "taylor", "lasso", "thinet", "narrowed"])
def test_channels_are_gone(result, name: str) -> None:
    assert str(result(name).checkpoint.shape) == "3-4-12-10"


def test_a_budget_decides_for_itself(result) -> None:
    shape = result("budget").checkpoint.shape
    assert sum(shape.macs.values()) <= 120_000
    assert sum(int(np.prod(dimensions)) for dimensions in shape.arrays.values()) <= 2500
    assert shape.classes == 10


@pytest.mark.parametrize("name", ["slimming by one threshold", "l1 by one threshold"])
def test_one_threshold_finds_the_widths(result, name: str) -> None:
    widths = result(name).checkpoint.shape.widths
    assert widths[-1] == 10
    assert sum(widths[:-1]) == round(0.6 * (4 + 6 + 20))
    assert any(now < before for now, before in zip(widths, (4, 6, 20), strict=False))


def test_a_share_of_channels_by_one_threshold() -> None:
    worth = {"conv1": torch.tensor([0.1, 0.9]), "conv2": torch.tensor([0.2, 0.3, 0.4]), "fc1": torch.tensor([0.8, 0.7])}
    now = LeNetShape.parse("2-3-2-10")
    assert str(found_shape(now, worth, 3 / 7)) == "1-1-2-10"  # 0.9, 0.8 and 0.7; of conv2 the best, as one must stay
    assert str(found_shape(now, worth, 5 / 7)) == "1-2-2-10"
    with pytest.raises(UserError, match=r"a share of 0\.99 of 7 channels takes none out; ask for less"):
        found_shape(now, worth, 0.99)


def test_a_budget_of_cycles_is_met(result) -> None:
    before, after = (plan(one, sized(one)) for one in (brief("4-6-20-10"), result("netadapt").checkpoint.network))
    assert after.interval <= 3000 < before.interval
    stages = [record["stage"] for record in result("netadapt").report["epochs"] if "epoch" in record]
    assert len(stages) == 12 + 2 * 2  # two candidates in each of two rounds: the first step sufficed for two


def brief(widths: str) -> Network:
    return LeNetShape.parse(widths).network


def test_candidates_narrow_a_layer_each() -> None:
    now = LeNetShape.parse("8-16-64-10")
    for of, budget in (("cycles", 9000.0), ("bytes", 15_000.0), ("block-ram", 6.5)):
        options = METHODS["netadapt"].Options(budget=budget, of=of)
        found = candidates(now, options, budget)
        assert found
        for shape in found:
            (changed,) = (place for place, old in enumerate(now.widths) if old != shape.widths[place])
            assert options.cost(shape) <= budget
            wider = list(shape.widths)
            wider[changed] += 1
            assert options.cost(now.with_widths(wider)) > budget
    pairs = candidates(LeNetShape.parse("20-50-500-10"), METHODS["netadapt"].Options(budget=12e3), 12e3)
    assert [str(shape) for shape in pairs] == PAIRS
    with pytest.raises(UserError, match="no network of 8-16-64-10's layers costs only 5 cycles; ask for more"):
        candidates(now, METHODS["netadapt"].Options(budget=5.0), 5)


def test_reconstruction_beats_magnitudes(run) -> None:
    """Before any training, a refitted network is better than one that only lost channels."""
    errors = {}
    for name in ("l1", "lasso", "thinet"):
        made = run(f'[[step]]\nmethod = "{name}"\nshape = "3-4-12-10"\nepochs = 0\nclean_epochs = 0')
        errors[name] = made.report["held_out"]["errors"]
    assert max(errors["lasso"], errors["thinet"]) < errors["l1"] - 5, errors  # of 80


def test_layers_split(result) -> None:
    assert str(result("svd").checkpoint.shape) == "4-6-8-20-10"


def test_few_values(result) -> None:
    values = {layer: len(np.unique(codes(result("kmeans"), layer))) for layer in ("conv1", "conv2", "fc1")}
    assert values["conv2"] <= 8
    assert values["fc1"] <= 4
    assert values["conv1"] > 8
    for layer in ("conv1", "conv2", "fc1", "fc2"):
        assert len(np.unique(codes(result("reassigned"), layer))) <= 8
        assert len(np.unique(codes(result("linear"), layer))) <= 16
    assert all(0 in codes(result("linear"), layer) for layer in ("conv2", "fc1", "fc2"))
    steps = np.diff(np.unique(codes(result("linear"), "fc2")))
    assert steps.max() - steps.min() <= 1  # even, but for the rounding


def test_three_values_that_were_trained(result) -> None:
    for layer in ("conv1", "conv2", "fc1", "fc2"):
        low, zero, high = np.unique(codes(result("ttq"), layer)).tolist()
        assert low < zero == 0 < high


def test_weights_and_activations_of_one_bit(result, few_digits) -> None:
    found = result("xnor").checkpoint
    for place in found.network:
        weights = np.unique(found.arrays[f"{place.layer.name}.weight"]).tolist()
        largest = 127 if place.layer.name == "conv1" else 1
        terms = np.prod(place.arrays[f"{place.layer.name}.weight"][1:])
        assert weights == [-weights[1], weights[1]]
        assert weights[1].bit_count() == 1
        assert weights[1] * terms * largest < 1 << 13 <= 2 * weights[1] * terms * largest or weights[1] == 64
    trace = forward(found, few_digits.images)
    assert all(set(np.unique(trace.outputs[name])) == {-1, 1} for name in ("conv1", "conv2", "fc1"))


def test_signs_of_averages_are_refused(few_digits) -> None:
    net = LeNet(Network((1, 28, 28), (Layer("c", "conv", 2, 5, then=(Pool("average", 2, 2),)), Layer("f", "fc", 10))))
    with pytest.raises(UserError, match="c has an average pool, and averages of signs have more than one bit"):
        Binarized(net)


def test_thresholds_are_normalization_folded(few_digits) -> None:
    """After batches of the same images, biases are what normalization makes of the sums of the integer network, and the
    network computes what its checkpoint does."""
    net = Binarized(LeNet(LeNetShape.parse("3-4-20-10"), torch.Generator().manual_seed(5)))
    images = few_digits.images[:100]
    values = pixels_to_values(torch.from_numpy(images.copy()))
    for norm in net.norms.values():
        norm.momentum = 1.0
        torch.nn.init.uniform_(norm.bias, -1, 1)
    net(values, quantized=True)
    checkpoint = to_checkpoint(net)
    with torch.no_grad():
        logits, _ = net(values, quantized=True)
    np.testing.assert_array_equal((64 * logits).numpy(), forward(checkpoint, images).logits)
    codes, zeros = pixels_to_codes(images)[:, np.newaxis], np.zeros(3, np.int8)
    sums = convolve(codes, checkpoint.arrays["conv1.weight"], zeros, checkpoint.network.layers[0])  # (100, 3, 24, 24)
    pooled = sums.reshape(100, 3, 12, 2, 12, 2).max(axis=(3, 5)) / 64
    spread, shift = pooled.std(axis=(0, 2, 3), ddof=1), net.norms["conv1"].bias.detach().numpy()
    np.testing.assert_array_equal(
        checkpoint.arrays["conv1.bias"], np.rint(shift * np.hypot(spread, 64 * 1e-5**0.5) - pooled.mean(axis=(0, 2, 3)))
    )


def test_thresholds_are_pulled_to_the_mean() -> None:
    net = Binarized(LeNet(LeNetShape.parse("3-4-20-10")))
    with torch.no_grad():
        net.norms["conv1"].bias.copy_(torch.tensor([-0.5, 0.125, 1.0]))
    net.balance(0.25)
    assert net.norms["conv1"].bias.tolist() == [-0.25, 0.0, 0.75]


def test_powers_of_two(result) -> None:
    for name, most in (("powers", 15), ("incremental", 7)):
        for layer in ("conv1", "conv2", "fc1", "fc2"):
            found = np.unique(codes(result(name), layer))
            assert len(found) <= most
            assert all(abs(code).bit_count() <= 1 for code in found.tolist())
    stages = [record["stage"] for record in result("incremental").report["epochs"] if "epoch" in record]
    assert stages == ["quantized"] * 14


def test_two_and_three_values_of_a_power_of_two(result) -> None:
    for name, layers in (("ternary", ("conv1", "conv2", "fc1", "fc2")), ("binary", ("fc1", "fc2"))):
        for layer in layers:
            found = np.unique(codes(result(name), layer)).tolist()
            step = found[-1]
            assert step in (1, 2, 4, 8, 16, 32, 64)
            assert found == ([-step, step] if name == "binary" else [-step, 0, step])
    assert len(np.unique(codes(result("binary"), "conv2"))) > 3


def test_a_new_pupil_has_its_own_shape(result) -> None:
    assert str(result("pupil").checkpoint.shape) == "3-5-10"
    stages = [record["stage"] for record in result("pupil").report["epochs"] if "epoch" in record]
    assert stages == ["float"] * 20 + ["quantized"] * 12


def test_hints_come_first_where_they_shall(result) -> None:
    assert str(result("staged").checkpoint.shape) == "3-5-10"
    stages = [record["stage"] for record in result("staged").report["epochs"] if "epoch" in record]
    assert stages == ["hints"] * 6 + ["float"] * 14 + ["quantized"] * 12


def test_a_network_from_nothing(result) -> None:
    assert str(result("scratch").checkpoint.shape) == "3-5-10"
    stages = [record["stage"] for record in result("scratch").report["epochs"] if "epoch" in record]
    assert stages == ["float"] * 20 + ["quantized"] * 12


def test_even_values_have_a_zero() -> None:
    for weights, wanted in (
        ([-1.0, 0.3, 2.0], [-1, 0, 1, 2]),
        ([0.5, 3.0], [0, 1, 2, 3]),
        ([-3.0, -2.0], [-3, -2, -1, 0]),
    ):
        assert even(torch.tensor(weights), 4).tolist() == wanted
    found = even(torch.tensor([-0.9, 2.1]), 4)  # steps of 1 from 0, not from -0.9
    assert torch.allclose(found, torch.tensor([-1.0, 0.0, 1.0, 2.0]))


def test_weights_stay_in_reach() -> None:
    for kind in (Binary, Ternary):
        net = LeNet(LeNetShape.parse("3-4-12-10"), torch.Generator().manual_seed(1))
        net.projections["fc1"] = kind(torch.ones(12, 64), 2, reach=2.0)
        with torch.no_grad():
            for weight, _ in net.layers.values():
                weight.fill_(-1.5)
        net.clip()
        assert net.layers["fc1"][0].unique().tolist() == [-2 * 4 / 64]
        assert net.layers["conv2"][0].unique().tolist() == [-1.5]
        net.projections["fc1"] = kind(torch.ones(12, 64), 2)
        with torch.no_grad():
            net.layers["fc1"][0].fill_(-1.5)
        net.clip()
        assert net.layers["fc1"][0].unique().tolist() == [-1.5]


def test_weight_decay_pulls_at_weights_alone(few_digits) -> None:
    """Where no slope is, decay alone moves a parameter."""
    images = TrainingImages.of(few_digits)

    def after(decay_all: bool) -> LeNet:
        net = LeNet(LeNetShape.parse("3-4-12-10"), torch.Generator().manual_seed(1))
        stage = Stage("float", 1, False, 1e-2, warp=0.0, conv_penalty=0.0, fc_penalty=0.0, decay_all=decay_all)
        extras = Extras(Nothing())
        fit(net, stage, images, images, 1.0, torch.Generator().manual_seed(1), lambda *done: None, extras)
        return net

    start = LeNet(LeNetShape.parse("3-4-12-10"), torch.Generator().manual_seed(1))
    for decay_all in (True, False):
        for name, (weight, bias) in after(decay_all).layers.items():
            assert not torch.equal(weight, start.layers[name][0])
            assert torch.equal(bias, start.layers[name][1]) != decay_all


class Nothing(torch.nn.Module):
    """A loss without slope."""

    def forward(self, x, labels, logits, before):
        return 0.0 * logits.sum()


def test_labels_of_classes_stay(few_digits, trained, tmp_path) -> None:
    """Also where another network is made."""
    from fivebyfive.model.checkpoint import load_checkpoint, save_checkpoint
    from fivebyfive.model.compress.plan import parse_plan
    from fivebyfive.model.compress.run import compress

    labels = tuple("ABCDEFGHIJ")
    save_checkpoint(tmp_path / "net.npz", load_checkpoint(trained).labelled(labels))
    step = {"method": "distill", "shape": "3-5-10", "epochs": 1, "float_epochs": 1, "warp": 0.0}
    made = compress(parse_plan({"start": "net.npz", "step": [step]}, tmp_path), few_digits).checkpoint
    assert (str(made.shape), made.network.labels) == ("3-5-10", labels)


def test_steps_build_on_each_other(run) -> None:
    found = run(
        '[[step]]\nmethod = "magnitude"\nkeep = { fc1 = 0.1 }\n'
        '[[step]]\nmethod = "l1"\nshape = "4-5-16-10"\n'
        '[[step]]\nmethod = "kmeans"\nbits = 3\n'
        '[[step]]\nmethod = "tune"\n'
    )
    first, *others = found.report["steps"]
    assert [step["method"] for step in found.report["steps"]] == ["magnitude", "l1", "kmeans", "tune"]
    assert first["contents"]["conv2"]["values"] > 8
    for step in others:
        one = step["contents"]["fc1"]
        assert one["nonzero"] < 0.2 * one["weights"]
    values = {layer: one["values"] for layer, one in others[-1]["contents"].items()}
    assert values["fc1"] <= 7  # zero is the eighth
    assert max(values.values()) <= 8


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (['method = "magnitude"\nkeep = { fc3 = 0.1 }'], "the network has no layer fc3; it has conv1, conv2, fc1, fc2"),
        (['method = "magnitude"\nkeep = 1.0'], "keeps 1 of its weights already"),
        (['method = "magnitude"\nkeep = 0.2', 'method = "magnitude"\nkeep = { fc1 = 0.3 }'], "fc1 keeps 0.2 of its"),
        (['method = "magnitude"\neach = { conv2 = 1 }'], "conv2 has none: use granularity kernel"),
        (['method = "magnitude"\neach = { fc1 = 1 }', 'method = "magnitude"\neach = { fc1 = 1 }'], "already"),
        (['method = "magnitude"\nkeep = { fc1 = 0.1 }\ngranularity = "kernel"'], "kernels are of convolutions"),
        (['method = "kmeans"', 'method = "magnitude"\nkeep = 0.1'], "conv1 has shared weights already; prune"),
        (['method = "magnitude"\nkeep = 0.1', 'method = "binary"'], "conv1 is pruned, but binary weights cannot be"),
        (['method = "ternary"', 'method = "ternary"'], "conv1 has ternary weights already; leave it"),
        (['method = "ternary"\nlayers = "fc9"'], "the network has no layer fc9"),
        (['method = "linear"', 'method = "l1"\nshape = "2-2-2-10"'], "has shared weights already; take channels"),
        (['method = "l1"\nshape = "5-6-20-10"'], "the network is 4-6-20-10; 5-6-20-10 takes nothing out"),
        (['method = "l1"\nshape = "4-6-20-10"'], "takes nothing out of it"),
        (['method = "thinet"\nshape = "4-6-10"'], "has other layers or classes"),
        (['method = "taylor"\nmacs = 1'], "no LeNet has only 1 multiply-accumulates"),
        (['method = "taylor"\nmacs = 10_000_000'], "ask for less"),
        (['method = "svd"\nrank = 17'], "it must be at most 16"),
        (['method = "svd"\nlayer = "conv2"'], "splits a fully-connected layer"),
        (['method = "magnitude"\nkeep = 0.5', 'method = "svd"\nrank = 2'], "split layers before that"),
        (['method = "distill"\nshape = "2-2-5"'], "teacher start has 10 classes, the network 5"),
        (['method = "tune"\nteacher = "none.npz"'], "cannot read checkpoint"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_line(run, steps: list[str], said: str) -> None:
    text = "".join(f"[[step]]\nepochs = 0\n{step}\n" for step in steps)
    with pytest.raises(UserError) as caught:
        run(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pruned_checkpoint_stays_pruned(run, result, tmp_path) -> None:
    from fivebyfive.model.checkpoint import save_checkpoint

    save_checkpoint(tmp_path / "pruned.npz", result("fine").checkpoint)
    found = run(f'start = "{tmp_path}/pruned.npz"\n[[step]]\nmethod = "tune"\nlearning_rate = 0.02')
    before, after = codes(result("fine"), "fc1"), codes(found, "fc1")
    assert not after[before == 0].any()
    assert (after != before).any()
    with pytest.raises(UserError, match=r"fc1 keeps 0\.1 of its"):
        run(f'start = "{tmp_path}/pruned.npz"\n[[step]]\nmethod = "magnitude"\nkeep = {{ fc1 = 0.1 }}')


def test_shares_on_the_way() -> None:
    for schedule in (geometric, cubic):
        assert schedule(0.8, 0.1, 0) == pytest.approx(0.8)
        assert schedule(0.8, 0.1, 1) == pytest.approx(0.1)
        shares = [schedule(0.8, 0.1, step / 10) for step in range(11)]
        assert shares == sorted(shares, reverse=True)
    assert cubic(1.0, 0.0, 0.5) == 0.125
    assert geometric(1.0, 0.01, 0.5) == pytest.approx(0.1)


def test_soft_answers() -> None:
    teacher = torch.tensor([[4.0, 1.0, 0.0]])
    assert float(soft_loss(teacher, teacher, 3.0)) == pytest.approx(0, abs=1e-6)
    assert float(soft_loss(teacher + 7, teacher, 3.0)) == pytest.approx(0, abs=1e-6)
    p, q = (torch.tensor(row) for row in ([0.7, 0.3], [0.5, 0.5]))
    wanted = float((p * (p / q).log()).sum())
    assert float(soft_loss(q.log()[None], p.log()[None], 1.0)) == pytest.approx(wanted)
    assert float(soft_loss(2 * q.log()[None], 2 * p.log()[None], 2.0)) == pytest.approx(4 * wanted)


def test_attention_knows_place_and_no_scale() -> None:
    maps = torch.rand(2, 3, 4, 4)
    assert torch.allclose(attention(5 * maps), attention(maps))
    assert torch.allclose(attention(maps[:, [2, 0, 1]]), attention(maps))
    assert torch.allclose(attention(maps).norm(dim=1), torch.ones(2))
    assert not torch.allclose(attention(maps.flip(3)), attention(maps))


def test_a_teacher_teaches_and_does_not_learn(noise) -> None:
    pupil, teacher = (LeNet(LeNetShape(c, c, (10,)), torch.Generator().manual_seed(c)) for c in (2, 3))
    loss = Distilled(pupil, teacher, (1.0, 1.0), 0.5, 2.0, looks=1.0, hints=1.0)
    assert [tuple(p.shape) for p in loss.parameters()] == [(3, 2, 1, 1), (3, 2, 1, 1)]
    x, labels = pixels_to_values(torch.from_numpy(noise)), torch.tensor([1, 2, 3])
    loss(x, labels, *pupil(x)).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in (*pupil.parameters(), *loss.parameters()))
    parts = [
        float(Distilled(pupil, teacher, (1.0, 1.0), soft, 2.0, looks, hints, torch.Generator().manual_seed(1))(
            x, labels, *pupil(x)).detach())
        for soft, looks, hints in ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.5, 1.0, 0.0), (0.5, 1.0, 1.0))
    ]  # fmt: skip
    assert parts[2] == pytest.approx((parts[0] + parts[1]) / 2, rel=1e-5)
    assert parts[2] < parts[3] < parts[4]
