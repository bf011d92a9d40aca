"""The routes of the server."""

import importlib.metadata
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fivebyfive.model.machine.sizing import Size
from fivebyfive.support.errors import UserError
from fivebyfive.support.log import log

from .events import EventStream, Feed
from .guard import HEADERS, Guard, Refused, limited_body
from .inputs import (
    MAX_CHECKPOINT,
    MAX_DIGIT,
    Catalog,
    encoded,
    picture_pixels,
    read_json,
    sample_index,
    samples,
    sent_pixels,
)
from .machines import Digit, Machines

__all__ = ["make_app"]

STATIC = Path(__file__).parent / "static"
MAX_REQUEST = 1 << 16  # bytes of what chooses a machine
CLOCK_MHZ = 100
CONV_PES = (1, 2, 4, 6, 8, 12, 16, 24, 32, 50)
FC_ROWS = (1, 2, 4, 5, 10, 20, 25)
SPAN = 200  # cycles of a waveform


def make_app(catalog: Catalog, size: Size) -> Starlette:
    """The server; ``size`` of the machine that the page opens with."""
    size = replace(size, conv_pes=size.conv_pes or 1, fc_rows=size.fc_rows or 1)
    server = Server(catalog, Machines(catalog, size), size)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(server.machines.close)

    app = Starlette(
        routes=[
            Route("/", server.page),
            Route("/api/choices", server.choices),
            Route("/api/samples/{index}", server.sample),
            Route("/api/checkpoints", server.add_checkpoint, methods=["POST"]),
            Route("/api/machines", server.make_machine, methods=["POST"]),
            Route("/api/machines/{machine}/events", server.machine_events),
            Route("/api/machines/{machine}/digits", server.read_digit, methods=["POST"]),
            Route("/api/runs/{run}/wave", server.wave),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={UserError: refused, HTTPException: not_found, ClientDisconnect: gone, Exception: defect},
        lifespan=lifespan,
    )
    app.state.machines = server.machines
    return app


async def refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, getattr(error, "status", 400))


async def not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{request.url.path}: {error.detail}; reload the page"}, error.status_code)


async def gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # that nobody gets any more


async def defect(request: Request, error: Exception) -> Response:
    log.error("studio", exc_info=error)
    line = f"{type(error).__name__}: {error}; this is a defect of fivebyfive, please report it"
    return JSONResponse({"error": line}, 500, HEADERS)  # it comes from outside the guard


class Server:
    """What each route does; docs/studio.md has the page's side."""

    def __init__(self, catalog: Catalog, machines: Machines, size: Size):
        self.catalog, self.machines, self.size = catalog, machines, size

    async def page(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def choices(self, request: Request) -> Response:
        checkpoints = await run_in_threadpool(self.catalog.entries)
        size = self.size
        return JSONResponse(
            {
                "version": importlib.metadata.version("fivebyfive"),
                "checkpoints": checkpoints,
                "sizes": {
                    "conv_pes": sorted({*CONV_PES, size.conv_pes}),
                    "fc_rows": sorted({*FC_ROWS, size.fc_rows}),
                },
                "machine": {"checkpoint": self.catalog.first, "conv_pes": size.conv_pes, "fc_rows": size.fc_rows,
                            "early_fc": size.early_fc},
                "clock_mhz": CLOCK_MHZ,
                "limits": {"picture": MAX_DIGIT, "checkpoint": MAX_CHECKPOINT},
                "samples": len(await run_in_threadpool(samples)),
            }
        )  # fmt: skip

    async def sample(self, request: Request) -> Response:
        text = request.path_params["index"]
        digits = await run_in_threadpool(samples)
        index = sample_index(int(text[:9]) if text.isascii() and text.isdigit() else None)
        return JSONResponse({"pixels": encoded(digits.images[index]), "label": int(digits.labels[index])})

    async def add_checkpoint(self, request: Request) -> Response:
        body = await limited_body(request, MAX_CHECKPOINT, "a checkpoint")
        name = await run_in_threadpool(self.catalog.read, body)
        return JSONResponse(self.catalog.entry(name), 201)

    async def make_machine(self, request: Request) -> Response:
        wanted = read_json(await limited_body(request, MAX_REQUEST, "a request"))
        machine = await run_in_threadpool(self.machines.make, wanted)
        return JSONResponse({"machine": machine.name}, 202)

    async def machine_events(self, request: Request) -> Response:
        machine = self.machines[request.path_params["machine"]]
        feed = Feed()
        machine.listen(feed)
        return EventStream(feed)

    async def read_digit(self, request: Request) -> Response:
        arrived = time.monotonic()
        machine = self.machines[request.path_params["machine"]]
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "application/octet-stream") and not kind.startswith("image/"):
            raise Refused(415, "send a picture (image/png, image/jpeg, ...) or application/json")
        body = await limited_body(request, MAX_DIGIT, "a picture")
        size = machine.checkpoint.network.input
        if kind == "application/json":
            pixels, remarks = await run_in_threadpool(sent_pixels, read_json(body), size)
        else:
            pixels, remarks = await run_in_threadpool(picture_pixels, body, size)
        feed = Feed()
        machine.read(Digit(pixels, remarks, feed, arrived))
        return EventStream(feed)

    async def wave(self, request: Request) -> Response:
        try:
            cycle, span = (
                int(request.query_params.get(name, default)) for name, default in (("cycle", "0"), ("span", "200"))
            )
        except ValueError as error:
            raise Refused(400, "cycle and span must be whole numbers; reload the page") from error
        return JSONResponse(await run_in_threadpool(self.machines.runs.wave, request.path_params["run"], cycle, span))
