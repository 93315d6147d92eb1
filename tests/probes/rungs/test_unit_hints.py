"""What to do in a systemd unit: in the file that has the value, never a secret in Environment=."""

from __future__ import annotations

import pytest

from z4j_probes.acting_as import ActingAs
from z4j_probes.rungs import unit_hints
from z4j_probes.settings import Settings
from z4j_probes.systemd_unit import ServiceUnit, is_of_user

WEB = ServiceUnit("web.service")
FROM_FILE = ServiceUnit(
    "web.service", environment_files={"Z4J_TOKEN": "/etc/web.env", "Z4J_HOME": "/etc/web.env"}
)
RESTART = "sudo systemctl restart web.service"


def test_a_secret_is_written_where_it_is_now() -> None:
    write, restart = unit_hints.set_secret(FROM_FILE, "Z4J_TOKEN")
    assert write.text == "Write Z4J_TOKEN=… without quotes or spaces into /etc/web.env"
    assert (write.command, restart.command) == ("sudoedit /etc/web.env", RESTART)


def test_a_secret_that_is_nowhere_becomes_a_credential() -> None:
    save, load, restart = unit_hints.set_secret(WEB, "Z4J_TOKEN")
    assert save.command.endswith("sudo install -D -m 0600 /dev/stdin /etc/web/z4j-token)")
    assert "LoadCredential=z4j-token:/etc/web/z4j-token" in load.text
    assert "Environment=Z4J_TOKEN_FILE=%d/z4j-token" in load.text
    assert (load.command, restart.command) == ("sudo systemctl edit web.service", RESTART)


def test_a_path_that_an_environment_file_names_is_changed_there() -> None:
    unit = ServiceUnit("web.service", environment_files={"Z4J_TOKEN_FILE": "/etc/web.env"})
    load, write, _ = unit_hints.load_credential(unit, "Z4J_TOKEN_FILE", "/etc/token")
    assert load.text == "Add LoadCredential=z4j-token:/etc/token below [Service]"
    assert write.text == "Write Z4J_TOKEN_FILE=/run/credentials/web.service/z4j-token into /etc/web.env"


def test_a_credential_is_replaced_in_the_file_that_it_is_of() -> None:
    unit = ServiceUnit("web.service", credentials={"t": "/etc/web/t"})
    paste, _ = unit_hints.replace_file(unit, "/run/credentials/web.service/t")
    assert paste.command.endswith("/dev/stdin /etc/web/t)")
    edit, _ = unit_hints.replace_file(WEB, "/run/credentials/web.service/t")
    assert edit.command == "sudo systemctl edit web.service"


@pytest.mark.parametrize(
    ("unit", "path", "said"),
    [
        (WEB, None, "StateDirectory=web and Environment=Z4J_HOME=%S/web/z4j"),
        (ServiceUnit("web@1.service"), None, "StateDirectory=web-1"),
        (FROM_FILE, "/root/z4j", "Write Z4J_HOME=/var/lib/web/z4j into /etc/web.env"),
        (
            ServiceUnit("web.service", state_directories=("/var/lib/x",)),
            "/root/z4j",
            "Environment=Z4J_HOME=/var/lib/x/z4j",
        ),
        (
            ServiceUnit("web.service", state_directories=("/var/lib/z4j",)),
            "/var/lib/z4j",
            "StateDirectory=web",
        ),
        (ServiceUnit("web.service", state_directories=("/var/lib/web",)), "/var/lib/web/z4j", "Restart it"),
    ],
)
def test_a_directory_is_the_units_own(unit: ServiceUnit, path: str | None, said: str) -> None:
    assert said in " ".join(step.text for step in unit_hints.give_directory(unit, path))


def test_a_users_unit_needs_no_root() -> None:
    unit = ServiceUnit("web.service", is_user=True)
    steps = unit_hints.set_secret(unit, "Z4J_TOKEN")
    assert {step.command for step in steps[1:]} == {
        "systemctl --user edit web.service",
        "systemctl --user restart web.service",
    }
    assert is_of_user("0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service")
    assert not is_of_user("0::/system.slice/web.service")


@pytest.mark.parametrize("unit", [ServiceUnit("web.service"), None])
def test_a_process_that_acts_as_a_service_has_that_services_unit(unit: ServiceUnit | None) -> None:
    """And not its own, though the service's INVOCATION_ID is in its environment."""
    acting = Settings(environ={"INVOCATION_ID": "0123"}, acting_as=ActingAs.prepared(unit))
    assert unit_hints.unit_of(acting) == unit
    assert unit_hints.unit_of(Settings()) is None, "what one process acts as is nothing to other settings"
