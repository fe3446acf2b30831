"""Drives a headless Chromium through its DevTools protocol, as a reader would: pointer, keys, touch, screens."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE_S = 60
"""How long a start or an answer may take on a busy machine."""

KEY_CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "PageUp": 33, "PageDown": 34, "Tab": 9}


class PageError(AssertionError):
    """The page threw, or the browser refused."""


class Page:
    """One tab. What its console says and what it loads is collected from the start."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._count = socket, 0
        self.complaints: list[str] = []
        self.loaded: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends one command to the tab and returns its answer."""
        return self._ask(method, self._session, **parameters)

    def open(self, path: Path, address: str = "", *, width: int = 1280, height: int = 1000, dark: bool = False) -> None:
        """Loads a file afresh and waits until it is drawn. Forgets what earlier pages said."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.complaints.clear()
        self.loaded.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri() + address)
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'")
        self.settle()

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, as JSON carries it; promises are waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(answer["exceptionDetails"].get("exception", {}).get("description", str(answer)))
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Returns when the expression is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise PageError(f"still not true after {PATIENCE_S} s: {condition}")
            time.sleep(0.02)

    def settle(self) -> None:
        """Lets two frames pass: what an event asked for is drawn then."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def point(self, x: float, y: float) -> None:
        """Moves the mouse without a button."""
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def click(self, x: float, y: float) -> None:
        """Presses and releases the left button."""
        for kind, buttons in (("mousePressed", 1), ("mouseReleased", 0)):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)
        self.settle()

    def tap(self, x: float, y: float) -> None:
        """Touches with one finger."""
        self.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def press(self, key: str) -> None:
        """Presses and releases a key."""
        code = KEY_CODES[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
        self.settle()

    def screenshot(self) -> bytes:
        """What is in the window, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def _ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise PageError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        what, said = event.get("method"), event.get("params", {})
        if what == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif what == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(one.get("value", one.get("description"))) for one in said["args"]))
        elif what == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])
        elif what == "Network.requestWillBeSent":
            self.loaded.append(said["request"]["url"])


@contextmanager
def browser_page() -> Iterator[Page]:
    """A tab of a browser of its own; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path")
    websocket = pytest.importorskip("websocket", reason="websocket-client, which comes with jupyterlab, is missing")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses to sandbox for root
        command = [program, *FLAGS, *root, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        socket = None
        try:
            socket = websocket.create_connection(
                _address(Path(profile) / "DevToolsActivePort", process), timeout=PATIENCE_S, suppress_origin=True,
                http_no_proxy=["127.0.0.1"],
            )  # fmt: skip
            yield Page(socket)
        finally:
            if socket is not None:
                socket.close()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser listens, which it writes into its profile."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        lines = file.read_text().splitlines() if file.is_file() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    pytest.fail(f"the browser did not start within {PATIENCE_S} s; exit code {process.returncode}")
