"""What a user reads is plain English: its words, the length of rows and log lines, verbs that begin hints."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.faults import table
from tests.support import sources
from tests.support.hints import says_what_to_do
from tests.support.pages import DOCS, PAGES, ROOT
from tests.support.prose import BANNED_IN_CODE, objections_to, paragraphs_in, remarks_in, texts_in
from z4j_fastapi.reports.text import wrap
from z4j_probes import Status
from z4j_probes.codes import CATALOGUE
from z4j_probes.result import ROW_WIDTH, Step

# In no text for users: frames, tasks, and keys by their names, styles, classes of a style sheet.
NOT_SAID = re.compile(
    r"z4j (adopt|commands)|the first frame is not a hello|the answer to hello is not a hello_ack"
    r"|bold (red|green)|\w*<(li|section|ol)\b[^>]*>.*|…cancelled:…",
    re.DOTALL,
)
LOG_LINE = 100
STEP_WIDTH, STEP_LINES = 72, 2
FOR_CONTRIBUTORS = ("CONTRIBUTING.md", "architecture.md", "benchmarks.md", "plugins.md")
# How the code calls what a row says.
HEADLINES = ("headline", "_headline", "row", "summarize", "_names", "_dates", "_skew")
LEVELS = ("debug", "info", "warning", "error", "critical", "log")


@cache
def said() -> list[tuple[str, str]]:
    """Every text with its place."""
    return [
        (f"{'/'.join(path.parts[-3:])}:{line}", text)
        for path in sources.SOURCES
        for line, text in texts_in(sources.tree(path))
    ]


def test_texts_are_plain_english() -> None:
    assert len(said()) > 1000
    found = [
        f"{where}: {text!r}: {', '.join(faults)}"
        for where, text in said()
        if not NOT_SAID.fullmatch(text) and (faults := objections_to(text))
    ]
    assert found == []


def test_comments_and_docstrings_are_plain_english() -> None:
    suspects = [path for path in sources.SOURCES if BANNED_IN_CODE.search(sources.text(path))]
    remarks = [
        (f"{path.name}:{line}", text) for path in suspects for line, text in remarks_in(sources.text(path))
    ]
    assert len(suspects) < len(sources.SOURCES)
    assert [(where, text) for where, text in remarks if BANNED_IN_CODE.search(text)] == []


def test_remarks_are_comments_and_docstrings() -> None:
    source = (
        '"""Whoever\ndials."""\nx = "nobody"  # mends `alone` and "somebody"\n\ndef f():\n    \'\'\'y\'\'\'\n'
    )
    remarks = sorted(remarks_in(source))
    assert remarks == [(1, "Whoever"), (2, "dials."), (3, "# mends  and "), (6, "y")]
    assert [bool(BANNED_IN_CODE.search(text)) for _, text in remarks] == [True, True, True, False]


def test_pages_are_plain_english() -> None:
    """With the titles of scenarios, which are in docs/probes. Contributors read the words of the code."""
    found = []
    for page in PAGES:
        to_users = page.parent != DOCS / "design" and page.name not in FOR_CONTRIBUTORS
        if page.name != "CHANGELOG.md":  # which says what earlier versions did, in their words
            found += [
                f"{page.relative_to(ROOT)}: {paragraph}: {', '.join(faults)}"
                for paragraph in paragraphs_in(page.read_text(encoding="utf-8"))
                if (faults := objections_to(paragraph, to_users=to_users))
            ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("the certificate has run out", True),
        ("names a socks:// proxy, which is no URL", True),
        ("there is no route to it, and it is no longer needed", False),
        ("run `sudo -u nobody ls` as the user", False),
        ("the colour of the synchronised clock", True),
        ("connect to the brain", False),
    ],
)
def test_the_vocabulary_knows_the_dialect(text: str, wrong: bool) -> None:
    assert bool(objections_to(text)) is wrong


def test_titles_fit_into_a_row_and_are_fragments() -> None:
    titles = {code.code: code.title for code in CATALOGUE.values()}
    assert {code: title for code, title in titles.items() if len(title) > ROW_WIDTH} == {}
    sentences = [title for title in titles.values() if title.endswith(".") or re.match("[A-Z][a-z]", title)]
    assert [title for title in sentences if not title.startswith("WebSocket")] == []


def test_remedies_begin_with_a_verb_and_have_their_commands_on_lines_of_their_own() -> None:
    rows = [code for code in CATALOGUE.values() if code.status in (Status.FAIL, Status.WARN)]
    steps = [(row.code, step) for row in rows for step in row.steps]
    assert [(code, step.text) for code, step in steps if not says_what_to_do(step.text)] == []
    assert [(code, step.text) for code, step in steps if "`" in step.text or "\n" in step.command] == []


def test_a_step_takes_two_lines_of_a_report_at_most() -> None:
    """At 80 columns, its command not counted. Those of the catalogue, and what was said in every scenario."""
    recorded = json.loads(table.DATA.read_text(encoding="utf-8"))["faults"].values()
    steps = [(row.code, step) for row in CATALOGUE.values() for step in row.steps]
    steps += [(row["code"], Step(**step)) for row in recorded for step in row["steps"]]
    long = {(code, step.text) for code, step in steps if len(wrap(f"{step.text}:", STEP_WIDTH)) > STEP_LINES}
    assert long == set()


def test_log_lines_are_short_in_their_templates() -> None:
    lines = {template for path in sources.that_have(["log."]) for template in _templates(sources.tree(path))}
    assert len(lines) > 10
    long = [line for line in lines if len(f"z4j: {line}") > LOG_LINE]
    assert long == []


def _templates(tree: ast.Module) -> Iterator[str]:
    """The first lines of what is logged, without the values."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver = node.func.value
        if isinstance(receiver, ast.Name) and receiver.id == "log" and node.func.attr in LEVELS:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield re.sub(r"%[.\d]*[a-z]", "", argument.value.partition("\n")[0])


def test_a_timeout_says_how_long_it_waited() -> None:
    vague = re.compile(r"\b(in time|before the time was up|too long ago|took too long)\b")
    assert [(where, text) for where, text in said() if vague.search(text)] == []


def test_headlines_fit_into_a_row_in_their_templates() -> None:
    rungs = [path for path in sources.SOURCES if "rungs" in path.parts]
    found = {text for path in sources.that_have(HEADLINES, rungs) for text in _headlines(sources.tree(path))}
    assert len(found) > 50
    assert {text for text in found if len(text) > ROW_WIDTH} == set()


def _headlines(tree: ast.Module) -> Iterator[str]:
    """The texts of functions and variables named for a row, and of `headline=`, without the values."""
    for node in ast.walk(tree):
        inside: list[ast.AST] = []
        if isinstance(node, ast.FunctionDef) and node.name in HEADLINES:
            inside = [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple):
            names = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            pairs = zip(names, values, strict=False)
            inside = [value for name, value in pairs if isinstance(name, ast.Name) and name.id in HEADLINES]
        elif isinstance(node, ast.Call):
            inside = [keyword.value for keyword in node.keywords if keyword.arg == "headline"]
        for value in inside:
            for text in ast.walk(value):
                if isinstance(text, ast.JoinedStr):
                    yield "".join(str(part.value) for part in text.values if isinstance(part, ast.Constant))
                elif isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value
