"""Brain URLs: what each part becomes, and why one is refused."""

from __future__ import annotations

import pytest

from z4j_probes.endpoint import Endpoint, InvalidURL, UnsupportedScheme, parse_endpoint


@pytest.mark.parametrize(
    ("url", "websocket_url"),
    [
        ("https://brain.example", "wss://brain.example/ws/agent"),
        ("wss://brain.example", "wss://brain.example/ws/agent"),
        ("http://brain.example", "ws://brain.example/ws/agent"),
        ("ws://brain.example", "ws://brain.example/ws/agent"),
        ("HTTPS://Brain.Example", "wss://brain.example/ws/agent"),
        ("https://brain.example/", "wss://brain.example/ws/agent"),
        ("https://brain.example:443", "wss://brain.example/ws/agent"),
        ("http://brain.example:443", "ws://brain.example:443/ws/agent"),
        ("https://brain.example:8443/z4j/", "wss://brain.example:8443/z4j/ws/agent"),
        ("https://brain.example/z4j/ws/agent", "wss://brain.example/z4j/ws/agent"),
        ("wss://brain.example/ws/agent", "wss://brain.example/ws/agent"),
        ("https://[2001:db8::1]:8700", "wss://[2001:db8::1]:8700/ws/agent"),
    ],
)
def test_the_websocket_endpoint_follows_from_the_brain_url(url: str, websocket_url: str) -> None:
    assert parse_endpoint(url).websocket_url == websocket_url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("brain.example", "no scheme"),
        ("localhost:8700", "no scheme"),
        ("//brain.example", "no scheme"),
        ("https://", "has no host"),
        ("https:///path", "has no host"),
        ("https://brain.example:0", "its port is 0"),
        ("https://brain.example:65536", "host or port"),
        ("https://brain.example:x", "host or port"),
        ("https://[::1", "host or port"),
        ("https://brain.example/?a=1", "query or fragment"),
        ("https://brain.example/#a", "query or fragment"),
        ("https://brain .example", "whitespace"),
        ("https://brain.example\n", "whitespace"),
        ("https://brain.example\x00", "control character"),
        ('"https://brain.example"', "wrapped in quotes"),
        ("https://user@brain.example", "user name or password"),
        ("https://user:2024/hidden@brain.example", "an @ after its host"),
        ("https://user:2024#hidden@brain.example", "an @ after its host"),
        ("https://user:hid?den@brain.example", "an @ after its host"),
        ("https://https://brain.example", "two schemes"),
        ("http://https://brain.example", "two schemes"),
        ("https:/brain.example", "not two slashes: write https://"),
        ("https:brain.example", "not two slashes: write https://"),
    ],
)
def test_what_is_no_brain_url_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(InvalidURL, match=reason):
        parse_endpoint(url)


@pytest.mark.parametrize("url", ["ftp://brain.example", "redis://brain.example", "htps://brain.example"])
def test_another_protocols_scheme_has_an_error_of_its_own(url: str) -> None:
    with pytest.raises(UnsupportedScheme, match=url.partition(":")[0]):
        parse_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hidden@brain.example",
        "https://user:hidden/word@brain.example",
        "https://user:hidden#word@brain.example",
        "https://user:hidden℀@brain.example",
        "https://user:hidden@brain.example:x",
    ],
)
def test_a_refusal_never_shows_a_password_or_a_part_of_it(url: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        parse_endpoint(url)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("brain.localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("brain.example", False),
    ],
)
def test_loopback_is_what_can_be_nothing_else(host: str, loopback: bool) -> None:
    assert Endpoint(True, host, 443).is_loopback is loopback


def test_a_host_header_has_brackets_and_the_port_only_where_it_is_not_the_schemes() -> None:
    assert Endpoint(True, "::1", 443).authority == "[::1]"
    assert Endpoint(True, "::1", 80).authority == "[::1]:80"
    assert Endpoint(False, "brain.example", 80).authority == "brain.example"


def test_a_message_has_brackets_and_always_the_port() -> None:
    assert Endpoint(True, "::1", 443).host_and_port == "[::1]:443"
    assert Endpoint(False, "brain.example", 80).host_and_port == "brain.example:80"


def test_the_url_that_is_shown_is_one_that_opens_in_a_browser() -> None:
    assert parse_endpoint("wss://brain.example:443/z4j/ws/agent").url == "https://brain.example/z4j"
    assert parse_endpoint("ws://[::1]:8700").url == "http://[::1]:8700"


def test_a_plain_url_is_corrected_to_the_same_port_or_to_that_of_https() -> None:
    assert parse_endpoint("http://brain.example:8700/z4j").https_url == "https://brain.example:8700/z4j"
    assert parse_endpoint("http://brain.example").https_url == "https://brain.example"
