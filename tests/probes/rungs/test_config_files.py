"""Files of settings or certificates in a form that nothing reads: named, with a fix that makes them sound."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs7, pkcs12

from z4j_probes import Settings
from z4j_probes.rungs.config.probe import load_ca_file
from z4j_probes.rungs.config.problems import find_problems

ENV = "Z4J_BRAIN_URL=https://brain.example\nZ4J_TOKEN=abc\n"

_PEM = trustme.CA().cert_pem.bytes()
_CERTIFICATE = x509.load_pem_x509_certificate(_PEM)
_DER = _CERTIFICATE.public_bytes(Encoding.DER)
_KEYSTORE = pkcs12.serialize_key_and_certificates(None, None, None, [_CERTIFICATE], NoEncryption())
CA_FILES = {
    "in DER form": _DER,
    "a PKCS #7 file": pkcs7.serialize_certificates([_CERTIFICATE], Encoding.DER),
    "a PKCS #12 file": _KEYSTORE,
    "UTF-16 text": _PEM.decode().encode("utf-16"),
    "base64 of a PEM file": base64.b64encode(_PEM),
    "base64 without the lines": base64.b64encode(_DER),
    "\\n written out": _PEM.replace(b"\n", b"\\n"),
    "in one line": _PEM.strip().replace(b"\n", b" "),
    "indented": b"".join(b"    " + line for line in _PEM.splitlines(keepends=True)),
}


@pytest.mark.component
@pytest.mark.parametrize("said", CA_FILES)
def test_a_certificate_in_another_form_is_named_and_its_fix_makes_a_ca_file(
    said: str, tmp_path: Path
) -> None:
    path = tmp_path / "ca"
    path.write_bytes(CA_FILES[said])
    (problem,) = load_ca_file(Settings.load(ca_file=path))
    assert said in problem.message
    command = problem.steps[0].command.replace("pkcs12", "pkcs12 -passin pass:")  # it asks a person
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    made = Path(f"{path}.pem")
    assert load_ca_file(Settings.load(ca_file=made if made.exists() else path)) == []
    assert made.exists() == (len(problem.steps) > 1), "a new file is also set"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_PEM[:500], "ends in the middle"),
        (b"\n", "is empty"),
        (b"-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n", "no certificate"),
        (b"# nothing\n", "PEM file of certificates ("),
    ],
)
def test_what_no_command_can_fix_is_named_too(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ca"
    path.write_bytes(content)
    (problem,) = load_ca_file(Settings.load(ca_file=path))
    assert said in problem.message


@pytest.mark.component
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16le"])
def test_an_env_file_of_powershell_is_named_and_its_fix_makes_it_readable(
    encoding: str, tmp_path: Path
) -> None:
    path = tmp_path / "web.env"
    path.write_bytes(ENV.encode(encoding))
    (lost,) = Settings.load(env_file=path, environ={}).unreadable
    assert "UTF-16" in lost.reason
    subprocess.run(["sh", "-c", lost.steps[0].command], check=True)
    settings = Settings.load(env_file=path, environ={})
    assert (settings.brain_url, settings.unreadable) == ("https://brain.example", ())


@pytest.mark.parametrize("text", ['{"Z4J_BRAIN_URL": "x"}', "Z4J_BRAIN_URL: x\n", "set Z4J_BRAIN_URL=x\n"])
def test_an_env_file_that_sets_nothing_is_said_to_and_not_proposed_again(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "web.env"
    path.write_text(text)
    monkeypatch.setattr("sys.argv", ["z4j-fastapi", "doctor", "--env-file", str(path)])
    monkeypatch.setattr("z4j_probes.rungs.hints.can_type", lambda: True)
    settings = Settings.load(env_file=path, environ={})
    assert any("only lines of NAME=value" in remark for remark in settings.remarks)
    steps = " ".join(step.text for problem in find_problems(settings) for step in problem.steps)
    assert "Add --env-file" not in steps
    assert str(path) in steps
