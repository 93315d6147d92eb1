"""A real browser, headless: what a person would see of a page."""

from __future__ import annotations

import asyncio
import html
import re
import tempfile
from pathlib import Path

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
