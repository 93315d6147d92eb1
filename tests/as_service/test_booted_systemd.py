"""What the doctor says of a unit, beside what its service itself finds out: under a booted systemd."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import BRAIN_ENV, PYTHON, Machine, booted
from tests.support.namespaces import ROOT

pytestmark = pytest.mark.slow

# A service whose first act is to be its own doctor; systemd opens the file, so no sandbox is in its way.
SELF_TEST = f"/bin/sh -c '{PYTHON} -m z4j_fastapi doctor --json; exec /bin/sleep infinity'"
SELF_REPORT = "/run/self-{name}.json"
PREPARE = f"""
ip link set lo up
useradd --create-home hana
ip netns add lonely
mkdir -p /etc/credstore /etc/my-service /srv/state /srv/root/{{usr,opt,z4j,run,proc,dev,tmp,etc,var/lib}}
for name in bin lib lib64; do ln -s usr/$name /srv/root/$name; done
chmod 0777 /srv/state
systemd-run --quiet --unit=brain {PYTHON} -m z4j_fastapi dev-brain --port 7700 --agent-name web \
    --env-file {BRAIN_ENV}
for n in $(seq 200); do test -s {BRAIN_ENV} && break; sleep 0.1; done
. {BRAIN_ENV}
printf %s "$Z4J_TOKEN" > /etc/my-service/token
cp /etc/my-service/token /etc/credstore/z4j-token
cp /etc/my-service/token /etc/my-service/blue-token
mkdir /etc/my-service/all
cp /etc/my-service/token /etc/my-service/all/z4j-token
systemd-creds encrypt --name=z4j-token /etc/my-service/token /etc/my-service/token.cred
chmod -R go= /etc/my-service /etc/credstore
grep -v TOKEN {BRAIN_ENV} > /etc/my-service.env
"""

WITHOUT_TOKEN = "EnvironmentFile=/etc/my-service.env\nEnvironment=Z4J_TOKEN_FILE=%d/z4j-token"
WITH_TOKEN = f"EnvironmentFile={BRAIN_ENV}"


@dataclass(frozen=True)
class Case:
    """A unit's [Service] section without its command, and where its service ends up."""

    name: str
    lines: str
    code: str | None = None
    buffer: str = "buffer.ok"
    number: int = 0
    instance: str = ""
    prefix: str = ""

    @property
    def unit(self) -> str:
        return f"{self.name}{self.instance}.service"


CASES = (
    Case("plain", f"{WITH_TOKEN}\nUser=hana"),
    Case(
        "strict",
        f"{WITH_TOKEN}\nUser=hana\nProtectSystem=strict\nEnvironment=Z4J_HOME=/srv/state/strict",
        code="buffer.read_only",
        buffer="buffer.read_only",
        number=1,
    ),
    Case("home", f"{WITH_TOKEN}\nUser=hana\nProtectHome=yes", buffer="buffer.relocated", number=1),
    Case("tmpfs", f"{WITH_TOKEN}\nUser=hana\nProtectHome=tmpfs", buffer="buffer.relocated", number=1),
    Case(
        "inaccessible",
        f"{WITH_TOKEN}\nUser=hana\nInaccessiblePaths=/srv/state\nEnvironment=Z4J_HOME=/srv/state/x",
        buffer="buffer.relocated",
        number=1,
    ),
    Case(
        "readonly",
        f"{WITH_TOKEN}\nUser=hana\nReadOnlyPaths=/srv /tmp /var/tmp\nEnvironment=Z4J_HOME=/srv/state/y",
        code="buffer.read_only",
        buffer="buffer.read_only",
        number=1,
    ),
    Case("netless", f"{WITH_TOKEN}\nUser=hana\nPrivateNetwork=yes", code="tcp.*", number=1),
    Case("netns", f"{WITH_TOKEN}\nUser=hana\nNetworkNamespacePath=/run/netns/lonely", code="tcp.*", number=1),
    Case("unix", f"{WITH_TOKEN}\nUser=hana\nRestrictAddressFamilies=AF_UNIX", code="tcp.*", number=2),
    Case(
        "no-inet",
        f"{WITH_TOKEN}\nUser=hana\nRestrictAddressFamilies=~AF_INET AF_INET6",
        code="tcp.*",
        number=2,
    ),
    Case(
        "inet",
        f"{WITH_TOKEN}\nUser=hana\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        number=2,
    ),
    Case("no-socket", f"{WITH_TOKEN}\nUser=hana\nRestrictAddressFamilies=none", code="tcp.*", number=2),
    Case("denied", f"{WITH_TOKEN}\nUser=hana\nIPAddressDeny=any", code="tcp.*", number=2),
    Case("allowed", f"{WITH_TOKEN}\nUser=hana\nIPAddressDeny=any\nIPAddressAllow=localhost", number=2),
    Case(
        "set-credential",
        "EnvironmentFile=/etc/my-service.env\nUser=hana\nEnvironment=Z4J_TOKEN_FILE=%d/z4j-token\n"
        "SetCredential=z4j-token:@TOKEN@",
        number=3,
    ),
    Case(
        "encrypted",
        f"{WITHOUT_TOKEN}\nDynamicUser=yes\nStateDirectory=encrypted\n"
        "Environment=Z4J_HOME=%S/encrypted/z4j\nLoadCredentialEncrypted=z4j-token:/etc/my-service/token.cred",
        number=3,
    ),
    Case(
        "instance@",
        f"{WITHOUT_TOKEN}\nUser=hana\nLoadCredential=z4j-token:/etc/my-service/%i-token",
        number=3,
        instance="blue",
    ),
    Case("credstore", f"{WITHOUT_TOKEN}\nUser=hana\nLoadCredential=z4j-token", number=3),
    Case(
        "all-credentials",
        "EnvironmentFile=/etc/my-service.env\nUser=hana\n"
        "Environment=Z4J_TOKEN_FILE=%d/all_z4j-token\nLoadCredential=all:/etc/my-service/all",
        number=3,
    ),
    Case(
        "by-name",
        "EnvironmentFile=/etc/my-service.env\nUser=hana\nLoadCredential=z4j-token:/etc/my-service/token\n"
        "Environment=Z4J_TOKEN_FILE=/run/credentials/by-name.service/z4j-token",
        number=3,
    ),
    Case(
        "cache",
        f"{WITH_TOKEN}\nUser=hana\nCacheDirectory=cached\nEnvironment=Z4J_HOME=%C/cached/z4j",
        number=4,
    ),
    Case(
        "runtime",
        f"{WITH_TOKEN}\nUser=hana\nRuntimeDirectory=running\nEnvironment=Z4J_HOME=%t/running/z4j",
        number=4,
    ),
    Case(
        "logs",
        f"{WITH_TOKEN}\nDynamicUser=yes\nLogsDirectory=logged\nEnvironment=Z4J_HOME=%L/logged/z4j",
        number=4,
    ),
    Case(
        "state",
        f"{WITH_TOKEN}\nDynamicUser=yes\nStateDirectory=stated\nEnvironment=Z4J_HOME=%S/stated/z4j",
        number=4,
    ),
    Case(
        "strict-state",
        f"{WITH_TOKEN}\nUser=hana\nProtectSystem=strict\nStateDirectory=strictly\nEnvironment=Z4J_HOME=%S/strictly/z4j",
        number=4,
    ),
    Case(
        "rooted",
        f"{WITH_TOKEN}\nUser=hana\nRootDirectory=/srv/root\nMountAPIVFS=yes\n"
        "BindReadOnlyPaths=/usr /opt /z4j /etc\nStateDirectory=rooted\nEnvironment=Z4J_HOME=%S/rooted/z4j",
        number=4,
    ),
    Case("rootly", f"{WITH_TOKEN}\nEnvironment=Z4J_HOME=/srv/hana/z4j", buffer="buffer.*", number=12),
    Case("privileged", f"{WITH_TOKEN}\nUser=hana\nProtectHome=yes", buffer="buffer.relocated", prefix="+"),
    Case("no-setuid", f"{WITH_TOKEN}\nUser=hana", buffer="buffer.relocated", prefix="!"),
    Case("pam", f"{WITH_TOKEN}\nUser=hana\nPAMName=login"),
    Case(
        "ambient",
        f"{WITH_TOKEN}\nUser=hana\nAmbientCapabilities=CAP_DAC_OVERRIDE\nEnvironment=Z4J_HOME=/root/ambient",
    ),
    Case("private-users", f"{WITH_TOKEN}\nUser=hana\nPrivateUsers=yes"),
    Case("private-tmp", f"{WITH_TOKEN}\nUser=hana\nPrivateTmp=yes\nEnvironment=Z4J_HOME=/tmp/z4j"),
    Case(
        "hardened",
        f"{WITH_TOKEN}\nDynamicUser=yes\nStateDirectory=hardened\nEnvironment=Z4J_HOME=%S/hardened/z4j\n"
        "SystemCallFilter=@system-service\nMemoryDenyWriteExecute=yes\nRestrictNamespaces=yes\nPrivateDevices=yes\n"
        "ProtectKernelTunables=yes\nProtectControlGroups=yes\nProtectProc=invisible\nCapabilityBoundingSet=\n"
        "LockPersonality=yes\nRestrictRealtime=yes\nUMask=0077\nLimitNOFILE=512",
    ),
)
ROWS: list[str] = []


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with booted() as machine:
        machine.run(PREPARE)
        machine.run("install -d -o hana /srv/hana && install -d -m 0700 -o hana /srv/hana/z4j")
        yield machine
    table = os.environ.get("Z4J_SYSTEMD_TABLE")
    if table:
        Path(table).write_text("\n".join(ROWS) + "\n")


def verdict(report: dict[str, Any]) -> tuple[str | None, str, str | None]:
    """What a report comes to: its first failure, and what became of the buffer, and where."""
    probes = {row["name"]: row for row in report["probes"]}
    return report["first_failure"], probes["buffer"]["code"], report["config"]["buffer_dir"]


def unit_row(report: dict[str, Any]) -> dict[str, Any]:
    """The row about the unit, which is the first."""
    assert report["probes"][0]["name"] == "unit"
    found: dict[str, Any] = report["probes"][0]
    return found


def write(machine: Machine, case: Case, command: str = SELF_TEST) -> None:
    token = machine.run("cat /etc/my-service/token").stdout
    out = SELF_REPORT.format(name=case.name)
    machine.unit(
        f"{case.name}.service",
        f"[Service]\n{case.lines.replace('@TOKEN@', token)}\n"
        f"StandardOutput=truncate:{out}\nExecStart={case.prefix}{command}\n",
    )


def own_report(machine: Machine, case: Case) -> dict[str, Any]:
    """Start it, and wait for what its service says of itself."""
    out = SELF_REPORT.format(name=case.name)
    done = machine.run(
        f"systemctl start {case.unit}; "
        f"for n in $(seq 300); do {PYTHON} -m json.tool {out} 2>/dev/null && break; sleep 0.1; done"
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_doctor_says_what_the_service_finds(machine: Machine, case: Case) -> None:
    write(machine, case)
    # all but what a getty makes while the machine boots
    listing = "ls --ignore=agetty.reload /var/lib /var/lib/private /var/cache /var/log /run 2>&1"
    before = machine.run(listing).stdout
    _, never, said = machine.doctor("--unit", case.unit)
    assert never, said
    assert machine.run(listing).stdout == before
    service = own_report(machine, case)
    _, running, said = machine.doctor("--unit", case.unit)
    assert running, said
    _, by_pid, said = machine.doctor("--pid", str(machine.pid(case.unit)))
    assert by_pid, said
    machine.run(f"systemctl stop {case.unit}")
    _, stopped, said = machine.doctor("--unit", case.unit)
    assert stopped, said
    reports = {"service": service, "never": never, "running": running, "pid": by_pid, "stopped": stopped}
    verdicts = {name: verdict(report) for name, report in reports.items()}
    ROWS.append(
        f"| {case.number or ''} | {case.name} | {' | '.join(f'{v[0]} {v[1]}' for v in verdicts.values())} |"
    )
    assert unit_row(never)["code"] == unit_row(stopped)["code"] == "unit.not_running"
    assert unit_row(running)["code"] == "unit.ok"
    assert set(verdicts.values()) == {verdicts["service"]}, (
        verdicts,
        *(r["probes"] for r in reports.values()),
    )
    failure, buffer, _ = verdicts["service"]
    assert matches(failure, case.code)
    assert matches(buffer, case.buffer)
    assert (
        machine.run(
            "ls -d /run/systemd/system/z4j-doctor* /run/credentials/z4j-doctor* 2>&1 || true"
        ).stdout.count("No such file")
        == 2
    )


def matches(code: str | None, expected: str | None) -> bool:
    """Whether it is that code, or one of that probe (`tcp.*`)."""
    if expected is None or code is None:
        return code == expected
    return code.startswith(expected.removesuffix("*")) if expected.endswith("*") else code == expected


@dataclass(frozen=True)
class Broken:
    """A unit that systemd does not start, and a word of why."""

    name: str
    text: str
    word: str


SLEEP = "ExecStart=/bin/sleep infinity"
BROKEN = (
    Broken("no-user", f"[Service]\n{WITH_TOKEN}\nUser=4242\n{SLEEP}", "217/USER: there is no user 4242"),
    Broken("no-group", f"[Service]\n{WITH_TOKEN}\nGroup=nowhere\n{SLEEP}", "216/GROUP"),
    Broken(
        "no-way",
        f"[Service]\n{WITH_TOKEN}\nUser=www-data\nWorkingDirectory=/root\n{SLEEP}",
        "200/CHDIR: www-data can't enter WorkingDirectory=/root",
    ),
    Broken(
        "no-program",
        f"[Service]\n{WITH_TOKEN}\nExecStart=/nowhere/web",
        "203/EXEC: /nowhere/web is not there",
    ),
    Broken(
        "no-mode",
        f"[Service]\n{WITH_TOKEN}\nExecStart=/etc/passwd",
        "203/EXEC: /etc/passwd is not executable",
    ),
    Broken("no-interpreter", f"[Service]\n{WITH_TOKEN}\nExecStart=/opt/moved", "needs /opt/old/bin/python"),
    Broken(
        "no-file",
        f"[Service]\nEnvironmentFile=/nowhere/web.env\n{SLEEP}",
        "EnvironmentFile=/nowhere/web.env is not there",
    ),
    Broken(
        "fifo", f"[Service]\nEnvironmentFile=/run/fifo\n{SLEEP}", "EnvironmentFile=/run/fifo does not answer"
    ),
    Broken(
        "no-credential",
        f"[Service]\n{WITH_TOKEN}\nLoadCredential=a:/nowhere/token\n{SLEEP}",
        "243/CREDENTIALS: /nowhere/token is not there",
    ),
    Broken("no-path", f"[Service]\n{WITH_TOKEN}\nReadWritePaths=/nowhere\n{SLEEP}", "226/NAMESPACE"),
    Broken(
        "no-netns",
        f"[Service]\n{WITH_TOKEN}\nNetworkNamespacePath=/run/netns/nowhere\n{SLEEP}",
        "225/NETWORK",
    ),
    Broken(
        "unmet",
        f"[Unit]\nConditionPathExists=/nowhere\n[Service]\n{WITH_TOKEN}\n{SLEEP}",
        "ConditionPathExists=/nowhere is not met",
    ),
    Broken(
        "asserted", f"[Unit]\nAssertPathExists=/nowhere\n[Service]\n{WITH_TOKEN}\n{SLEEP}", "an assertion"
    ),
    Broken("bad-setting", f"[Service]\n{WITH_TOKEN}\nExecStart=", "Service has no ExecStart="),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_nothing_is_green_of_a_unit_that_systemd_does_not_start(machine: Machine, broken: Broken) -> None:
    machine.run(
        "printf '#!/opt/old/bin/python\\n' > /opt/moved; chmod +x /opt/moved; "
        "test -e /run/fifo || mkfifo /run/fifo"
    )
    machine.unit(f"{broken.name}.service", broken.text)
    looks = [machine.doctor("--unit", broken.name)]
    if broken.name != "fifo":  # it would hang systemd itself
        machine.run(f"systemctl start {broken.name}", check=False)
        looks.append(machine.doctor("--unit", broken.name))
    for status, report, said in looks:
        assert report, said
        row = unit_row(report)
        assert (status, report["first_failure"]) == (1, "unit.cannot_start"), row
        assert broken.word in row["message"]
        assert {probe["status"] for probe in report["probes"][1:]} == {"skip"}
    ROWS.append(f"| | {broken.name} | does not start | {row['message']} | | | |")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("dbus.socket", "a socket is not a service"),
        ("apt-daily.timer", "a timer is not a service"),
        ("multi-user.target", "a target is not a service"),
        ("web*", "without wildcards"),
        ("d*.service", "without wildcards"),
        ("masked", "masked"),
        ("nowhere", "no unit of that name"),
        ("42", "no unit of that name"),
        ("0123456789abcdef0123456789abcdef", "no unit of that name"),
        ("getty@", "valid"),
        ("", "not the name of a service"),
        ("/srv", "not the name of a service"),
    ],
)
def test_a_name_that_is_not_a_service_is_a_usage_error(machine: Machine, name: str, word: str) -> None:
    machine.run("ln -sf /dev/null /run/systemd/system/masked.service; systemctl daemon-reload")
    status, report, said = machine.doctor("--unit", name)
    assert (status, report) == (2, {})
    assert word in said


def test_a_service_that_crashed_is_said_to_have(machine: Machine) -> None:
    machine.unit("crashed.service", f"[Service]\nUser=hana\n{WITH_TOKEN}\nExecStart=/bin/sh -c 'exit 3'")
    machine.unit("killed.service", f"[Service]\nUser=hana\n{WITH_TOKEN}\nExecStart=/bin/sh -c 'kill -9 $$$$'")
    machine.unit(
        "again.service",
        f"[Service]\nUser=hana\nRestart=always\nRestartSec=3600\n{WITH_TOKEN}\nExecStart=/bin/sh -c 'exit 4'",
    )
    machine.run("systemctl start crashed killed again; sleep 1", check=False)
    for name, word in (("crashed", "exit status 3"), ("killed", "SIGKILL"), ("again", "start it again")):
        status, report, _ = machine.doctor("--unit", name)
        assert (status, unit_row(report)["code"]) == (0, "unit.not_running")
        assert word in unit_row(report)["message"]
        assert report["first_failure"] is None


def test_a_corrected_file_is_due_for_a_restart(machine: Machine) -> None:
    machine.run(f"cp {BRAIN_ENV} /etc/old.env; sed -i s/TOKEN=.*/TOKEN=old/ /etc/old.env")
    machine.unit("old.service", f"[Service]\nUser=hana\nEnvironmentFile=/etc/old.env\n{SLEEP}")
    machine.run(f"systemctl start old; cp {BRAIN_ENV} /etc/old.env")
    _, report, _ = machine.doctor("--unit", "old")
    row = unit_row(report)
    assert row["code"] == "unit.outdated"
    assert "Z4J_TOKEN" in row["message"]
    assert report["first_failure"] == "auth.token_rejected"
    assert "sudo systemctl restart old.service" in row["hint"]
    machine.run("systemctl restart old.service")
    assert unit_row(machine.doctor("--unit", "old")[1])["code"] == "unit.ok"
    machine.run("echo Environment=A=b >> /run/systemd/system/old.service")
    row = unit_row(machine.doctor("--unit", "old")[1])
    assert (row["code"], "daemon-reload" in row["hint"]) == ("unit.outdated", True)


def test_the_process_that_has_the_settings_is_found(machine: Machine) -> None:
    inner = f"set -a; . {BRAIN_ENV}; set +a; /bin/sleep infinity & wait"
    machine.unit("wrapped.service", f'[Service]\nExecStart=/bin/bash -c "{inner}"')
    machine.run("systemctl start wrapped; sleep 1")
    main = machine.pid("wrapped")
    status, report, said = machine.doctor("--unit", "wrapped", "--only", "signing")
    assert unit_row(report)["code"] == "unit.ok", said
    assert f"not its main process {main}" in unit_row(report)["message"]
    assert (status, report["first_failure"]) == (0, None)
    _, report, said = machine.doctor("--pid", str(main))
    assert report["first_failure"] == "config.missing"
    child = machine.run(f"pgrep -P {main}").stdout.strip()
    assert f"process {child}, which it started, has them: --pid {child}" in said


def test_settings_in_a_file_beside_the_program_are_pointed_at(machine: Machine) -> None:
    machine.run(f"mkdir -p /srv/app; cp {BRAIN_ENV} /srv/app/.env")
    machine.unit(
        "dotenv.service", f"[Service]\nEnvironment=Z4J_AGENT_NAME=web\nWorkingDirectory=/srv/app\n{SLEEP}"
    )
    machine.run("systemctl start dotenv")
    _, _, said = machine.doctor("--unit", "dotenv")
    assert "--env-file /srv/app/.env" in said
    status, _, said = machine.doctor("--unit", "dotenv", "--env-file", "/srv/app/.env")
    assert status == 0, said


def test_a_users_unit_is_found_with_its_user(machine: Machine) -> None:
    machine.run(
        "units=~hana/.config/systemd/user; mkdir -p $units; "
        f"install -m 0600 -o hana {BRAIN_ENV} ~hana/web.env; "
        f"printf '[Service]\\nEnvironmentFile=%%h/web.env\\n{SLEEP}\\n' > $units/mine.service; "
        "chown -R hana ~hana; loginctl enable-linger hana; "
        "for n in $(seq 100); do test -S /run/user/$(id -u hana)/systemd/private && break; sleep 0.1; done"
    )
    user = "setpriv --reuid hana --regid hana --clear-groups env XDG_RUNTIME_DIR=/run/user/$(id -u hana)"
    machine.run(f"{user} systemctl --user daemon-reload")
    status, _, said = machine.doctor("--unit", "mine")
    assert status == 2
    assert "a unit of the user hana" in said
    machine.run(f"{user} systemctl --user start mine")
    status, report, said = machine.doctor("--unit", "mine")
    assert status == 0, (said, report)
    assert unit_row(report)["code"] == "unit.ok"
    assert "hana" in report["config"]["user"]


@pytest.mark.parametrize("number", ["INT", "TERM", "KILL"])
def test_nothing_is_left_behind_of_a_doctor_that_is_ended(machine: Machine, number: str) -> None:
    machine.unit("left.service", f"[Service]\n{WITH_TOKEN}\nUser=hana\nIPAddressDeny=any\n{SLEEP}")
    machine.run(
        f"""
        {PYTHON} -m z4j_fastapi doctor --unit left > /dev/null 2>&1 &
        doctor=$!
        copies() {{
            systemctl list-units --all --plain --no-legend 'z4j-doctor-*'; ls -d /run/systemd/system/z4j-d*
        }}
        for n in $(seq 200); do [ -n "$(copies 2>/dev/null)" ] && break; sleep 0.05; done
        [ -n "$(copies 2>/dev/null)" ] || exit 3
        kill -{number} $doctor; wait $doctor
        for n in $(seq 200); do [ -z "$(copies 2>/dev/null)" ] && exit 0; sleep 0.05; done
        copies; exit 4
        """
    )


def documented() -> dict[str, str]:
    """The units of the documentation: uvicorn's in full, the others by their lines."""
    page = (Path(ROOT) / "docs" / "service-users.md").read_text()
    unit, *others = re.findall(r"```ini\n(.*?)```", page.partition("## systemd")[2], re.DOTALL)
    found = {"uvicorn": unit}
    for lines in others:
        name = re.search(r"bin/(\w+)", lines)
        if name is not None:
            before, _, after = unit.partition("ExecStart=")
            found[name[1]] = before + lines + after.partition("\n")[2]
    return found


@pytest.mark.parametrize("program", ["uvicorn", "gunicorn", "arq", "taskiq"])
def test_the_documented_units_work_as_pasted(machine: Machine, program: str) -> None:
    """But for the brain's address; the application is the documentation's own example."""
    text = documented()[program].replace("https://brain.example", "http://127.0.0.1:7700")
    machine.run(
        f"install -d /srv/my-service; cp /z4j/docs/examples/*.py /srv/my-service; . {BRAIN_ENV}; "
        "printf %s $Z4J_TOKEN | install -D -m 0600 /dev/stdin /etc/my-service/z4j-token; "
        "printf %s $Z4J_HMAC_SECRET | install -D -m 0600 /dev/stdin /etc/my-service/z4j-hmac-secret; "
        "systemctl start redis-server"
    )
    machine.unit("my-service.service", text)
    status, report, said = machine.doctor("--unit", "my-service", "--strict")
    assert unit_row(report)["code"] == "unit.not_running", said
    assert report["first_failure"] is None, report
    machine.run(
        "systemctl start my-service; "
        "for n in $(seq 300); do "
        "ls /var/lib/my-service/z4j/*/buffer-*.sqlite 2>/dev/null && break; sleep 0.1; done"
    )
    status, report, said = machine.doctor("--unit", "my-service", "--strict")
    machine.run("systemctl stop my-service; rm -rf /var/lib/my-service /var/lib/private/my-service")
    assert (status, said) == (0, ""), report
    assert unit_row(report)["code"] == "unit.ok"


@dataclass(frozen=True)
class Advised:
    """A unit with a fault, whose hint leads to a green doctor."""

    name: str
    lines: str
    code: str


ADVISED = (
    Advised("no-directory", f"{WITH_TOKEN}\nDynamicUser=yes", "buffer.relocated"),
    Advised("moved", f"{WITH_TOKEN}\nDynamicUser=yes\nStateDirectory=moved", "buffer.relocated"),
    Advised("in-file", "EnvironmentFile=/etc/in-file.env\nUser=www-data", "buffer.relocated"),
    Advised(
        "no-token",
        "EnvironmentFile=/etc/my-service.env\nDynamicUser=yes\nStateDirectory=no-token\n"
        "Environment=Z4J_HOME=%S/no-token/z4j",
        "config.missing",
    ),
    Advised(
        "roots-file",
        "EnvironmentFile=/etc/my-service.env\nDynamicUser=yes\nStateDirectory=roots-file\n"
        "Environment=Z4J_HOME=%S/roots-file/z4j Z4J_TOKEN_FILE=/etc/my-service/token",
        "config.secret_unreadable",
    ),
)


@pytest.mark.parametrize("advised", ADVISED, ids=lambda advised: advised.name)
def test_a_hint_that_is_followed_makes_the_unit_green(machine: Machine, advised: Advised) -> None:
    machine.run(f"cp {BRAIN_ENV} /etc/in-file.env; echo Z4J_HOME=/root/z4j >> /etc/in-file.env")
    unit = f"{advised.name}.service"
    machine.unit(unit, f"[Service]\n{advised.lines}\n{SLEEP}\n")
    machine.run(f"systemctl start {unit}")
    _, report, said = machine.doctor("--unit", unit)
    found = next((row for row in report["probes"] if row["code"] == advised.code), None)
    assert found is not None, (said, report)
    for step in found["steps"]:
        follow(machine, step)
    status, report, said = machine.doctor("--unit", unit, "--strict")
    assert status == 0, (found["steps"], said, report["probes"])


def follow(machine: Machine, step: dict[str, str]) -> None:
    """Do what a step says, as a person would: an editor writes the lines that its text names."""
    text, command = step["text"], step["command"].replace("sudo ", "")
    if command.startswith("systemctl edit "):
        unit = command.removeprefix("systemctl edit ")
        added = text.removeprefix("Add ").removesuffix(" below [Service]").split(" and ")
        lines = "\n".join(["[Service]", *added])
        directory = f"/etc/systemd/system/{unit}.d"
        machine.run(
            f"mkdir -p {directory}; cat >> {directory}/override.conf <<'END'\n{lines}\nEND\n"
            "systemctl daemon-reload"
        )
    elif command.startswith("sudoedit "):
        assignment = re.search(r"Write (\S+) into (\S+)", text)
        assert assignment is not None, text
        machine.run(f"echo '{assignment[1]}' >> {assignment[2]}")
    elif "read -rs" in command:
        machine.run(f"{command} < <(cat /etc/my-service/token; echo)")
    else:
        machine.run(command)
