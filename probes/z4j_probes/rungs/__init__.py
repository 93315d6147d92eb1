"""The rungs, in the order in which they are climbed: from settings to a proven session.

    rung       its question                                               what it leaves
    config     Are the settings complete and usable?                      endpoint, proxy, secret
    buffer     Can this user write the event buffer here?                 state directory
    dns        Does the host that is connected to resolve?                addresses
    tcp        Does one of the addresses (or the proxy) accept?           an open transport
    tls        Does the certificate verify, with the runtime's trust?     the encrypted transport
    websocket  Does /ws/agent upgrade to a WebSocket?                     a WebSocket
    auth       Does the brain accept token, project and version?          hello and hello_ack
    signing    Are frames accepted that are signed, in both directions?   signer and verifier

The questions in full are in the probes, what is left in `Climb`. `buffer` needs `config` only, and runs
beside the rungs of the network. A rung is imported by nothing but this module: what two of them share stands
beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from z4j_probes.probe import Probe


def built_in() -> tuple[Probe, ...]:
    """The built-in probes, in that order. They are imported here, so that importing one does not load all."""
    from z4j_probes.rungs import auth, signing
    from z4j_probes.rungs.buffer import probe as buffer
    from z4j_probes.rungs.config import probe as config
    from z4j_probes.rungs.dns import probe as dns
    from z4j_probes.rungs.tcp import probe as tcp
    from z4j_probes.rungs.tls import probe as tls
    from z4j_probes.rungs.websocket import probe as websocket

    rungs = (config, buffer, dns, tcp, tls, websocket, auth, signing)
    return tuple(rung.PROBE for rung in rungs)
