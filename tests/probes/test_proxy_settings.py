"""HTTPS_PROXY, ALL_PROXY and NO_PROXY: which proxy a brain is reached through, if any."""

from __future__ import annotations

import base64

import pytest

from z4j_probes.endpoint import parse_endpoint
from z4j_probes.proxy import InvalidProxy, bypassed, find_proxy, no_proxy_hint, proxy_secrets

BRAIN = parse_endpoint("https://brain.example:8443")


@pytest.mark.parametrize(
    ("environ", "authority"),
    [
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "proxy.example:3128"),
        ({"https_proxy": "http://proxy.example:3128"}, "proxy.example:3128"),
        ({"https_proxy": "http://a.example:1", "HTTPS_PROXY": "http://b.example:2"}, "a.example:1"),
        ({"ALL_PROXY": "http://proxy.example"}, "proxy.example:80"),
        ({"ALL_PROXY": "http://a.example", "HTTPS_PROXY": "http://b.example"}, "b.example:80"),
        ({"HTTPS_PROXY": "https://proxy.example"}, "proxy.example:443"),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "proxy.example:3128"),
        ({"HTTPS_PROXY": " http://proxy.example:3128/ "}, "proxy.example:3128"),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, "[::1]:3128"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, None),
        ({"HTTP_PROXY": "http://proxy.example"}, None),
        ({}, None),
    ],
)
def test_the_proxy_of_an_environment(environ: dict[str, str], authority: str | None) -> None:
    found = find_proxy(BRAIN, environ)
    assert (found.authority if found else None) == authority


def test_a_proxy_says_which_variable_named_it() -> None:
    found = find_proxy(BRAIN, {"all_proxy": "http://proxy.example"})
    assert found is not None
    assert found.variable == "all_proxy"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "brain.localhost"])
def test_loopback_is_never_proxied(host: str) -> None:
    endpoint = parse_endpoint(f"https://{host}")
    assert find_proxy(endpoint, {"HTTPS_PROXY": "http://proxy.example"}) is None


def test_plaintext_uses_the_same_proxy() -> None:
    found = find_proxy(parse_endpoint("ws://brain.example"), {"HTTPS_PROXY": "http://proxy.example"})
    assert found is not None


@pytest.mark.parametrize(
    ("url", "no_proxy", "covered"),
    [
        ("https://brain.example", "*", True),
        ("https://brain.example", "brain.example", True),
        ("https://brain.example", "BRAIN.example.", True),
        ("https://brain.example", "example", True),
        ("https://brain.example", ".example", True),
        ("https://brain.example", "other.example, brain.example", True),
        ("https://brain.example", "rain.example", False),
        ("https://brain.example", "brain.example:443", True),
        ("https://brain.example:8443", "brain.example:443", False),
        ("https://brain.example", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.1.2.4", False),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", True),
        ("https://[2001:db8::1]", "2001:db8::/32", True),
        ("https://[2001:db8::1]", "[2001:db8::1]", True),
        ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", True),
        ("https://brain.example", "", False),
        ("https://brain.example", " , ,", False),
        ("https://brain.example", ".", False),
    ],
)
def test_what_no_proxy_covers(url: str, no_proxy: str, covered: bool) -> None:
    assert bypassed(parse_endpoint(url), no_proxy) is covered


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("socks5://user:hidden@proxy.example:1080", "socks5:// proxy"),
        ("http://user:hidden@", "has no host"),
        ("http://user:hidden@proxy.example:x", "not a URL with a host and a port"),
        ("http://user:hid/den@proxy.example", "percent-encode"),
        ("http://user:2024/hidden@proxy.example:3128", "percent-encode"),
        ("http://user:2024#hidden@proxy.example:3128", "percent-encode"),
        ("http://user:hid?den@proxy.example:3128", "percent-encode"),
        ('"http://user:hidden@proxy.example:3128"', "wrapped in quotes"),
        ("http://user:hidden@[::1", "not a URL with a host and a port"),
        ("http://proxy.example:0", "port in HTTPS_PROXY is 0"),
    ],
)
def test_a_proxy_that_can_not_be_used_is_refused_without_its_credentials(value: str, reason: str) -> None:
    with pytest.raises(InvalidProxy, match=reason) as caught:
        find_proxy(BRAIN, {"HTTPS_PROXY": value})
    assert "hid" not in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)


def test_credentials_become_a_basic_authorization_and_stay_out_of_the_repr() -> None:
    found = find_proxy(BRAIN, {"HTTPS_PROXY": "http://us%40er:hid%3Aden@proxy.example"})
    assert found is not None
    assert found.authorization == "Basic " + base64.b64encode(b"us@er:hid:den").decode()
    assert "hid" not in repr(found)
    assert found.authorization.removeprefix("Basic ") not in repr(found)


def test_every_form_of_the_credentials_is_known_to_the_redaction() -> None:
    secrets = proxy_secrets({"https_proxy": "http://us%40er:hid%3Aden@proxy.example"})
    encoded = base64.b64encode(b"us@er:hid:den").decode()
    assert {"us%40er:hid%3Aden", "us@er:hid:den", "hid%3Aden", "hid:den", encoded} <= set(secrets)


@pytest.mark.parametrize(
    ("no_proxy", "said"),
    [
        ("localhost brain.example", "with commas"),
        ("localhost;brain.example", "with commas"),
        ("*.example", "a domain as .example"),
        ("localhost,https://brain.example/z4j", "hosts, not URLs"),
        ('"brain.example"', "quotes"),
        ("localhost; *.example", "with commas"),
        ("other.example", None),
        ("*", None),
        ("brain.example", None),
        ("", None),
    ],
)
def test_an_exception_that_was_meant_and_is_none_is_explained(no_proxy: str, said: str | None) -> None:
    hint = no_proxy_hint(BRAIN, {"no_proxy": no_proxy})
    if said is None:
        assert hint is None
    else:
        assert hint is not None
        assert hint.startswith("Correct no_proxy, which does not except brain.example: ")
        assert said in hint
