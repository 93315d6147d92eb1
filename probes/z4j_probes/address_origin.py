"""Where an address comes from, where that is not, or not only, the DNS: data that a climb keeps.

Apart from the rung that finds it, since a climb knows no rung, and from the address, since few runs need it.
"""

from __future__ import annotations

from dataclasses import dataclass

from z4j_probes.result import Step


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the addresses come from, for people: `source` completes "NAME is ADDRESS, …".

    `dns` is what the name servers say instead; empty where they did not answer. `step` corrects it.
    """

    host: str
    addresses: tuple[str, ...]
    source: str
    dns: str = ""
    step: Step | None = None
    is_expected: bool = False
    """For a name of this machine or its network: no surprise, and worth a word only after a failure."""

    def __str__(self) -> str:
        beside = f"; DNS says {self.dns}" if self.dns else ""
        return f"{self.host} is {', '.join(self.addresses)}, {self.source}{beside}"

    def to_details(self) -> dict[str, str]:
        """JSON-ready."""
        return {"address_source": self.source} | ({"dns_says": self.dns} if self.dns else {})
