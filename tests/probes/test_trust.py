"""What the trust store is made of, and that its silence about missing files is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import certifi
import pytest

from tests.support.certificates import authority
from tests.support.ladders import settings
from z4j_probes import Settings
from z4j_probes.acting_as import ActingAs
from z4j_probes.trust import load_trust


def test_a_ca_file_that_is_named_is_trusted_alone(tmp_path: Path) -> None:
    path = authority("Corp Root").save(tmp_path / "root.pem")
    store = load_trust(settings({"SSL_CERT_FILE": "/elsewhere.pem"}, ca_file=path))
    assert store.describe() == [f"Z4J_CA_FILE {path} (1 certificate)"]
    assert store.context.cert_store_stats()["x509"] == 1


def test_without_a_word_it_is_the_systems_together_with_certifis() -> None:
    store = load_trust(settings())
    assert [source.origin for source in store.sources] == ["system", "system", "certifi"]
    assert store.context.cert_store_stats()["x509"] > 50
    assert not store.disappointing


def test_a_cert_file_replaces_the_systems_bundle_and_certifi(tmp_path: Path) -> None:
    path = authority("Corp Root").save(tmp_path / "root.pem")
    store = load_trust(settings({"SSL_CERT_FILE": path}))
    assert [source.origin for source in store.sources] == ["SSL_CERT_FILE", "system"]
    assert store.context.cert_store_stats()["x509"] == 1


@pytest.mark.component
def test_a_cert_directory_counts_what_openssl_would_find(tmp_path: Path) -> None:
    pem = authority("Corp Root").save(tmp_path / "root.pem")
    command = ["openssl", "x509", "-hash", "-noout", "-in", pem]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    directory = tmp_path / "certs"
    directory.mkdir()
    (directory / f"{name}.0").symlink_to(pem)
    variables = {"SSL_CERT_DIR": str(directory), "SSL_CERT_FILE": "/nowhere.pem"}
    store = load_trust(settings(variables))
    assert [source.certificates for source in store.sources] == [0, 1]
    assert not store.is_empty


def test_a_file_without_certificates_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing of the kind")
    variables = {"SSL_CERT_FILE": str(tmp_path / "empty.pem"), "SSL_CERT_DIR": str(tmp_path)}
    store = load_trust(settings(variables))
    assert store.is_empty
    assert [source.origin for source in store.disappointing] == ["SSL_CERT_FILE", "SSL_CERT_DIR"]


def test_the_environment_that_is_diagnosed_counts_and_not_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    assert not load_trust(settings()).is_empty


def test_certifis_bundle_is_known_where_its_file_is_out_of_sight() -> None:
    pem = Path(certifi.where()).read_text(encoding="ascii")
    acting = Settings(acting_as=ActingAs(None, "/nowhere/cacert.pem", pem))
    bundle = load_trust(acting).sources[-1]
    assert (bundle.origin, bundle.path, bundle.problem) == ("certifi", "/nowhere/cacert.pem", None)
    lost = Settings(acting_as=ActingAs(None, "/nowhere/cacert.pem", ""))
    assert load_trust(lost).sources[-1].problem is not None


@pytest.mark.component
def test_what_a_passing_climb_needs_does_not_import_cryptography(tmp_path: Path) -> None:
    program = (
        "import sys; from z4j_probes.rungs.tls import verify; from z4j_probes.settings import Settings; "
        "from z4j_probes.trust import load_trust; load_trust(Settings()); "
        "assert 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
