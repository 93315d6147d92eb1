"""A real browser, headless: what a person would see of a page."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
import tempfile
from collections.abc import Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.asyncio.client import connect

from tests.support.programs import program

# A cold start on a busy machine takes seconds.
PATIENCE_S = 60.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",  # with what a page's console says, of its policy's refusals for instance
)


async def dom(url: str, *flags: str) -> str:
    """The document as the browser has understood it."""
    return (await _run(url, "--dump-dom", *flags))[0]


async def console(url: str) -> list[str]:
    """What the page made the browser complain of."""
    _, log = await _run(url, "--dump-dom")
    return [line for line in log.splitlines() if ":CONSOLE" in line]


async def screenshot(url: str, file: Path, *, width: int, height: int, dark: bool = False) -> bytes:
    """A picture of the page, as PNG."""
    scheme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    await _run(url, f"--screenshot={file}", f"--window-size={width},{height}", *scheme)
    return await asyncio.to_thread(file.read_bytes)


async def widths(page: str, directory: Path, width: int) -> tuple[int, int]:
    """How wide the page's window and its content are, where the window is so wide.

    A frame stands for the window: browsers make none that is as narrow as a phone's.
    """
    wrapper = directory / f"frame-{width}.html"
    text = f"""<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(page)}"></iframe>
        <output></output><script>onload = () => {{
            const seen = document.querySelector("iframe").contentDocument.documentElement;
            document.querySelector("output").textContent = `${{seen.clientWidth}} ${{seen.scrollWidth}}`;
        }}</script>"""
    await asyncio.to_thread(wrapper.write_text, text, encoding="utf-8")
    found = re.search(r"<output>(\d+) (\d+)</output>", await dom(wrapper.as_uri()))
    assert found is not None
    return int(found[1]), int(found[2])


async def _run(url: str, *flags: str) -> tuple[str, str]:
    """Its stdout and stderr; the profile is a new one each time."""
    chromium = program("chromium")
    with tempfile.TemporaryDirectory(prefix="z4j-browser-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            chromium,
            *_FLAGS,
            f"--user-data-dir={profile}",
            *flags,
            url,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, err.decode(errors="replace")[-2000:]
    return out.decode(), err.decode(errors="replace")


class LoggedIn:
    """A browser in which a person has logged in to a brain, by Chromium's own protocol."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self._url, self._email, self._password = url, email, password
        self._stack = AsyncExitStack()
        self._sent = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            profile = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            process = await asyncio.create_subprocess_exec(
                *(program("chromium"), *_FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0"),
                *("--window-size=1600,1000", "about:blank"),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
            file = profile / "DevToolsActivePort"
            async with asyncio.timeout(PATIENCE_S):
                while not (await asyncio.to_thread(_content, file)).strip():  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.1)
            port = file.read_text().split()[0]
            async with httpx.AsyncClient(trust_env=False) as client:
                targets = (await client.get(f"http://127.0.0.1:{port}/json")).json()
            (page,) = (target for target in targets if target["type"] == "page")
            self._socket = await stack.enter_async_context(
                connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None)
            )
            await self.shows("/", ())
            given = json.dumps(json.dumps({"email": self._email, "password": self._password}))
            status = await self._run(
                "fetch('/api/v1/auth/login', {method: 'POST', headers: {'content-type': 'application/json'},"
                f" body: {given}}}).then(answer => answer.status)"
            )
            assert status == httpx.codes.OK
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def shows(self, path: str, words: Collection[str]) -> str:
        """Go there, and reload until all the words are on the page; its text."""
        text = ""
        async with asyncio.timeout(PATIENCE_S):
            while not text or not all(word in text for word in words):
                await self._command("Page.navigate", url=self._url + path)
                for _ in range(20):
                    await asyncio.sleep(0.2)
                    text = str(await self._run("document.body ? document.body.innerText : ''"))
                    if text and all(word in text for word in words):
                        break
        return text

    async def picture(self) -> bytes:
        """What is shown, as PNG."""
        return base64.b64decode((await self._command("Page.captureScreenshot", format="png"))["data"])

    async def _run(self, script: str) -> Any:
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        return (await self._command("Runtime.evaluate", **asked)).get("result", {}).get("value")

    async def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._sent += 1
        await self._socket.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == self._sent:
                result: dict[str, Any] = answer.get("result", {})
                return result


def _content(file: Path) -> str:
    return file.read_text() if file.exists() else ""
