"""`doctor --bundle`: one file that helps, and that may be shown to everybody."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.support import cli
from tests.test_secrets import PLANTED, PROXY, SECRET, TOKEN, URL_PASSWORD, leaks

pytestmark = pytest.mark.component

FOREIGN = {"AWS_SECRET_ACCESS_KEY": "PLANTED-foreign", "DATABASE_URL": "postgres://u:PLANTED@db/x"}


def texts_of(bundle: Path) -> dict[str, str]:
    with zipfile.ZipFile(bundle) as file:
        return {Path(name).name: file.read(name).decode() for name in file.namelist()}


@pytest.fixture
def bundle(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "bundle.zip"
    env = {"Z4J_BRAIN_URL": "https://brain.example", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    env |= {"HTTPS_PROXY": PROXY, "Z4J_TOKE": TOKEN, **FOREIGN}
    process = cli.run("doctor", "--bundle", str(file), "--timeout", "1", home=tmp_path, env=env)
    assert process.returncode == 1
    assert str(file) in process.stderr
    assert "Read it before you share it." in process.stderr
    return texts_of(file)


def test_it_has_the_report_for_people_and_for_machines(bundle: dict[str, str]) -> None:
    assert set(bundle) == {"README.txt", "report.txt", "report.json", "settings.json", "machine.json"}
    report = cli.document(bundle["report.json"])
    assert report["first_failure"] == "tcp.proxy_unreachable"
    assert "tcp.proxy_unreachable" in bundle["report.txt"]


def test_it_says_where_the_settings_came_from_and_on_what_machine(bundle: dict[str, str]) -> None:
    settings = json.loads(bundle["settings.json"])
    assert settings["settings"]["token"] == "set"
    assert settings["settings"]["sources"]["brain_url"] == "env Z4J_BRAIN_URL"
    assert settings["variables_unknown"] == ["Z4J_TOKE"]
    machine = json.loads(bundle["machine.json"])
    assert machine["proxy"] == {"variables_set": ["HTTPS_PROXY"], "used": "127.0.0.1:1"}
    assert any("certificate" in source for source in machine["trust_store"])
    assert machine["versions"]["websockets"]
    assert isinstance(machine["process"]["uid"], int)


def test_no_secret_is_in_any_of_its_files(bundle: dict[str, str]) -> None:
    assert PLANTED
    for name, text in bundle.items():
        assert leaks(text) == [], name
        assert not any(name in text for name in FOREIGN)


@pytest.mark.parametrize(
    "url",
    [
        f"https://u:{URL_PASSWORD}@brain.example",
        f"https://brain.example/?key={TOKEN}",
        "",
        "ftp://brain.example",
    ],
)
def test_it_is_made_of_settings_that_are_no_use_too(tmp_path: Path, url: str) -> None:
    file = tmp_path / "bundle.zip"
    env = {"Z4J_BRAIN_URL": url, "Z4J_TOKEN": TOKEN}
    process = cli.run("doctor", "--json", "--bundle", str(file), home=tmp_path, env=env)
    assert process.returncode == 1
    cli.document(process.stdout)
    assert leaks("".join(texts_of(file).values())) == []


def test_a_place_where_no_file_can_be_is_a_usage_error(tmp_path: Path) -> None:
    process = cli.run("doctor", "--bundle", str(tmp_path / "nowhere" / "b.zip"), home=tmp_path)
    assert process.returncode == 2
    assert "--bundle" in process.stderr


def test_the_version_is_that_of_everything_that_matters(tmp_path: Path) -> None:
    process = cli.run("--version", home=tmp_path)
    assert process.returncode == 0
    names = [line.split()[0] for line in process.stdout.splitlines()]
    assert names[:4] == ["z4j-fastapi", "Python", "OpenSSL", "websockets"]
    assert "missing" not in process.stdout
