"""Nagios and Icinga run the check of the page as their own user, through sudo, and show what it says."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.agents import until
from tests.support.netlab import HOSTS, NetLab
from tests.support.programs import program
from tests.support.recipes import OURS, recipe
from z4j_fastapi.devbrain import DevBrain

pytestmark = [pytest.mark.component, pytest.mark.slow]

AS_NAGIOS = ("setpriv", "--reuid=nagios", "--regid=nagios", "--clear-groups")
SECTION = "Nagios and Icinga"
# Where there is no systemd to ask for the unit, its settings come from a file.
PROGRAM = f"""#!/bin/sh
[ "$*" = "doctor --format nagios --deadline 50 --unit my-service" ] || exit 64
exec {OURS}z4j-fastapi doctor --format nagios --deadline 50 --env-file /opt/state/env
"""
NAGIOS = """
cfg_file=/opt/state/objects.cfg
log_file=/opt/var/log
object_cache_file=/opt/var/objects.cache
precached_object_file=/opt/var/objects.precache
status_file=/opt/var/status.dat
status_update_interval=1
nagios_user=nagios
nagios_group=nagios
check_external_commands=0
command_file=/opt/var/commands
query_socket=/opt/var/queries
lock_file=/opt/var/lock
temp_file=/opt/var/temp
temp_path=/opt/var
check_result_path=/opt/var/results
retain_state_information=0
use_syslog=0
interval_length=1
execute_host_checks=0
"""
DAYS = "\n".join(
    f"    {day}day 00:00-24:00" for day in ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")
)
# What a Nagios has already, and the page refers to.
NAGIOS_OBJECTS = f"""
define timeperiod {{
    timeperiod_name 24x7
    alias           always
{DAYS}
}}
define command {{
    command_name notify
    command_line /bin/true
}}
define contact {{
    contact_name                  nagiosadmin
    host_notification_period      24x7
    service_notification_period   24x7
    host_notification_commands    notify
    service_notification_commands notify
}}
define host {{
    host_name           localhost
    address             127.0.0.1
    max_check_attempts  3
    check_period        24x7
    notification_period 24x7
    contacts            nagiosadmin
}}
"""
ICINGA = """
include <itl>
object CheckerComponent "checker" { }
object PerfdataWriter "results" {
    service_perfdata_path = "/opt/var/service"
    service_temp_path = "/opt/var/service-temp"
    host_perfdata_path = "/opt/var/host"
    host_temp_path = "/opt/var/host-temp"
    rotation_interval = 1s
    service_format_template = "$service.name$: $service.state$ $service.output$"
}
object Host "web-1" {
    check_command = "dummy"
    vars.z4j_units = [ "my-service" ]
}
"""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[NetLab]:
    """A machine of its own, whose /opt and sudoers are this test's."""
    program("sudo")
    lab = await NetLab.start(tmp_path / "lab")
    await lab.file("/etc/hosts", f"{HOSTS}127.0.1.1 {socket.gethostname()}\n")  # sudo looks its own name up
    (tmp_path / "lab" / "program").write_text(PROGRAM)
    (sudoers,) = recipe(SECTION, "sudoers")
    (tmp_path / "lab" / "sudoers").write_text(sudoers)
    state, var = tmp_path / "state", tmp_path / "var"
    state.mkdir()
    var.mkdir()
    await lab.shell(
        f"""mount -t tmpfs -o mode=0755 none /opt
        mkdir -p /opt/my-service/bin /opt/state /opt/var
        install -m 0755 {tmp_path}/lab/program /opt/my-service/bin/z4j-fastapi
        mount --bind {state} /opt/state
        mount --bind {var} /opt/var
        mkdir /opt/var/results
        chown -R nagios: /opt/var
        mount -t tmpfs -o mode=0755 none /etc/sudoers.d
        install -m 0440 {tmp_path}/lab/sudoers /etc/sudoers.d/z4j
        visudo --check --quiet"""
    )
    try:
        yield lab
    finally:
        await lab.close()


@asynccontextmanager
async def service(lab: NetLab, state: Path) -> AsyncIterator[Callable[[str], None]]:
    """The settings of the service whose unit the check asks about, and a way to change its token."""
    async with DevBrain() as brain:
        await lab.forward("127.0.0.1", brain.port, brain.port)
        environ = brain.environment(brain.mint("web")) | {"Z4J_HOME": "/opt/state/z4j"}

        def write(token: str) -> None:
            given = environ | {"Z4J_TOKEN": token or environ["Z4J_TOKEN"]}
            (state / "new").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
            os.replace(state / "new", state / "env")

        write("")
        yield write


async def test_nagios_shows_what_the_check_finds(lab: NetLab, tmp_path: Path) -> None:
    (objects,) = recipe(SECTION, "nagios")
    (tmp_path / "state" / "nagios.cfg").write_text(NAGIOS)
    (tmp_path / "state" / "objects.cfg").write_text(NAGIOS_OBJECTS + objects)
    status = tmp_path / "var" / "status.dat"

    def shows(pattern: str) -> bool:
        return status.exists() and re.search(pattern, status.read_text(), re.DOTALL) is not None

    async with service(lab, tmp_path / "state") as change_token:
        await lab.run(program("nagios4"), "-v", "/opt/state/nagios.cfg")
        await lab.background(program("nagios4"), "/opt/state/nagios.cfg")
        await until(lambda: shows("current_state=0.*plugin_output=Z4J OK - the agent can connect"), "OK", 90)
        assert shows(r"performance_data=time=[\d.]+s")
        change_token("rejected-by-every-brain-0123456789")
        await until(
            lambda: shows("current_state=2.*plugin_output=Z4J CRITICAL - auth.token_rejected"), "CRITICAL", 90
        )


async def test_icinga_shows_what_the_check_finds(lab: NetLab, tmp_path: Path) -> None:
    (objects,) = recipe(SECTION, "icinga")
    assert "_interval = 1m" in objects
    objects = objects.replace("_interval = 1m", "_interval = 1s")
    (tmp_path / "state" / "icinga2.conf").write_text(ICINGA + objects)
    constants = {
        "DataDir": "data",
        "LogDir": "log",
        "CacheDir": "cache",
        "SpoolDir": "spool",
        "InitRunDir": "run",
    }
    await lab.shell(f"cd /opt/var && mkdir {' '.join(constants)} && chown nagios: {' '.join(constants)}")
    defined = [f"-D{name}=/opt/var/{name}" for name in constants]

    def shows(text: str) -> bool:
        return any(text in path.read_text() for path in (tmp_path / "var").glob("service.*"))

    async with service(lab, tmp_path / "state") as change_token:
        await lab.background(
            *(program("icinga2"), "daemon", "-c", "/opt/state/icinga2.conf", *defined),
            *("-DRunAsUser=nagios", "-DRunAsGroup=nagios"),
        )
        name = "z4j my-service"
        await until(lambda: shows(f"{name}: OK Z4J OK - the agent can connect"), "OK", 90)
        change_token("rejected-by-every-brain-0123456789")
        await until(
            lambda: shows("z4j my-service: CRITICAL Z4J CRITICAL - auth.token_rejected"), "CRITICAL", 90
        )


async def test_root_does_nothing_else_for_the_monitor(lab: NetLab) -> None:
    async def may(command: str) -> bool:
        try:
            await lab.run(*AS_NAGIOS, "sudo", "-n", "-l", *command.split())
        except AssertionError:
            return False
        return True

    allowed = "/opt/my-service/bin/z4j-fastapi doctor --format nagios --deadline 50 --unit my-service"
    assert await may(allowed)
    for command in (
        allowed.replace("--unit my-service", "--unit other"),
        f"{allowed} --output /etc/passwd",
        "/opt/my-service/bin/z4j-fastapi doctor --output /etc/passwd",
        "/opt/my-service/bin/z4j-fastapi",
        "/bin/sh",
    ):
        assert not await may(command)
