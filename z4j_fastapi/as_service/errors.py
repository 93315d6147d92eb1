"""Why nothing can be done as a service.

CannotActAs       this machine, this user or the service itself does not allow it
└── NotAService   what was named is not a service: a mistake in the command line
"""

from __future__ import annotations

from z4j_probes.errors import Z4JError


class CannotActAs(Z4JError):
    """Nothing was done as the service; the text says why, in one line without secrets."""


class NotAService(CannotActAs):
    """There is no such service or process: the command line has to name another one."""
