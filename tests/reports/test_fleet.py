"""`report merge`: many reports in order, as one document and as one table, old and broken ones among them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from prometheus_client import parser as classic

from tests.support import cli, schemas
from tests.support.reports import expired_certificate, green, hostile, several_causes, warned
from z4j_fastapi.cli.merge import run
from z4j_fastapi.reports import FORMATS
from z4j_probes import Report

_JUNIT = etree.XMLSchema(file=str(Path(__file__).with_name("junit.xsd")))


def at(host: str, report: Report, **labels: str) -> Report:
    return replace(report, host=host, labels=labels)


def old(report: Report) -> dict[str, Any]:
    """As the first version wrote it."""
    document = report.to_dict()
    for added in ("host", "labels", "waiting"):
        del document[added]
    for row in document["probes"]:
        del row["steps"], row["headline"], row["causes"]
    return document


FLEET = [
    at("web-2", expired_certificate(), service="shop"),
    at("web-3", green()),
    at("web-1", expired_certificate(), service="shop"),
    at("db-1", warned()),
    at("web-1", green(), service="mail"),
    at("web-4", replace(green(), interrupted=True, waiting="tls")),
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A fleet's reports in all forms: files, JSON Lines, an old one, and what is none."""
    for number, report in enumerate(FLEET[:4]):
        (tmp_path / f"{number}.json").write_text(json.dumps(report.to_dict(), indent=2))
    lines = [json.dumps(report.to_dict()) for report in FLEET[4:]]
    (tmp_path / "lines.jsonl").write_text("\n".join(lines) + "\n\n")
    (tmp_path / "old.json").write_text(json.dumps(old(green())))
    (tmp_path / "empty.json").touch()
    (tmp_path / "cut.json").write_text(json.dumps(green().to_dict())[:500])
    (tmp_path / "other.json").write_text('{"schema": "z4j.status/1"}')
    (tmp_path / "wrong.json").write_text('{"schema": "z4j.doctor/1", "probes": 3}')
    return sorted(map(str, tmp_path.iterdir()))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_a_shell_of_windows_has_written_is_read(
    tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one, many = tmp_path / "one.json", tmp_path / "many.jsonl"
    one.write_text(json.dumps(green().to_dict()), encoding)
    many.write_text("".join(f"{json.dumps(report.to_dict())}\n" for report in FLEET[:2]), encoding)
    _, text = merged([str(one), str(many)], "json", capsys)
    assert len(json.loads(text)["reports"]) == 3
    assert json.loads(text)["unreadable"] == []


def merged(files: list[str], format_: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = run(files, format_=format_, output=None)
    return status, capsys.readouterr().out


def test_a_document_has_them_in_order_and_as_they_were(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = merged(files, "json", capsys)
    document = json.loads(text)
    schemas.check(document, "z4j.reports")
    for report in document["reports"]:
        cli.check(report)

    assert (status, document["ok"], document["exit_code"]) == (1, False, 1)
    assert document["summary"] == {"fail": 7, "warn": 1, "pass": 3}
    assert [(row["code"], row["status"]) for row in document["codes"]] == [
        ("interrupted", "fail"),
        ("tls.expired", "fail"),
        ("unreadable", "fail"),
        ("tcp.partial", "warn"),
        ("ok", "pass"),
    ]
    assert document["codes"][1]["hosts"] == ["web-1", "web-2"]
    # an old one has no host: the agent's name is the host's by default
    assert document["codes"][-1]["hosts"] == ["web-1", "web-1", "web-3"]
    assert sorted(Path(lost["file"]).name for lost in document["unreadable"]) == [
        "cut.json",
        "empty.json",
        "other.json",
        "wrong.json",
    ]
    assert FLEET[0].to_dict() in document["reports"]


def test_a_report_that_comes_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (str(tmp_path / name) for name in ("one.json", "two.jsonl"))
    Path(one).write_text(json.dumps(FLEET[0].to_dict(), indent=2))
    Path(two).write_text("\n".join(json.dumps(report.to_dict()) for report in FLEET))
    _, once = merged([two], "json", capsys)
    (tmp_path / "merged.json").write_text(once)
    _, again = merged([one, two, str(tmp_path / "merged.json"), one], "json", capsys)
    assert json.loads(again) == json.loads(once)


@pytest.mark.parametrize(("exit_code", "code"), [(1, "interrupted"), (143, "interrupted"), (0, "unreadable")])
def test_an_interrupted_report_is_never_green(
    exit_code: int, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = replace(green(), interrupted=True).to_dict() | {"exit_code": exit_code}
    (tmp_path / "a.json").write_text(json.dumps(document))
    status, text = merged([str(tmp_path / "a.json")], "json", capsys)
    assert (status, json.loads(text)["codes"][0]["code"]) == (1, code)


def test_what_was_merged_can_be_merged_again(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, once = merged(files, "json", capsys)
    (tmp_path / "merged.json").write_text(once)
    _, twice = merged([str(tmp_path / "merged.json")], "json", capsys)
    assert json.loads(twice) == json.loads(once)


def test_a_table_is_by_code_then_host(
    files: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    status, text = merged([file for file in files if not file.endswith("cut.json")], "table", capsys)

    assert status == 1
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "✗ interrupted (1)",
        "✗ tls.expired (2)",
        "✗ unreadable (3)",
        "! tcp.partial (1)",
        "✓ ok (3)",
        "10 reports of 5 hosts: 6 failed, 1 with warnings, 3 passed",
    ]
    rows = lines[lines.index("✗ tls.expired (2)") : lines.index("✗ unreadable (3)")]
    assert [row.split()[0] for row in rows if "service=shop" in row] == ["web-1", "web-2"]
    assert "    web-1, web-1 (service=mail), web-3" in lines
    assert max(len(line) for line in lines if ".json" not in line) <= 80


def test_a_fleet_in_order_is_status_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(warned().to_dict()))
    assert merged([str(tmp_path / "a.json")], "table", capsys)[0] == 0
    (tmp_path / "a.json").write_text(json.dumps(replace(warned(), strict=True).to_dict()))
    assert merged([str(tmp_path / "a.json")], "table", capsys)[0] == 1


def test_junit_has_a_suite_for_each_that_no_other_is_named_like(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = etree.fromstring(merged(files, "junit", capsys)[1].encode())
    _JUNIT.assertValid(root)
    assert [suite.get("name") for suite in root][:3] == [
        "z4j.doctor.web-4",
        "z4j.doctor.web-1.shop",
        "z4j.doctor.web-2.shop",
    ]
    assert {case.get("classname") for case in root[1].iter("testcase")} == {"z4j.doctor.web-1.shop"}
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("57", "2", "1")


def test_metrics_have_the_newest_of_each_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    older = at("web-1", expired_certificate())
    newer = replace(at("web-1", green()), started_at=older.started_at + timedelta(seconds=60))
    for number, report in enumerate((newer, older, at("web-2", expired_certificate()))):
        (tmp_path / f"{number}.json").write_text(json.dumps(report.to_dict()))
    _, text = merged(sorted(map(str, tmp_path.iterdir())), "openmetrics", capsys)
    families = {family.name: family for family in classic.text_string_to_metric_families(text)}
    ok = {sample.labels["host"]: sample.value for sample in families["z4j_doctor_ok"].samples}
    assert ok == {"web-1": 1, "web-2": 0}
    assert text.count("# TYPE z4j_doctor_ok gauge") == 1


@pytest.mark.parametrize("format_", FORMATS)
def test_a_peer_can_not_write_the_table(
    format_: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(hostile().to_dict()))
    (tmp_path / "b.json").write_text('{"schema": "\\u001b[2J"}')
    _, text = merged([str(tmp_path / "a.json"), str(tmp_path / "b.json")], format_, capsys)
    assert "\x1b" not in text


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "lie",
    [
        {"host": 1},
        {"labels": []},
        {"labels": {"a-b": "x"}},
        {"labels": {"a": 1}},
        {"started_at": "2026-11-23T20:00:00"},
        {"started_at": None},
        {"duration_ms": "1"},
        {"config": []},
        {"probes": [{}]},
        {"probes": [green().to_dict()["probes"][0] | {"message": 3}]},
        {"probes": [green().to_dict()["probes"][0] | {"causes": 3}]},
        {"probes": [several_causes().to_dict()["probes"][0] | {"causes": [{"code": "config.missing"}]}]},
        {
            "probes": [
                several_causes().to_dict()["probes"][0]
                | {"causes": [{"code": "config.missing", "status": "fail", "message": 3, "steps": []}]}
            ]
        },
        {"probes": [green().to_dict()["probes"][0] | {"details": 3}]},
        {"probes": [green().to_dict()["probes"][0] | {"status": "maybe"}]},
    ],
    ids=str,
)
def test_a_document_that_is_not_of_the_schema_costs_the_others_nothing(
    format_: str, lie: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = [green().to_dict(), green().to_dict() | lie, {"schema": "z4j.reports/1", "reports": [1]}, []]
    documents.append({"schema": "z4j.reports/1", "reports": [], "unreadable": ["x", {}]})
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, documents)))
    status = run([str(tmp_path / "a.jsonl")], format_=format_, output=None)
    assert status == (2 if format_ == "nagios" else 1)
    assert capsys.readouterr().err.count("a.jsonl") == 5


def test_a_plug_in_names_the_hosts_of_the_worst_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = [*FLEET[:5], at("web|9", green())]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(report.to_dict()) for report in several))
    status, text = merged([str(tmp_path / "a.jsonl")], "nagios", capsys)
    first, *rows = text.splitlines()
    assert status == 2
    assert first == (
        "Z4J CRITICAL - tls.expired: web-1, web-2 (6 reports of 5 hosts: 2 failed, 1 with warnings, 3 passed)"
        " | fail=2;;;0 warn=1;;;0 pass=3;;;0"
    )
    assert rows[0].startswith("[CRITICAL] web-1 service=shop: tls.expired the certificate of brain.example")
    assert not any("|" in row for row in rows)


def test_each_report_that_is_not_in_order_is_an_annotation(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = merged(files, "github", capsys)[1].splitlines()
    assert sum(line.startswith("::error title=z4j ") for line in lines) == 7
    assert sum(line.startswith("::warning title=z4j tcp.partial::db-1") for line in lines) == 1
    assert lines[-1].startswith("z4j: 11 reports of 5 hosts")


def test_a_page_has_a_section_for_each_code(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = merged(files, "html", capsys)[1]
    assert [part.partition("<")[0] for part in text.split("<section><h2>")[1:]] == [
        "interrupted",
        "tls.expired",
        "unreadable",
        "tcp.partial",
        "ok",
    ]
    assert '<header class="verdict fail">' in text


@pytest.mark.component
def test_the_command_line(files: list[str], tmp_path: Path) -> None:
    done = cli.run("report", "merge", *files, "-o", str(tmp_path / "all"), "--json", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "11 reports of 5 hosts: 7 failed" in done.stderr
    assert f"{tmp_path / 'empty.json'}: empty\n" in done.stderr
    missing = cli.run("report", "merge", str(tmp_path / "nothing"), home=tmp_path)
    assert (missing.returncode, missing.stderr) == (2, f"error: no such file: {tmp_path / 'nothing'}\n")
