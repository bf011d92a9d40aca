"""What the server refuses before it looks at a request: other sites' requests, and bodies that are too large.

A page of another site may send requests to this machine (cross-site request forgery) or, under a name of its own that
leads here (DNS rebinding), read the answers. So the Host must be a name of this machine, whatever the port, as it is
behind ``ssh -L``, and the Origin of what is sent, which browsers always name, too.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fivebyfive.support.errors import UserError

__all__ = ["HEADERS", "Guard", "Refused", "limited_body"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
READING = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Refused(UserError):  # noqa: N818 (as Failure)
    """A request that is answered with ``status`` and a line."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status = status


class Guard:
    """Lets requests of this machine's own pages through, and puts headers on every answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if reason := refusal(scope["method"], Headers(scope=scope)):
            return await JSONResponse({"error": reason}, 403)(scope, receive, with_headers)
        await self.app(scope, receive, with_headers)


def refusal(method: str, headers: Headers) -> str | None:
    """Why a request is refused, None where it is not."""
    if not is_loopback(f"//{headers.get('host', '')}"):
        return "this server answers on 127.0.0.1 and localhost only; open the address that fivebyfive studio printed"
    origin = headers.get("origin")
    if method not in READING and origin is not None and not is_loopback(origin):
        return "another site's page must not send anything here; use the page of fivebyfive studio itself"
    return None


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine, on any port."""
    try:
        parts = urlsplit(url)
        return parts.hostname in LOOPBACK and parts.port != 0 and parts.username is None
    except ValueError:
        return False


async def limited_body(request: Request, limit: int, what: str) -> bytes:
    """The body of a request, of at most ``limit`` bytes. Raises Refused, before anything is read where the request says
    that it is longer."""
    too_large = Refused(413, f"{what} has at most {limit:,} bytes; give a smaller one")
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length[:20]) > limit:
        raise too_large
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limit:
            raise too_large
    return bytes(data)
