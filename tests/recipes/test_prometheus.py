"""Two services on one host, one of which fails: what node exporter, Prometheus, and its alerts make of it."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import cli
from tests.support.agents import agent_of
from tests.support.programs import Program, free_port, program
from tests.support.recipes import MONITORING, document, recipe, yaml
from z4j_fastapi.devbrain import DevBrain

pytestmark = pytest.mark.component


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_the_rules_do_what_their_tests_say(tmp_path: Path) -> None:
    done = promtool("test", "rules", "alerts_test.yml", cwd=MONITORING)
    assert done.returncode == 0, done.stdout + done.stderr

    for before, after in (
        ("z4j_doctor_ok == 0", "z4j_doctor_ok == 1"),
        ("> 900", "> 9000"),
        ("for: 3m", "for: 0m"),
    ):
        rules = (MONITORING / "alerts.yml").read_text()
        assert before in rules
        (tmp_path / "alerts.yml").write_text(rules.replace(before, after))
        shutil.copy(MONITORING / "alerts_test.yml", tmp_path)
        assert promtool("test", "rules", "alerts_test.yml", cwd=tmp_path).returncode != 0


def exec_start() -> list[str]:
    """The command of the page's unit."""
    service, _ = recipe("Prometheus", "ini")
    (line,) = [line for line in service.splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


def write_as_the_timer_does(name: str, home: Path, textfiles: Path, environ: dict[str, str]) -> int:
    """Run the unit's command for a service, whose settings are these; without systemd it has no --unit."""
    words = [word.replace("%i", name) for word in exec_start()[1:]]
    place = words.index("--unit")
    words[place : place + 2] = ["--label", f"service={name}"]
    words[-1] = str(textfiles / Path(words[-1]).name)
    return cli.run(*words, home=home, env=environ).returncode


async def metrics_of_an_online_agent(home: Path) -> str:
    """What `status` says once the agent's file, which follows its state within a second, says online."""
    online = re.compile(rf'^z4j_agent_online{{.*directory="{re.escape(str(home))}/.*}} 1$', re.MULTILINE)
    environ, arguments = {"Z4J_HOME": str(home / "z4j")}, ("status", "--format", "openmetrics")
    async with asyncio.timeout(60):
        while True:
            done = await asyncio.to_thread(cli.run, *arguments, home=home, env=environ)
            if online.search(done.stdout):
                return done.stdout


@asynccontextmanager
async def monitored(directory: Path, textfiles: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Prometheus as the page sets it up, with the rules that are shipped, and a node exporter to scrape."""
    exporter_port, port = free_port(), free_port()
    settings = document("Prometheus")
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule.pop("for", None)  # what waiting is good for, promtool tests above
    (directory / "alerts.yml").write_text(yaml.safe_dump(rules))
    assert Path(settings["rule_files"][0]).name == "alerts.yml"
    settings["rule_files"] = [str(directory / "alerts.yml")]
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{exporter_port}"]
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(settings))
    exporter = await Program.start(
        directory / "exporter.log",
        *(program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{exporter_port}"),
        *("--collector.disable-defaults", "--collector.textfile"),
        f"--collector.textfile.directory={textfiles}",
    )
    prometheus = await Program.start(
        directory / "prometheus.log",
        *(program("prometheus"), f"--web.listen-address=127.0.0.1:{port}"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
    )
    try:
        await exporter.until_it_accepts("127.0.0.1", exporter_port)
        await prometheus.until_it_accepts("127.0.0.1", port)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20) as client:
            yield client
    finally:
        await prometheus.stop()
        await exporter.stop()


async def test_of_two_services_on_one_host_the_alert_is_for_the_one_that_fails(tmp_path: Path) -> None:
    textfiles = tmp_path / "textfiles"
    textfiles.mkdir()
    async with DevBrain() as brain:
        # the same user, home, brain, project, and agent name: all but the label
        environ = brain.environment(brain.mint("web"))
        for name, token in (("shop", environ["Z4J_TOKEN"]), ("mail", "rejected-by-every-brain-0123456789")):
            given = environ | {"Z4J_TOKEN": token}
            status = await asyncio.to_thread(write_as_the_timer_does, name, tmp_path, textfiles, given)
            assert status == (name == "mail"), (textfiles / f"z4j-{name}.prom").read_text()
        assert sorted(path.name for path in textfiles.iterdir()) == ["z4j-mail.prom", "z4j-shop.prom"]
        async with agent_of(brain, tmp_path):
            (textfiles / "agents.prom").write_text(await metrics_of_an_online_agent(tmp_path))

    async with monitored(tmp_path, textfiles) as prometheus:
        (alert,) = await firing(prometheus, "Z4JDoctorFailed")
        assert (alert["labels"]["service"], alert["labels"]["severity"]) == ("mail", "critical")
        assert "auth.token_rejected" in alert["annotations"]["description"]
        ok = await query(prometheus, "z4j_doctor_ok")
        assert {row["metric"]["service"]: row["value"][1] for row in ok} == {"shop": "1", "mail": "0"}
        assert [row["value"][1] for row in await query(prometheus, "node_textfile_scrape_error")] == ["0"]
        mine = f'z4j_agent_online{{directory=~"{tmp_path}/.*"}}'
        assert [row["value"][1] for row in await query(prometheus, mine)] == ["1"]
        empty = [title for title, expr in panels() if not await query(prometheus, expr)]
        assert empty == [], "a panel of the dashboard asks for what is not there"


async def firing(prometheus: httpx.AsyncClient, name: str) -> list[dict[str, Any]]:
    """The alerts of that name, once one fires."""
    async with asyncio.timeout(60):
        while True:
            alerts = (await prometheus.get("/alerts")).json()["data"]["alerts"]
            found = [a for a in alerts if a["labels"]["alertname"] == name and a["state"] == "firing"]
            if found:
                return found
            await asyncio.sleep(0.2)


async def query(prometheus: httpx.AsyncClient, expression: str) -> list[dict[str, Any]]:
    answer = (await prometheus.get("/query", params={"query": expression})).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def panels() -> list[tuple[str, str]]:
    """What each panel of the dashboard asks, with all services and hosts chosen."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    asked = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name in names:
                expression = expression.replace(f"${name}", ".*")
            assert "$" not in expression
            asked.append((panel["title"], expression))
    return asked
