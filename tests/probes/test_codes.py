"""The catalogue: complete, in the doctor's words, and in step with the code that gives the codes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import z4j_probes
from tests.support.hints import says_what_to_do
from z4j_probes import Status, codes, outcome
from z4j_probes.codes import CATALOGUE, Code

SOURCES = Path(z4j_probes.__file__).parent
PROBES = ("config", "buffer", "dns", "tcp", "tls", "websocket", "auth", "signing")
CODE = re.compile(rf"(?:{'|'.join(PROBES)})\.[a-z][a-z0-9_]*")
# The ladder gives these two for every probe.
COMMON = ("skipped", "unexpected")

BUILT_IN = [code for code in CATALOGUE.values() if code.probe in PROBES]
OWN = [code for code in BUILT_IN if code.code.partition(".")[2] not in COMMON]


def codes_spelled_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}


def sources() -> list[Path]:
    return [path for path in SOURCES.rglob("*.py") if "codes" not in path.relative_to(SOURCES).parts]


@pytest.mark.parametrize("code", BUILT_IN, ids=lambda code: code.code)
def test_a_row_has_what_explain_and_the_documentation_need(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z][a-z0-9_]*", code.code)
    assert code.title
    assert not code.title.endswith(".")
    assert len(code.title) > len(code.code.partition(".")[2]), "a title says more than the code's name"
    if code.status in (Status.FAIL, Status.WARN):
        assert code.causes
        assert says_what_to_do(code.remedy)


@pytest.mark.parametrize("code", OWN, ids=lambda code: code.code)
def test_a_title_is_nobody_elses(code: Code) -> None:
    assert [c.code for c in OWN if c.title == code.title] == [code.code]


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_has_rows_of_its_own_name_once(probe: str) -> None:
    rows = getattr(codes, probe).CODES
    names = [row.code for row in rows]
    assert len(names) == len(set(names))
    assert {row.probe for row in rows} == {probe}
    assert rows[0].code == f"{probe}.ok"
    assert {f"{probe}.{common}" for common in COMMON} <= CATALOGUE.keys()


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_every_code_that_a_source_spells_is_in_the_catalogue(path: Path) -> None:
    assert codes_spelled_in(path) <= CATALOGUE.keys()


@pytest.mark.parametrize("probe", PROBES)
def test_every_code_of_the_catalogue_is_given_by_something(probe: str) -> None:
    spelled = set().union(*(codes_spelled_in(path) for path in sources()))
    assert {code.code for code in OWN if code.probe == probe} <= spelled


@pytest.mark.parametrize("probe", PROBES)
def test_a_rung_spells_the_codes_of_its_own_probe_alone(probe: str) -> None:
    rung = SOURCES / "rungs" / f"{probe}.py"
    assert rung.is_file()
    assert {code.partition(".")[0] for code in codes_spelled_in(rung)} <= {probe}


def test_an_outcome_has_its_rows_status_and_remedy() -> None:
    result = outcome("config.missing", "Z4J_TOKEN is not set")
    assert result.name == "config"
    assert result.status is Status.FAIL
    assert result.hint == CATALOGUE["config.missing"].remedy


def test_a_better_hint_replaces_the_remedy() -> None:
    assert outcome("config.missing", "", hint="set it").hint == "set it"


def test_a_code_without_a_row_is_a_bug_that_shows() -> None:
    with pytest.raises(KeyError):
        outcome("config.nonsense", "")


def test_a_codes_anchor_is_fit_for_a_url() -> None:
    assert CATALOGUE["tls.not_yet_valid"].anchor == "tls-not-yet-valid"
