"""What the system resolver and the name servers say, in tables: the code, and names judged without asking."""

from __future__ import annotations

import socket

import pytest

from tests.support.dns_server import answer as served
from z4j_probes.endpoint import parse_endpoint
from z4j_probes.hostname import (
    ascii_name,
    in_hosts_file,
    is_loopback_name,
    is_private,
    malformed,
    server_name,
    sinkholed,
)
from z4j_probes.rungs.dns.classify import System, classify, explain, read_error
from z4j_probes.rungs.dns.nameservers import (
    Answer,
    Evidence,
    ResolverConfig,
    Said,
    candidates,
    parse_resolv_conf,
    read_reply,
)

NO, AGAIN, SILENT, BROKEN = System.NO_SUCH_NAME, System.TRY_AGAIN, System.SILENT, System.BROKEN


def evidence(*said: Said, servers: int | None = None) -> Evidence:
    names = tuple(f"192.0.2.{n}" for n in range(1, 1 + (len(said) if servers is None else servers)))
    answers = tuple(
        Answer(f"192.0.2.{n}", "brain.example", word, unanswered=("A", "AAAA") if word is Said.SILENT else ())
        for n, word in enumerate(said, 1)
    )
    return Evidence("brain.example", names, (), answers)


@pytest.mark.parametrize(
    ("system", "said", "code"),
    [
        (NO, [Said.NXDOMAIN], "dns.nxdomain"),
        (NO, [Said.NO_ADDRESS], "dns.no_address"),
        (NO, [Said.NXDOMAIN, Said.NO_ADDRESS], "dns.no_address"),
        (NO, [Said.SILENT, Said.NXDOMAIN], "dns.nxdomain"),
        (NO, [Said.SILENT], "dns.nxdomain"),
        (NO, [Said.ADDRESSES], "dns.system_failure"),
        (NO, [Said.SERVFAIL], "dns.servfail"),
        (NO, [], "dns.no_resolver"),
        (AGAIN, [Said.SILENT], "dns.timeout"),
        (AGAIN, [Said.UNREACHABLE], "dns.timeout"),
        (AGAIN, [Said.SERVFAIL], "dns.servfail"),
        (AGAIN, [Said.SILENT, Said.SERVFAIL], "dns.servfail"),
        (AGAIN, [Said.REFUSED, Said.SILENT], "dns.refused"),
        (AGAIN, [Said.SILENT, Said.ADDRESSES], "dns.timeout"),
        (AGAIN, [Said.ADDRESSES], "dns.system_failure"),
        (AGAIN, [Said.NXDOMAIN], "dns.nxdomain"),
        (AGAIN, [], "dns.no_resolver"),
        (SILENT, [Said.SILENT], "dns.timeout"),
        (SILENT, [Said.SILENT, Said.SERVFAIL], "dns.timeout"),
        (SILENT, [Said.ADDRESSES], "dns.system_failure"),
        (SILENT, [Said.NXDOMAIN], "dns.system_failure"),
        (SILENT, [], "dns.timeout"),
        (BROKEN, [Said.ADDRESSES], "dns.system_failure"),
        (BROKEN, [], "dns.system_failure"),
    ],
)
def test_the_code_follows_from_both(system: System, said: list[Said], code: str) -> None:
    seen = evidence(*said)
    assert classify(system, seen) == code
    failure = read_error(OSError(1, "words"), 1.0)
    message, _ = explain(code, "brain.example", failure, seen)
    assert "brain.example" in message
    assert "\n" not in message


def test_a_resolv_conf_that_can_not_be_read_is_no_resolver() -> None:
    assert classify(AGAIN, Evidence("brain.example", problem="Permission denied")) == "dns.no_resolver"


@pytest.mark.parametrize(
    ("number", "system"),
    [
        (socket.EAI_NONAME, NO),
        (socket.EAI_NODATA, NO),
        (socket.EAI_ADDRFAMILY, NO),
        (socket.EAI_AGAIN, AGAIN),
        (socket.EAI_FAIL, AGAIN),
        (socket.EAI_MEMORY, AGAIN),
    ],
)
def test_each_error_of_getaddrinfo_is_placed(number: int, system: System) -> None:
    assert read_error(socket.gaierror(number, "words"), 0.0).system is system


def test_another_error_is_the_machines_own() -> None:
    assert read_error(OSError(24, "Too many open files"), 0.0).system is BROKEN


def test_resolv_conf_is_read_as_the_c_library_reads_it() -> None:
    text = "; comment\n# another\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\ndomain old.example\n"
    text += "search a.example b.example.\noptions edns0 ndots:5 rotate\n"
    text += "nameserver 10.0.0.3\nnameserver 10.0.0.4\n"
    assert parse_resolv_conf(text) == ResolverConfig(
        (("10.0.0.2", 53), ("fe80::1%eth0", 53), ("10.0.0.3", 53)), ("a.example", "b.example"), 5
    )


def test_without_a_search_line_the_machines_own_domain_is_searched() -> None:
    assert parse_resolv_conf("nameserver 10.0.0.2\n", "corp.example").search == ("corp.example",)


@pytest.mark.parametrize(
    ("host", "ndots", "names"),
    [
        ("brain", 1, ("brain.a.example", "brain")),
        ("brain.prod", 1, ("brain.prod", "brain.prod.a.example")),
        ("brain.prod", 5, ("brain.prod.a.example", "brain.prod")),
        ("brain.prod.", 5, ("brain.prod",)),
    ],
)
def test_the_search_list_is_tried_in_the_c_librarys_order(
    host: str, ndots: int, names: tuple[str, ...]
) -> None:
    assert candidates(host, ResolverConfig((), ("a.example",), ndots)) == names


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({"A": ["192.0.2.1"]}, Said.ADDRESSES),
        ({}, Said.NO_ADDRESS),
        ("NXDOMAIN", Said.NXDOMAIN),
        ("SERVFAIL", Said.SERVFAIL),
        ("REFUSED", Said.REFUSED),
        ("NOTIMP", Said.SERVFAIL),
    ],
)
def test_each_reply_is_read(records: dict[str, list[str]] | str, said: Said) -> None:
    import dns.message

    wire = served(
        {"brain.example": records}, dns.message.make_query("brain.example", "A").to_wire(), over_tcp=False
    )
    assert wire is not None
    reply = read_reply("192.0.2.53", "brain.example", dns.message.from_wire(wire))
    assert reply.said is said


@pytest.mark.parametrize(
    ("host", "part"),
    [
        ("a..b", "empty label"),
        (".example", "empty label"),
        (f"{'x' * 64}.example", "64 characters"),
        (".".join(["abcdefgh"] * 29), "253"),
        ("brain example", "' '"),
        ("$(HOST)", "'$'"),
        ("brain_{env}", "'{'"),
        ("-brain.example", "hyphen"),
        ("ü" * 70, "no ASCII form"),
    ],
)
def test_a_malformed_name_says_what_is_wrong(host: str, part: str) -> None:
    assert part in (malformed(host) or "")


@pytest.mark.parametrize(
    "host", ["brain", "brain.example.", "web_1.net", "bücher.example", "xn--p1ai", "3.example"]
)
def test_a_well_formed_name_has_nothing_wrong(host: str) -> None:
    assert malformed(host) is None


def test_the_ascii_form_is_the_one_of_the_standard_library() -> None:
    assert ascii_name("bücher.example") == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("brain", True),
        ("brain.local", True),
        ("brain.z4j.svc", True),
        ("brain.z4j.svc.cluster.local.", True),
        ("nas.home.arpa", True),
        ("brain.Test", True),
        ("brain.example.com", False),
        ("local.example.com", False),
        ("arpa.example", False),
    ],
)
def test_private_names_are_told_from_public_ones(host: str, private: bool) -> None:
    assert is_private(host) is private


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("brain.localhost", True),
        ("brain.localtest.me", True),
        ("127.0.0.1.nip.io", True),
        ("notlocalhost", False),
        ("brain.example", False),
    ],
)
def test_names_that_mean_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback_name(host) is loopback


@pytest.mark.parametrize(
    ("ip", "public", "local"),
    [
        ("0.0.0.0", True, True),
        ("::", True, True),
        ("127.0.0.53", True, False),
        ("::1", True, False),
        ("::ffff:127.0.0.1", True, False),
        ("192.0.2.1", False, False),
        ("10.0.0.1", False, False),
    ],
)
def test_a_filters_answer_for_public_and_for_local_names(ip: str, public: bool, local: bool) -> None:
    assert sinkholed(ip, loopback_is_normal=False) is public
    assert sinkholed(ip, loopback_is_normal=True) is local


def test_the_hosts_file_is_read_with_its_comments_and_aliases() -> None:
    text = "127.0.0.1 localhost # brain.example\n192.0.2.1\tother.example Brain.Example\n#192.0.2.2 gone\n"
    assert in_hosts_file(text, "brain.example.")
    assert not in_hosts_file(text, "gone")
    assert not in_hosts_file("127.0.0.1 localhost # brain.example\n", "brain.example")


def test_the_name_in_tls_has_no_zone_and_no_final_dot() -> None:
    assert server_name(parse_endpoint("https://[fe80::1%eth0]:8443")) == "fe80::1"
    assert server_name(parse_endpoint("https://brain.example.")) == "brain.example"
