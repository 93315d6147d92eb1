"""The documentation, held against what is there: links, codes, options, snippets."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import cli
from z4j_probes.codes import CATALOGUE
from z4j_probes.settings import VARIABLES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
PROBES = {row.probe for row in CATALOGUE.values()}


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    text = page.read_text()
    explicit = set(re.findall(r"\{ #([\w-]+) \}", text))
    headings = re.findall(r"^#+ (.+?)(?: \{.*\})?$", text, flags=re.MULTILINE)
    return explicit | {re.sub(r"[^\w\s-]", "", h).strip().lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_internal_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_python_block_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_code_that_is_named_is_in_the_catalogue(page: Path) -> None:
    named = re.findall(r"`([a-z]+\.[a-z_]+)`", page.read_text())
    unknown = {code for code in named if code.partition(".")[0] in PROBES} - CATALOGUE.keys()
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_variable_that_is_named_is_read(page: Path) -> None:
    known = {name for v in VARIABLES for name in (v.name, v.file_name)}
    known |= {"Z4J_TEST_BRAIN"}
    named = set(re.findall(r"\bZ4J_[A-Z_]+[A-Z]\b", page.read_text()))
    if page.name != "fault-matrix.md":  # there, misspelt ones are the point
        assert named <= known


def test_every_option_that_is_named_is_one(tmp_path: Path) -> None:
    helps = [cli.run(*words, "--help", home=tmp_path).stdout for words in ((), ("doctor",), ("dev-brain",))]
    real = set(re.findall(r"--[a-z][a-z-]+", "".join(helps)))
    for page in PAGES:
        if page.name == "fault-matrix.md":
            continue
        commands = re.findall(r"(?:z4j_fastapi|z4j-fastapi) .*", page.read_text())
        named = {option for line in commands for option in re.findall(r"(?<=\s)--[a-z][a-z-]+", line)}
        assert named <= real, page


def test_the_reference_has_every_option_of_the_doctor(tmp_path: Path) -> None:
    shown = cli.run("doctor", "--help", home=tmp_path).stdout
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, flags=re.MULTILINE)) - {"--help"}
    text = (ROOT / "docs" / "doctor.md").read_text()
    assert {option for option in options if f"`{option}" not in text} == set()


def test_the_page_of_codes_is_the_catalogue() -> None:
    page = (ROOT / "docs" / "codes.md").read_text()
    assert page == load(ROOT / "docs" / "write_codes.py").page(), "run `python docs/write_codes.py`"
    for row in CATALOGUE.values():
        assert f"{{ #{row.anchor} }}" in page


@pytest.mark.parametrize("example", ["fastapi_app", "arq_worker", "taskiq_worker"])
def test_the_readme_shows_the_examples_as_they_are(example: str) -> None:
    text = (ROOT / "docs" / "examples" / f"{example}.py").read_text()
    parts = [part for block in blocks(ROOT / "README.md", "python") for part in block.split("\n\n\n")]
    mine = [part.strip("\n") for part in parts if part.strip("\n") in text]
    assert len(mine) >= 2


async def test_the_example_of_a_test_passes(tmp_path: Path) -> None:
    example, misbehaviours = blocks(ROOT / "docs" / "testing.md", "python")
    namespace: dict[str, Any] = {}
    exec(compile(example, "docs/testing.md", "exec"), namespace)
    exec(compile(misbehaviours, "docs/testing.md", "exec"), namespace)
    test = namespace["test_my_service_tells_of_its_work"]
    assert inspect.iscoroutinefunction(test)
    await test(tmp_path)


def test_the_page_of_plug_ins_shows_the_example_as_it_is() -> None:
    (block, *_) = blocks(ROOT / "docs" / "plugins.md", "python")
    assert block == (ROOT / "docs" / "examples" / "redis_probe" / "redis_probe.py").read_text()
