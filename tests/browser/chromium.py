"""Debian's Chromium without a window, spoken to by the DevTools protocol over a pipe.

No package is needed for that, and no port: the browser reads its orders from descriptor 3 and
answers on descriptor 4, JSON messages with a zero byte after each.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

REQUIRED = "BATCHWATCH_BROWSER"
"""Set to `required`, a machine without a browser is a failure, not a reason to skip."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name leads anywhere
    "--remote-debugging-pipe",
)
_PATIENCE = 60.0


class Look(NamedTuple):
    """How a page is looked at: on what, and what its reader prefers.

    scale    device pixels for a pixel of CSS
    touch    whether it is a phone, whose window fits itself to what the page says
    media    `print`, or empty for a screen
    colours  `forced`: those of the system alone, as with high contrast
    script   whether programs run
    """

    width: int = 1280
    height: int = 900
    dark: bool = False
    scale: float = 1
    touch: bool = False
    media: str = ""
    colours: str = "none"
    script: bool = True


class Tab:
    """One page. `requests`: every address asked for; `complaints`: what the console tells."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **how: Any) -> dict[str, Any]:
        """Ask for something of the protocol; its answer."""
        return self._browser.ask(method, how, self._session, self)

    def open(self, path: Path, look: Look) -> None:
        """Show a file, as a fresh window would, and wait until it is there."""
        self.see(look)
        self.requests.clear()
        self.complaints.clear()
        answer = self.ask("Page.navigate", url=path.as_uri())
        if "errorText" in answer:
            raise RuntimeError(f"{path}: {answer['errorText']}")
        self._browser.heard(self._session, "Page.loadEventFired", self)

    def stop_clock(self, now: float) -> None:
        """Let it be one time, in seconds since 1970, on every page that is opened from now on."""
        source = f"Date.now = () => {now * 1000}"
        self.ask("Page.addScriptToEvaluateOnNewDocument", source=source)

    def see(self, look: Look) -> None:
        """Look at what is shown in another way."""
        self.ask("Emulation.setScriptExecutionDisabled", value=not look.script)
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=look.width,
            height=look.height,
            deviceScaleFactor=look.scale,
            mobile=look.touch,
        )
        features = {
            "prefers-color-scheme": "dark" if look.dark else "light",
            "forced-colors": "active" if look.colours == "forced" else "none",
            "prefers-reduced-motion": "reduce",
        }
        self.ask(
            "Emulation.setEmulatedMedia",
            media=look.media,
            features=[{"name": name, "value": value} for name, value in features.items()],
        )

    def run(self, expression: str) -> Any:
        """Return what an expression of JavaScript is worth, as plain data; RuntimeError if none."""
        answer = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"].get("exception"))[:2000])
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys by their names, such as Tab or ArrowDown, or a letter."""
        for key in keys:
            code, text = _KEYS.get(key, (ord(key[0].upper()), key))
            said = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.ask(
                "Input.dispatchKeyEvent", type="keyDown", **said, **({"text": text} if text else {})
            )
            self.ask("Input.dispatchKeyEvent", type="keyUp", **said)

    def write(self, text: str) -> None:
        """Type a text where the cursor is."""
        for letter in text:
            self.ask("Input.dispatchKeyEvent", type="char", text=letter)

    def picture(self) -> bytes:
        """Return what is seen in the window as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])

    def note(self, said: dict[str, Any]) -> None:
        """Take notice of an event."""
        how = said.get("params", {})
        match said.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(how["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(how["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(how["exceptionDetails"])[:500])
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"a dialog: {how['message']}")
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(how["args"])[:500])


_KEYS = {
    "Backspace": (8, ""),
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    " ": (32, " "),
    "Escape": (27, ""),
    "ArrowUp": (38, ""),
    "ArrowDown": (40, ""),
    "End": (35, ""),
    "Home": (36, ""),
}


class Chromium:
    """A browser with a profile of its own."""

    def __init__(self, program: Sequence[str], orders: int, answers: int) -> None:
        self._orders, self._answers = orders, answers
        self._rest, self._number = b"", 0
        self._told: list[tuple[str, str]] = []
        self._program = program

    def tab(self) -> Tab:
        """Open a page with nothing in it."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Tab(self, attached["sessionId"])

    def ask(
        self, method: str, how: dict[str, Any], session: str = "", tab: Tab | None = None
    ) -> dict[str, Any]:
        """Send an order, and wait for its answer; RuntimeError where it is refused."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": how}
        text = json.dumps(order | ({"sessionId": session} if session else {})).encode() + b"\0"
        while text:
            text = text[os.write(self._orders, text) :]
        while (said := self._next(tab)).get("id") != self._number:
            pass
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']}")
        answer: dict[str, Any] = said["result"]
        return answer

    def heard(self, session: str, method: str, tab: Tab) -> None:
        """Wait for an event, unless it has come since one was waited for last."""
        while (session, method) not in self._told:
            self._next(tab)
        self._told.clear()

    def _next(self, tab: Tab | None) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select(
                [self._answers], [], [], max(0, deadline - time.monotonic())
            )
            piece = os.read(self._answers, 1 << 20) if ready else b""
            if not piece:
                raise RuntimeError(f"{self._program[0]} says nothing any more")
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(text)
        if "method" in said:
            self._told.append((said.get("sessionId", ""), said["method"]))
            if tab:
                tab.note(said)
        return said


def found() -> str | None:
    """Return the program of a browser of this machine; None if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def started(program: str, profile: Path) -> Iterator[Chromium]:
    """Start a browser, whose profile is an empty folder, and end it."""
    theirs_in, orders = os.pipe()
    answers, theirs_out = os.pipe()
    script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    command = ["bash", "-c", script, "-", program, *_FLAGS, f"--user-data-dir={profile}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(  # noqa: S603 - the browser
        command,
        pass_fds=(theirs_in, theirs_out),
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        env=os.environ | {"TMPDIR": str(profile)},
    )
    os.close(theirs_in)
    os.close(theirs_out)
    browser = Chromium(command[4:], orders, answers)
    try:
        yield browser
        with suppress(RuntimeError, OSError):
            browser.ask("Browser.close", {})
    finally:
        os.close(orders)
        os.close(answers)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
