"""The dns rung: the system resolver's verdict, and the name servers' evidence for why."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from tests.support.connections import address, climbed, ladder_to, result_of
from tests.support.dns_server import Zone
from tests.support.resolver_lab import diagnose
from z4j_probes import Status
from z4j_probes.address import Address
from z4j_probes.endpoint import Endpoint
from z4j_probes.proxy import Proxy
from z4j_probes.rungs.dns import probe as dns

pytestmark = pytest.mark.component

SERVER, SECOND = "127.0.0.1", "127.0.0.2"
BRAIN: Zone = {"brain.example": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}}
SILENT: Zone = {"*": "SILENT"}
FIVE_SECONDS = "timeout:5"  # what a resolver does where nobody configured it


def test_a_name_of_both_families_leaves_both_addresses() -> None:
    result = diagnose("brain.example", {SERVER: BRAIN})
    assert result["code"] == "dns.ok"
    assert sorted(result["details"]["addresses"]) == ["192.0.2.1", "2001:db8::1"]


def test_a_name_with_umlauts_is_looked_up_in_its_ascii_form() -> None:
    result = diagnose("bücher.example", {SERVER: {"xn--bcher-kva.example": {"A": ["192.0.2.1"]}}})
    assert result["code"] == "dns.ok"
    assert result["details"]["ascii"] == "xn--bcher-kva.example"


def test_a_misspelled_name_names_the_server_that_denies_it() -> None:
    result = diagnose("brian.example", {SERVER: BRAIN})
    assert result["code"] == "dns.nxdomain"
    assert "127.0.0.1 answered NXDOMAIN" in result["message"]


def test_a_name_that_the_search_list_does_not_complete_lists_what_was_tried() -> None:
    result = diagnose("brain", {SERVER: BRAIN}, search="a.example b.example")
    assert result["code"] == "dns.nxdomain"
    assert "brain.a.example or brain.b.example" in result["message"]


def test_a_short_name_that_the_search_list_completes_is_no_warning() -> None:
    zone: Zone = {"brain.corp.example": {"A": ["192.0.2.1"]}}
    assert diagnose("brain", {SERVER: zone}, search="corp.example")["code"] == "dns.ok"


def test_a_dotted_name_that_only_the_search_list_knows_is_a_warning() -> None:
    zone: Zone = {"brain.prod.corp.example": {"A": ["192.0.2.1"]}}
    result = diagnose("brain.prod", {SERVER: zone}, search="corp.example")
    assert (result["code"], result["status"]) == ("dns.local_only", "warn")


def test_a_name_without_addresses_exists_all_the_same() -> None:
    assert diagnose("brain.example", {SERVER: {"brain.example": {}}})["code"] == "dns.no_address"


@pytest.mark.parametrize(("word", "code"), [("SERVFAIL", "dns.servfail"), ("REFUSED", "dns.refused")])
def test_a_server_that_can_not_or_will_not_answer_is_named(word: str, code: str) -> None:
    result = diagnose("brain.example", {SERVER: {"*": word}})
    assert result["code"] == code
    assert f"127.0.0.1 answered {word}" in result["message"]


def test_a_silent_server_is_named_before_the_resolver_itself_gives_up() -> None:
    result = diagnose("brain.example", {SERVER: SILENT}, options=FIVE_SECONDS, timeout_s=2)
    assert result["code"] == "dns.timeout"
    assert "name server 127.0.0.1 did not answer" in result["message"]
    assert result["duration_ms"] <= 2000


def test_a_silent_first_server_is_told_from_a_second_that_answers() -> None:
    result = diagnose("brain.example", {SERVER: SILENT, SECOND: BRAIN}, options=FIVE_SECONDS, timeout_s=2)
    assert result["code"] == "dns.timeout"
    assert "127.0.0.1 did not answer; name server 127.0.0.2 did" in result["message"]


def test_a_server_that_drops_aaaa_alone_is_told_so() -> None:
    zone: Zone = {"brain.example": {"A": ["192.0.2.1"], "AAAA": "SILENT"}}
    result = diagnose("brain.example", {SERVER: zone}, options=FIVE_SECONDS, timeout_s=2)
    assert result["code"] == "dns.timeout"
    assert "did not answer for AAAA" in result["message"]


def test_ipv4_is_asked_alone_where_a_server_never_answers_aaaa() -> None:
    """As curl connects after 15 s, when the C library has given AAAA up."""
    zone: Zone = {"brain.example": {"A": ["192.0.2.1"], "AAAA": "SILENT"}}
    result = diagnose("brain.example", {SERVER: zone}, options=FIVE_SECONDS, timeout_s=12)
    assert (result["code"], result["status"]) == ("dns.slow", "warn")
    assert result["details"]["addresses"] == ["192.0.2.1"]
    assert "127.0.0.1 did not answer for AAAA" in result["message"]


def test_a_server_that_is_late_is_not_said_to_be_silent() -> None:
    result = diagnose(
        "brain.example", {SERVER: {**BRAIN, "DELAY_S": "3.2"}}, options=FIVE_SECONDS, timeout_s=8
    )
    assert result["code"] == "dns.slow"
    assert "127.0.0.1 answers slowly" in result["message"]
    assert "Remove" not in result["hint"]


def test_a_name_that_only_a_later_server_knows_names_the_first() -> None:
    result = diagnose("brain.example", {SERVER: {}, SECOND: BRAIN})
    assert result["code"] == "dns.nxdomain"
    assert "127.0.0.1 answered NXDOMAIN" in result["message"]
    assert "127.0.0.2, which knows it as 192.0.2.1" in result["message"]
    assert "Name 127.0.0.2 before 127.0.0.1" in result["hint"]


@pytest.mark.parametrize(
    ("line", "word", "hint"),
    [
        ("nameserver 127.0.0.2\r", "ends in a carriage return", "Windows line ends"),
        ("  nameserver 127.0.0.2", "is indented", "Start each line with its keyword"),
        ("nameserver 127.0.0.2:53", "has no valid address", "without a port"),
        ("nameserver dns.example", "has no valid address", "only an address"),
    ],
)
def test_a_line_that_the_c_library_ignores_is_named(line: str, word: str, hint: str) -> None:
    result = diagnose("brain.example", {SECOND: BRAIN}, resolv_conf=f"{line}\noptions attempts:1\n")
    assert result["code"] == "dns.no_resolver"
    assert word in result["message"]
    assert hint in result["hint"]


def test_the_search_list_of_a_variable_is_named() -> None:
    zone: Zone = {"brain.example": {"A": ["192.0.2.1"]}, "brain.example.corp.test": {"A": ["192.0.2.2"]}}
    variables = {"LOCALDOMAIN": "corp.test", "RES_OPTIONS": "ndots:5"}
    result = diagnose("brain.example", {SERVER: zone}, variables=variables)
    assert result["code"] == "dns.local_only"
    assert "from the search list, as brain.example.corp.test; DNS says 192.0.2.1" in result["message"]
    assert "printenv LOCALDOMAIN" in result["hint"]


@pytest.mark.parametrize("order", ["file dns", "dns [!UNAVAIL=return] files"])
def test_a_name_of_the_hosts_file_that_is_not_looked_up_there_is_named(order: str) -> None:
    hosts = "192.0.2.7 brain.example\n"
    result = diagnose("brain.example", {SERVER: {}}, hosts=hosts, nsswitch=f"hosts: {order}\n")
    assert result["code"] == "dns.nxdomain"
    assert f"/etc/hosts line 3 has it, but is not asked (hosts: {order})" in result["message"]
    assert "Put files first" in result["hint"]


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("host.containers.internal", "--add-host=host.containers.internal:host-gateway"),
        ("z4j.tools.svc", "Kubernetes cluster"),
        ("z4j.tools.svc.cluster.local", "Kubernetes cluster"),
        ("brain.tail1234.ts.net", "Connect Tailscale"),
        ("brain.fritz.box", "name its own DNS server first"),
        ("brain.home.arpa", "name its own DNS server first"),
        ("brain.localhost", "Write localhost"),
        ("brain.local", "mDNS"),
    ],
)
def test_a_name_that_public_dns_can_not_have_says_who_has_it(host: str, hint: str) -> None:
    result = diagnose(host, {SERVER: {}})
    assert result["code"] == "dns.nxdomain"
    assert hint in result["hint"]


def test_a_slow_name_that_resolves_in_the_end_says_which_server_it_waited_for() -> None:
    result = diagnose("brain.example", {SERVER: SILENT, SECOND: BRAIN})
    assert result["code"] == "dns.ok"
    assert "127.0.0.1 did not answer" in result["message"]


def test_an_answer_too_long_for_udp_is_fetched_over_tcp() -> None:
    assert diagnose("brain.example", {SERVER: {"*": "TRUNCATED"}})["details"]["addresses"] == ["192.0.2.9"]


def test_a_machine_without_name_servers_is_told_so() -> None:
    result = diagnose("brain.example", {})
    assert result["code"] == "dns.no_resolver"
    assert "/etc/resolv.conf names no name server" in result["message"]


def test_a_machine_that_does_not_use_its_name_servers_is_told_so() -> None:
    result = diagnose("brain.example", {SERVER: BRAIN}, nsswitch="hosts: files\n")
    assert result["code"] == "dns.system_failure"
    assert "192.0.2.1" in result["message"]
    assert "nsswitch.conf" in result["hint"]


def test_a_name_that_only_the_hosts_file_knows_is_a_warning() -> None:
    result = diagnose("brain.example", {SERVER: {}}, hosts="192.0.2.7 brain.example\n")
    assert (result["code"], result["status"]) == ("dns.local_only", "warn")
    assert "/etc/hosts" in result["message"]


@pytest.mark.parametrize("host", ["brain.internal", "brain.z4j.svc.cluster.local", "brain.test", "brain"])
def test_a_private_name_in_the_hosts_file_is_no_warning(host: str) -> None:
    assert diagnose(host, {SERVER: {}}, hosts=f"192.0.2.7 {host}\n")["code"] == "dns.ok"


def test_a_hosts_file_on_a_machine_without_dns_is_no_warning() -> None:
    assert diagnose("brain.example", {}, hosts="192.0.2.7 brain.example\n")["code"] == "dns.ok"


def test_the_agent_spends_no_query_on_a_warning() -> None:
    result = diagnose("brain.example", {SERVER: {}}, hosts="192.0.2.7 brain.example\n", look_closer=False)
    assert result["code"] == "dns.ok"


@pytest.mark.parametrize("answer", [{"A": ["0.0.0.0"], "AAAA": ["::"]}, {"A": ["127.0.0.1"]}])
def test_a_filters_answer_is_a_sinkhole(answer: dict[str, list[str]]) -> None:
    assert diagnose("brain.example", {SERVER: {"*": answer}})["code"] == "dns.sinkhole"


def test_a_filtered_family_beside_a_good_one_is_left_out() -> None:
    result = diagnose("brain.example", {SERVER: {"*": {"A": ["0.0.0.0"], "AAAA": ["2001:db8::1"]}}})
    assert result["code"] == "dns.ok"


def test_loopback_from_the_hosts_file_is_not_meant_where_dns_says_otherwise() -> None:
    result = diagnose("brain.example", {SERVER: BRAIN}, hosts="127.0.1.1 brain.example\n")
    assert (result["code"], result["status"]) == ("dns.local_only", "warn")
    assert "/etc/hosts line 3; DNS says 192.0.2.1" in result["message"]


def test_an_address_that_dns_has_as_well_is_no_warning() -> None:
    assert diagnose("brain.example", {SERVER: BRAIN}, hosts="192.0.2.1 brain.example\n")["code"] == "dns.ok"


def test_loopback_from_the_hosts_file_is_meant() -> None:
    assert diagnose("brain.example", {SERVER: {}}, hosts="127.0.0.1 brain.example\n")["code"] == "dns.ok"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST"])
async def test_loopback_names_are_normal(host: str) -> None:
    async with climbed(ladder_to(Endpoint(False, host, 1))) as (climb, results):
        assert results["dns"].code == "dns.ok"
        assert {a.ip for a in climb.addresses} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", address(1)),
        ("::1", address(1, socket.AF_INET6)),
        ("fe80::1%lo", Address(socket.AF_INET6, "fe80::1", 1, socket.if_nametoindex("lo"))),
    ],
)
async def test_an_address_needs_no_resolving(host: str, expected: Address) -> None:
    async with climbed(ladder_to(Endpoint(False, host, 1), timeout_s=1)) as (climb, results):
        assert results["dns"].code == "dns.literal"
        assert climb.addresses == (expected,)


@pytest.mark.parametrize("host", ["brain..example", f"{'a' * 64}.example", "fe80::1%no-such-interface", "-"])
async def test_a_name_that_can_not_exist_is_not_looked_up(host: str) -> None:
    result = await result_of("dns", ladder_to(Endpoint(True, host, 443)))
    assert result.code == "dns.invalid_name"
    assert result.status is Status.FAIL


async def test_with_a_proxy_its_host_is_looked_up_and_the_brains_is_evidence() -> None:
    proxy = Proxy("localhost", 1, secure=False, variable="HTTPS_PROXY")
    result = await result_of("dns", ladder_to(Endpoint(True, "brain..example", 443), proxy=proxy))
    assert result.code == "dns.ok"
    assert result.details["host"] == "localhost"
    assert "resolves brain..example itself" in result.message


async def test_a_proxy_that_does_not_resolve_is_named_as_one() -> None:
    proxy = Proxy("proxy..example", 1, secure=False, variable="HTTPS_PROXY")
    result = await result_of("dns", ladder_to(Endpoint(True, "brain.example", 443), proxy=proxy))
    assert result.code == "dns.invalid_name"
    assert "proxy" in result.message


async def test_a_resolver_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: done.wait(30))
    started_s = time.monotonic()
    try:
        result = await result_of("dns", ladder_to(Endpoint(True, "brain.example", 443), timeout_s=1))
    finally:
        done.set()
    assert result.code in ("dns.timeout", "dns.system_failure")
    assert "brain.example" in result.message
    assert time.monotonic() - started_s <= 1


async def test_a_system_error_of_the_resolver_keeps_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptors(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "getaddrinfo", no_descriptors)
    result = await result_of("dns", ladder_to(Endpoint(True, "brain.example", 443), timeout_s=0.5))
    assert result.code == "dns.system_failure"
    assert "Too many open files" in result.message


def test_addresses_are_written_as_urls_have_them() -> None:
    assert str(address(443)) == "127.0.0.1:443"
    assert str(address(443, socket.AF_INET6)) == "[::1]:443"
    assert dns.PROBE.timeout_code == "dns.timeout"
