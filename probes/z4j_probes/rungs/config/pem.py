"""What is wrong with a file that OpenSSL finds no certificate in, and how to make one of it that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from z4j_probes.portable import shell
from z4j_probes.result import Step

# contentType signed-data (RFC 5652 §5.1), which is how Windows and Java export a chain: .p7b.
_PKCS7_DER = bytes.fromhex("06092a864886f70d010702")
_PKCS7_PEM = (b"-----BEGIN PKCS7-----", b"-----BEGIN CMS-----")
_PKCS7_WITHIN = 32
# A SEQUENCE whose length has two bytes (X.690 §8.1.3.5), as a certificate has: Windows exports them so.
_DER = b"\x30\x82"
# Behind that, the version of a PKCS #12 file (RFC 7292 §4): a certificate has its own SEQUENCE there.
_PKCS12_VERSION = b"\x02\x01\x03"
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Fault(NamedTuple):
    """What the file is, and its `steps`; `made` is the file that they make, where they leave the old one."""

    reason: str
    steps: tuple[Step, ...]
    made: str | None = None


def fault_of(path: str, content: bytes) -> Fault | None:
    """None where it can't be told."""
    return _of_another_format(path, content) or (
        _of_its_lines(path, content) if _BEGIN in content else _without_certificate(content)
    )


def _of_another_format(path: str, content: bytes) -> Fault | None:
    is_der = content.startswith(_DER)
    if is_der and content[4:7] == _PKCS12_VERSION:
        return _converted(path, "is a PKCS #12 file", shell.pem_of_keystore)
    if any(line in content for line in _PKCS7_PEM) or (is_der and _PKCS7_DER in content[:_PKCS7_WITHIN]):
        return _converted(
            path,
            "is a PKCS #7 file",
            lambda path, made: shell.pem_of_bundle(path, made, is_der=is_der),
        )
    if is_der:
        return _converted(path, "is in DER form", shell.pem_of_certificate)
    if content.startswith(_UTF16):
        return Fault("is UTF-16 text", (Step("Convert it to UTF-8", shell.as_utf8(path)),))
    if content.startswith((b"LS0tLS1CRUdJTi", b"MII")):  # of "-----BEGIN ", and of a certificate
        is_whole = content.startswith(b"LS0")
        reason = "is base64 of a PEM file" if is_whole else "is base64 without the lines BEGIN and END"
        made = shell.decoded_base64 if is_whole else shell.with_pem_lines
        return _converted(path, reason, made)
    return None


def _of_its_lines(path: str, content: bytes) -> Fault | None:
    if b"\\n" in content:
        text = "has \\n written out where lines end"
        return Fault(text, (Step("Put line breaks there", shell.break_at_escapes(path)),))
    if content.count(_END) < content.count(_BEGIN):
        return Fault("ends in the middle of a certificate", (Step("Copy the certificate again, to its end"),))
    lines = content.splitlines()
    if any(_BEGIN in line and _END in line for line in lines):
        step = Step("Put line breaks where the spaces are", shell.break_at_spaces(path))
        return Fault("has a whole certificate in one line", (step,))
    if any(line.lstrip().startswith(_BEGIN) and not line.startswith(_BEGIN) for line in lines):
        return Fault("is indented", (Step("Remove the indentation", shell.without_indentation(path)),))
    return None


def _without_certificate(content: bytes) -> Fault | None:
    if not content.strip():
        return Fault("is empty", (Step("Write the certificate of the CA into it, as PEM"),))
    if b"PRIVATE KEY-----" in content:
        text = "Use the certificate of the CA: no client needs its key"
        return Fault("contains a private key, and no certificate", (Step(text),))
    return None


def _converted(path: str, reason: str, command: Callable[[str, str], str]) -> Fault:
    made = f"{path}.pem"
    return Fault(reason, (Step("Convert it to PEM", command(path, made)),), made)
