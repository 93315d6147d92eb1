"""`explain`, `probes` and the options that stand before a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import install_plugin, run
from z4j_probes import __version__, default_registry
from z4j_probes.codes import CATALOGUE

pytestmark = pytest.mark.component


def test_a_code_is_explained_with_causes_and_remedy(tmp_path: Path) -> None:
    done = run("explain", "tls.expired", home=tmp_path)

    assert done.returncode == 0
    for text in (
        "tls.expired (fail)",
        "Causes, the most likely first",
        "Fix:",
        "Is the certificate valid",
        "Links: docs/probes/tls.md#tls-expired",
    ):
        assert text in done.stdout


def test_what_other_programs_report_is_explained_with_a_code(tmp_path: Path) -> None:
    text = "CERTIFICATE_VERIFY_FAILED: self-signed certificate"
    assert text in run("explain", "tls.self_signed", home=tmp_path).stdout
    row = json.loads(run("explain", "tls.self_signed", "--json", home=tmp_path).stdout)
    assert any(known.startswith(text) for known in row["reported_as"])


def test_a_code_is_explained_as_json(tmp_path: Path) -> None:
    row = json.loads(run("explain", "dns.nxdomain", "--json", home=tmp_path).stdout)

    assert (row["code"], row["probe"], row["severity"]) == ("dns.nxdomain", "dns", "fail")


@pytest.mark.parametrize(
    ("code", "heals", "words"),
    [
        ("tcp.refused", "by_itself", "at least every 30 s"),
        ("auth.rate_limited", "by_waiting", "at least every 2 minutes"),
        ("auth.token_rejected", "by_a_person", "at least every 10 minutes"),
        ("auth.version_skew", "by_an_upgrade", "at least every hour"),
        ("config.invalid_url", "not_in_this_process", "stays off until it is restarted"),
    ],
)
def test_it_is_said_whether_a_fault_heals(tmp_path: Path, code: str, heals: str, words: str) -> None:
    assert json.loads(run("explain", code, "--json", home=tmp_path).stdout)["heals"] == heals
    said = " ".join(run("explain", code, home=tmp_path).stdout.split())
    assert "A running agent: " in said
    assert words in said


@pytest.mark.parametrize("code", ["tcp.ok", "dns.skipped", "command.busy"])
def test_what_ends_no_connection_does_not_heal(tmp_path: Path, code: str) -> None:
    assert json.loads(run("explain", code, "--json", home=tmp_path).stdout)["heals"] is None
    assert "A running agent" not in run("explain", code, home=tmp_path).stdout


def test_a_code_may_be_shouted(tmp_path: Path) -> None:
    shouted, said = (run("explain", code, home=tmp_path) for code in ("TLS.EXPIRED", "tls.expired"))

    assert (shouted.returncode, shouted.stdout) == (0, said.stdout)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("tls.expird", "tls.expired"),
        ("TLS.EXPIRD", "tls.expired"),
        ("nxdomain", "dns.nxdomain"),
        ("Name or service not known", "dns.nxdomain"),
        ("ECONNREFUSED", "tcp.refused"),
        ("certificate has expired", "tls.expired"),
        ("clock skew", "signing.clock_skew"),
        ("auth.token", "(did you mean auth.token_rejected?)"),
    ],
)
def test_an_unknown_code_is_status_2_with_what_may_be_meant(tmp_path: Path, wrong: str, right: str) -> None:
    done = run("explain", wrong, home=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert right in done.stderr


def test_explain_alone_lists_every_code_and_a_probe_its_own(tmp_path: Path) -> None:
    everything = run("explain", home=tmp_path).stdout.splitlines()
    of_dns = run("explain", "dns", home=tmp_path).stdout.splitlines()

    assert [line.split()[0] for line in everything] == list(CATALOGUE)
    assert of_dns
    assert all(line.startswith("dns.") for line in of_dns)


def test_probes_are_listed_in_order_with_their_needs(tmp_path: Path) -> None:
    table = run("probes", home=tmp_path, env={"COLUMNS": "80"}).stdout
    listed = json.loads(run("probes", "--json", home=tmp_path).stdout)["probes"]

    assert [probe["name"] for probe in listed] == list(default_registry().names)
    assert listed[2]["needs"] == ["config"]
    assert max(map(len, table.splitlines())) <= 80


def test_a_plug_in_is_listed_and_its_codes_are_explained(tmp_path: Path) -> None:
    source = """
        from z4j_probes import Code, Probe
        PROBE = Probe("queue", "Is the queue there?", ("config",), None, "queue.gone",
                      codes=(Code("queue.gone", "the queue is gone", causes=("it was purged",)),))
    """
    env = install_plugin(tmp_path / "site", "queue", source)

    assert "Is the queue there?" in run("probes", home=tmp_path, env=env).stdout
    explained = run("explain", "queue.gone", home=tmp_path, env=env).stdout
    assert "it was purged" in explained
    assert "A running agent" not in explained  # no agent runs a plug-in's probe


def test_the_version(tmp_path: Path) -> None:
    assert run("--version", home=tmp_path).stdout.splitlines()[0] == f"z4j-fastapi {__version__}"


@pytest.mark.parametrize("command", [[], ["doctor"], ["explain"], ["probes"], ["dev-brain"]])
def test_help_fits_80_columns(tmp_path: Path, command: list[str]) -> None:
    done = run(*command, "--help", home=tmp_path, env={"COLUMNS": "80"})

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
