"""Which certificates of Windows' store and of macOS's keychains are trusted for servers."""

from __future__ import annotations

import hashlib
import ssl
from typing import Any

import pytest

from tests.support.certificates import authority
from z4j_probes import Settings, trust
from z4j_probes.portable.roots import Roots, certificates_in, is_for_servers, trusted_of

SERVERS, MAIL = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.4"


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        (True, True),
        (False, False),
        ({SERVERS}, True),
        ({MAIL, SERVERS}, True),
        ({MAIL}, False),
        (set(), False),
    ],
)
def test_windows_trusts_some_roots_only_for_some_uses(uses: Any, expected: bool) -> None:
    assert is_for_servers(uses) is expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (None, False),  # kept there, and trusted by no one
        ([], True),
        ([{"kSecTrustSettingsResult": 1}], True),
        ([{"kSecTrustSettingsPolicyName": "sslServer"}], True),
        ([{"kSecTrustSettingsPolicyName": "sslServer", "kSecTrustSettingsResult": 3}], False),
        ([{"kSecTrustSettingsResult": 1}, {"kSecTrustSettingsResult": 3}], False),
        ([{"kSecTrustSettingsPolicyName": "SMIME", "kSecTrustSettingsResult": 1}], False),
        ([{"kSecTrustSettingsResult": 4}], False),
    ],
)
def test_a_mac_trusts_what_an_administrator_trusts_for_servers(rules: Any, expected: bool) -> None:
    der = b"a certificate"
    entry = {} if rules is None else {hashlib.sha1(der).hexdigest().upper(): {"trustSettings": rules}}
    assert trusted_of([der], {"trustList": entry}) == ((der,) if expected else ())


def test_a_root_of_the_system_is_trusted_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    corp = authority("Corp Root")
    der = ssl.PEM_cert_to_DER_cert(corp.pem.decode())
    assert certificates_in(f"labels\n{corp.pem.decode()}more") == (der,)
    places = [Roots("the store", (der, b"not a certificate")), Roots("another", problem="denied")]
    monkeypatch.setattr(trust, "system_roots", lambda: iter(places))
    store = trust.load_trust(Settings())
    assert [str(source) for source in store.sources[-2:]] == [
        "system the store (1 certificate)",
        "system another (denied)",
    ]
    assert der in store.context.get_ca_certs(binary_form=True)


def test_a_ca_file_that_is_named_is_trusted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "system_roots", lambda: pytest.fail("the system was asked"))
    trust.load_trust(Settings(ca_file="/nonexistent"))
