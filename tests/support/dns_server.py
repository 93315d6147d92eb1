"""A name server on loopback, over UDP and TCP, that answers from a table, lies, refuses or says nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

# A name's records by type; or a word for every type: an rcode's name, "SILENT", "TRUNCATED" (over UDP). A
# type may have the word instead. "*" is for every other name, and is NXDOMAIN where it is not given. What
# "DELAY_S" is given, in seconds, each answer over UDP comes late by.
Records = Mapping[str, Sequence[str] | str] | str
Zone = Mapping[str, Records]


def answer(zone: Zone, wire: bytes, *, over_tcp: bool) -> bytes | None:
    """The answer's bytes, or None for silence."""
    query = dns.message.from_wire(wire)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(question.rdtype)
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    found = zone.get(name, zone.get("*", "NXDOMAIN"))
    records = found if isinstance(found, str) else found.get(kind, ())
    if not isinstance(records, str):
        if records:
            reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", kind, *records))
    elif records == "SILENT":
        return None
    elif records == "TRUNCATED":
        if over_tcp and kind == "A":
            reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", "A", "192.0.2.9"))
        reply.flags |= 0 if over_tcp else dns.flags.TC
    else:
        reply.set_rcode(dns.rcode.from_text(records))
    return reply.to_wire()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # the selector loop's class is no DatagramTransport until Python 3.12
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer(self._zone, data, over_tcp=False)
        delay_s = self._zone.get("DELAY_S", "0")
        if reply is not None and isinstance(delay_s, str):
            asyncio.get_running_loop().call_later(float(delay_s), self._transport.sendto, reply, addr)


@asynccontextmanager
async def name_server(zone: Zone, address: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Serve the zone; yields the port, the same for UDP and TCP."""

    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # the C library asks for both families over one connection
        with contextlib.suppress(EOFError, OSError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                reply = answer(zone, await reader.readexactly(length), over_tcp=True)
                if reply is not None:
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        writer.close()

    server = await asyncio.start_server(over_tcp, address, port)
    bound = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(zone), local_addr=(address, bound))
    try:
        yield bound
    finally:
        transport.close()
        server.close()
        await server.wait_closed()
