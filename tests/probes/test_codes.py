"""The catalogue: complete, in the doctor's words, and in step with the code that gives the codes."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import z4j_probes
from tests.support import sources
from tests.support.hints import says_what_to_do
from z4j_probes import Status, codes, outcome
from z4j_probes.codes import CATALOGUE, Code

PACKAGE = Path(z4j_probes.__file__).parent
PROBES = ("config", "buffer", "dns", "tcp", "tls", "websocket", "auth", "signing")
CODE = re.compile(rf"(?:{'|'.join(PROBES)})\.[a-z][a-z0-9_]*")
# The ladder gives these for every probe.
COMMON = ("skipped", "unexpected", "slow")
# Kept for the reports of earlier versions, which have them: nothing gives them any more.
HISTORY = {"signing.not_enforced"}

BUILT_IN = [code for code in CATALOGUE.values() if code.probe in (*PROBES, "session", "command", "worker")]
OWN = [code for code in BUILT_IN if code.code.partition(".")[2] not in COMMON]


@cache
def codes_spelled_in(path: Path) -> set[str]:
    texts = {node.value for node in ast.walk(sources.tree(path)) if isinstance(node, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}


def spelling() -> list[Path]:
    """What may spell codes but for the catalogue."""
    paths = [path for path in sources.SOURCES if PACKAGE in path.parents and path.parent.name != "codes"]
    return sources.that_have((f"{probe}." for probe in PROBES), paths)


def test_a_row_has_what_explain_and_the_documentation_need() -> None:
    assert {code.code: faults for code in BUILT_IN if (faults := faults_of(code))} == {}


def faults_of(code: Code) -> list[str]:
    faults = []
    if not re.fullmatch(r"[a-z]+\.[a-z][a-z0-9_]*", code.code):
        faults.append("its name")
    if not code.title or code.title.endswith("."):
        faults.append("its title")
    if len(code.title) < len(code.code.partition(".")[2]):
        faults.append("a title says more than the code's name")
    if code.status in (Status.FAIL, Status.WARN) and not (code.causes and says_what_to_do(code.remedy)):
        faults.append("causes and a remedy")
    return faults


def test_each_title_is_used_once() -> None:
    titles = Counter(code.title for code in OWN)
    assert {title for title, count in titles.items() if count > 1} == set()


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_has_rows_of_its_own_name_once(probe: str) -> None:
    rows = getattr(codes, probe).CODES
    names = [row.code for row in rows]
    assert len(names) == len(set(names))
    assert {row.probe for row in rows} == {probe}
    assert rows[0].code == f"{probe}.ok"
    assert {f"{probe}.{common}" for common in COMMON} <= CATALOGUE.keys()


def test_every_code_that_a_source_spells_is_in_the_catalogue() -> None:
    spelled = {path.name: codes_spelled_in(path) for path in spelling()}
    assert {name: unknown for name, codes in spelled.items() if (unknown := codes - CATALOGUE.keys())} == {}


@pytest.mark.parametrize("probe", PROBES)
def test_every_code_of_the_catalogue_is_given_by_something(probe: str) -> None:
    spelled = set().union(*(codes_spelled_in(path) for path in spelling()))
    assert {code.code for code in OWN if code.probe == probe} - HISTORY <= spelled


def test_a_code_that_is_history_is_given_by_nothing() -> None:
    assert CATALOGUE.keys() >= HISTORY
    assert not HISTORY & set().union(*(codes_spelled_in(path) for path in spelling()))


@pytest.mark.parametrize("probe", PROBES)
def test_a_rung_spells_only_the_codes_of_its_own_probe(probe: str) -> None:
    package = PACKAGE / "rungs" / probe
    rung = package / "probe.py" if package.is_dir() else package.with_suffix(".py")
    assert {code.partition(".")[0] for code in codes_spelled_in(rung)} == {probe}


@pytest.mark.parametrize("probe", ["config", "buffer", "dns", "tcp", "tls"])
def test_a_rung_with_many_codes_lists_them_all_in_its_docstring(probe: str) -> None:
    module = ast.parse((PACKAGE / "rungs" / probe / "probe.py").read_text())
    listed = (ast.get_docstring(module) or "").partition("\nCodes: ")[2].partition(".")[0]
    mine = {row.code.partition(".")[2] for row in OWN if row.probe == probe}
    assert set(re.split(r",\s+", listed)) == mine


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
