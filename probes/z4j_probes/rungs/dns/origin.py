"""Which source made this address: where it is not, or not only, what the DNS says of the name.

The C library takes addresses from the hosts file, from names that the search list makes, and from whatever
else nsswitch.conf names. Such an address leads elsewhere in silence, and the rung that fails above is blamed.
So a doctor asks the DNS beside it where one of these sources can apply, and every climb does after a failure.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from z4j_probes.address_origin import Origin
from z4j_probes.hostname import ascii_name, is_loopback_name, is_private
from z4j_probes.portable import shell
from z4j_probes.portable.name_servers import hosts_file, search_variables
from z4j_probes.portable.system import by_system, has_glibc
from z4j_probes.result import Step
from z4j_probes.rungs.dns.machine import Machine, read_machine
from z4j_probes.threads import in_daemon_thread

if TYPE_CHECKING:
    from z4j_probes.rungs.dns.nameservers import Evidence

# Of the time, for the name servers: where one is silent to the end of it, the others' answers are kept.
_SHARE = 0.8


def can_be_local(machine: Machine, *, searching: bool) -> bool:
    """Whether another source than the DNS can have made the address, so that it is worth asking."""
    return bool(machine.hosts) or searching or not machine.sources.is_usual


async def find_origin(
    host: str, addresses: Sequence[str], timeout_s: float
) -> tuple[Origin | None, Evidence]:
    """Where these addresses of the host come from, None where that is the DNS; and what was asked for it."""
    from z4j_probes.rungs.dns.nameservers import Evidence, ask

    machine = await in_daemon_thread(lambda: read_machine(host))
    try:
        async with asyncio.timeout(timeout_s):
            evidence = await ask(host, timeout_s * _SHARE)
    except TimeoutError:  # the files say something all the same
        evidence = Evidence(ascii_name(host).rstrip("."))
    return trace(host, addresses, machine, evidence), evidence


def trace(host: str, addresses: Sequence[str], machine: Machine, evidence: Evidence) -> Origin | None:
    """The same from what was read and asked."""
    found = set(addresses)
    said = _words(evidence)
    known = {address for answer in evidence.absolute for address in answer.addresses}
    loopback = all(ipaddress.ip_address(address).is_loopback for address in addresses)
    # a name that nothing else knows, led to this machine: that was meant
    expected = is_private(host) or is_loopback_name(host) or (loopback and not known)
    lines = [line for line in machine.hosts if line.ip.partition("%")[0] in found]
    if lines:
        if found & known:
            return None
        source = f"from {hosts_file()} line {lines[0].number}"
        see = shell.find_name(shell.quote(ascii_name(host)), str(hosts_file()))
        step = Step(f"Correct or remove it in {hosts_file()}. See the line", see)
        return Origin(host, tuple(addresses), source, said, step, is_expected=expected)
    completed = _completed(evidence, found)
    if completed:
        source = f"from the search list, as {completed}"
        return Origin(host, tuple(addresses), source, said, _dot(host, completed), is_expected=expected)
    if has_glibc() and not machine.sources.is_usual and not found & known and said:
        source = f"from another source of nsswitch.conf ({machine.sources})"
        see = shell.hosts_and_all_sources(shell.quote(ascii_name(host)))
        step = Step("See which source knows the name", see)
        return Origin(host, tuple(addresses), source, said, step, is_expected=expected)
    if loopback and (found & known or not evidence.answers) and not machine.hosts and not is_private(host):
        step = Step("Allow the name in the DNS filter, or correct its record, if the brain runs elsewhere")
        return Origin(host, tuple(addresses), "which is this machine, as a DNS filter answers", "", step)
    return None


def _completed(evidence: Evidence, found: set[str]) -> str | None:
    """The name of the search list that gave the addresses, where the name as it stands did not come first."""
    from z4j_probes.rungs.dns.nameservers import Said

    for name in dict.fromkeys(answer.name for answer in evidence.answers):
        of_name = [a for a in evidence.answers if a.name == name and a.said is Said.ADDRESSES]
        if any(found & set(answer.addresses) for answer in of_name):
            return None if name == evidence.name else name
        if of_name:
            return None  # it would have come first, and answers otherwise now
    return None


def _words(evidence: Evidence) -> str:
    """What the name servers say of the name as it stands."""
    from z4j_probes.rungs.dns.nameservers import Said

    addresses = dict.fromkeys(a for answer in evidence.absolute for a in answer.addresses)
    if addresses:
        return ", ".join(addresses)
    spoke = [a for a in evidence.absolute if a.said not in (Said.SILENT, Said.UNREACHABLE)]
    return spoke[0].said.value if spoke else ""


def _dot(host: str, completed: str) -> Step:
    name = ascii_name(host)
    if "." not in name:  # it lives by the search list
        return Step(f"Write {completed}, or the right full name, in Z4J_BRAIN_URL")
    return Step(
        f"End the host in Z4J_BRAIN_URL with a dot ({name}.)"
        + by_system(
            ", or set ndots to 1 (Kubernetes: dnsConfig). See the search list",
            ", so that the search list is not tried. See that list",
            ", so that the search list is not tried. See that list",
        ),
        shell.search_list(search_variables()),
    )
