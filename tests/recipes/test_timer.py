"""The units of the page under a booted systemd: a timer that asks as the service itself would."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client import parser

from tests.support.machine import BRAIN_ENV, PYTHON, Machine, booted
from tests.support.recipes import BIN, recipe

pytestmark = pytest.mark.slow

TEXTFILES = "/var/lib/prometheus/node-exporter"
# Two services with the same settings, but for a token.
SERVICE = """[Service]
DynamicUser=yes
StateDirectory={name}
EnvironmentFile={environment}
Environment=Z4J_HOME=%S/{name}/z4j
ExecStart=/bin/sleep infinity
"""
PREPARE = f"""
ip link set lo up
mkdir -p {TEXTFILES}
printf '#!{PYTHON}\\nfrom z4j_fastapi.cli.main import main\\nmain()\\n' > {BIN}z4j-fastapi
chmod +x {BIN}z4j-fastapi
systemd-run --quiet --unit=brain {PYTHON} -m z4j_fastapi dev-brain --port 7700 --env-file {BRAIN_ENV}
for n in $(seq 300); do test -s {BRAIN_ENV} && break; sleep 0.1; done
sed 's/^Z4J_TOKEN=.*/Z4J_TOKEN=rejected-by-every-brain-0123456789/' {BRAIN_ENV} > /run/mail.env
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with booted() as machine:
        machine.run(PREPARE)
        machine.unit("shop.service", SERVICE.format(name="shop", environment=BRAIN_ENV))
        machine.unit("mail.service", SERVICE.format(name="mail", environment="/run/mail.env"))
        service, timer = recipe("Prometheus", "ini")
        machine.unit("z4j-doctor@.service", service)
        machine.unit("z4j-doctor@.timer", timer)
        machine.run("systemctl start shop mail")
        yield machine


def test_systemd_has_nothing_against_the_units(machine: Machine) -> None:
    done = machine.run("systemd-analyze verify z4j-doctor@shop.service z4j-doctor@shop.timer 2>&1")
    assert "z4j-doctor" not in done.stdout


def test_of_two_services_the_failing_one_is_the_metric_and_no_failed_unit(machine: Machine) -> None:
    machine.run("systemctl start z4j-doctor@shop.service z4j-doctor@mail.service")
    states = machine.run("systemctl is-failed z4j-doctor@shop.service z4j-doctor@mail.service || true").stdout
    assert states.split() == ["inactive", "inactive"]

    text = machine.run(f"cat {TEXTFILES}/z4j-shop.prom {TEXTFILES}/z4j-mail.prom").stdout
    families = [
        family for family in parser.text_string_to_metric_families(text) if family.name == "z4j_doctor_ok"
    ]
    series = [sample for family in families for sample in family.samples]
    assert {s.labels["service"]: (s.value, s.labels["user"]) for s in series} == {
        "shop": (1.0, "shop"),
        "mail": (0.0, "mail"),
    }
    assert 'status="fail",code="auth.token_rejected"' in text
    assert re.fullmatch(r"(0644\n){2}", machine.run(f"stat -c 0%a {TEXTFILES}/*.prom").stdout)


def test_the_timer_is_set(machine: Machine) -> None:
    (commands,) = recipe("Prometheus", "sh")
    # as root, where there is no sudo
    machine.run(commands.replace("sudo ", "").replace("my-service", "shop"))
    shown = machine.run("systemctl list-timers --all --no-legend z4j-doctor@shop.timer").stdout
    assert "z4j-doctor@shop.service" in shown
    assert machine.run("systemctl is-enabled z4j-doctor@shop.timer").stdout.strip() == "enabled"
