"""Acting as a service: what a process has to know before it goes where the service is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from z4j_probes.systemd_unit import ServiceUnit


@dataclass(frozen=True, slots=True)
class ActingAs:
    """The service that this process is not, and acts as: a doctor with --pid or --unit.

    `unit` is its systemd unit, None where it has none. certifi's bundle comes along by path and content,
    since in the service's file system there may be no such file.
    """

    unit: ServiceUnit | None
    certifi_path: str
    certifi_pem: str = field(repr=False)

    @classmethod
    def prepared(cls, unit: ServiceUnit | None) -> Self:
        """With certifi's bundle read now. OSError where its file can't be read."""
        import certifi

        return cls(unit, certifi.where(), certifi.contents())
