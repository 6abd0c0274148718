"""Headless Chromium: the PATH's, else Debian's package, which root (a container, CI) installs. Driven over a pipe by the DevTools
protocol, so it needs no driver."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from child import TARGET

# The browser reads commands at 3 and writes answers at 4.
_LAUNCH = "import os, sys; [os.dup2(int(end), at) for end, at in zip(sys.argv[1:3], (3, 4))]; os.execv(sys.argv[3], sys.argv[3:])"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class NoChromium(Exception):
    """There is no Chromium; the text says why."""


class PageFailed(Exception):
    """The page, or a script in it, has failed."""


def find() -> str:
    """The browser's program."""
    TARGET.mkdir(exist_ok=True)
    with (TARGET / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes install it once
        return _found() or _install()


def _found() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def _install() -> str:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise NoChromium("chromium is not installed: apt-get install chromium")
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (install, ["apt-get", "update"], install):
        # the package lists may be old or missing
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600, env=environment)
        if program := _found():
            return program
    raise NoChromium("chromium cannot be installed here: apt-get install chromium")


class Browser:
    """A browser with one page."""

    def __init__(self, home: Path):
        self._home = home
        self._number = 0
        self._rest = b""
        # what the page has complained about, and where it has sent requests
        self.complaints: list[str] = []
        self.requested: list[str] = []

    def __enter__(self) -> "Browser":
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--remote-debugging-pipe", "--disable-background-networking", f"--user-data-dir={self._home}", "about:blank"]
        # out of the way of 3 and 4
        moved = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_commands, write_answers)]
        for end in (read_commands, write_answers):
            os.close(end)
        command = [sys.executable, "-c", _LAUNCH, *map(str, moved), find(), *options]
        self._process = subprocess.Popen(command, pass_fds=moved, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in moved:
            os.close(end)
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A call of the page's protocol."""
        return self._call(method, self._session, **parameters)

    def open(self, address: str) -> None:
        """Opens an address."""
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise's is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise PageFailed(f"{script}: {answer['exceptionDetails'].get('exception', {}).get('description')}")
        return answer["result"].get("value")

    def until(self, condition: str, seconds: float = 10) -> None:
        """Waits until a JavaScript expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            if time.monotonic() > deadline:
                raise PageFailed(f"never true: {condition}; the page shows: {self.run('document.body.innerText')}")
            time.sleep(0.03)

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Presses a key, as a user does."""
        typed = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        if key == "Enter":
            typed["text"] = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown", **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **typed)

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self.call("Input.insertText", text=text)

    def look(self, width: int, height: int, scheme: str) -> None:
        """Sets the window's size, and whether the user prefers `light` or `dark`."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 3000), "scale": 1}
        image = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(image["data"]))

    def _call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                if "error" in message:
                    raise PageFailed(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _receive(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._answers], [], [], seconds)[0]:
                raise PageFailed("the browser does not answer")
            received = os.read(self._answers, 1 << 20)
            if not received:
                raise PageFailed("the browser has ended")
            self._rest += received
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"].get("exception", {}).get("description")))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "assert"):
                self.complaints.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error" and parameters["entry"]["source"] != "network":
                self.complaints.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])
