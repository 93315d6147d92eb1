"""Prove the package on Windows' CPython, and write what was seen into docs/platforms.md."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from tests.support.certificates import authority, issue, server_context
from tests.windows import wine
from z4j_fastapi.devbrain import DevBrain

_PAGE = wine.HERE / "docs" / "platforms.md"
_BEGIN, _END = "<!-- seen on Windows -->\n", "<!-- end -->\n"
_APP = """
import os, sys, uvicorn
from fastapi import FastAPI
from z4j_fastapi import Z4JAgent, z4j_lifespan
agent = Z4JAgent()
app = FastAPI(lifespan=z4j_lifespan(agent))
@app.get("/emit/{first}/{count}")
async def emit(first: int, count: int):
    ids = (f"{sys.argv[1]}-{number}" for number in range(first, first + count))
    return sum(agent.emit("task.received", task_id=task_id, task_name="t") for task_id in ids)
@app.get("/status")
async def status():
    seen = agent.status
    return {"state": seen.state.value, "worker": seen.worker_id, "fault": seen.buffer_fault}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""
Check = Callable[[], Awaitable[str]]


async def starts() -> str:
    done = await _python(
        "-c", "import z4j_fastapi as z; [getattr(z, n) for n in z.__all__]; print(len(z.__all__))"
    )
    return f"all {_good(done).strip()} public names"


async def needs_no_brain() -> str:
    for command in ("--help", "doctor --help", "explain tcp.refused", "probes", "info"):
        shown = _good(await _z4j(*command.split()))
        assert not any(tool in shown for tool in ("ss -", "sudo", "/etc/")), shown
    return "exit 0; hints name Windows' tools"


async def doctor_is_green() -> str:
    async with DevBrain() as brain:
        report = json.loads(_good(await _z4j("doctor", "--json", environ=_settings(brain))))
    passed = [p["name"] for p in report["probes"] if p["status"] == "pass"]
    assert report["ok"], report
    assert len(passed) == 7, passed
    return "7 passed, tls not needed"


async def doctor_is_green_over_tls() -> str:
    root = authority("Corp Root")
    context = server_context(issue(root, "localhost"))
    async with DevBrain(ssl_context=context) as brain:
        settings = {**_settings(brain), "Z4J_CA_FILE": "Z:\\win\\root.pem"}
        settings["Z4J_BRAIN_URL"] = f"https://localhost:{brain.port}"
        (wine.ROOT / "win" / "root.pem").write_bytes(root.pem)
        report = json.loads((await _z4j("doctor", "--json", environ=settings)).stdout)
        assert report["ok"], report
        del settings["Z4J_CA_FILE"]
        red = json.loads((await _z4j("doctor", "--json", environ=settings)).stdout)
    assert red["first_failure"] == "tls.unknown_ca", red["first_failure"]
    stores = next(p for p in red["probes"] if p["name"] == "tls")["details"]["stores"]
    assert any("Windows certificate store" in store for store in stores), stores
    return "8 passed; without the CA file tls.unknown_ca, and Windows' store is among what was asked"


async def doctor_is_red() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{held.getsockname()[1]}"
        async with DevBrain() as brain:
            good = _settings(brain)
            cases = {
                "config.missing": {},
                "tcp.refused": {**good, "Z4J_BRAIN_URL": closed},
                "auth.token_rejected": {**good, "Z4J_TOKEN": good["Z4J_TOKEN"][:-3] + "AAA"},
                "config.ca_unreadable": {**good, "Z4J_CA_FILE": "C:\\missing.pem"},
                "buffer.not_a_directory": {**good, "Z4J_HOME": "Z:\\win\\python\\python.exe"},
            }
            for code, environ in cases.items():
                found = json.loads((await _z4j("doctor", "--json", environ=environ)).stdout)["first_failure"]
                assert found == code, f"{code} expected, {found} found"
    return ", ".join(cases)


async def needs_linux() -> str:
    for option in (("--pid", "1"), ("--unit", "web")):
        done = await _z4j("doctor", *option)
        assert (done.returncode, "needs Linux" in done.stderr) == (2, True), done.stderr
    return "`--pid` and `--unit` say that they need Linux, exit 2"


async def dev_brain_serves() -> str:
    brain = wine.start("-m", "z4j_fastapi", "dev-brain", "--port", "0", "--env-file", "C:\\dev.env")
    try:
        for _ in range(60):
            await asyncio.sleep(0.5)
            done = await _z4j("doctor", "--env-file", "C:\\dev.env")
            if done.returncode == 0:
                return f"serves; a doctor with its env file, which {await _who_reads('C:/dev.env')}, passes"
        raise AssertionError(done.stdout + done.stderr)
    finally:
        wine.kill(brain)


async def init_writes() -> str:
    async with DevBrain() as brain:
        settings = brain.environment(brain.mint("web"))
        given = "".join(f"{settings[f'Z4J_{name}']}\n" for name in ("BRAIN_URL", "TOKEN", "HMAC_SECRET"))
        done = await _z4j("init", "--output", "C:\\init.env", given=given)
        assert done.returncode == 0, done
        _good(await _z4j("doctor", "--env-file", "C:\\init.env"))
    return f"checks, and writes a file that {await _who_reads('C:/init.env')}; a doctor with it passes"


async def agents_deliver() -> str:
    """Two processes, buffer files 0 and 1; then a kill with events that only the disk has."""
    async with DevBrain() as brain:
        settings = _settings(brain)
        first, second = (wine.start("-c", _APP, str(port), environ=settings) for port in (18881, 18882))
        try:
            workers = [(await _online(port))["worker"] for port in (18881, 18882)]
            slots = sorted(worker.split(".")[-2] for worker in workers)
            assert slots == ["0", "1"], workers
            shown = json.loads(_good(await _z4j("status", "--json", environ=settings)))
            assert sorted(row["worker_id"] for row in shown["agents"]) == sorted(workers), shown
            assert [await _emit(port, 0, 200) for port in (18881, 18882)] == [200, 200]
            await brain.seen.until(lambda: len(brain.seen.events) >= 400, "400 events")
            await brain.stop()
            assert await _emit(18881, 200, 50) == 50
        finally:
            wine.kill(first)
        await brain.start()
        third = wine.start("-c", _APP, "18881", environ=settings)
        try:
            again = await _online(18881)
            assert again["worker"] in workers, (again, workers)
            assert again["fault"] in ("", None), again
            await brain.seen.until(lambda: len(brain.seen.events) >= 450, "450 events", timeout_s=60)
        finally:
            wine.kill(third)
            wine.kill(second)
        count = len(brain.seen.events)
    seen = f"{count} of 450, same worker id"
    return (
        f"both in `status`; buffer files 0 and 1, 400 of 400; killed with 50 buffered and restarted: {seen}"
    )


CHECKS: tuple[tuple[str, Check], ...] = (
    ("import", starts),
    ("`--help`, `explain`, `probes`, `info`", needs_no_brain),
    ("doctor, all passed", doctor_is_green),
    ("doctor, TLS", doctor_is_green_over_tls),
    ("doctor, failures", doctor_is_red),
    ("options of systemd and /proc", needs_linux),
    ("`dev-brain`", dev_brain_serves),
    ("`init`, in a pipe", init_writes),
    ("agents in two uvicorns", agents_deliver),
)


async def main() -> int:
    version = _good(await _python("-VV")).partition(" (")[0].strip()
    where = f"wheels for win_amd64, Wine {wine.version()} on Linux."
    rows, failed = [f"{version}, {where}\n", "| | seen |", "|---|---|"], 0
    for name, check in CHECKS:
        try:
            rows.append(f"| {name} | {await check()} |")
        except Exception as exc:
            failed += 1
            rows.append(f"| {name} | FAILED: {type(exc).__name__}: {exc} |")
        print(rows[-1], flush=True)
    if not failed:
        before, _, rest = _PAGE.read_text("utf-8").partition(_BEGIN)
        after = rest.partition(_END)[2]
        _PAGE.write_text(f"{before}{_BEGIN}{chr(10).join(rows)}\n{_END}{after}", "utf-8")
    return failed


async def _who_reads(path: str) -> str:
    """AssertionError if somebody else can read a file with secrets."""
    look = "print(private.objection_in(private._acl(sys.argv[1]), private._own_sid(), to_reading=True))"
    done = await _python("-c", f"import sys; from z4j_probes.portable import private; {look}", path)
    assert not _good(done).strip(), done
    return "only its user can read"


def _settings(brain: DevBrain) -> dict[str, str]:
    home = f"C:\\z4j-{Path(tempfile.mktemp()).name}"
    return {**brain.environment(brain.mint("web")), "Z4J_HOME": home}


async def _z4j(*arguments: str, environ: Mapping[str, str] | None = None, given: str = "") -> wine.Done:
    return await _python("-m", "z4j_fastapi", *arguments, environ=environ, given=given)


async def _python(*arguments: str, environ: Mapping[str, str] | None = None, given: str = "") -> wine.Done:
    return await asyncio.to_thread(wine.run, *arguments, environ=environ, given=given)


def _good(done: wine.Done) -> str:
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


async def _online(port: int) -> dict[str, str]:
    for _ in range(120):
        await asyncio.sleep(0.5)
        try:
            status = json.loads(await _get(port, "status"))
        except OSError:
            continue
        if status["state"] == "online":
            return dict(status)
    raise AssertionError("never online")


async def _emit(port: int, first: int, count: int) -> int:
    return int(await _get(port, f"emit/{first}/{count}"))


async def _get(port: int, path: str) -> str:
    url = f"http://127.0.0.1:{port}/{path}"
    body: bytes = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=20).read())
    return body.decode()


if __name__ == "__main__":
    with wine.server():
        status = asyncio.run(main())
    sys.exit(status)
