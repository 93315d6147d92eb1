"""What `systemctl` prints, and what is made of it: recorded from systemd 252, and asked of a real one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import program
from z4j_fastapi.as_service.systemctl import PROPERTIES, parse_unit, words

MANAGER = Path("/usr/lib/systemd/systemd")

# `systemctl --user show` of UNIT below, as systemd 252 printed it.
RECORDED = r"""MainPID=0
Environment=A=plain "B=two words" "C=quo\"te" "D=back\\slash" "E=dol\$lar" "F=sin'gle" "G=tab\there" H=ümlaut "I=back\`tick" J=
EnvironmentFiles=/etc/web.env (ignore_errors=no)
EnvironmentFiles=/etc/web (1).env (ignore_errors=yes)
EnvironmentFiles=/etc/web*.env (ignore_errors=yes)
UnsetEnvironment=BAZ
WorkingDirectory=!/srv/none
User=webby
Group=webby
DynamicUser=yes
SupplementaryGroups=daemon 4242
StateDirectory=web web2
Id=web.service
LoadState=loaded
"""  # noqa: E501 - as it was printed
UNIT = r"""[Service]
DynamicUser=yes
User=webby
StateDirectory=web web2
PrivateTmp=yes
SupplementaryGroups=daemon 4242
Environment=A=plain "B=two words" "C=quo\"te" "D=back\\slash" "E=dol$lar" "F=sin'gle"
Environment="G=tab\there" "H=ümlaut" "I=back`tick" J=
EnvironmentFile=/etc/web.env
EnvironmentFile=-/etc/web (1).env
EnvironmentFile=-/etc/web*.env
UnsetEnvironment=BAZ
LoadCredential=forgotten:/etc/old
LoadCredential=
LoadCredential=z4j-token:/etc/web/token
LoadCredential=elsewhere
WorkingDirectory=-/srv/none
ExecStart=/bin/false
"""
ENVIRONMENT = {
    "A": "plain",
    "B": "two words",
    "C": 'quo"te',
    "D": "back\\slash",
    "E": "dol$lar",
    "F": "sin'gle",
    "G": "tab\there",
    "H": "ümlaut",
    "I": "back`tick",
    "J": "",
}


def check(shown: str) -> None:
    """That it is read as UNIT was meant."""
    unit = parse_unit("web", shown)
    assert dict(entry.split("=", 1) for entry in unit.words("Environment")) == ENVIRONMENT
    assert unit.environment_files == (
        ("/etc/web.env", False),
        ("/etc/web (1).env", True),
        ("/etc/web*.env", True),
    )
    assert unit.words("StateDirectory") == ["web", "web2"]
    assert unit.words("SupplementaryGroups") == ["daemon", "4242"]
    assert (unit.get("User"), unit.get("DynamicUser")) == ("webby", "yes")
    assert (unit.get("WorkingDirectory"), unit.get("MainPID")) == ("!/srv/none", "0")
    assert (unit.get("Id"), unit.get("LoadState")) == ("web.service", "loaded")


def test_what_systemd_252_printed_is_understood() -> None:
    check(RECORDED)


@pytest.mark.component
def test_what_this_machines_systemd_prints_is_understood(tmp_path: Path) -> None:
    """A manager for a user of its own, in namespaces of its own."""
    if os.geteuid() != 0 or not MANAGER.exists() or shutil.which("systemctl") is None:
        pytest.skip("needs root and an installed systemd")
    (tmp_path / "web.service").write_text(UNIT)
    script = f"""
        mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user/0/systemd/user || exit 125
        cp {tmp_path}/web.service /run/user/0/systemd/user/
        export XDG_RUNTIME_DIR=/run/user/0
        {MANAGER} --user >/dev/null 2>&1 &
        for attempt in $(seq 100); do
            systemctl --user show --property=Version >/dev/null 2>&1 && break
            sleep 0.1
        done
        systemctl --user show --no-pager --property={",".join(PROPERTIES)} -- web || exit 125
    """
    namespaces = ("--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation", "private")
    done = subprocess.run(
        [program("unshare"), *namespaces, "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no private systemd here: {done.stderr.strip()}")
    check(done.stdout)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a=1  b=2", ["a=1", "b=2"]),
        (r'"a=\x20\101\s\q"', ["a= A q"]),
        ('"a=" "b"', ["a=", "b"]),
        ('a="kept', ['a="kept']),
    ],
)
def test_words_are_told_apart(text: str, expected: list[str]) -> None:
    assert words(text) == expected
