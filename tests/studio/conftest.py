"""A server of `fivebyfive studio`, Debian's Chromium, and the page in it."""

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .page import Studio

START_S = 60  # until the server has said its address
SERVER = (sys.executable, "-m", "fivebyfive", "studio", "--no-browser")


@pytest.fixture(scope="session")
def browser():
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] * (os.geteuid() == 0))
        yield running
        running.close()


class Server:
    """A running `fivebyfive studio`; ``environment``: variables that it has besides those of the tests."""

    def __init__(self, folder: Path, *words: str, **environment: str):
        self.log = folder / "studio.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*SERVER, *words], env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip
        lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self.reader.start()
        self.url = ""
        while not self.url:
            found = re.search(r"http://127\.0\.0\.1:\d+/", lines.get(timeout=START_S))
            self.url = found[0] if found else ""

    def _read(self, lines: queue.Queue[str]) -> None:
        with self.process.stdout as stream:
            for line in stream:
                lines.put(line)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.reader.join(timeout=30)

    def simulators(self) -> list[int]:
        """Process numbers of the simulators that it started: its children that run no Python."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        numbers = [int(word) for path in children for word in path.read_text().split()]
        return [number for number in numbers if "python" not in os.readlink(f"/proc/{number}/exe")]


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """One for all tests but those that harm it; compiled as users have it, as it reads over a hundred digits."""
    running = Server(tmp_path_factory.mktemp("studio"), FIVEBYFIVE_QUICK_BUILDS="")
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of this test's own, with the words of its command line."""
    with ExitStack() as stack:

        def starting(*words: str) -> Server:
            running = Server(tmp_path, *words)
            stack.callback(running.stop)
            return running

        yield starting


@pytest.fixture
def open_studio(browser) -> Iterator[Callable[..., Studio]]:
    """Opens the page of a server at a window's width, light or dark. In the end nothing may have gone wrong in it."""
    opened: list[Studio] = []

    def opening(running: Server, width: int = 1280, theme: str = "light", **options: object) -> Studio:
        studio = Studio(browser, running.url, width, theme, **options)
        opened.append(studio)
        return studio

    yield opening
    for studio in opened:
        studio.page.context.close()
    for studio in opened:
        assert studio.wrong == []
