"""Labels: from text to what a report shows, and what is wrong with the rest."""

from __future__ import annotations

import pytest

from z4j_probes import Ladder, Settings, default_registry
from z4j_probes.labels import RESERVED, parse_label, parse_labels
from z4j_probes.rungs.config.problems import find_problems


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", {}),
        (" , ,", {}),
        ("service=shop", {"service": "shop"}),
        (" service = the shop , team=payments,", {"service": "the shop", "team": "payments"}),
        ("a=1,a=2", {"a": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("city=Zürich", {"city": "Zürich"}),
    ],
)
def test_a_text_has_its_labels(text: str, labels: dict[str, str]) -> None:
    assert parse_labels(text) == (labels, [])


@pytest.mark.parametrize(
    "text", ["shop", "=x", "a=", "1a=x", "a-b=x", "__a=x", "a=\x1b[31m", "a=" + "x" * 129, "ü=x"]
)
def test_what_is_no_label_is_named_and_costs_the_others_nothing(text: str) -> None:
    labels, objections = parse_labels(f"service=shop,{text}")
    assert labels == {"service": "shop"}
    assert len(objections) == 1


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_name_that_reports_or_prometheus_use_is_refused(name: str) -> None:
    assert parse_labels(f"{name}=x")[0] == {}


def test_one_label_is_one_label() -> None:
    assert parse_label("a=1") == ({"a": "1"}, [])
    for text in ("", " ", "a=1,b=2"):
        assert parse_label(text)[1] != []


async def test_a_report_says_where_it_comes_from_without_the_secret_that_somebody_put_there() -> None:
    secret = "s3cret-s3cret-s3cret"
    environ = {"Z4J_LABELS": f"service=shop,note={secret}", "Z4J_TOKEN": secret, "HOME": "/nonexistent"}
    settings = Settings.load(environ=environ)
    report = Ladder(default_registry(), settings).report(Ladder(default_registry(), settings).start(), ())
    assert report.host
    assert report.labels["service"] == "shop"
    assert secret not in str(report.to_dict())


def test_a_label_that_can_not_be_used_is_said_by_the_doctor() -> None:
    settings = Settings.load(environ={"Z4J_LABELS": "service=shop,b"})
    said = {problem.code: problem.message for problem in find_problems(settings)}
    assert said["config.invalid_value"] == (
        "Z4J_LABELS is 'service=shop,b', which can't be used: 'b' has no ="
    )
