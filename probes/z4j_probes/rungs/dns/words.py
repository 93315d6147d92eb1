"""The words for a name that did not resolve: the message, and what to do, from what was read and asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from z4j_probes.hostname import ascii_name, shown
from z4j_probes.portable import shell
from z4j_probes.portable.name_servers import RESOLV_CONF, hosts_file, place_of_option, where
from z4j_probes.portable.system import by_system, has_glibc
from z4j_probes.result import Advice, Step
from z4j_probes.rungs.dns.classify import Failure, System
from z4j_probes.rungs.dns.machine import NSSWITCH_FILE, Machine
from z4j_probes.rungs.dns.nameservers import Answer, Evidence, Said

Words = tuple[str, Advice | None]
# Docker Desktop and Podman make these names for the host, and the others do when they are asked to.
_ENGINE_HOSTS = (
    "host.docker.internal",
    "gateway.docker.internal",
    "kubernetes.docker.internal",
    "host.containers.internal",
    "host.lima.internal",
    "host.minikube.internal",
)
# Names that only one network's own resolver knows, and how this machine comes to ask it.
_CLUSTER = "Run this in the Kubernetes cluster, the only place with that name, or use the brain's public name"
_OWN_RESOLVERS = {
    ".svc": _CLUSTER,
    ".cluster.local": _CLUSTER,
    ".ts.net": "Connect Tailscale on this machine, whose MagicDNS knows that name, or use an address",
    ".consul": "Have this machine's resolver forward .consul to Consul's DNS, or use the brain's address",
    ".localhost": "Write localhost, or 127.0.0.1, in Z4J_BRAIN_URL: few resolvers know names below localhost",
} | dict.fromkeys(
    (
        *(".lan", ".home", ".home.arpa", ".internal", ".intranet", ".corp", ".private", ".localdomain"),
        ".fritz.box",
    ),
    "Connect to the network that has the name (a VPN?), and name its own DNS server first: public ones "
    "do not know it",
)
# systemd-resolved's stub, and the addresses of other local caches.
_SYSTEMD_STUB = "127.0.0.53"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known after a failure. `name` is the host for people, `query` for a command."""

    host: str
    failure: Failure
    evidence: Evidence
    machine: Machine

    @property
    def name(self) -> str:
        return shown(self.host)

    @property
    def query(self) -> str:
        return shell.quote(ascii_name(self.host))


def explain(code: str, facts: Facts) -> Words:
    """One line that says what was seen, and what to do where that can be more precise than the catalogue."""
    return _WORDS[code](facts)


def _no_resolver(facts: Facts) -> Words:
    why = facts.evidence.problem or by_system(
        f"{RESOLV_CONF} names no name server",
        "no network service names a name server",
        "no network adapter names a name server",
    )
    message = f"can't look up {facts.name}: {why}"
    if facts.evidence.problem and RESOLV_CONF.exists():
        return message, Step("Make the file readable", shell.let_all_read(str(RESOLV_CONF)))
    if facts.evidence.ignored:
        return _ignored_lines(facts)
    if facts.host.rstrip(".").lower() == "localhost":
        return f"{message}, and {_no_localhost(facts.machine)}", _write_localhost()
    return message, None


def _ignored_lines(facts: Facts) -> Words:
    """Lines with a server that the C library passes over, without a word."""
    line = facts.evidence.ignored[0]
    message = f"can't look up {facts.name}: the system resolver ignores {RESOLV_CONF}: {line.strip()!r} "
    correct = shell.correct_name_servers()
    if line.endswith("\r"):
        return f"{message}ends in a carriage return", Step("Convert its Windows line ends", correct)
    if line[0].isspace():
        return f"{message}is indented", Step("Start each line with its keyword", correct)
    return f"{message}has no valid address", Step(
        f"Write only an address in {RESOLV_CONF}, without a port: nameserver 192.0.2.53"
    )


def _timeout(facts: Facts) -> Words:
    evidence, waited = facts.evidence, f"{facts.failure.waited_s:.3g} s"
    mute = _mute(evidence)
    if not mute:
        return f"the system resolver did not answer for {facts.name} within {waited}", None
    if facts.failure.system is System.SILENT:
        message = f"{facts.name} did not resolve within {waited}: {_silence(mute, evidence)}"
    else:
        message = f"{facts.name} did not resolve: {_silence(mute, evidence)}"
    return message, _reach(mute, facts)


def _system_failure(facts: Facts) -> Words:
    failure, evidence, machine = facts.failure, facts.evidence, facts.machine
    if failure.system is System.BROKEN:
        return f"the system resolver can't look up {facts.name}: {failure.text}", None
    found = evidence.saying(Said.ADDRESSES)
    end = (
        f"does not answer within {failure.waited_s:.3g} s"
        if failure.system is System.SILENT
        else f"says {failure.text!r}"
    )
    if not found:
        servers = _asked(list(evidence.servers))
        return f"{servers} answered, but the system resolver {end} for {facts.name}", None
    addresses = ", ".join(dict.fromkeys(address for answer in found for address in answer.addresses))
    message = f"{_asked(_servers(found))} knows {facts.name} as {addresses}, but the system resolver {end}"
    see = shell.name_sources(facts.query)
    if has_glibc() and not machine.sources.asks_dns:
        return f"{message} ({machine.sources})", Step(
            f"Add dns to the hosts line of {NSSWITCH_FILE}. See the line, and what it finds", see
        )
    stop = machine.sources.stop_before_dns if has_glibc() else None
    if stop:
        return f"{message} ({machine.sources})", Step(
            f"Remove {stop}, which ends each look-up before DNS is asked, from {NSSWITCH_FILE}. See the line",
            see,
        )
    if evidence.mute_over_tcp and has_glibc():
        server, place = evidence.mute_over_tcp[0], place_of_option("use-vc")
        return f"{message}: it asks by TCP (use-vc), and {server} does not answer by TCP", Step(
            f"Remove the option use-vc from {place}, or open TCP port 53 to {server}. Try it",
            shell.ask_dns(facts.query, server=server, options="+tcp"),
        )
    return message, Step(
        "Restart the local resolver or cache. See where the answers differ",
        shell.compare_resolvers(facts.query),
    )


def _nxdomain(facts: Facts) -> Words:
    evidence = facts.evidence
    if evidence.denial:
        return _denied_first(facts, evidence.denial)
    denied = evidence.saying(Said.NXDOMAIN)
    host = ascii_name(facts.host).rstrip(".").lower()
    if not denied:
        mute = _asked(_servers(evidence.answers) or list(evidence.servers))
        said = f"name not found, says the system resolver ({facts.failure.text}); {mute} did not answer"
        return f"{facts.name}: {said}", _not_in_dns(host, facts)
    filtered = next((a for a in denied if a.filtered), None)
    if filtered:
        return _withheld(facts, filtered)
    dangling = next((a for a in denied if a.alias and a.name == evidence.name), None)
    if dangling:
        return (
            f"{facts.name} is an alias (CNAME) of {dangling.alias}, which does not exist (NXDOMAIN from "
            f"{dangling.server})",
            Step(
                "Correct the CNAME record, or restore its target. See the chain",
                shell.ask_dns(facts.query),
            ),
        )
    others = [name for name in dict.fromkeys(answer.name for answer in denied) if name != evidence.name]
    too = f", nor does {' or '.join(others)}" if others else ""
    message = f"{facts.name} does not exist{too}: {_asked(_servers(denied))} answered NXDOMAIN"
    return _not_from_hosts(message, facts) or (message, _not_in_dns(host, facts))


def _denied_first(facts: Facts, denial: Answer) -> Words:
    """Split DNS: a later server knows the name, and the C library asks it only where the first is silent."""
    knowing = next(a for a in facts.evidence.absolute if a.said is Said.ADDRESSES)
    return (
        f"name server {denial.server} answered {denial.said.value} for {facts.name}, and {knowing.server}, "
        f"which knows it as {', '.join(knowing.addresses)}, is not asked after that",
        Step(
            f"Name {knowing.server} before {denial.server} in {where()}, or have {denial.server} forward "
            "that zone to it. Compare them",
            f"{shell.ask_dns(facts.query, server=denial.server)}; "
            f"{shell.ask_dns(facts.query, server=knowing.server)}",
        ),
    )


def _not_from_hosts(message: str, facts: Facts) -> Words | None:
    """A name of the hosts file that the system resolver does not find there."""
    machine = facts.machine
    if machine.is_hosts_file_closed:
        return f"{message}, and this user can't read {hosts_file()}", (
            Step("If the name is in that file, make it readable", shell.let_all_read(str(hosts_file()))),
            Step("If not, compare the host in Z4J_BRAIN_URL with your DNS zone, letter by letter"),
        )
    if not (machine.hosts and has_glibc()):
        return None
    return (
        f"{message}; {hosts_file()} line {machine.hosts[0].number} has it, but is not asked "
        f"({machine.sources})",
        Step(
            f"Put files first on the hosts line of {NSSWITCH_FILE}. See the line, and what it finds",
            shell.name_sources(facts.query),
        ),
    )


def _not_in_dns(host: str, facts: Facts) -> Advice | None:
    """What to do about names that no zone has, by what they look like."""
    if host in _ENGINE_HOSTS:
        return (
            Step(f"Start the container with --add-host={host}:host-gateway, as Docker needs it on Linux"),
            Step(f'In Compose, add "{host}:host-gateway" to extra_hosts'),
        )
    if host == "localhost":
        return _write_localhost()
    known_there = next((text for suffix, text in _OWN_RESOLVERS.items() if host.endswith(suffix)), None)
    if known_there:
        return Step(known_there)
    if host.endswith(".local"):
        return (
            *(
                (
                    Step(
                        "Install mDNS for the system resolver, on a network that has it",
                        shell.install_mdns(),
                    ),
                )
                if has_glibc()
                else ()
            ),
            Step("If that fails (containers have no mDNS), use a name in DNS, or the address"),
        )
    if "." in host:
        return None
    domains = ", ".join(facts.evidence.search) or "empty"
    return Step(
        f"Write the full name in Z4J_BRAIN_URL (in Kubernetes {facts.host}.NAMESPACE.svc): "
        f"the search list here is {domains}"
    )


def _no_localhost(machine: Machine) -> str:
    return f"{hosts_file()} does not {'have' if machine.has_hosts_file else 'exist to have'} the name"


def _write_localhost() -> tuple[Step, ...]:
    return (
        Step(
            f"Add the name to {hosts_file()}",
            shell.add_local_name("127.0.0.1", "localhost", str(hosts_file())),
        ),
        Step("If that fails (a read-only image), write 127.0.0.1 instead of localhost in Z4J_BRAIN_URL"),
    )


def _no_address(facts: Facts) -> Words:
    evidence = facts.evidence
    if evidence.denial:
        return _denied_first(facts, evidence.denial)
    who = list(evidence.saying(Said.NO_ADDRESS))
    servers = _asked(_servers(who) or list(evidence.servers))
    filtered = next((a for a in who if a.filtered), None)
    if filtered:
        return _withheld(facts, filtered)
    alias = next((a.alias for a in who if a.alias), "")
    if alias:
        if alias == ascii_name(facts.host).rstrip(".").lower():
            message = f"{facts.name} is an alias (CNAME) of itself ({servers})"
            return message, Step("Correct the CNAME record", shell.ask_dns(facts.query))
        message = f"{facts.name} is an alias (CNAME) of {alias}, which has no A or AAAA record ({servers})"
        return message, Step("Correct the CNAME record, or what it leads to", shell.ask_dns(facts.query))
    return f"{facts.name} exists, but has no A or AAAA record ({servers})", (
        Step("Add an A or AAAA record for the name, or correct the name in Z4J_BRAIN_URL"),
        Step(
            "If it has one with a private address, exempt the name from the router's DNS rebind protection. "
            "Compare with another name server",
            f"{shell.ask_dns(facts.query)}; {shell.ask_dns(facts.query, server='SERVER')}",
        ),
    )


def _servfail(facts: Facts) -> Words:
    half = next((a for a in facts.evidence.saying(Said.ADDRESSES) if a.failed), None)
    if half:
        kind, other = half.failed[0], "A" if half.failed[0] == "AAAA" else "AAAA"
        return (
            f"{facts.name} did not resolve: name server {half.server} answers {other}, but SERVFAIL for "
            f"{kind}, which this system's resolver takes for no answer at all",
            Step(
                f"Have the name server answer {kind} queries, if with no record. See what it says",
                shell.ask_dns(facts.query, server=half.server, options=f"-t {kind}"),
            ),
        )
    who = list(facts.evidence.saying(Said.SERVFAIL))
    filtered = next((a for a in who if a.filtered), None)
    if filtered:
        return _withheld(facts, filtered)
    return _refused_or_failed(facts, Said.SERVFAIL), Step(
        "Ask without DNSSEC: if that answers, fix DNSSEC, and else the zone's own servers",
        shell.ask_dns(facts.query, options="+cd"),
    )


def _refused(facts: Facts) -> Words:
    filtered = next((a for a in facts.evidence.saying(Said.REFUSED) if a.filtered), None)
    return _withheld(facts, filtered) if filtered else (_refused_or_failed(facts, Said.REFUSED), None)


def _refused_or_failed(facts: Facts, said: Said) -> str:
    who = list(facts.evidence.saying(said))
    notes = {answer.note for answer in who if answer.note}
    note = f" ({', '.join(sorted(notes))})" if notes else ""
    servers = _asked(_servers(who) or list(facts.evidence.servers))
    return f"{facts.name} did not resolve: {servers} answered {said.value}{note}"


def _withheld(facts: Facts, answer: Answer) -> Words:
    """A server that says itself that a policy keeps the answer back (RFC 8914)."""
    return (
        f"{facts.name} is blocked by name server {answer.server}: {answer.said.value}, {answer.filtered}",
        Step(
            f"Allow {ascii_name(facts.host)} in the DNS filter of {answer.server}, or exempt it from the "
            "rebind protection there, which drops private addresses"
        ),
    )


def _silence(mute: list[str], evidence: Evidence) -> str:
    types = {answer.unanswered for answer in evidence.answers if answer.server in mute and answer.unanswered}
    notes = {answer.note for answer in evidence.answers if answer.said is Said.UNREACHABLE and answer.note}
    only = f" for {next(iter(types))[0]}" if len(types) == 1 and len(next(iter(types))) == 1 else ""
    note = f" ({', '.join(sorted(notes))})" if notes else ""
    spoke = [server for server in evidence.servers if server not in mute]
    also = f"; {_asked(spoke)} did" if spoke else ""
    return f"{_asked(mute)} did not answer{only}{note}{also}"


def _reach(mute: list[str], facts: Facts) -> Advice:
    server, _, port = mute[0].partition(":") if mute[0].count(":") == 1 else (mute[0], "", "53")
    others = [name for name in facts.evidence.servers if name not in mute]
    if facts.evidence.is_local_stub and not others:
        service = "systemd-resolved" if server == _SYSTEMD_STUB else "the resolver that listens there"
        start = (
            shell.start_resolver("systemd-resolved")
            if server == _SYSTEMD_STUB
            else shell.listening(port, kind="udp")
        )
        return (
            Step(f"Start {service}, on this machine", start),
            Step(
                f"In a container, where nothing listens there, name a server of the network in {where()} "
                "(docker run --dns ADDRESS; Compose: dns:)"
            ),
        )
    remove = f", or remove it from {where()}" if others else ""
    return Step(
        f"Open UDP and TCP port {port} to {server}{remove or f', or name another server in {where()}'}. "
        "See whether it answers",
        shell.ask_dns(facts.query, server=server, port=port),
    )


def _servers(answers: Iterable[Answer]) -> list[str]:
    return list(dict.fromkeys(answer.server for answer in answers))


def _mute(evidence: Evidence) -> list[str]:
    return _servers(a for a in evidence.answers if a.unanswered or a.said is Said.UNREACHABLE)


def _asked(servers: list[str]) -> str:
    if not servers:
        return "no name server"
    *first, last = servers
    return f"name servers {', '.join(first)} and {last}" if first else f"name server {last}"


_WORDS: dict[str, Callable[[Facts], Words]] = {
    "dns.no_resolver": _no_resolver,
    "dns.timeout": _timeout,
    "dns.system_failure": _system_failure,
    "dns.nxdomain": _nxdomain,
    "dns.no_address": _no_address,
    "dns.servfail": _servfail,
    "dns.refused": _refused,
}
# What a name server says where it is the cause.
_SAID = {
    "dns.nxdomain": Said.NXDOMAIN,
    "dns.no_address": Said.NO_ADDRESS,
    "dns.servfail": Said.SERVFAIL,
    "dns.refused": Said.REFUSED,
}


def headline(code: str, facts: Facts) -> str:
    """What the row says: the cause with the name, or with the server that failed; empty for the title."""
    evidence, name = facts.evidence, facts.name
    said = _SAID.get(code)
    kept = next((answer for answer in evidence.answers if answer.filtered and answer.said is said), None)
    if kept is not None:
        return f"{name} is blocked by name server {kept.server}"
    match code:
        case "dns.nxdomain":
            return f"name not found{' (NXDOMAIN)' if evidence.saying(Said.NXDOMAIN) else ''}: {name}"
        case "dns.no_address":
            return f"{name} has no A or AAAA record"
        case "dns.servfail" | "dns.refused":
            servers = _servers(a for a in evidence.answers if a.said is said) or list(evidence.servers)
            return f"{said} from {_asked(servers)} for {name}"
        case "dns.timeout":
            mute = _mute(evidence)
            return f"no answer from {_asked(mute) if mute else 'the system resolver'}"
        case "dns.system_failure":
            return f"the system resolver fails for {name}"
    return ""
