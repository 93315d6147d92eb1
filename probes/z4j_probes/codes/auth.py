"""The codes of the `auth` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Status

# No command: on an index, the name of this distribution may be another project's.
_UPGRADE = "Upgrade the older of the two: this package, from where it was installed, or the brain"

CODES = (
    Code("auth.ok", "the brain accepts the token", status=Status.PASS),
    Code(
        "auth.token_rejected",
        "token rejected",
        causes=(
            "the token was revoked, or its project archived",
            "the token is from another brain, such as staging",
            "the agent was created again, and has a new token",
            "a proxy in front of the brain drops or replaces the Authorization header",
        ),
        remedy="Create the agent's token on the brain's dashboard, and set Z4J_TOKEN to it",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "auth.address_refused",
        "the brain refuses this machine's address",
        causes=(
            "this machine's address is not in the brain's allowlist",
            "a proxy hides the address, and the brain sees the proxy's",
        ),
        remedy="Add this machine's address, as the brain sees it, to the brain's allowlist",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "auth.project_mismatch",
        "the token belongs to another project",
        causes=("Z4J_PROJECT_ID and Z4J_TOKEN come from different projects",),
        remedy="Set Z4J_PROJECT_ID to the token's project, or use a token of the intended project",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "auth.protocol_unsupported",
        "the brain does not support this protocol version",
        causes=("the brain is much newer or much older than this agent",),
        remedy=_UPGRADE,
        heals=Heals.BY_AN_UPGRADE,
    ),
    Code(
        "auth.version_skew",
        "the brain does not support this version of the agent",
        causes=("the agent is outside of the range of versions that the brain supports",),
        remedy=_UPGRADE,
        heals=Heals.BY_AN_UPGRADE,
    ),
    Code(
        "auth.rate_limited",
        "the brain limits the rate of connections",
        causes=(
            "more than 600 connections a minute from this address: a process restarts in a loop",
            "more than 64 workers connected as one agent",
        ),
        remedy="Find what connects so often, or create more agents and distribute the workers among them",
        heals=Heals.BY_WAITING,
    ),
    Code(
        "auth.hello_rejected",
        "the brain rejected the handshake",
        causes=("the brain is older than the fields of the handshake", "a middlebox that alters messages"),
        remedy="Upgrade the brain: its log names the field that it did not accept",
    ),
    Code(
        "auth.revoked",
        "the token was revoked, or its project archived, just now",
        causes=("an administrator revoked the agent", "the project was archived"),
        remedy="Create the agent's token on the brain's dashboard, and set Z4J_TOKEN to it",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "auth.no_reply",
        "no answer to the handshake: timed out",
        causes=(
            "the brain hangs (its database is locked or unavailable)",
            "another WebSocket service answers at /ws/agent",
            "a middlebox that answers the upgrade itself and forwards nothing",
        ),
        remedy="Check the brain's log and its database",
    ),
    Code(
        "auth.bad_reply",
        "the answer to the handshake is not a brain's",
        causes=(
            "another WebSocket service answers at /ws/agent",
            "a brain whose limit for frames is smaller than an event",
        ),
        remedy="Check the host, port, and path in Z4J_BRAIN_URL",
    ),
    Code(
        "auth.closed",
        "connection closed during the handshake",
        causes=(
            "the brain is restarting, or had an internal error (see its log)",
            "another connection took this worker id over (close code 4002)",
            "a proxy that cuts WebSocket connections",
        ),
        remedy="Check the brain's log at this time, and the log of the proxy in front of it",
    ),
)
