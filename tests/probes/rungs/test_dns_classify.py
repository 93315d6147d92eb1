"""What the system resolver and the name servers say, in tables: the code, and names judged without asking."""

from __future__ import annotations

import socket

import pytest

from tests.support.dns_server import answer as served
from z4j_probes.endpoint import parse_endpoint
from z4j_probes.hostname import (
    ascii_name,
    is_loopback_name,
    is_nowhere,
    is_private,
    malformed,
    server_name,
    shown,
)
from z4j_probes.portable import system as systems
from z4j_probes.portable.name_servers import ResolverConfig, parse_resolv_conf
from z4j_probes.rungs.dns.classify import System, classify, read_error
from z4j_probes.rungs.dns.machine import HostsLine, Machine, hosts_lines, parse_nsswitch
from z4j_probes.rungs.dns.nameservers import (
    Answer,
    Evidence,
    Said,
    candidates,
    read_reply,
)
from z4j_probes.rungs.dns.origin import trace
from z4j_probes.rungs.dns.slow import explain_slow
from z4j_probes.rungs.dns.words import Facts, explain, headline

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
        (NO, [Said.NXDOMAIN, Said.ADDRESSES], "dns.nxdomain"),
        (NO, [Said.SILENT, Said.NO_ADDRESS, Said.ADDRESSES], "dns.no_address"),
        (NO, [Said.REFUSED, Said.NXDOMAIN, Said.ADDRESSES], "dns.nxdomain"),
        (NO, [Said.ADDRESSES, Said.NXDOMAIN], "dns.system_failure"),
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
    machine = Machine((), parse_nsswitch(""), has_hosts_file=True)
    message, _ = explain(code, Facts("brain.example", failure, seen, machine))
    assert "brain.example" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("system", "said", "row"),
    [
        (NO, [Said.NXDOMAIN], "name not found (NXDOMAIN): brain.example"),
        (NO, [Said.SILENT], "name not found: brain.example"),
        (NO, [Said.NO_ADDRESS], "brain.example has no A or AAAA record"),
        (NO, [Said.SERVFAIL], "SERVFAIL from name server 192.0.2.1 for brain.example"),
        (AGAIN, [Said.SILENT, Said.SILENT], "no answer from name servers 192.0.2.1 and 192.0.2.2"),
        (SILENT, [Said.ADDRESSES], "the system resolver fails for brain.example"),
    ],
)
def test_the_row_names_the_name_or_the_server(system: System, said: list[Said], row: str) -> None:
    seen = evidence(*said)
    machine = Machine((), parse_nsswitch(""), has_hosts_file=True)
    facts = Facts("brain.example", read_error(OSError(1, "words"), 1.0), seen, machine)
    assert headline(classify(system, seen), facts) == row


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
        (("10.0.0.2", 53), ("fe80::1%eth0", 53), ("10.0.0.3", 53)),
        ("a.example", "b.example"),
        5,
        ("edns0", "ndots:5", "rotate"),
    )


def test_what_the_c_library_ignores_is_kept_apart() -> None:
    lines = ("nameserver 10.0.0.2\r", "\tnameserver 10.0.0.3", "nameserver [::1]:53")
    found = parse_resolv_conf("\n".join((*lines, "nameserver\t10.0.0.4 # ours", "nameservers 10.0.0.5")))
    assert found == ResolverConfig((("10.0.0.4", 53),), ignored=lines)


def test_variables_of_the_process_come_last() -> None:
    variables = {"LOCALDOMAIN": "c.example d.example", "RES_OPTIONS": "ndots:3 use-vc"}
    found = parse_resolv_conf("search a.example\noptions ndots:5\n", "b.example", variables)
    assert (found.search, found.ndots) == (("c.example", "d.example"), 3)
    assert found.options == ("ndots:5", "ndots:3", "use-vc")


def test_a_hosts_file_that_is_closed_to_this_user_is_named() -> None:
    seen = evidence(Said.NXDOMAIN)
    machine = Machine((), parse_nsswitch(""), has_hosts_file=False, is_hosts_file_closed=True)
    facts = Facts("brain.example", read_error(OSError(1, "words"), 1.0), seen, machine)
    message, advice = explain("dns.nxdomain", facts)
    assert "can't read /etc/hosts" in message
    assert "sudo chmod a+r /etc/hosts" in str(advice)


def test_a_name_that_is_an_alias_of_itself_says_so() -> None:
    answers = (Answer("192.0.2.1", "brain.example", Said.NO_ADDRESS, alias="brain.example"),)
    seen = Evidence("brain.example", ("192.0.2.1",), (), answers)
    machine = Machine((), parse_nsswitch(""), has_hosts_file=True)
    message, _ = explain(
        "dns.no_address", Facts("brain.example", read_error(OSError(1, "words"), 1.0), seen, machine)
    )
    assert "is an alias (CNAME) of itself" in message


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


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("faß.example.", "xn--fa-hia.example."),
        ("Bücher。example", "xn--bcher-kva.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
    ],
)
def test_the_ascii_form_is_that_of_browsers(host: str, name: str) -> None:
    assert ascii_name(host) == name
    assert shown(host) == f"{host} ({name})"


def test_an_ascii_name_is_shown_as_it_is() -> None:
    assert shown("brain.example") == "brain.example"


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
    ("ip", "nowhere"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("::ffff:0.0.0.0", True),
        ("127.0.0.53", False),
        ("::1", False),
        ("192.0.2.1", False),
    ],
)
def test_an_address_that_is_none(ip: str, nowhere: bool) -> None:
    assert is_nowhere(ip) is nowhere


def test_the_hosts_file_is_read_with_its_comments_and_aliases() -> None:
    text = "127.0.0.1 localhost # brain.example\n192.0.2.1\tother.example Brain.Example\n#192.0.2.2 gone\n"
    assert hosts_lines(text, "brain.example.") == (HostsLine(2, "192.0.2.1"),)
    assert hosts_lines(text, "gone") == ()
    assert hosts_lines("127.0.0.1 localhost # brain.example\n", "brain.example") == ()


@pytest.mark.parametrize(
    ("line", "asks", "stop", "usual"),
    [
        ("hosts: files dns", True, None, True),
        ("hosts:\tfiles dns myhostname # as it was", True, None, True),
        ("hosts: files", False, None, True),
        ("hosts: files [NOTFOUND=return] dns", True, "[NOTFOUND=return]", False),
        ("hosts: files [ notfound=RETURN ] dns", True, "[notfound=RETURN]", False),
        ("hosts: files mdns4_minimal [NOTFOUND=return] dns", True, None, False),
        ("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns", True, None, False),
        ("passwd: files", True, None, True),
        ("hosts:", True, None, True),
        ("", True, None, True),
    ],
)
def test_nsswitch_is_read_as_the_c_library_reads_it(
    line: str, asks: bool, stop: str | None, usual: bool
) -> None:
    sources = parse_nsswitch(f"passwd: files\n{line}\n")
    assert (sources.asks_dns, sources.stop_before_dns, sources.is_usual) == (asks, stop, usual)


SAYS_10 = (Answer("192.0.2.53", "brain.example", Said.ADDRESSES, ("192.0.2.10",)),)
DENIES = (Answer("192.0.2.53", "brain.example", Said.NXDOMAIN),)
COMPLETED = Answer("192.0.2.53", "brain.example.corp.example", Said.ADDRESSES, ("192.0.2.99",))
IN_HOSTS = (HostsLine(3, "192.0.2.99"),)


@pytest.mark.parametrize(
    ("hosts", "nsswitch", "answers", "said"),
    [
        (IN_HOSTS, "files dns", SAYS_10, "from /etc/hosts line 3; DNS says 192.0.2.10"),
        (IN_HOSTS, "files dns", DENIES, "from /etc/hosts line 3; DNS says NXDOMAIN"),
        (IN_HOSTS, "files dns", (), "from /etc/hosts line 3"),
        ((), "files dns", (COMPLETED, *SAYS_10), "as brain.example.corp.example; DNS says 192.0.2.10"),
        ((), "files dns", (*DENIES, COMPLETED), "as brain.example.corp.example; DNS says NXDOMAIN"),
        ((), "files dns", (*SAYS_10, COMPLETED), ""),
        ((), "files ldap dns", SAYS_10, "another source of nsswitch.conf (hosts: files ldap dns)"),
        ((), "files ldap dns", (), ""),
        ((), "files dns", SAYS_10, ""),
        ((HostsLine(3, "192.0.2.98"),), "files dns", SAYS_10, ""),
    ],
)
def test_the_source_of_an_address_is_named_where_dns_says_otherwise(
    hosts: tuple[HostsLine, ...], nsswitch: str, answers: tuple[Answer, ...], said: str
) -> None:
    machine = Machine(hosts, parse_nsswitch(f"hosts: {nsswitch}"), has_hosts_file=True)
    seen = Evidence("brain.example", ("192.0.2.53",), ("corp.example",), answers)
    origin = trace("brain.example", ["192.0.2.99"], machine, seen)
    assert said in str(origin) if said else origin is None
    assert origin is None or origin.step is not None


def test_an_address_that_the_dns_gives_as_well_has_no_other_source() -> None:
    machine = Machine((HostsLine(3, "192.0.2.10"),), parse_nsswitch(""), has_hosts_file=True)
    assert trace("brain.example", ["192.0.2.10"], machine, Evidence("brain.example", (), (), SAYS_10)) is None


@pytest.mark.parametrize(
    ("waited_s", "answer", "options", "word", "command"),
    [
        (
            5.01,
            {},
            (),
            "one answer was lost, and the system resolver asked again after 5 s",
            "single-request",
        ),
        (10.1, {}, (), "one answer was lost, and the system resolver asked again twice", "single-request"),
        (10.1, {}, ("single-request-reopen",), "the system resolver was slow", "time getent"),
        (4.0, {}, (), "the system resolver was slow", "time getent"),
        (5.0, {"unanswered": ("AAAA",)}, (), "192.0.2.53 did not answer for AAAA", "time getent"),
        (5.0, {"unanswered": ("A", "AAAA")}, (), "192.0.2.53 answers slowly", "time getent"),
    ],
)
def test_why_a_name_resolved_late(
    waited_s: float, answer: dict[str, tuple[str, ...]], options: tuple[str, ...], word: str, command: str
) -> None:
    answers = (Answer("192.0.2.53", "brain.example", Said.ADDRESSES, ("192.0.2.1",), **answer),)  # type: ignore[arg-type]
    seen = Evidence("brain.example", ("192.0.2.53",), (), answers, options=options)
    why, steps = explain_slow("brain.example", waited_s, seen)
    assert word in why
    assert any(command in step.command for step in steps)


def test_the_name_in_tls_has_no_zone_and_no_final_dot() -> None:
    assert server_name(parse_endpoint("https://[fe80::1%eth0]:8443")) == "fe80::1"
    assert server_name(parse_endpoint("https://brain.example.")) == "brain.example"


LINUX, MACOS, WINDOWS = systems.System.LINUX, systems.System.MACOS, systems.System.WINDOWS


@pytest.mark.parametrize(
    ("on", "number", "expected"),
    [
        (LINUX, -2, System.NO_SUCH_NAME),  # EAI_NONAME
        (LINUX, -5, System.NO_SUCH_NAME),  # EAI_NODATA
        (LINUX, -3, System.TRY_AGAIN),
        (LINUX, -4, System.TRY_AGAIN),  # EAI_FAIL
        (MACOS, 8, System.NOT_FOUND),
        (MACOS, 7, System.NO_SUCH_NAME),
        (MACOS, 2, System.TRY_AGAIN),
        (WINDOWS, 11001, System.NOT_FOUND),  # both EAI_NONAME and EAI_NODATA
        (WINDOWS, 11004, System.NO_SUCH_NAME),
        (WINDOWS, 11002, System.TRY_AGAIN),
    ],
)
def test_each_systems_numbers_are_placed(on: systems.System, number: int, expected: System) -> None:
    assert read_error(socket.gaierror(number, "its own words"), 0.1, on).system is expected


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ((Said.NXDOMAIN,), "dns.nxdomain"),
        ((Said.NO_ADDRESS,), "dns.no_address"),
        ((Said.UNREACHABLE,), "dns.timeout"),
        ((Said.SILENT, Said.UNREACHABLE), "dns.timeout"),
        ((Said.SILENT, Said.NXDOMAIN), "dns.nxdomain"),
    ],
)
def test_a_no_that_is_also_said_offline_is_one_only_where_a_name_server_has_spoken(
    said: tuple[Said, ...], code: str
) -> None:
    assert classify(System.NOT_FOUND, evidence(*said)) == code


def test_half_an_answer_that_musl_takes_for_none_is_named() -> None:
    half = Answer("192.0.2.1", "brain.example", Said.ADDRESSES, ("192.0.2.7",), failed=("AAAA",))
    seen = Evidence("brain.example", ("192.0.2.1",), answers=(half,))
    assert classify(AGAIN, seen) == "dns.servfail"
    failure = read_error(socket.gaierror(-3, "Try again"), 0.1, LINUX)
    machine = Machine((), parse_nsswitch(""), has_hosts_file=True)
    message, advice = explain("dns.servfail", Facts("brain.example", failure, seen, machine))
    assert "answers A, but SERVFAIL for AAAA" in message
    assert "nsswitch" not in f"{message} {advice}"
