"""A tunnel through an HTTP proxy: ask it to CONNECT to the brain, and say what its answer means."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass

from z4j_probes.endpoint import Endpoint
from z4j_probes.hostname import ascii_name
from z4j_probes.http_response import Answer, may_be_http, parse_answer
from z4j_probes.proxy import Proxy
from z4j_probes.redact import Redactor
from z4j_probes.result import Advice, Step
from z4j_probes.rungs.hints import ask_proxy
from z4j_probes.transport import HELD_MAX_BYTES, HoldingProtocol

_QUOTED_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# Enough of it to know the service by.
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. No `answer`: it closed (with `error` where it was a reset), or spoke no HTTP."""

    answer: Answer | None = None
    said: bytes = b""
    error: Exception | None = None


def target(endpoint: Endpoint) -> str:
    """Host and port as CONNECT names them: the port always, an IPv6 address in brackets."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else ascii_name(endpoint.host)
    return f"{host}:{endpoint.port}"


def request(endpoint: Endpoint, proxy: Proxy) -> bytes:
    """The CONNECT request (RFC 9110 §9.3.6). It carries the proxy's credentials, nothing of the brain's."""
    lines = [f"CONNECT {target(endpoint)} HTTP/1.1", f"Host: {target(endpoint)}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


async def encrypt(
    transport: asyncio.Transport, protocol: HoldingProtocol, proxy: Proxy, context: ssl.SSLContext
) -> asyncio.Transport:
    """TLS with the proxy itself, for one that was named with https://. Raises what start_tls raises."""
    loop = asyncio.get_running_loop()
    name = proxy.host if ":" in proxy.host else ascii_name(proxy.host)
    encrypted = await loop.start_tls(transport, protocol, context, server_hostname=name)
    if encrypted is None:  # closed under the handshake
        raise ConnectionResetError("closed during the TLS handshake")
    protocol.connection_made(encrypted)
    return encrypted


async def connect_through(
    transport: asyncio.Transport, protocol: HoldingProtocol, endpoint: Endpoint, proxy: Proxy
) -> Reply:
    """Ask for the tunnel and read the answer's head; what follows a success stays in `protocol`."""
    transport.write(request(endpoint, proxy))
    while True:
        held = bytes(protocol.received)
        answer = parse_answer(held)
        if answer is not None and answer.is_interim:
            protocol.received[:] = answer.body
            continue
        if answer is not None:
            # a 2xx answer has no body, whatever its headers say: what follows is the tunnel's
            protocol.received[:] = answer.body if answer.status < 300 else b""
            return Reply(answer)
        ended = protocol.eof or protocol.lost
        if ended or len(held) >= HELD_MAX_BYTES or (held and not may_be_http(held)):
            return Reply(said=held, error=protocol.error)
        await protocol.changed()


def diagnose(reply: Reply) -> str | None:
    """The code for a proxy's answer; None where the tunnel stands."""
    if reply.answer is None:
        return "tcp.reset" if reply.error is not None and not reply.said else "tcp.proxy_refused"
    if 200 <= reply.answer.status < 300:
        return None
    # tinyproxy says 401 where RFC 9110 §15.5.8 has 407 for a password that is wrong
    return "tcp.proxy_auth" if reply.answer.status in (401, 407) else "tcp.proxy_refused"


def explain(
    code: str, reply: Reply, endpoint: Endpoint, proxy: Proxy, redactor: Redactor
) -> tuple[str, Advice | None]:
    """One line that says what the proxy answered, and what to do about it."""
    who, where = f"the proxy {proxy.authority} (from {proxy.variable})", target(endpoint)
    answer = reply.answer
    if answer is None:
        if reply.said:
            start = redactor.excerpt(reply.said.decode("latin-1"), cut=True)[:_QUOTED]
            return (
                f"{who} did not answer CONNECT in HTTP: {start!r}",
                f"Check the scheme and port in {proxy.variable}: this may not be an HTTP proxy, or one "
                f"that expects {'http' if proxy.secure else 'https'}://",
            )
        how = "reset" if code == "tcp.reset" else "closed"
        other = "http" if proxy.secure else "https"
        return f"{who} {how} the connection instead of answering CONNECT {where}", (
            Step(f"Write {other}:// in {proxy.variable}, if the proxy expects that"),
            Step(f"If that fails, look for {where} in the proxy's log"),
        )
    status = f"{answer.status} {answer.reason}".strip()
    if code == "tcp.proxy_auth":
        return _wants_credentials(answer, who, proxy)
    leads = f", and leads to {answer.location}" if 300 <= answer.status < 400 and answer.location else ""
    return f"{who} refused CONNECT {where}: {status}{leads}", _advice_for(answer.status, where, proxy)


def headline(code: str, reply: Reply, proxy: Proxy) -> str:
    """What the row says of it: which proxy, and its status."""
    who, answer = f"the proxy {proxy.authority}", reply.answer
    if answer is None:
        if reply.said:
            return f"{who} did not answer in HTTP"
        return f"{who} {'reset' if code == 'tcp.reset' else 'closed'} the connection"
    if code == "tcp.proxy_auth":
        rejected = proxy.authorization is not None
        return f"{who} {'rejected the credentials' if rejected else 'requires credentials'} ({answer.status})"
    return f"{who} refused CONNECT ({answer.status})"


def _wants_credentials(answer: Answer, who: str, proxy: Proxy) -> tuple[str, Advice]:
    offered = answer.headers.get("proxy-authenticate", "")
    schemes = ", ".join(_schemes(offered))
    status = f"{answer.status}, offers {schemes}" if schemes else f"{answer.status}"
    if schemes and "basic" not in offered.lower():
        return (
            f"{who} requires authentication ({status}), and only Basic can be used here",
            (
                Step("Have the proxy's administrators allow Basic, or exempt the brain"),
                Step(
                    "If they can't, run a local authenticating proxy such as cntlm or px, and name that one"
                ),
            ),
        )
    if proxy.authorization is None:
        return (
            f"{who} requires a user name and password ({status}), and none is set",
            f"Write them into {proxy.variable}: http://USER:PASSWORD@{proxy.authority}",
        )
    return (
        f"{who} rejected the user name and password ({status})",
        f"Check the credentials in {proxy.variable}: percent-encode characters such as @ : / in them",
    )


def _schemes(challenges: str) -> list[str]:
    """The schemes of a list of challenges (RFC 9110 §11.6.1): the first words that are no parameters."""
    first_words = (part.split()[0] for part in _QUOTED_STRING.sub("", challenges).split(",") if part.strip())
    return list(dict.fromkeys(word for word in first_words if "=" not in word))


def _advice_for(status: int, where: str, proxy: Proxy) -> Advice | None:
    if status == 403:
        return f"Have {where} added to the proxy's allow list, or add the host to NO_PROXY"
    if status == 511 or 300 <= status < 400:  # RFC 6585 §6, and those that redirect to a login
        return "Log in to the network's portal in a browser, or have the brain's host exempted from it"
    if status in (500, 502, 503, 504):  # tinyproxy says 500 where others say 502
        return Step(f"See why the proxy can't reach {where} itself", ask_proxy(where, proxy))
    if status in (400, 404, 405, 501):
        return f"Check {proxy.variable}: {proxy.authority} answers HTTP, but does not seem to be a proxy"
    return None
