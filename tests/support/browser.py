"""Pages in headless Chromium, by its DevTools protocol: windows, themes, keys and the pointer."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request

import pytest
from tornado.websocket import websocket_connect

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --remote-debugging-port=0"
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39, "ArrowLeft": 37}


AUDIT = """(() => {
  const root = document.documentElement, faults = [];
  if (root.scrollWidth > innerWidth) faults.push(`${root.scrollWidth} wide in ${innerWidth}`);
  const light = colour => colour.map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0.05);
  const behind = element => {
    const [r, g, b, alpha = 1] = getComputedStyle(element).backgroundColor.match(/[\\d.]+/g);
    return +alpha ? [r, g, b].map(Number) : behind(element.parentElement);
  };
  const onMap = ["rgb(254, 254, 254)", "rgb(1, 1, 1)"];  // tested where maps are drawn
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !parent.checkVisibility()) continue;
    const style = getComputedStyle(parent);
    const colour = parent.closest("svg") ? style.fill : style.color;
    if (parent.closest("script, style") || onMap.includes(colour)) continue;
    const pair = [colour.match(/[\\d.]+/g).slice(0, 3).map(Number), behind(parent)].map(light);
    const ratio = Math.max(...pair) / Math.min(...pair);
    if (ratio < 4.5) faults.push(`${walk.currentNode.data.trim()}: contrast ${ratio}`);
    const size = parseFloat(style.fontSize) * (parent.closest("svg")?.getScreenCTM().a ?? 1);
    if (size < 11.5) faults.push(`${walk.currentNode.data.trim()}: ${size} pixels`);
    texts += 1;
  }
  for (const each of document.querySelectorAll("body *")) {
    if (each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== "visible"
        && !each.matches(".unseen, svg, svg *") && !each.matches(".scroll[tabindex='0']")) {
      faults.push(`${each.tagName} ${each.className} is clipped`);
    }
  }
  const drawn = [...document.querySelectorAll("figure svg")]
    .filter(each => each.checkVisibility()).map(each => each.getBoundingClientRect());
  return {
    faults, texts, sections: document.querySelectorAll("main h2").length,
    figures: drawn.filter(box => box.width > 300 && box.height > 100).length,
    height: root.scrollHeight,
  };
})()"""
"""What is wrong with a page as it is shown: contrast of words, sizes in pixels, what is clipped
without a cue; and how much there is."""

OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


VIEWS = ((390, False), (768, True), (1280, False), (390, True))
"""Windows to look at a page in: a width in pixels, and whether it is night."""


def audits(tab, path, views=VIEWS):
    """For each view of a page, what AUDIT counts as it opens, and with all folded out.

    The test fails over a fault.
    """
    for view in views:
        tab.open(path, *view)
        folded = tab.run(AUDIT)
        tab.run(OPEN_ALL)
        opened = tab.run(AUDIT)
        assert folded["faults"] + opened["faults"] == []
        yield folded, opened


class Tab:
    """The tab of a browser; every method waits until the browser has answered."""

    def __init__(self, connection, loop):
        self.connection, self.loop, self.numbers = connection, loop, itertools.count()

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
                assert "error" not in said, said
                return said["result"]

    def open(self, path, width=1280, dark=False, still=True, part=""):
        """Open a file in a window of some width, by day or by night, with or without motion."""
        self.resize(width)
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        asked = [{"name": name, "value": value} for name, value in features.items()]
        self.ask("Emulation.setEmulatedMedia", media="screen", features=asked)
        self.ask("Page.navigate", url="about:blank")  # else another part is no other page
        self.ask("Page.navigate", url=path.as_uri() + part)
        while self.run("document.readyState") != "complete":
            time.sleep(0.02)

    def resize(self, width):
        """Make the window so many pixels wide."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, *keys):
        for key in keys:
            for kind in ("rawKeyDown", "keyUp"):
                code = KEYS[key]
                fields = {"text": "\r"} if key == "Enter" and kind == "rawKeyDown" else {}
                self.ask(
                    "Input.dispatchKeyEvent",
                    type="keyDown" if fields else kind, key=key, code=key,
                    windowsVirtualKeyCode=code, **fields,
                )  # fmt: skip

    def type(self, text):
        self.ask("Input.insertText", text=text)

    def point(self, x, y):
        """Move the pointer to a place of the window."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def touch(self, x, y):
        """Tap a place of the window with a finger."""
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            self.ask("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def picture(self, path, height=None):
        """A PNG file of the whole page, or of its first pixels."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1, "width": size["width"]}
        clip["height"] = min(size["height"], height or size["height"])
        shot = self.ask("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


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
