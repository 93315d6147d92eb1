"""What the name servers themselves say of a name: evidence beside the system resolver's verdict.

Every server of resolv.conf is asked at once, for the name as it stands and for what the search list makes
of it. dnspython does the wire, and is imported only here, only when it is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from z4j_probes.hostname import ascii_name
from z4j_probes.portable import errors
from z4j_probes.portable.name_servers import ResolverConfig, read_config, where
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:
    import dns.edns
    import dns.message


class Said(StrEnum):
    """One name server's word on one name, both address families taken together."""

    ADDRESSES = "addresses"
    NXDOMAIN = "NXDOMAIN"
    NO_ADDRESS = "no address"
    SERVFAIL = "SERVFAIL"
    REFUSED = "REFUSED"
    SILENT = "no answer"
    UNREACHABLE = "unreachable"


# Extended errors of servers that know the answer and do not give it (RFC 8914 §4.5, §4.16 to §4.19): forged,
# blocked, censored, filtered, prohibited.
_POLICIES = (4, 15, 16, 17, 18)
_EDE_TEXT = 80
# Where A and AAAA differ, or search names do, this one counts: an address is an address, and a name that
# exists for one type exists.
_STRENGTH = (
    Said.ADDRESSES,
    Said.NXDOMAIN,
    Said.SILENT,
    Said.SERVFAIL,
    Said.REFUSED,
    Said.UNREACHABLE,
    Said.NO_ADDRESS,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one server said of one name; `note` is the error behind `unreachable`.

    `unanswered` are the record types to which it said nothing: a server that drops only AAAA makes the
    C library wait as long as a dead one. `failed` are those that it answered with SERVFAIL: where that is
    AAAA alone, glibc takes the A record, and musl (Alpine) fails. `alias` is where a CNAME leads, `filtered`
    why a server withholds an answer (RFC 8914).
    """

    server: str
    name: str
    said: Said
    addresses: tuple[str, ...] = ()
    note: str = ""
    unanswered: tuple[str, ...] = ()
    alias: str = ""
    filtered: str = ""
    failed: tuple[str, ...] = ()

    @property
    def spoke(self) -> bool:
        """Whether the server answered anything at all."""
        return self.said not in (Said.SILENT, Said.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was asked and answered. No servers: resolv.conf names none (or is not there)."""

    name: str
    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    problem: str = ""
    options: tuple[str, ...] = ()
    """Of resolv.conf."""
    ignored: tuple[str, ...] = ()
    """Lines of resolv.conf that name a server in a way that the C library does not read."""
    mute_over_tcp: tuple[str, ...] = ()
    """Servers that answer by UDP and not by TCP, where the option use-vc has the C library ask by TCP."""

    @property
    def is_local_stub(self) -> bool:
        """Whether all that is asked is a daemon on this machine, as systemd-resolved's 127.0.0.53."""
        return bool(self.servers) and all(s.startswith("127.") or s == "::1" for s in self.servers)

    @property
    def absolute(self) -> tuple[Answer, ...]:
        """The answers on the name as it stands."""
        return tuple(a for a in self.answers if a.name == self.name)

    @property
    def denial(self) -> Answer | None:
        """The first word that there is no such name or address, where a later server has an address.

        The C library believes the first that answers, and asks another only after silence or a failure.
        """
        decided = [a for a in self.absolute if a.said in (Said.ADDRESSES, Said.NXDOMAIN, Said.NO_ADDRESS)]
        knows = any(answer.said is Said.ADDRESSES for answer in decided)
        return decided[0] if knows and decided[0].said is not Said.ADDRESSES else None

    def saying(self, said: Said) -> tuple[Answer, ...]:
        """The answers of that kind, on whichever name."""
        return tuple(a for a in self.answers if a.said is said)

    def to_details(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "name_servers": list(self.servers),
            "search": list(self.search),
            "answers": [
                {"server": a.server, "name": a.name, "said": a.said.value}
                | ({"addresses": list(a.addresses)} if a.addresses else {})
                | ({"note": a.note} if a.note else {})
                | ({"unanswered": list(a.unanswered)} if a.unanswered else {})
                | ({"failed": list(a.failed)} if a.failed and a.said is not Said.SERVFAIL else {})
                | ({"alias": a.alias} if a.alias else {})
                | ({"filtered": a.filtered} if a.filtered else {})
                for a in self.answers
            ],
        } | {
            name: value
            for name, value in (
                ("problem", self.problem),
                ("options", list(self.options)),
                ("ignored", list(self.ignored)),
                ("mute_over_tcp", list(self.mute_over_tcp)),
            )
            if value
        }


def read_config_or_none(host: str) -> ResolverConfig | None:
    """The same for a look that is not worth a failure: None where the file can't be read."""
    try:
        return read_config(host)
    except OSError:
        return None


def candidates(host: str, config: ResolverConfig) -> tuple[str, ...]:
    """The absolute names that the C library tries, in its order; a final dot rules the search list out."""
    name = ascii_name(host)
    if name.endswith("."):
        return (name.rstrip("."),)
    searched = tuple(f"{name}.{domain}" for domain in config.search)
    return (name, *searched) if name.count(".") >= config.ndots else (*searched, name)


async def ask(host: str, timeout_s: float, *, searching: bool = True) -> Evidence:
    """Ask every name server of this machine about the name; never raises for what the network does."""
    name = ascii_name(host).rstrip(".")
    try:
        config = await in_daemon_thread(lambda: _prepare(name))
    except OSError as exc:
        return Evidence(name, problem=f"{where()} can't be read: {exc.strerror}")
    names = candidates(host, config) if searching else (name,)
    servers = tuple(_label(*server) for server in config.servers)
    answers = await asyncio.gather(
        *(_ask_one(server, port, n, timeout_s) for n in names for server, port in config.servers)
    )
    mute: tuple[str, ...] = ()
    if "use-vc" in config.options:
        spoke = [
            server for server in config.servers if _label(*server) in {a.server for a in answers if a.spoke}
        ]
        mute = await _mute_over_tcp(spoke, name, timeout_s / 2)
    search = config.search if searching else ()
    return Evidence(
        name,
        servers,
        search,
        tuple(answers),
        options=config.options,
        ignored=config.ignored,
        mute_over_tcp=mute,
    )


async def _mute_over_tcp(servers: list[tuple[str, int]], name: str, timeout_s: float) -> tuple[str, ...]:
    import dns.asyncquery
    import dns.message

    async def is_mute(server: str, port: int) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await dns.asyncquery.tcp(dns.message.make_query(name, "A"), server, port=port)
        except Exception:  # refused, reset, silent, malformed: it does not answer by TCP
            return True
        return False

    mute = await asyncio.gather(*(is_mute(*server) for server in servers))
    return tuple(_label(*server) for server, is_so in zip(servers, mute, strict=True) if is_so)


def _label(server: str, port: int) -> str:
    return server if port == 53 else f"{server}:{port}"


def _prepare(host: str) -> ResolverConfig:
    import dns.asyncquery  # noqa: F401 - tens of milliseconds, which the event loop need not wait

    return read_config(host)


async def _ask_one(server: str, port: int, name: str, timeout_s: float) -> Answer:
    kinds = ("A", "AAAA")
    both = await asyncio.gather(*(_query(server, port, name, kind, timeout_s) for kind in kinds))
    said = min((answer.said for answer in both), key=_STRENGTH.index)
    addresses = tuple(address for answer in both for address in answer.addresses)
    note = next((answer.note for answer in both if answer.said is said), "")
    unanswered = tuple(k for k, answer in zip(kinds, both, strict=True) if answer.said is Said.SILENT)
    failed = tuple(k for k, answer in zip(kinds, both, strict=True) if answer.said is Said.SERVFAIL)
    alias, filtered = (next((v for a in both if (v := getattr(a, n))), "") for n in ("alias", "filtered"))
    return Answer(_label(server, port), name, said, addresses, note, unanswered, alias, filtered, failed)


async def _query(server: str, port: int, name: str, kind: str, timeout_s: float) -> Answer:
    import dns.asyncquery
    import dns.exception
    import dns.message
    import dns.rcode

    async def ask_once(query: dns.message.Message) -> dns.message.Message:
        # errors are ignored, not believed: anyone can send a datagram that looks like a bad answer
        reply, _ = await dns.asyncquery.udp_with_fallback(
            query, server, port=port, timeout=timeout_s, ignore_unexpected=True, ignore_errors=True
        )
        return reply

    try:
        async with asyncio.timeout(timeout_s):
            reply = await ask_once(dns.message.make_query(name, kind, use_edns=0))  # extended errors, too
            if reply.rcode() == dns.rcode.FORMERR:  # older than EDNS
                reply = await ask_once(dns.message.make_query(name, kind))
    except (TimeoutError, dns.exception.Timeout):
        return Answer(server, name, Said.SILENT)
    except (OSError, EOFError) as exc:
        return Answer(
            server, name, Said.UNREACHABLE, note=errors.reason(exc) if isinstance(exc, OSError) else str(exc)
        )
    except (dns.exception.DNSException, ValueError) as exc:
        return Answer(server, name, Said.SERVFAIL, note=f"{type(exc).__name__}: {exc}")
    return read_reply(server, name, reply)


def read_reply(server: str, name: str, reply: dns.message.Message) -> Answer:
    """What a reply says: its addresses, whatever CNAMEs led to them, or why it has none."""
    import dns.rcode
    import dns.rdatatype

    rcode = reply.rcode()
    alias, filtered, why = _alias(reply), _filtered(reply), _extended(reply)
    if rcode == dns.rcode.NXDOMAIN:
        return Answer(server, name, Said.NXDOMAIN, alias=alias, filtered=filtered)
    if rcode == dns.rcode.REFUSED:
        return Answer(server, name, Said.REFUSED, filtered=filtered)
    if rcode != dns.rcode.NOERROR:
        note = why if rcode == dns.rcode.SERVFAIL else dns.rcode.to_text(rcode)
        return Answer(server, name, Said.SERVFAIL, note=note, alias=alias, filtered=filtered)
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    found = _flatten(str(rdata) for rrset in reply.answer if rrset.rdtype in kinds for rdata in rrset)
    said = Said.ADDRESSES if found else Said.NO_ADDRESS
    return Answer(server, name, said, found, alias=alias, filtered=filtered)


def _alias(reply: dns.message.Message) -> str:
    """Where the CNAMEs of the answer end; empty where it has none."""
    import dns.rdatatype

    targets = [r.target for rrset in reply.answer if rrset.rdtype == dns.rdatatype.CNAME for r in rrset]
    return str(targets[-1]).rstrip(".") if targets else ""


def _extended(reply: dns.message.Message) -> str:
    """The extended errors of the reply (RFC 8914), in the registry's words and the server's own."""
    return "; ".join(
        f"{getattr(error.code, 'name', error.code)}".lower().replace("_", " ")
        + (f": {error.text[:_EDE_TEXT]}" if error.text else "")
        for error in _errors(reply)
    )


def _filtered(reply: dns.message.Message) -> str:
    """The same, where it says that a policy withholds the answer."""
    return _extended(reply) if any(error.code in _POLICIES for error in _errors(reply)) else ""


def _errors(reply: dns.message.Message) -> list[dns.edns.EDEOption]:
    import dns.edns

    return [option for option in reply.options if isinstance(option, dns.edns.EDEOption)]


def _flatten(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(addresses))
