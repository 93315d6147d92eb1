"""`status` as a person and a script meet it. Other tests have agents here too: each looks at its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support import schemas
from tests.support.agents import closed_port, status_with, until
from tests.support.busy_host import UVICORN_WORKERS, seen
from tests.support.cli import PATIENCE_S, command, environment, on_terminal, run
from tests.support.own_machine import on_own_machine
from tests.support.pages import DOCS, load
from tests.support.programs import program
from z4j_fastapi import Z4JAgent
from z4j_fastapi.agent.status import State
from z4j_probes.storage.status_files import identities, read_status_files

pytestmark = pytest.mark.component

EXITS = """
import asyncio, json, os, subprocess, sys, tempfile
from pathlib import Path
from tests.support.agents import until
from z4j_fastapi import Z4JAgent
from z4j_fastapi.devbrain import DevBrain

home = Path(tempfile.mkdtemp(dir="/tmp"))
os.environ |= {"HOME": str(home), "Z4J_HOME": str(home / "z4j")}

def status(*arguments):
    command = [sys.executable, "-m", "z4j_fastapi", "status", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    return [done.returncode, done.stdout, done.stderr]

async def main():
    said = {"none": status()}
    async with DevBrain() as brain:
        good = brain.mint("web")
        given = {"brain_url": brain.url, "hmac_secret": good.hmac_secret, "agent_name": "web"}
        async with Z4JAgent(token=good.token, **given):
            await until(lambda: list(home.rglob("status-0.json")), "it was written")
            said["online"] = await asyncio.to_thread(status)
            async with Z4JAgent(token="a-token-that-was-revoked", **given) as other:
                await until(lambda: other.status.code == "auth.token_rejected", "it was refused")
                await until(lambda: list(home.rglob("status-1.json")), "it was written")
                said["refused"] = await asyncio.to_thread(status)
    print(json.dumps(said))

asyncio.run(main())
"""


def own(document: dict[str, Any], home: Path) -> list[dict[str, Any]]:
    schemas.check(document, "z4j.status")
    return [row for row in document["agents"] if row["state_directory"] == str(home)]


def said(home: Path) -> Iterator[str]:
    for directory in identities(home) if home.exists() else ():
        for found in read_status_files(directory):
            yield found.document["state"]


async def test_an_agent_is_in_the_table_in_json_and_in_metrics(tmp_path: Path) -> None:
    home = tmp_path / "z4j"
    with closed_port() as port:
        url, token, secret = f"http://127.0.0.1:{port}", "t" * 40, "A" * 43
        async with Z4JAgent(
            brain_url=url, token=token, hmac_secret=secret, agent_name="web", home=home
        ) as agent:
            await status_with(agent, State.OFFLINE, "tcp.refused")
            await until(lambda: list(said(home)) == ["offline"], "it was written")

            async def status(*arguments: str, **env: str) -> str:
                done = await asyncio.to_thread(
                    run, "status", *arguments, home=tmp_path, env={"Z4J_HOME": str(home), **env}
                )
                assert done.returncode == 1, done.stderr
                return done.stdout

            (row,) = own(json.loads(await status("--json")), home)
            assert (row["state"], row["code"], row["verdict"]) == ("offline", "tcp.refused", "fail")
            assert row["next_attempt_at"]
            assert row["reconnects"]["tcp.refused"] >= 1
            table = await status(LC_ALL="C")
            assert table.isascii()
            assert "\x1b" not in table
            assert max(map(len, table.splitlines())) <= 80
            line = next(line for line in table.splitlines() if f" {row['pid']} " in line)
            assert line.split()[:4] == ["x", str(row["pid"]), "web", "offline"]
            assert "tcp.refused: " in table
            exposition = await status("--format", "openmetrics")
            families = list(text_string_to_metric_families(exposition))  # type: ignore[no-untyped-call]
            online = next(family for family in families if family.name == "z4j_agent_online")
            values = {
                s.labels["slot"]: s.value
                for s in online.samples
                if s.labels["directory"].startswith(f"{home}/")
            }
            assert values == {"0": 0.0}


def test_the_exit_status_says_whether_all_is_well() -> None:
    found = on_own_machine(EXITS)
    code, out, _ = found["none"]
    assert (code, out.splitlines()[-1]) == (1, "No agent runs here.")
    code, out, _ = found["online"]
    assert (code, out.splitlines()[-1]) == (0, "1 agent: 1 online.")
    code, out, _ = found["refused"]
    assert code == 1
    assert out.splitlines()[-1] == "2 agents: 1 online, 1 offline."
    assert "auth.token_rejected" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--format", "xml"), "choose from table, json, openmetrics"),
        (("--json", "--format", "openmetrics"), "can't be used together"),
        (("--watch", "0"), "invalid value for --watch"),
        (("--watch", "nan"), "invalid value for --watch"),
        (("--watch", "1", "--format", "openmetrics"), "needs --output FILE"),
        (("--output", "/nonexistent/x"), "no directory"),
        (("now",), "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_two(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    done = run("status", *arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


def alone() -> tuple[str, ...]:
    """What a command is run by to see no processes but its own: root's status looks at all others'."""
    if os.geteuid() != 0:
        return ()
    return (program("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child")


def test_watching_ends_with_ctrl_c_and_repaints_in_place(tmp_path: Path) -> None:
    watch = partial(on_terminal, "status", "--watch", "60", home=tmp_path, columns=80, prefix=alone())
    code, written = watch(interrupt_at=b"\x1b[J")
    assert code == 130
    assert written.startswith(b"\x1b[H")
    code, written = watch(env={"NO_COLOR": "1"}, interrupt_at=b"agent")
    assert code == 130
    assert b"\x1b" not in written.replace(b"^C", b"")


async def test_watching_repaints_what_the_terminal_has_room_for(tmp_path: Path) -> None:
    home = tmp_path / "z4j"
    with closed_port() as port:
        url, token, secret = f"http://127.0.0.1:{port}", "t" * 40, "A" * 43
        async with Z4JAgent(brain_url=url, token=token, hmac_secret=secret, home=home):
            await until(lambda: bool(list(home.rglob("status-0.json"))), "it was written")
            watch = partial(on_terminal, home=tmp_path, columns=80, interrupt_at=b"\x1b[J")
            environ = {"LINES": "5", "Z4J_HOME": str(home)}
            code, written = await asyncio.to_thread(watch, "status", "--watch", "60", env=environ)
    assert code == 130
    picture = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", written.partition(b"\x1b[J")[0]).decode().splitlines()
    assert len(picture) == 4
    assert picture[0].startswith("z4j status")
    assert re.fullmatch(r"  … \d+ more lines, without --watch", picture[-2])
    assert "agent" in picture[-1]


def test_watching_ends_when_nobody_reads(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*alone(), *command("status", "--watch", "0.2", "--json")],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["schema"] == "z4j.status/1"
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 1
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.slow
def test_a_busy_host_is_seen_whole_and_is_the_picture(tmp_path: Path) -> None:
    host = seen(tmp_path)
    rows = own(host["document"], tmp_path / "z4j")
    assert rows == host["document"]["agents"]
    assert Counter((row["agent_name"], row["role"], row["state"]) for row in rows) == {
        ("web", "web", "online"): UVICORN_WORKERS,
        ("mail", "task", "online"): 1,
        ("stock", "task", "online"): 1,
    }
    assert {row["slot"] for row in rows if row["agent_name"] == "web"} == set(range(UVICORN_WORKERS))
    (one,) = host["document"]["unwired"]
    assert (one["pid"], one["program"]) == (host["pids"]["unwired"], "arq")
    assert one["target"] == "shop.mail.Unwired"
    assert "@z4j_worker" in [step["command"] for step in one["steps"]]
    for name, svg in load(DOCS / "pictures.py").status_pictures(host["terminal"]).items():
        committed = (DOCS / "pictures" / f"{name}.svg").read_text()
        assert _text(committed) == _text(svg), "run `make pictures`"


def _text(svg: str) -> str:
    return " ".join(re.findall(r"<text[^>]*>(.*?)</text>", svg, flags=re.DOTALL))
