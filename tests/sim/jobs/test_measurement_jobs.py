"""Jobs: kept by content, done side by side, done again when their process dies."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from fivebyfive.hw.accelerator import Accelerator
from fivebyfive.hw.codegen.verilog import to_verilog
from fivebyfive.hw.generate import TOP, generate
from fivebyfive.model.checkpoint import Checkpoint
from fivebyfive.model.machine.config import Config
from fivebyfive.model.shape import LeNetShape
from fivebyfive.sim.jobs import measurement_jobs
from fivebyfive.sim.jobs.job import from_json, known_job, run_job, to_json
from fivebyfive.sim.jobs.measurement_jobs import Routing, Synthesis
from fivebyfive.sim.jobs.workers import ClusterPool, LocalPool, run_jobs
from fivebyfive.support.errors import UserError

MINI = "1-1-10"


def some_jobs(count: int = 4) -> list[Synthesis]:
    return [Synthesis(MINI, Config(fc_rows=rows), "xc7") for rows in range(1, count + 1)]


def area(lut: int) -> dict:
    """A result of a synthesis."""
    found = {"family": "xc7", "lut": lut, "lutram": 0, "ff": 0, "dsp": 45, "bram": 5.5, "cells": {}, "memories": {}}
    return found | {"tools": ["fake yosys"]}


def done_units(fake_tools: Path) -> list[str]:
    return (fake_tools / "done").read_text().splitlines()


def test_a_unit_survives_the_journey_to_another_process(cache) -> None:
    for job in (Synthesis(MINI, Config(2, 3, early_fc=True), "xc7"), Routing(MINI, Config(), "lfe5u-85f", 3)):
        assert from_json(to_json(job)) == job


def test_results_are_kept_by_all_that_they_depend_on(cache, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(measurement_jobs, "synthesis_result", lambda job: calls.append(job) or area(len(calls)))
    first = some_jobs(1)[0]
    assert known_job(first) is None
    assert run_job(first) == run_job(first) == known_job(first) == area(1)
    about = ("1-2-10", Config(), "xc7"), (MINI, Config(2), "xc7"), (MINI, Config(), "ecp5")
    others = [Synthesis(*words) for words in about]
    assert [run_job(job)["lut"] for job in others] == [2, 3, 4]
    for about in ("sources", lambda job: "changed"), ("tools", {"pyosys": "0.1"}):
        with monkeypatch.context() as patch:
            patch.setattr(Synthesis, *about)
            assert known_job(first) is None


def test_a_changed_source_that_gives_the_same_verilog_costs_no_synthesis(cache, monkeypatch) -> None:
    made = {"area": area(5), "netlist": None}
    monkeypatch.setattr(measurement_jobs, "synthesize_into", lambda design, job, kept: made)
    assert run_job(some_jobs(1)[0])["lut"] == 5
    monkeypatch.setattr(measurement_jobs, "synthesize_into", None)
    monkeypatch.setattr(Synthesis, "sources", lambda job: "changed")
    assert run_job(some_jobs(1)[0])["lut"] == 5


def test_weights_do_not_change_the_verilog() -> None:
    """So a result holds for all networks of a shape."""
    shape = LeNetShape(2, 2, (10,))
    assert (
        generate(Checkpoint.random(shape, seed=1)).design.verilog == to_verilog(Accelerator(shape.network), TOP).verilog
    )


def test_units_run_side_by_side_and_are_kept(fake_tools: Path) -> None:
    wanted = some_jobs()
    said = []
    outcomes = run_jobs(wanted, LocalPool(2), lambda *words: said.append(words))
    assert set(outcomes) == set(wanted)
    assert all(outcome.result["dsp"] == job.config.multipliers for job, outcome in outcomes.items())
    assert said[-1][:2] == (4, 4)
    assert len(done_units(fake_tools)) == 4
    run_jobs(wanted, LocalPool(2))
    assert len(done_units(fake_tools)) == 4


def test_a_process_that_dies_costs_its_own_unit_only(fake_tools: Path) -> None:
    (fake_tools / "die").touch()
    outcomes = run_jobs(some_jobs(), LocalPool(2))
    assert sorted(outcome.tries for outcome in outcomes.values()) == [1, 1, 1, 2]
    assert all(outcome.result for outcome in outcomes.values())
    assert len(done_units(fake_tools)) == 4


def test_a_process_that_always_dies_is_given_up(fake_tools: Path, monkeypatch) -> None:
    from fivebyfive.sim.jobs import workers

    monkeypatch.setattr(workers, "COMMAND", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    (outcome,) = run_jobs(some_jobs(1), LocalPool(1)).values()
    assert "its process ended 3 times, the last by signal 9" in outcome.failure


def test_a_tool_that_fails_is_not_tried_again(fake_tools: Path) -> None:
    (fake_tools / "fail").write_text("Yosys failed:\nERROR: no")
    (outcome,) = run_jobs(some_jobs(1), LocalPool(1)).values()
    assert (outcome.failure, outcome.tries) == ("Yosys failed:\nERROR: no", 1)


def test_an_interruption_ends_all_processes_and_keeps_what_is_finished(fake_tools: Path) -> None:
    """The first job is quick, the others take for ever until the interruption."""
    (fake_tools / "slow").touch()
    pool = LocalPool(2)

    def interrupt(done: int, total: int, text: str) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(some_jobs(), pool, interrupt)
    assert [bool(known_job(job)) for job in some_jobs()] == [True, False, False, False]
    (fake_tools / "slow").unlink()
    time.sleep(0.5)
    assert len(done_units(fake_tools)) == 1  # nobody works on
    run_jobs(some_jobs(), pool)
    assert len(done_units(fake_tools)) == 4


def test_folders_of_killed_commands_go_though_all_is_done(fake_tools: Path, tmp_path: Path, monkeypatch) -> None:
    """A command may be killed between the result of its last job and the end of that job's folder."""
    run_jobs(some_jobs(1), LocalPool(1))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary/fivebyfive-abcdefgh.run").mkdir(parents=True)
    run_jobs(some_jobs(1), LocalPool(1))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_signal_to_the_command_ends_its_units(fake_tools: Path, tmp_path: Path) -> None:
    """As Ctrl-C in a terminal, or a kill from elsewhere."""
    (fake_tools / "slow").touch()
    code = (
        "from fivebyfive.sim.jobs import workers; from fivebyfive.sim.jobs.measurement_jobs import Synthesis\n"
        "from fivebyfive.model.machine.config import Config\n"
        f"workers.COMMAND = {(sys.executable, '-P', str(Path(__file__).with_name('fake_job.py')))!r}\n"
        "workers.run_jobs([Synthesis('1-1-10', Config(fc_rows=2), 'xc7')], workers.LocalPool(1))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not (fake_tools / "begun").exists():
        assert time.monotonic() < end, "it never began"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    (fake_tools / "slow").unlink()
    time.sleep(0.5)
    assert not (fake_tools / "done").exists()


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Workers inherit where to keep results, and what to do."""
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIVEBYFIVE_CACHE", str(folder / "cache"))
        patch.setenv("FAKE_JOBS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def cluster(environment):
    """A Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.run(use_fake_tools, str(Path(__file__).with_name("fake_job.py")))
        client.register_plugin(fake_tools_plugin())
        yield cluster


def test_units_run_on_the_cluster_and_are_kept_here(cluster, environment, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "mine"))
    outcomes = run_jobs(some_jobs(2), ClusterPool(cluster.scheduler_address))
    assert all(outcome.result["dsp"] for outcome in outcomes.values())
    assert all(known_job(job) for job in some_jobs(2))


def test_a_worker_that_dies_costs_its_own_unit_only(cluster, environment, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FIVEBYFIVE_CACHE", str(tmp_path / "mine"))
    (environment / "die").touch()
    wanted = [Synthesis("2-2-10", job.config, "xc7") for job in some_jobs(3)]
    outcomes = run_jobs(wanted, ClusterPool(cluster.scheduler_address))
    assert all(outcome.result for outcome in outcomes.values()), outcomes
    assert not (environment / "die").exists()


def use_fake_tools(path: str) -> None:
    """On a worker of the cluster."""
    import importlib.util

    from fivebyfive.sim.jobs import measurement_jobs

    spec = importlib.util.spec_from_file_location("fake_job", path)
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    measurement_jobs.synthesis_result, measurement_jobs.routing_result = fake.synthesis, fake.routing


def fake_tools_plugin():
    """Makes workers that take the place of dead ones use the fake tools too."""
    from distributed import WorkerPlugin

    path = str(Path(__file__).with_name("fake_job.py"))

    class Plugin(WorkerPlugin):
        name = "fake tools"

        def setup(self, worker) -> None:
            use_fake_tools(path)

    return Plugin()


def test_a_cluster_that_cannot_be_reached(monkeypatch) -> None:
    from fivebyfive.sim.jobs import workers

    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "CONNECT_S", 1.0)
    began = time.monotonic()
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        with pytest.raises(UserError, match=f"the Dask cluster at {address} cannot be reached"):
            ClusterPool(address)
    assert time.monotonic() - began < 60


def test_dask_that_is_not_installed(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"a cluster needs dask.distributed; install it: .*fivebyfive\[cluster\]"):
        ClusterPool("tcp://127.0.0.1:9")
