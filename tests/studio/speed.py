"""From pen up to the class in `fivebyfive studio`: ``python -m tests.studio.speed LOG``, run by `make studio-speed`.

For each size a server and its simulator are started, and fifty MNIST test images are sent one after the other, each as
a picture of 340x340, as the page sends what was drawn. A line of the log has medians.
"""

import io
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from PIL import Image

from fivebyfive.model.data.datasets import load_dataset

from .conftest import Server
from .events import events

SIZES = ((1, 1), (4, 1))  # conv PEs and rows
DIGITS = 50
WAIT_S = 900  # for a machine to be compiled
TICKS = os.sysconf("SC_CLK_TCK")


class Times(NamedTuple):
    """Seconds of a digit: from the request to the event with the class; to the end of the answer; of CPU, of the server
    and its simulator; for a piece of the waveform."""

    result: float
    all: float
    cpu: float
    wave: float


def main(log: Path) -> None:
    lines = [measured(*size) for size in SIZES]
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    log.write_text(f"pen up to class, lenet, medians of {DIGITS} digits; {load}\n" + "".join(lines))


def measured(conv_pes: int, fc_rows: int) -> str:
    """The line of a size."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), "--conv-pes", str(conv_pes), "--fc-rows", str(fc_rows))
        try:
            with httpx.Client(base_url=server.url, timeout=WAIT_S) as client:
                name = client.post("/api/machines", json={}).json()["machine"]
                *_, (event, facts) = events(client.get(f"/api/machines/{name}/events").iter_lines())
                assert event == "ready", facts
                one_digit(client, name, picture(load_dataset().images[0]), [])  # the simulator has begun
                processes = [server.process.pid, *server.simulators()]
                images = load_dataset().images[:DIGITS]
                times = [one_digit(client, name, picture(image), processes) for image in images]
        finally:
            server.stop()
    result, whole, cpu, wave = map(statistics.median, zip(*times, strict=True))
    size = " + ".join(str(count) for count in facts["multipliers"].values())
    line = f"{size}: class after {result:.2f} s, {cpu:.2f} s of CPU; all after {whole:.2f} s; waveform {wave:.2f} s\n"
    print(line, end="", flush=True)
    return line


def one_digit(client: httpx.Client, machine: str, data: bytes, processes: list[int]) -> Times:
    began, cpu = time.perf_counter(), sum(map(cpu_seconds, processes))
    address, headers = f"/api/machines/{machine}/digits", {"Content-Type": "image/png"}
    with client.stream("POST", address, content=data, headers=headers) as answer:
        for event, told in events(answer.iter_lines()):
            if event == "result":
                result = time.perf_counter() - began
                assert told["equal"], told
            elif event == "activity":
                run = told["run"]
    whole = time.perf_counter() - began
    cpu = sum(map(cpu_seconds, processes)) - cpu
    began = time.perf_counter()
    client.get(f"/api/runs/{run}/wave?cycle=5000&span=200").raise_for_status()
    return Times(result, whole, cpu, time.perf_counter() - began)


def cpu_seconds(process: int) -> float:
    """Of a process until now."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def picture(image: np.ndarray) -> bytes:
    """A test image as dark ink on a large white picture, PNG."""
    large = np.pad(255 - np.kron(image, np.ones((10, 10), np.uint8)), 30, constant_values=255)
    file = io.BytesIO()
    Image.fromarray(large).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
