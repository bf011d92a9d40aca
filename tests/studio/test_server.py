"""The server of `fivebyfive studio`: what it answers, what it refuses, and that the digits' values are the RTL's."""

import base64
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette

from fivebyfive.model.checkpoint import Checkpoint, save_checkpoint
from fivebyfive.model.data.datasets import load_dataset
from fivebyfive.model.golden import classify, forward
from fivebyfive.studio import machines as machines_module
from fivebyfive.studio.app import make_app
from fivebyfive.studio.inputs import MAX_DIGIT, Catalog
from fivebyfive.studio.serve import listening
from tests.sim.session.small import ALL_KINDS, SEED, SIZE

from .conftest import Server
from .events import events as read_events

SMALL = Checkpoint.random(ALL_KINDS, SEED)
Events = list[tuple[str, dict[str, Any]]]
WAIT_S = 300  # for a machine to be compiled


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def small(folder: Path) -> Path:
    save_checkpoint(folder / "small.npz", SMALL)
    return folder / "small.npz"


@pytest.fixture(scope="module")
def app(small: Path) -> Starlette:
    return make_app(Catalog(small), SIZE)


@pytest.fixture(scope="module")
def client(app: Starlette) -> Iterator[httpx.Client]:
    """Of a server in a thread of this process."""
    with listening(0) as place:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{place.getsockname()[1]}", timeout=WAIT_S) as client:
            yield client
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def machine(client: httpx.Client) -> dict[str, Any]:
    """The small machine, built."""
    name = client.post("/api/machines", json={}).json()["machine"]
    *progress, (last, facts) = events(client.get(f"/api/machines/{name}/events"))
    assert last == "ready", facts
    assert all(event == "progress" for event, _ in progress)
    return facts


def events(response: httpx.Response) -> Events:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return list(read_events(response.iter_lines()))


def line(response: httpx.Response, status: int) -> str:
    """The one line of a refusal."""
    assert response.status_code == status, response.text
    (text,) = response.json().values()
    assert list(response.json()) == ["error"]
    assert "\n" not in text
    return text


def decoded(text: str, kind: type = np.int8) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, ALL_KINDS.input, np.uint8)


def read(client: Any, machine: dict[str, Any], pixels: np.ndarray) -> Events:
    return events(client.post(f"/api/machines/{machine['machine']}/digits", json={"pixels": sent(pixels)}))


def sent(pixels: np.ndarray) -> str:
    """Pixels as the page sends them."""
    return base64.b64encode(pixels.tobytes()).decode()


def test_choices(client: httpx.Client) -> None:
    found = client.get("/api/choices").json()
    first, *others = found["checkpoints"]
    assert first == {
        "name": "small", "title": f"small: {ALL_KINDS.summary}", "input": [2, 10, 9], "engines": ["conv", "fc"],
        "default": True,
    }  # fmt: skip
    assert others[0]["name"] == "lenet"
    assert next(one for one in others if one["name"] == "lenet-300-100")["engines"] == ["fc"]
    assert found["machine"] == {"checkpoint": "small", "conv_pes": 2, "fc_rows": 2, "early_fc": True}
    assert {2} <= set(found["sizes"]["conv_pes"]) & set(found["sizes"]["fc_rows"])
    assert found["samples"] == 10_000
    sample = client.get("/api/samples/7").json()
    digits = load_dataset()
    assert sample["label"] == digits.labels[7]
    np.testing.assert_array_equal(decoded(sample["pixels"], np.uint8).reshape(28, 28), digits.images[7])
    for wrong in ("10000", "-1", "x", "9" * 30):
        assert "test images 0 to 9,999" in line(client.get(f"/api/samples/{wrong}"), 404)


def test_machine(client: httpx.Client, machine: dict[str, Any]) -> None:
    assert client.post("/api/machines", json={"checkpoint": "small"}).json() == {"machine": machine["machine"]}
    assert machine["title"] == "small, 18 + 40 multipliers, early fc"
    assert [layer["shape"] for layer in machine["layers"]] == [list(shape) for shape in ALL_KINDS.outputs.values()]
    units = [unit["name"] for unit in machine["units"]]
    assert re.findall(r'<g class="unit \w+" data-unit="(\w+)">', machine["diagram"]) == units
    assert machine["diagram"].startswith("<svg ")
    assert "style" not in machine["diagram"]
    assert {signal["unit"] for signal in machine["signals"]} == set(units)
    (state,) = [signal for signal in machine["signals"] if signal["name"] == "conv.controller.state"]
    assert [state["values"][str(n)] for n in range(len(machine["states"]))] == machine["states"]
    assert len(machine["labels"]) == machine["classes"] == 4


def test_a_digit(client: httpx.Client, machine: dict[str, Any]) -> None:
    pixels = image(1)
    (first, given), *middle, (_, result), (last, activity) = read(client, machine, pixels)
    assert (first, last) == ("input", "activity")
    np.testing.assert_array_equal(decoded(given["pixels"], np.uint8).reshape(pixels.shape), pixels)
    trace = forward(SMALL, pixels[np.newaxis])
    layers = {name: np.full(codes[0].size, -128, np.int16) for name, codes in trace.outputs.items()}
    for event, data in middle:
        assert event == "layer"
        values = decoded(data["values"])
        layers[data["name"]][data["first"] : data["first"] + len(values)] = values
    for name, codes in trace.outputs.items():
        np.testing.assert_array_equal(layers[name], codes[0].ravel(), name)
    assert result["class"] == classify(trace.logits)[0]
    assert result["logits"] == trace.logits[0].tolist()
    assert (result["equal"], result["difference"]) == (True, None)
    assert result["layers_equal"] == dict.fromkeys(trace.outputs, True)
    assert result["total_cycles"] == activity["cycles"] > result["cycles"]["latency"]
    assert set(activity["units"]) == {unit["name"] for unit in machine["units"]}

    cycle = activity["states"][3][0]
    wave = client.get(f"/api/runs/{activity['run']}/wave?cycle={cycle}&span=20").json()
    assert wave["first"] <= cycle <= wave["last"] == wave["first"] + 19
    assert wave["state"] == machine["states"][activity["states"][3][1]]
    assert "conv_control" in wave["busy"]
    assert [signal["name"] for signal in wave["signals"]] == [signal["name"] for signal in machine["signals"]]
    for signal_ in wave["signals"]:
        cycles = [at for at, _ in signal_["changes"]]
        assert cycles[0] == wave["first"]
        assert cycles == sorted(set(cycles))
        assert cycles[-1] <= wave["last"]
    last_cycle = activity["cycles"] - 1
    assert client.get(f"/api/runs/{activity['run']}/wave?cycle={last_cycle}").json()["last"] == last_cycle
    for query, status, said in (
        (f"cycle={last_cycle + 1}", 404, f"cycles 0 to {last_cycle:,} were recorded"),
        ("cycle=0&span=9999", 400, "1 to 2,000 cycles"), ("cycle=x", 400, "whole numbers"),
    ):  # fmt: skip
        assert said in line(client.get(f"/api/runs/{activity['run']}/wave?{query}"), status)
    assert "no longer kept" in line(client.get("/api/runs/r999/wave"), 404)


def test_a_difference_is_shown(client: httpx.Client, machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the hardware another one than the golden model."""
    arrays = {name: array.copy() for name, array in SMALL.arrays.items()}
    arrays["c2.bias"][1] += 1
    other = Checkpoint(ALL_KINDS, arrays)
    right = machines_module.forward
    monkeypatch.setattr(machines_module, "forward", lambda checkpoint, pixels: right(other, pixels))
    result = dict(read(client, machine, image(1)))["result"]
    expected, got = (right(one, image(1)[np.newaxis]).outputs["c2"][0] for one in (other, SMALL))
    place = tuple(np.argwhere(expected != got)[0])
    assert not result["equal"]
    assert (result["layers_equal"]["c1"], result["layers_equal"]["c2"]) == (True, False)
    assert result["difference"] == (
        f"layer c2, channel {place[0]}, row {place[1]}, column {place[2]}: expected {expected[place]}, got {got[place]}"
    )


def test_a_killed_simulator_is_started_again(app: Starlette, client: httpx.Client, machine: dict[str, Any]) -> None:
    def process() -> int:
        found = app.state.machines[machine["machine"]].session
        assert found is not None
        return found.process.pid

    first = process()
    os.kill(first, signal.SIGSTOP)  # so that it is killed with a digit in it
    timer = threading.Timer(0.5, os.kill, (first, signal.SIGKILL))
    timer.start()
    *_, (event, data) = read(client, machine, image(2))
    assert event == "failed"
    assert data["error"].startswith("the simulator was killed by SIGKILL")
    assert dict(read(client, machine, image(2)))["result"]["equal"]
    assert process() != first
    os.kill(process(), signal.SIGKILL)  # while nothing is in it: nobody notices
    time.sleep(0.2)
    assert dict(read(client, machine, image(2)))["result"]["equal"]


def test_a_digit_of_a_client_that_left_is_not_read(
    app: Starlette, client: httpx.Client, machine: dict[str, Any]
) -> None:
    """It waits for another one's, in a simulator that is halted."""
    name = machine["machine"]
    assert dict(read(client, machine, image(1)))["result"]["equal"]  # the simulator runs
    simulator = app.state.machines[name].session.process.pid
    os.kill(simulator, signal.SIGSTOP)
    first: Events = []

    def ask() -> None:
        body = {"pixels": sent(image(1))}
        with client.stream("POST", f"/api/machines/{name}/digits", json=body) as answer:
            for event in read_events(answer.iter_lines()):
                first.append(event)

    reader = threading.Thread(target=ask)
    reader.start()
    try:
        until(lambda: bool(first))
        with client.stream("POST", f"/api/machines/{name}/digits", json={"pixels": sent(image(2))}) as answer:
            assert answer.status_code == 200
            waiting = app.state.machines[name].digits.queue[0]
        until(lambda: waiting.feed.gone)
    finally:
        os.kill(simulator, signal.SIGCONT)
    reader.join(60)
    runs = [dict(one)["input"]["run"] for one in (first, read(client, machine, image(3)))]
    assert int(runs[1][1:]) == int(runs[0][1:]) + 1


def until(there: Callable[[], bool]) -> None:
    """Wait for something that happens soon."""
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_two_clients(client: httpx.Client, machine: dict[str, Any]) -> None:
    """Their digits wait for each other, and neither gets the other's."""
    found: dict[int, Events] = {}

    def ask(seed: int) -> None:
        found[seed] = read(client, machine, image(seed))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({dict(found[seed])["input"]["run"] for seed in range(6)}) == 6
    for seed in range(6):
        np.testing.assert_array_equal(decoded(dict(found[seed])["input"]["pixels"], np.uint8), image(seed).ravel())
        expected = forward(SMALL, image(seed)[np.newaxis])
        assert dict(found[seed])["result"]["logits"] == expected.logits[0].tolist()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "", "localhost@evil.example", "[::1"]
)
def test_foreign_hosts_are_refused(client: httpx.Client, host: str) -> None:
    assert "127.0.0.1 and localhost only" in line(client.get("/api/choices", headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:65535", "[::1]:80"])
def test_names_of_this_machine_are_taken(client: httpx.Client, host: str) -> None:
    origin = {"Origin": f"http://{host}"}
    assert client.post("/api/machines", json=[], headers={"Host": host} | origin).status_code == 400


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost.evil.example", "https://10.0.0.1", "http://["]
)
def test_foreign_origins_are_refused(client: httpx.Client, origin: str) -> None:
    for path in ("/api/machines", "/api/checkpoints", "/api/machines/m1/digits", "/nothing"):
        assert "another site's page" in line(client.post(path, json={}, headers={"Origin": origin}), 403)


def test_headers(client: httpx.Client) -> None:
    for answer in (client.get("/api/choices"), client.get("/nothing"), client.get("/", headers={"Host": "x"})):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "reload the page" in line(client.get("/nothing"), 404)
    assert line(client.get("/static/..%2f..%2fpyproject.toml"), 404)


def test_what_is_no_request(client: httpx.Client, machine: dict[str, Any]) -> None:
    digits = f"/api/machines/{machine['machine']}/digits"
    for path, body, status, said in (
        ("/api/machines", b"{", 400, "not JSON"), ("/api/machines", b"[]", 400, "object of JSON"),
        ("/api/machines", b'{"checkpoint": 5}', 400, "must be a text"),
        ("/api/machines", b'{"checkpoint": "../lenet"}', 404, "no such checkpoint"),
        ("/api/machines", b'{"conv_pes": 99}', 422, "conv PEs must be 1 to 50, not 99"),
        ("/api/machines", b'{"conv_pes": "4"}', 422, "conv_pes must be a whole number"),
        ("/api/machines", b'{"early_fc": 1}', 422, "early_fc must be True or False"),
        ("/api/machines", b'{"checkpoint": "lenet-300-100"}', 422, "no work for 2 conv PEs"),
        (digits, b"[" * 100_000, 400, "not JSON"), (digits, b'{"pixels": 5}', 400, "base64"),
        (digits, b'{"pixels": "???"}', 400, "base64"), (digits, b'{"pixels": "AAAA"}', 422, "180 pixels, not 3"),
        (digits, b'{"sample": true}', 404, "test images 0 to"), (digits, b'{"sample": 1}', 422, "another network"),
        ("/api/machines/m99/digits", b"{}", 404, "no such machine"),
    ):  # fmt: skip
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert said in line(answer, status)
    assert "send a picture" in line(client.post(digits, content=b"x", headers={"Content-Type": "text/plain"}), 415)
    assert line(client.get("/api/machines/m99/events"), 404)


def test_pictures(client: httpx.Client, machine: dict[str, Any]) -> None:
    """By the product's own reader, which refuses in a line; here those that it takes do not fit the network."""
    digits = f"/api/machines/{machine['machine']}/digits"

    def refusal(content: bytes) -> str:
        return line(client.post(digits, content=content, headers={"Content-Type": "image/png"}), 422)

    assert "the picture is not a PNG" in refusal(b"GIF? no")
    assert "nothing in it stands out" in refusal(png(np.full((50, 50), 255, np.uint8)))
    digit = np.pad(255 - load_dataset().images[0], 20, constant_values=255)
    assert refusal(png(digit)).endswith("these have 28x28; choose another network")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_own_checkpoints(client: httpx.Client, small: Path) -> None:
    entry = client.post("/api/checkpoints", content=small.read_bytes())
    assert entry.status_code == 201
    assert entry.json()["input"] == [2, 10, 9]
    assert entry.json()["name"] in [one["name"] for one in client.get("/api/choices").json()["checkpoints"]]
    for content, said in ((b"no", "not an .npz file"), (small.read_bytes()[:-50], "damaged or truncated")):
        assert said in line(client.post("/api/checkpoints", content=content), 422)


def test_too_large_uploads_are_refused_before_they_are_read(client: httpx.Client, machine: dict[str, Any]) -> None:
    digits = f"/api/machines/{machine['machine']}/digits"
    said = f"a picture has at most {MAX_DIGIT:,} bytes"
    assert said in line(
        client.post(digits, content=(bytes(1 << 20) for _ in range(100)), headers={"Content-Type": "image/png"}), 413
    )
    place = client.base_url.host, client.base_url.port
    assert sent_by_hand(place, digits, str(100 << 20), bytes(1 << 20)).startswith("HTTP/1.1 413 ")
    for length in ("-1", "x", "9" * 50):
        assert sent_by_hand(place, digits, length).startswith(("HTTP/1.1 413 ", "HTTP/1.1 400 "))


def sent_by_hand(place: tuple[str, int | None], path: str, length: str, body: bytes = b"") -> str:
    """What a server begins to say to a picture that is said to have a length, of which ``body`` is sent."""
    with socket.create_connection(place, timeout=30) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection.recv(100).decode("ascii", "replace")


def test_the_command(small: Path, machine: dict[str, Any], tmp_path: Path) -> None:
    """On a port of its own, with an end by Ctrl-C that leaves nothing running."""
    server = Server(tmp_path, str(small), *"--conv-pes 2 --fc-rows 2 --early-fc".split())
    port = httpx.URL(server.url).port
    try:
        with httpx.Client(base_url=server.url, timeout=WAIT_S) as client:
            name = client.post("/api/machines", json={}).json()["machine"]
            *_, (event, facts) = events(client.get(f"/api/machines/{name}/events"))
            assert event == "ready", facts
            assert dict(read(client, facts, image(1)))["result"]["equal"]
        taken = subprocess.run(
            [sys.executable, "-m", "fivebyfive", "studio", "--no-browser", "--port", str(port)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert taken.returncode == 2
        assert re.fullmatch(rf"error: cannot listen on port {port}: .*; choose another --port, .*\n", taken.stderr)
        simulators = server.simulators()
        assert len(simulators) == 1
    finally:
        server.process.send_signal(signal.SIGINT)
        code = server.process.wait(60)
        server.reader.join(60)
    assert (code, server.log.read_text()) == (130, "error: interrupted\n")
    assert not [child for child in simulators if Path(f"/proc/{child}").exists()]
