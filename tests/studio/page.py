"""The page of `fivebyfive studio` in a browser, as tests use it."""

from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe

from .strokes import Strokes

HEIGHT = 900
BUILT_MS = 240_000  # a simulator may have to be built
READ_MS = 60_000  # a digit, where other tests take most of the machine
PEN = 22  # the page's own width


class Visited:
    """A page in a context of its own, as a visitor has it; no request of it leaves the machine.

    ``wrong``: what must not happen: messages of errors in the console, exceptions, requests to other places.
    """

    def __init__(self, browser, url: str, width: int = 1280, theme: str = "light", **options: object):
        self.wrong: list[str] = []
        self.allowed = ""
        self.url = url
        context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=theme, **options)
        context.route("**/*", self._route)
        self.page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        self.page.goto(url)

    def _route(self, route) -> None:
        """To its own server, or, of a file, to itself alone."""
        asked, own = (urlsplit(url) for url in (route.request.url, self.url))
        if asked.scheme in ("data", "blob") or (asked == own if own.scheme == "file" else asked.netloc == own.netloc):
            route.continue_()
        else:
            self.wrong.append(f"a request to {route.request.url}")
            route.abort()

    def _console(self, message) -> None:
        expected = self.allowed and self.allowed in message.text
        if message.type in ("error", "warning") and not expected:
            self.wrong.append(f"console: {message.text}")

    def check_accessibility(self) -> None:
        """axe-core finds nothing."""
        results = Axe().run(self.page)
        assert results.violations_count == 0, results.generate_report()

    def check_width(self) -> None:
        """Nothing is wider than the window."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


class Studio(Visited):
    """The page of a running server."""

    def __init__(self, browser, url: str, width: int = 1280, theme: str = "light", **options: object):
        super().__init__(browser, url, width, theme, **options)
        self.wait_for_machines()

    def expect_refusal(self) -> None:
        """From now on a request may be refused, which browsers always report in the console."""
        self.allowed = "Failed to load resource"

    def wait_for_machines(self, count: int = 1) -> None:
        """Until that many machines are ready for digits."""
        self.page.wait_for_selector(f":nth-match(.layers canvas[aria-label^=input], {count})", timeout=BUILT_MS)
        self.page.wait_for_selector(".build:visible", state="detached", timeout=BUILT_MS)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def draw(self, strokes: Strokes, pen: int = PEN) -> None:
        """Draws on an empty pad with the mouse."""
        self.page.locator("#clear").click()
        self.page.locator("#pen").fill(str(pen))
        pad = self.page.locator("#pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        for stroke in strokes:
            points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            self.page.mouse.move(*points[0])
            self.page.mouse.down()
            for point in points[1:]:
                self.page.mouse.move(*point)
            self.page.mouse.up()

    def announced(self) -> str:
        """What is announced of the digit that is being read, when it is."""
        self.page.wait_for_selector("#announcement:not(:empty)", timeout=READ_MS)
        return self.text("#announcement")

    def read(self, strokes: Strokes, pen: int = PEN) -> str:
        """Draws a digit, waits until it is read, and sees that every layer is equal; the class's label."""
        self.draw(strokes, pen)
        said = self.announced()
        label = self.text(".class .label")
        assert f"read as {label}. Every value equals the golden model." in said
        assert self.text(".verdict") == "Equal to the golden model in every value"
        layers = self.page.locator(".layers > div > figure")
        assert layers.count() == self.page.locator(".layers .badge[data-kind=equal]").count() > 0
        return label

    def message(self) -> str:
        """The only message that is shown."""
        self.page.wait_for_selector("#problems p", timeout=READ_MS)
        assert self.page.locator("#problems p").count() == 1
        return self.text("#problems span")

    def no_message(self) -> None:
        assert self.page.locator("#problems p").count() == 0
