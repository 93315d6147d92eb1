"""`make pictures`: seven reports, the row that waits, and a status as SVG, dark and light, from what is
printed at 80 columns.

Each fault is caused for real: a CA that is not trusted, a token that the brain does not know, no settings,
several that are wrong, a user without a home, a server that does not answer. The status is of a host with a
uvicorn of four workers, an arq and a taskiq worker, and a worker without an agent. Only what differs from
machine to machine, and from run to run, is made the same: ports, paths, users, free space, dates, durations.
A test holds the pictures to what is printed now.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME
from rich.text import Text

from tests.support.certificates import authority, issue, server_context
from z4j_fastapi.devbrain import DevBrain

HERE = Path(__file__).parent / "pictures"
COLUMNS = 80
THEMES = {"dark": SVG_EXPORT_THEME, "light": DEFAULT_TERMINAL_THEME}
SERVICE_UID = 4242


def on_terminal(environ: Mapping[str, str], prefix: tuple[str, ...], options: tuple[str, ...]) -> str:
    """What the doctor writes to a terminal; `prefix` is what runs it instead of `python -m`."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    command = [sys.executable, "-m", *prefix, "z4j_fastapi", "doctor", *options]
    with subprocess.Popen(command, env=dict(environ), stdin=slave, stdout=slave, stderr=slave):
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
        lines.append(re.sub(r"\x1b\[(?:\d*[AKJ]|\?25[lh])", "", line))
    return "\n".join(lines).strip("\n")


def waiting(written: str) -> str:
    """What the terminal showed while the last check had waited for three seconds."""
    start, mark, _ = written.partition(" 3 of 5 s")
    if not mark:
        raise RuntimeError("no row that waited was shown")
    return re.sub("[⠀-⣿]", "⠹", still(start + mark))  # whichever frame of the spinner it was


def evened(text: str, home: str, ports: tuple[int, ...]) -> str:
    """The same wherever it was made."""
    text = text.replace(sys.executable, "python")
    text = text.replace(f"{home}/my-service.env", "/etc/my-service.env").replace(home, "/srv/app")
    for port in ports:
        text = text.replace(str(port), "7700")
    text = re.sub(r"user \S+ \(\d+\)", "user app (1000)", text)
    text = text.replace(f"-{SERVICE_UID}", "-992").replace(f"-o {SERVICE_UID}", "-o 992")
    text = re.sub(rf"uid ({SERVICE_UID}|{os.getuid()})\b", "uid 992", text)
    text = re.sub(r"[\d.]+((?:\s|\x1b\[[\d;]*m)+)[KMGT]iB", r"20\1GiB", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "2027-02-11", text)
    text = re.sub(r"\bin [\d.]+ ms\b", "in 0.4 ms", text)
    text = re.sub(r"\bin (\d)\.\d s\b", lambda took: "in 5.0 s" if took[1] in "456" else "in 0.2 s", text)
    drawn_ids = dict.fromkeys(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))
    for number, drawn_id in enumerate(drawn_ids):
        text = text.replace(drawn_id, f"3f1c9a52-7d0e-4b68-9c41-{number:012d}")
    return text


def drawn(name: str, theme: str, text: str, command: str = "doctor") -> str:
    """One SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text + "\n"))  # an empty line, or the last one loses its underscores
    svg = console.export_svg(
        title=f"python -m z4j_fastapi {command}", unique_id=f"{name}-{theme}", theme=THEMES[theme]
    )
    # no fonts from elsewhere: a picture must not load anything
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")


@asynccontextmanager
async def tls_in_front(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a server that ends TLS and passes everything on to the given port, as nginx would."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextmanager
def silent_server() -> Iterator[int]:
    """The port of a server whose queue of connections is full, so that it does not answer another one."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port: int = server.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for connection in waiting:
                connection.close()


def env_file(directory: str, settings: Mapping[str, str]) -> str:
    """The path of a new env file with these settings."""
    path = Path(directory, "my-service.env")
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return str(path)


async def pictures() -> dict[str, str]:
    """All pictures, by name."""
    texts = {}
    with tempfile.TemporaryDirectory(dir="/tmp") as home:  # short, so that its line is not broken
        os.chmod(home, 0o711)  # the service's user must get through
        temporary = f"{home}/tmp"
        os.mkdir(temporary)
        os.chmod(temporary, 0o1777)
        root = authority("Corp Root CA")
        ca_file = root.save(Path(home, "corp-root-ca.pem"))
        plain = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
        }
        async with (
            DevBrain() as brain,
            tls_in_front(brain.port, server_context(issue(root, "localhost"))) as tls_port,
        ):
            settings = plain | brain.environment(brain.mint("web-1"))
            url = f"https://localhost:{tls_port}"
            trusted = settings | {"Z4J_BRAIN_URL": url, "Z4J_CA_FILE": ca_file, "Z4J_HOME": f"{home}/z4j"}

            async def draw(
                name: str,
                environ: Mapping[str, str],
                *options: str,
                prefix: tuple[str, ...] = (),
                ports: tuple[int, ...] = (tls_port,),
            ) -> str:
                written = await asyncio.to_thread(on_terminal, environ, prefix, options)
                texts[name] = evened(still(written), home, ports)
                return written

            await draw("passed", trusted)
            await draw("token-rejected", trusted | {"Z4J_TOKEN": "a-token-that-was-revoked-last-week"})
            # another CA, because the list of trust stores differs from machine to machine
            other = authority("Old Root CA").save(Path(home, "old-root-ca.pem"))
            await draw("unknown-ca", trusted | {"Z4J_CA_FILE": other})
            await draw("settings-missing", plain)
            several = {"Z4J_BRAIN_URL": "brain.example", "Z4J_TOKEN": f'"{"x" * 43}"'}
            await draw("several-causes", plain | several)
            prefix = ("tests.support.handicap", f"user={SERVICE_UID}") if os.geteuid() == 0 else ()
            homeless = plain | {"HOME": "/nonexistent", "TMPDIR": temporary}
            options = ("--env-file", env_file(home, brain.environment(brain.mint("web-1"))))
            await draw("buffer-relocated", homeless, *options, prefix=prefix, ports=(brain.port,))
            with silent_server() as port:
                silent = trusted | {"Z4J_BRAIN_URL": f"https://localhost:{port}"}
                written = await draw("tcp-timeout", silent, ports=(port,))
                texts["waiting"] = evened(waiting(written), home, (port,))
    return {f"{name}-{theme}": drawn(name, theme, text) for name, text in texts.items() for theme in THEMES}


def status_pictures(terminal: str) -> dict[str, str]:
    """The pictures of a status as a terminal showed it."""
    text = terminal.replace("\r\n", "\n").strip("\n").replace(sys.executable, "python")
    text = text.replace(f"host {socket.gethostname()}", "host shop-1").replace("user root", "user app")
    text = re.sub(r"http://127\.0\.0\.1:\d+", "https://brain.example", text).replace("0.0.0+dev", "1.13.0")
    # the same everywhere: the numbers of processes, by their place, for how long they are online, and what a
    # worker has said of itself so far
    numbers = dict.fromkeys(re.findall(r"(?:process |m |[✓!] )(47\d\d)\b", text))
    for index, number in enumerate(numbers):
        text = text.replace(number, f"48{index:02}")
    text = re.sub(r"online +\d+ (s|min)", lambda m: "online" + "3 min".rjust(len(m[0]) - 6), text)
    told = re.compile(r"(task +online +3 min)( +\d+)( +\d+)( +(?:\d+ s|\d+ min|-))(?= +0 +0)")
    text = told.sub(lambda m: f"{m[1]}{'0':>{len(m[2])}}{m[3]}{'8 s':>{len(m[4])}}", text)
    return {f"status-{theme}": drawn("status", theme, text, "status") for theme in THEMES}


def all_pictures() -> dict[str, str]:
    """Everything that is drawn."""
    from tests.support.busy_host import seen

    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        host = seen(Path(directory))
    return asyncio.run(pictures()) | status_pictures(host["terminal"])


if __name__ == "__main__":
    for picture, svg in all_pictures().items():
        (HERE / f"{picture}.svg").write_text(svg)
