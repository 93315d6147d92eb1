"""What of a unit's limits the doctor takes over beside its namespaces, and what it can't.

A property that is not taken over is named; it is decisive where it may keep the service offline.
"""

from __future__ import annotations

from dataclasses import replace

from z4j_fastapi.as_service import address_families, control_group
from z4j_fastapi.as_service.child import Service
from z4j_fastapi.as_service.errors import CannotActAs
from z4j_fastapi.as_service.systemctl import Unit

# Without one of these there is no connection, no buffer, or no thread.
_NEEDED = {
    "clone3",
    "socket",
    "connect",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "openat",
    "mmap",
    "poll",
    "epoll_wait",
}
_OF_THE_GROUP = ("IPAddressDeny", "IPIngressFilterPath", "IPEgressFilterPath", "RestrictNetworkInterfaces")
_LABELS = ("SELinuxContext", "AppArmorProfile", "SmackProcessLabel")


def restricted(service: Service, unit: Unit | None) -> tuple[Service, list[str], list[str]]:
    """The service with its limits, the properties that are left out, and those that decide.

    Without a unit nothing says what its filters are.
    """
    if unit is None:
        unit = Unit(service.name, {})
        left_out = ["its seccomp filter"] if service.is_filtered else []
    else:
        left_out = [f"{name}={unit.get(name)}" for name in _LABELS if unit.get(name)]
        if service.unit is not None:
            limits = tuple(limits_of_connections(unit))
            service = replace(service, unit=service.unit._replace(limits=limits))
    decisive: list[str] = []
    families = unit.get("RestrictAddressFamilies")
    if address_families.restricts(families):
        if address_families.has_filter():
            service = replace(service, socket_filter=address_families.filter_of(families))
        else:
            decisive.append(f"RestrictAddressFamilies={families}")
    filtered = unit.get("SystemCallFilter")
    if filtered not in ("", "~"):
        blocked = blocked_calls(filtered)
        if blocked:
            decisive.append(f"SystemCallFilter= (it refuses {', '.join(sorted(blocked))})")
        else:
            left_out.append("SystemCallFilter=")
    try:
        service = _in_its_group(service)
    except CannotActAs as exc:
        named = [f"{name}=" for name in _OF_THE_GROUP if unit.get(name) not in ("", "~")]
        decisive += [f"{name} ({exc})" for name in named]
        left_out += [] if named else [str(exc)]
    return service, left_out, decisive


def limits_of_connections(unit: Unit) -> list[str]:
    """The properties by which systemd keeps a service from the network, as they are set."""
    names = [*_OF_THE_GROUP, "RestrictAddressFamilies", "PrivateNetwork", "NetworkNamespacePath"]
    return [f"{name}={unit.get(name)}" for name in names if unit.get(name) not in ("", "~", "no")]


def blocked_calls(shown: str) -> set[str]:
    """Of the system calls that an agent needs those that SystemCallFilter=, as systemd shows it, refuses."""
    names = {entry.partition(":")[0] for entry in shown.removeprefix("~").split()}
    return _NEEDED & names if shown.startswith("~") else _NEEDED - names


def _in_its_group(service: Service) -> Service:
    path = service.control_group
    if path is None:
        return service
    return replace(service, world=replace(service.world, control_group=control_group.open_group(path)))
