"""A simulator that stays running gives every value of the golden model, image after image, and records a waveform."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fivebyfive.hw.conv.conv_controller import conv_states
from fivebyfive.hw.generate import Generated, generate
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.golden import classify, forward
from fivebyfive.model.image_cycles import cycles_of_images
from fivebyfive.model.machine.config import Config
from fivebyfive.model.machine.cycles import plan
from fivebyfive.model.machine.engines import fitted
from fivebyfive.model.machine.sizing import Size
from fivebyfive.model.machine.stages import stages
from fivebyfive.model.machine.unused import as_computed, unread_outputs
from fivebyfive.model.network import Layer, Network, Pool
from fivebyfive.model.shape import LeNetShape
from fivebyfive.output.block_diagram import blocks
from fivebyfive.output.wave_file import BEFORE, Wanted, read_waves
from fivebyfive.sim.benchlib.random_networks import random_network
from fivebyfive.sim.session.probes import find_probes
from fivebyfive.sim.session.recording import Recording
from fivebyfive.sim.session.session import Session, build_session
from fivebyfive.sim.session.taps import Piece
from fivebyfive.sim.simulate import simulate
from fivebyfive.sim.simulator.process import SimulationFailed, SimulatorFailed
from tests.sim.random_machines import random_machine
from tests.sim.session.small import ALL_KINDS, SEED, SIZE

NETWORKS = {
    "all kinds of layers": ALL_KINDS,
    "convolutions alone": Network((1, 7, 7), (Layer("c1", "conv", 3, 3, then=(Pool("max", 5, 5),)),)),
    "without convolutions": Network((1, 5, 5), (Layer("f1", "fc", 23, then=("relu",)), Layer("f2", "fc", 1))),
}
SIZES = {"all kinds of layers": SIZE, "convolutions alone": Size(), "without convolutions": Size(pixels=4)}


@contextmanager
def running(generated: Generated, config: Config, checkpoint: Checkpoint, folder: Path) -> Iterator[Session]:
    probes = find_probes(generated.design, blocks(checkpoint.network, config))
    with Session(build_session(generated, probes), generated, probes, folder) as session:
        yield session


def images_of(network: Network, count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *network.input), np.uint8)


def check(session: Session, checkpoint: Checkpoint, image: np.ndarray) -> tuple[Recording, list[Piece]]:
    """Have an image read, and compare everything with the golden model."""
    pieces: list[Piece] = []
    trace = forward(checkpoint, image[np.newaxis])
    result = session.run(image, pieces.append)
    recording = session.recording()
    assert {name: codes.shape for name, codes in result.outputs.items()} == checkpoint.network.outputs
    for name, codes in as_computed(trace.outputs, unread_outputs(checkpoint, session.config)).items():
        np.testing.assert_array_equal(result.outputs[name], codes[0], name)
    np.testing.assert_array_equal(result.logits, trace.logits[0])
    assert result.index == classify(trace.logits)[0]
    (planned,) = cycles_of_images(checkpoint, session.config, image[np.newaxis])
    assert (result.cycles.conv, result.cycles.fc, result.cycles.latency) == (
        planned.conv, planned.fc, planned.latency,
    )  # fmt: skip
    assert recording.cycles == recording.recorded == result.total > result.cycles.latency
    return recording, pieces


@pytest.mark.parametrize(
    "name", [name if name == "all kinds of layers" else pytest.param(name, marks=pytest.mark.full) for name in NETWORKS]
)
def test_every_value_is_the_golden_models(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]
    checkpoint = Checkpoint.random(network, SEED)
    config = SIZES[name].config(checkpoint)
    with running(generate(checkpoint, config), config, checkpoint, tmp_path) as session:
        for image in images_of(network, 3):
            recording, pieces = check(session, checkpoint, image)
        check_pieces(network, pieces, recording)
        check_activity(recording, network, config)
        check_trouble(session, image)


def test_what_is_not_built_is_zero(tmp_path: Path) -> None:
    """Outputs that a machine leaves out, as nothing needs them, and those behind them in their own places."""
    checkpoint = random_network(LeNetShape(1, 5, (30, 2)), 6, "banks+seen")
    config = fitted(checkpoint, Config())
    assert [len(one) for one in config.engines.kept] == [1, 5, 29]
    with running(generate(checkpoint, config), config, checkpoint, tmp_path) as session:
        check(session, checkpoint, images_of(checkpoint.network, 1)[0])


@pytest.mark.full
def test_cells_that_are_left_out(tmp_path: Path) -> None:
    """Windows of zeros take no cycle, and the tap shows one cell of zeros for all."""
    checkpoint = Checkpoint.random(LeNetShape(3, 3, (8, 4)), SEED)
    config = Size(conv_pes=2, skip_zeros=True).config(checkpoint)
    images = images_of(checkpoint.network, 3)
    images[0], images[1, :, :9], images[1, :, :, 20:] = 0, 0, 0
    with running(generate(checkpoint, config), config, checkpoint, tmp_path) as session:
        for image in images:
            check(session, checkpoint, image)


def check_trouble(session: Session, image: np.ndarray) -> None:
    """A machine that hangs, and a simulator that is killed."""
    limit, session.limit_cycles = session.limit_cycles, 20
    with pytest.raises(SimulationFailed, match="no result within 20 cycles"):
        session.run(image)
    session.limit_cycles = limit
    assert session.alive
    os.kill(session.process.pid, signal.SIGKILL)
    with pytest.raises(SimulatorFailed, match="the simulator was killed by SIGKILL"):
        session.run(image)
    assert not session.alive


def check_pieces(network: Network, pieces: list[Piece], recording: Recording) -> None:
    """Values come once, when they are known."""
    for layer, shape in network.outputs.items():
        seen = [
            n for piece in pieces if piece.layer == layer for n in range(piece.first, piece.first + len(piece.values))
        ]
        assert sorted(seen) == list(range(int(np.prod(shape))))
    assert all(0 < piece.cycle < recording.cycles for piece in pieces)


def check_activity(recording: Recording, network: Network, config: Config) -> None:
    """Every unit of the diagram is busy at some time, and none always."""
    busy = recording.busy()
    assert set(busy) == set(blocks(network, config))
    for unit, spans in busy.items():
        assert spans, unit
        assert all(0 <= first <= last < recording.cycles for first, last in spans)
        first = spans[0][0]
        assert unit in recording.busy_at(first)
        assert not first or unit not in recording.busy_at(first - 1)
    states = recording.states()
    convs = len(stages(network).convs)
    if not convs:
        assert states == []
        return
    names = [state.name for state in conv_states(convs).__members__.values()]
    seen = [names[value] for _, value in states]
    assert seen[0] == seen[-1] == "CONV_IDLE"
    assert seen[-2] == "CONV_FINISH"
    # The brief's order: no state of a layer comes before one of the layer before it.
    assert [names.index(state) for state in dict.fromkeys(seen)] == sorted(names.index(state) for state in set(seen))
    busy_cycles = states[-1][0] - states[1][0]
    assert busy_cycles == plan(network, config).conv


@pytest.mark.full
def test_signals_are_those_of_a_waveform(tmp_path: Path) -> None:
    """cocotb's run of the same image, in whose waveform cycles count from before its reset."""
    network = ALL_KINDS
    checkpoint = Checkpoint.random(network, SEED)
    config = SIZE.config(checkpoint)
    generated = generate(checkpoint, config)
    image = images_of(network, 1)[0]
    (tmp_path / "session").mkdir()
    with running(generated, config, checkpoint, tmp_path / "session") as session:
        recording, _ = check(session, checkpoint, image)
    done = simulate(checkpoint, generated, image[np.newaxis], folder=tmp_path / "waves", waves=True)
    assert done.waves
    names = [probe.name for probe, _ in recording.signals]
    assert len(names) > 30
    wanted = [Wanted(name, None, "bin", name) for name in names]
    found, samples = read_waves(done.waves, wanted, "clk", when="i__valid", count=recording.cycles + BEFORE)
    assert [one.name for one in found] == names
    seen = {one.name: [int(bits, 2) for bits in values] for one, values in zip(found, samples.values, strict=True)}
    begin = seen["i__valid"].index(1)
    length = len(seen["i__valid"]) - begin
    assert length > recording.cycles - 5  # the bench ends with the result
    for probe, changes in recording.signals:
        compared = network.pixels if probe.name == "i__payload" else length  # undefined behind the last pixel
        recorded = [changes.at(cycle) for cycle in range(compared)]
        assert seen[probe.name][begin : begin + compared] == recorded, probe.name


@pytest.mark.full
@pytest.mark.parametrize("seed", range(6))
def test_random_machines(seed: int, tmp_path: Path) -> None:
    machine = random_machine(seed, largest=20, work=1 << 20)
    with running(generate(machine.checkpoint, machine.config), machine.config, machine.checkpoint, tmp_path) as session:
        for image in images_of(machine.checkpoint.network, 2, seed):
            recording, pieces = check(session, machine.checkpoint, image)
        check_pieces(machine.checkpoint.network, pieces, recording)
        check_activity(recording, machine.checkpoint.network, machine.config)
