"""The server on a port of this machine, and a browser that shows its page."""

import logging
import socket
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from fivebyfive.model.machine.sizing import Size
from fivebyfive.support.errors import UserError

from .app import make_app
from .inputs import Catalog

__all__ = ["serve"]

ADDRESS = "127.0.0.1"
WAITING = 100  # connections that are not accepted yet
GRACE_S = 1  # for open streams when the server ends


def serve(catalog: Catalog, size: Size, port: int, browser: bool, told: Callable[[str], object]) -> None:
    """Serve the page until this process is interrupted. ``told`` is called with its address first.

    Raises UserError where the port is taken.
    """
    with listening(port) as place:
        url = f"http://{ADDRESS}:{place.getsockname()[1]}/"
        config = uvicorn.Config(
            make_app(catalog, size), log_level=logging.WARNING, access_log=False, lifespan="on", ws="none",
            server_header=False, timeout_graceful_shutdown=GRACE_S,
        )  # fmt: skip
        told(url)  # it can be opened: requests wait until they are answered
        if browser:
            open_browser(url)
        uvicorn.Server(config).run(sockets=[place])


def listening(port: int) -> socket.socket:
    """A socket of this machine alone; port 0: a free one. Raises UserError."""
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((ADDRESS, port))
        place.listen(WAITING)
    except OSError as error:
        place.close()
        raise UserError(f"cannot listen on port {port}: {error.strerror}; choose another --port, or none") from error
    return place


def open_browser(url: str) -> None:
    """In a thread: some browsers keep their caller waiting."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
