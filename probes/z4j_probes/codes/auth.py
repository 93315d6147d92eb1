"""The codes of the `auth` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Status

# No command: on an index, the name of this distribution may be another project's.
_UPGRADE = "Upgrade the older of the two: this package, from where it was installed, or the brain"

CODES = (
    Code("auth.ok", "the brain knows this agent", status=Status.PASS),
    Code(
        "auth.token_rejected",
        "the brain does not accept the token",
        causes=(
            "the token was revoked, or its project archived",
            "the token is another brain's, for instance staging's",
            "the agent was minted again, which gives it a new token",
            "a proxy in front of the brain drops or replaces the Authorization header",
        ),
        remedy="Create the agent's token on the brain's dashboard, and set Z4J_TOKEN to it",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "auth.address_refused",
        "the brain does not accept agents from this address",
        causes=(
            "this machine's address is missing in the brain's allowlist",
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
        "the brain speaks another version of the protocol",
        causes=("the brain is much newer or much older than this agent",),
        remedy=_UPGRADE,
        heals=Heals.BY_AN_UPGRADE,
    ),
    Code(
        "auth.version_skew",
        "the brain does not support this build of the agent",
        causes=("the agent is outside of the range of versions that the brain supports",),
        remedy=_UPGRADE,
        heals=Heals.BY_AN_UPGRADE,
    ),
    Code(
        "auth.rate_limited",
        "the brain turns away further connections",
        causes=(
            "more than 600 connects a minute from this address: something restarts in a loop",
            "more than 64 workers connected as one agent",
        ),
        remedy="Find what connects so often, or create further agents and distribute the workers over them",
        heals=Heals.BY_WAITING,
    ),
    Code(
        "auth.hello_rejected",
        "the brain does not accept what the agent says of itself",
        causes=("the brain is older than the fields that hello has", "a middlebox that alters messages"),
        remedy="Upgrade the brain: its log names the field that it did not accept",
    ),
    Code(
        "auth.revoked",
        "the token was revoked, or its project archived, at this moment",
        causes=("an administrator revoked the agent", "the project was archived"),
        remedy="Create the agent's token on the brain's dashboard, and set Z4J_TOKEN to it",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "auth.no_reply",
        "the WebSocket is open, and hello is never answered",
        causes=(
            "the brain hangs (its database is locked or gone)",
            "another WebSocket service answers at /ws/agent",
            "a middlebox that answers the upgrade itself and passes nothing on",
        ),
        remedy="Look at the brain's log and its database",
    ),
    Code(
        "auth.bad_reply",
        "what answers hello is no brain",
        causes=(
            "another WebSocket service answers at /ws/agent",
            "a brain whose terms no session can keep: a limit for frames that no event fits into",
        ),
        remedy="Check the host, port, and path in Z4J_BRAIN_URL",
    ),
    Code(
        "auth.closed",
        "the connection was closed before hello was answered",
        causes=(
            "the brain is restarting, or failed inside (its log says why)",
            "another connection took this worker id over (close code 4002)",
            "a proxy that cuts WebSocket connections",
        ),
        remedy="Look at the brain's log at this moment, and at the log of the proxy in front of it",
    ),
)
