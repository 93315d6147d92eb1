"""`make pictures`: a green and a red doctor as SVG, from what it really prints on a terminal of 80 columns.

Only what differs from machine to machine is evened out: the port, the user, the state directory, its free
space, and the ids that the brain drew. A test holds the pictures to what is printed now.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

from z4j_fastapi.devbrain import DevBrain

HERE = Path(__file__).parent / "pictures"
COLUMNS = 80


def on_terminal(environ: dict[str, str]) -> str:
    """What the doctor writes to a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "z4j_fastapi", "doctor"]
    with subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave):
        os.close(slave)
        written = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux's way to say that the other side has closed
                break
            written += data
    os.close(master)
    return written.decode()


def still(written: str) -> str:
    """The last picture of what was written: without the spinner that came and went."""
    lines: list[str] = []
    for raw in written.replace("\r\n", "\n").split("\n"):
        line = raw.rsplit("\r", 1)[-1]
        ups = len(re.findall(r"\x1b\[1A", line))
        if ups:
            del lines[len(lines) - ups :]
        line = re.sub(r"\x1b\[(?:\d*[AKJ]|\?25[lh]|2K)", "", line)
        lines.append(line)
    return "\n".join(lines).strip("\n")


def evened(text: str, home: str, port: int) -> str:
    """The same wherever it was made."""
    text = text.replace(f"{home}/z4j", "/var/lib/app/z4j").replace(str(port), "7700")
    text = re.sub(r"\S+ \(uid \d+\)", "app (uid 1000)", text)
    text = re.sub(r"uid \d+ can", "uid 1000 can", text)
    text = re.sub(r"\([\d.]+ [A-Za-z]+ free\)", "(20 GiB free)", text)
    drawn_ids = dict.fromkeys(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))
    for number, drawn_id in enumerate(drawn_ids):
        text = text.replace(drawn_id, f"3f1c9a52-7d0e-4b68-9c41-{number:012d}")
    return text


def drawn(name: str, text: str, title: str) -> str:
    """One SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text + "\n"))  # an empty line, or the last one loses its underscores
    svg = console.export_svg(title=title, unique_id=name)
    # no fonts from elsewhere: a picture that calls home is none for a README
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")


async def pictures() -> dict[str, str]:
    """Both pictures, by name."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:  # short, so that its line is not broken
        async with DevBrain() as brain:
            good = brain.environment(brain.mint("web-1")) | {
                "Z4J_HOME": f"{home}/z4j",
                "HOME": home,
                "PATH": os.environ["PATH"],
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "LANG": "C.UTF-8",
            }
            bad = good | {"Z4J_TOKEN": "a-token-that-was-revoked-last-week"}
            svgs = {}
            for name, environ in (("doctor-green", good), ("doctor-red", bad)):
                text = evened(still(await asyncio.to_thread(on_terminal, environ)), home, brain.port)
                svgs[name] = drawn(name, text, "python -m z4j_fastapi doctor")
            return svgs


if __name__ == "__main__":
    for picture, svg in asyncio.run(pictures()).items():
        (HERE / f"{picture}.svg").write_text(svg)
