"""Events from a thread to a browser, as Server-Sent Events (WHATWG HTML, section 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

__all__ = ["EventStream", "Feed"]

QUIET_S = 10  # without an event for so long, a comment tells that there will be more


class Feed:
    """Events for one listener; made in its event loop, filled by any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.gone = False  # whether the listener has left

    def put(self, event: str, data: Any) -> None:
        """Another event; ``data`` are values of JSON."""
        self.add(f"event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode())

    def end(self) -> None:
        """There will be no more."""
        self.add(None)

    def add(self, item: bytes | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server ends
            self.loop.call_soon_threadsafe(self.queue.put_nowait, item)

    async def stream(self) -> AsyncIterator[bytes]:
        """The events until the end, as bytes."""
        while (item := await self.next_item()) is not None:
            yield item

    async def next_item(self) -> bytes | None:
        try:
            return await asyncio.wait_for(self.queue.get(), QUIET_S)
        except TimeoutError:
            return b": wait\n\n"


class EventStream(StreamingResponse):
    """The events of a feed as the answer to a request."""

    def __init__(self, feed: Feed):
        super().__init__(feed.stream(), media_type="text/event-stream")
        self.feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.feed.gone = True
