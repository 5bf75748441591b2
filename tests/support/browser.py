"""Pages in headless Chromium, by its DevTools protocol: windows, keys and the pointer."""

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from tornado.websocket import websocket_connect

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --remote-debugging-port=0"
)
KEYS = {
    "Tab": 9, "Enter": 13, " ": 32,
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
}  # fmt: skip


class PageLeftError(Exception):
    """A page was left before it had answered."""


class Tab:
    """The tab of a browser; every method waits until the browser has answered."""

    def __init__(self, connection, loop):
        self.connection, self.loop, self.numbers = connection, loop, itertools.count()
        self.events = []  # of the domains that were enabled

    def ask(self, method, **params):
        return self.loop.run_until_complete(self._ask(method, params))

    async def _ask(self, method, params):
        number = next(self.numbers)
        await self.connection.write_message(
            json.dumps({"id": number, "method": method, "params": params})
        )
        while True:
            said = json.loads(await asyncio.wait_for(self.connection.read_message(), 60))
            if said.get("id") == number:
                if "navigated" in said.get("error", {}).get("message", ""):
                    raise PageLeftError
                assert "error" not in said, said
                return said["result"]
            self.events.append(said)

    def open(self, path, width=1280, still=True, dark=False, fragment=""):
        """Open a file in a window of some width, with or without motion, in light or dark."""
        self.resize(width)
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if still else ""}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media="screen", features=[motion, scheme])
        self.ask("Page.navigate", url="about:blank")  # a fragment alone would load nothing
        self.ask("Page.navigate", url=path.as_uri() + fragment)
        self.wait("document.readyState === 'complete'")

    def wait(self, script):
        """Wait until a JavaScript expression is true; the time limit of the test ends it.

        The page may be left meanwhile.
        """
        found = False
        while not found:
            with contextlib.suppress(PageLeftError):
                found = self.run(script)
            time.sleep(0.02)

    def resize(self, width):
        """Make the window so many pixels wide."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def run(self, script, promise=False):
        """The value of a JavaScript expression, or of its promise."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=promise
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def texts(self, selector):
        return self.run(f"[...document.querySelectorAll('{selector}')].map((x) => x.textContent)")

    def click(self, selector):
        self.run(f"document.querySelector('{selector}').click()")

    def violations(self):
        """What axe-core finds on the page: rules, and the elements that break them."""
        axe = pytest.importorskip("axe_core_python", reason="pip install axe-core-python")
        self.run(Path(axe.__file__).with_name("axe.min.js").read_text())
        found = self.run("axe.run().then(({ violations }) => violations)", promise=True)
        return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]

    @contextlib.contextmanager
    def left_alone(self, page):
        """Within it, the file of a page asks for nothing else and logs nothing."""
        domains = ("Network", "Log", "Runtime")
        for domain in domains:
            self.ask(f"{domain}.enable")
        self.events.clear()
        yield
        self.ask("Runtime.evaluate", expression="0")  # what was said before it is there
        said = [each for each in self.events if each["method"] == "Network.requestWillBeSent"]
        urls = [each["params"]["request"]["url"] for each in said]
        known = ("about:blank", "blob:", page.as_uri())
        assert [url for url in urls if not url.startswith(known)] == []
        loud = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        assert [each for each in self.events if each["method"] in loud] == []
        for domain in domains:
            self.ask(f"{domain}.disable")

    def press(self, *keys):
        for key in keys:
            for kind in ("rawKeyDown", "keyUp"):
                code = KEYS[key]
                text = {"Enter": "\r", " ": " "}.get(key) if kind == "rawKeyDown" else None
                fields = {"text": text} if text else {}
                self.ask(
                    "Input.dispatchKeyEvent",
                    type="keyDown" if fields else kind, key=key, code=key,
                    windowsVirtualKeyCode=code, **fields,
                )  # fmt: skip

    def type(self, text):
        self.ask("Input.insertText", text=text)


@contextlib.contextmanager
def tab(folder):
    """A tab of a new browser, whose profile is in `folder`; skips the test where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome to open the page with")
    profile = folder / "profile"
    command = [browser, *OPTIONS.split(), f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    try:
        port, tabs = profile / "DevToolsActivePort", []
        while not tabs:
            time.sleep(0.05)
            assert process.poll() is None
            if port.is_file() and port.read_text().count("\n"):
                url = f"http://127.0.0.1:{port.read_text().split()[0]}/json/list"
                with urllib.request.urlopen(url) as answer:
                    tabs = [each for each in json.load(answer) if each["type"] == "page"]
        address = tabs[0]["webSocketDebuggerUrl"]
        connection = loop.run_until_complete(_connected(address))
        yield Tab(connection, loop)
        loop.run_until_complete(_closed(connection))
    finally:
        process.kill()
        process.wait()
        loop.close()


async def _connected(address):
    return await websocket_connect(address, max_message_size=2**28)


async def _closed(connection):
    connection.close()
