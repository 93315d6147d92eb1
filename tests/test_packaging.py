"""What is published: the wheel holds two packages and nothing else, and they live beside a service's own."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

pytestmark = pytest.mark.component

ROOT = Path(__file__).parents[1]
BUILD_BUDGET_S = 60


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a wheel and a source distribution, built from a copy of this tree."""
    directory = tmp_path_factory.mktemp("packaging")
    # A copy: building must neither see nor leave anything in a tree where other tests run.
    # What git ignores stays behind: environments, and root directories whose devices never end.
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    shutil.copytree(ROOT, directory / "source", ignore=shutil.ignore_patterns(".git", *ignored))
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory / "dist")]
    subprocess.run(
        build, cwd=directory / "source", check=True, timeout=BUILD_BUDGET_S, capture_output=True, text=True
    )
    return directory / "dist"


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as archive:
        yield archive


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content where Python finds it, as an installer would put it."""
    site = tmp_path_factory.mktemp("site")
    wheel.extractall(site)
    return site


def test_the_wheel_claims_two_names_and_no_common_one(wheel: zipfile.ZipFile) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"z4j_fastapi", "z4j_probes"}


def test_the_wheel_holds_every_module_of_the_source_tree(wheel: zipfile.ZipFile, distributions: Path) -> None:
    source = distributions.parent / "source"
    published = {name for name in wheel.namelist() if name.endswith(".py")}
    packages = (source / "z4j_fastapi", source / "probes" / "z4j_probes")
    written = {
        path.relative_to(package.parent).as_posix() for package in packages for path in package.rglob("*.py")
    }
    assert published == written


@pytest.mark.parametrize("package", ["z4j_fastapi", "z4j_probes"])
def test_type_checkers_are_told_that_the_types_count(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_licence_comes_along(wheel: zipfile.ZipFile) -> None:
    (licence,) = (name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_metadata_names_licence_python_and_command(wheel: zipfile.ZipFile) -> None:
    names = {name.rsplit("/", 1)[-1]: name for name in wheel.namelist() if ".dist-info/" in name}
    metadata = email.message_from_bytes(wheel.read(names["METADATA"]))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert b"z4j-fastapi = " in wheel.read(names["entry_points.txt"])


def test_a_service_with_a_probes_module_of_its_own_keeps_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "probes.py").write_text("LIVENESS = 'ours'\n")
    show = "import probes, z4j_fastapi as f, z4j_probes as p; print(probes.LIVENESS, f.__file__, p.__file__)"
    environment = {"PYTHONPATH": str(installed)}  # before the editable install that these tests run from
    done = subprocess.run(
        [sys.executable, "-c", show],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    expected = [installed / "z4j_fastapi" / "__init__.py", installed / "z4j_probes" / "__init__.py"]
    assert done.stdout.split() == ["ours", *map(str, expected)]


def test_the_source_distribution_can_be_tested_and_read(distributions: Path) -> None:
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
    top = {PurePosixPath(name).parts[0] for name in names}
    monitoring = ("alerts.yml", "alerts_test.yml", "dashboard.json")
    assert {f"docs/monitoring/{name}" for name in monitoring} | {"docs/examples/fleet.yml"} <= names
    assert {
        ".ci",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "docs",
        "mkdocs.yml",
        "probes",
        "pyproject.toml",
        "tests",
        "z4j_fastapi",
    } <= top
