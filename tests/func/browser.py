"""A headless Chromium, driven over its DevTools protocol as a person drives it: by what is to be seen."""

import base64
import io
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from PIL import Image
from websockets.sync.client import connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT = 60.0

# Elements that can be seen and hold a text and no smaller element that holds it too.
FIND = """
(text => {
  const seen = [...document.querySelectorAll('body *')].filter(e =>
    e.getClientRects().length && (e.innerText || '').replace(/\\s+/g, ' ').includes(text));
  return seen.filter(e => ![...e.children].some(c => seen.includes(c)));
})(%s)
"""

# The first field in the smallest element that holds the label and one.
FIELD = """
(text => {
  let box = [...document.querySelectorAll('label')].find(e => e.innerText.trim().startsWith(text));
  const field = () => box.querySelector('input, textarea, select');
  while (box && !field()) box = box.parentElement;
  return box && field();
})(%s)
"""


class Browser:
    """One window of a browser that keeps nothing; a context manager.

    Args:
        profile: an empty folder for its state.
        size: of the window, in pixels.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 800)) -> None:
        assert CHROMIUM
        self._process = subprocess.Popen(
            [
                CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port = self._port(profile / "DevToolsActivePort")
        [page] = [item for item in httpx.get(f"http://127.0.0.1:{port}/json/list").json() if item["type"] == "page"]
        self._socket = connect(page["webSocketDebuggerUrl"], max_size=None, open_timeout=WAIT)
        self._numbers = itertools.count(1)
        size_now = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size_now)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(30)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol and its answer; what the browser tells meanwhile is passed over."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]

    def evaluate(self, script: str) -> Any:
        """The value of an expression of the page's."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, address: str) -> None:
        """Goes to a page."""
        self.send("Page.navigate", url=address)

    def address(self) -> str:
        """Of the page that is shown."""
        return str(self.evaluate("location.href"))

    def text(self) -> str:
        """All that is to be read."""
        return str(self.evaluate("document.body.innerText"))

    def wait_until(self, script: str, seconds: float = WAIT) -> None:
        """Waits until an expression of the page's is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"!!({script})"):
            assert time.monotonic() < end, f"not in {seconds:.0f} s: {script}\n{self.address()}\n{self.text()[:3000]}"
            time.sleep(0.2)

    def wait_for(self, *texts: str, seconds: float = WAIT) -> None:
        """Waits until all these texts are to be seen."""
        for text in texts:
            self.wait_until(f"({FIND % json.dumps(text)}).length", seconds)

    def click(self, text: str, which: int = 0) -> None:
        """Clicks on a text; where it stands in several places, on the one given."""
        self.wait_for(text)
        self._click_on(f"({FIND % json.dumps(text)}).at({which})")

    def press(self, name: str) -> None:
        """Clicks on the button with a text or, where it shows none, a name."""
        named = f"e => [e.innerText.trim(), e.ariaLabel].includes('{name}')"
        button = f"[...document.querySelectorAll('button')].find({named})"
        self.wait_until(button)
        self._click_on(button)

    def fill(self, label: str, text: str) -> None:
        """Types a text into the field under a label, in place of what it holds."""
        element = f"({FIELD % json.dumps(label)})"
        self.wait_until(element)
        self._click_on(element)
        self.evaluate(f"{element}.select && {element}.select()")
        self.send("Input.insertText", text=text)

    def choose(self, label: str, option: str) -> None:
        """Takes an option of the list under a label."""
        element = f"({FIELD % json.dumps(label)})"
        self.wait_until(f"{element} && [...{element}.options].some(option => option.text === '{option}')")
        script = f"""
            (field => {{
                field.value = [...field.options].find(option => option.text === '{option}').value;
                field.dispatchEvent(new Event('change', {{bubbles: true}}));
            }})({element})"""
        self.evaluate(script)

    def picture(self, path: Path, colors: int = 96) -> None:
        """Writes what is to be seen as a small PNG."""
        time.sleep(1)  # what glides in has come to rest
        shot = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(io.BytesIO(shot)).convert("RGB").quantize(colors).save(path, optimize=True)

    def _click_on(self, element: str) -> None:
        self.evaluate(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        middle = f"(r => [r.x + r.width / 2, r.y + r.height / 2])({element}.getBoundingClientRect())"
        place, before = self.evaluate(middle), None
        while place != before:  # it may glide in
            time.sleep(0.2)
            place, before = self.evaluate(middle), place
        at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, **at)

    def _port(self, note: Path) -> int:
        end = time.monotonic() + WAIT
        while not (note.exists() and (text := note.read_text())):
            assert self._process.poll() is None, "the browser did not start"
            assert time.monotonic() < end, "the browser does not answer"
            time.sleep(0.1)
        return int(text.splitlines()[0])
