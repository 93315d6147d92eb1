"""The codes of the `signing` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.portable import shell
from z4j_probes.result import Status, Step

_SET_THE_CLOCK = Step("Set this machine's clock (a container has the clock of its host)", shell.set_clock())

CODES = (
    Code("signing.ok", "signatures are valid in both directions", status=Status.PASS),
    Code(
        "signing.secret_missing",
        "Z4J_HMAC_SECRET is not set",
        causes=("Z4J_HMAC_SECRET is not set: the dashboard shows it once, with the token",),
        remedy="Set Z4J_HMAC_SECRET, or Z4J_HMAC_SECRET_FILE, to what the dashboard showed with the token",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "signing.secret_wrong",
        "the brain rejected the signature: wrong HMAC secret",
        causes=(
            "Z4J_HMAC_SECRET belongs to another project or brain than Z4J_TOKEN",
            "the secret was not copied completely",
            "the brain's master secret was changed",
        ),
        remedy="Create the agent again on the dashboard, and copy token and secret from the same page",
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "signing.clock_skew",
        "clock skew between this machine and the brain",
        causes=(
            "no time synchronization here or on the brain's machine",
            "a virtual machine that was suspended",
        ),
        remedy=_SET_THE_CLOCK,
        heals=Heals.BY_A_PERSON,
    ),
    Code(
        "signing.no_reply",
        "no acknowledgment of the signed frame: timed out",
        causes=("the brain hangs (its database is locked or unavailable)", "a middlebox that drops messages"),
        remedy="Check the brain's log and its database",
    ),
    Code(
        "signing.brain_signature_invalid",
        "the brain's signature is not valid",
        causes=(
            "a middlebox that alters messages, or removes their signatures",
            "the brain signs with another secret, or not at all",
            "the server is not a brain",
        ),
        remedy=(
            Step("Remove inspecting middleboxes from the path to /ws/agent"),
            Step("If that fails, upgrade the brain, or create the agent again"),
        ),
    ),
    Code(
        "signing.not_enforced",
        "the brain does not sign (history: no longer given)",
        status=Status.WARN,
        causes=("a report of an early version: what is not signed is signing.brain_signature_invalid now",),
        remedy=Step("Run the doctor again", "python -m z4j_fastapi doctor"),
    ),
    Code(
        "signing.large_frame_lost",
        "large frames are lost in between",
        causes=(
            "an MTU on the path (VPN, tunnel, container network) below that of this machine, and a firewall "
            "that drops the ICMP messages that would say so",
            "a gateway or inspecting proxy that drops WebSocket messages above its limit",
            "a brain that is too busy to answer (the warning: the other end has received the frame)",
        ),
        remedy=(
            Step("See whether packets of full size arrive", shell.ping_with(1472, "HOST")),
            Step("If they don't, lower this machine's MTU, or have the router clamp the MSS"),
            Step("If they do, raise the message limit of the gateways and proxies in between to 1 MiB"),
        ),
    ),
    Code(
        "signing.large_frame_refused",
        "large frames are refused in between",
        status=Status.WARN,
        causes=(
            "a gateway or proxy with a limit for WebSocket messages (close code 1009)",
            "a proxy that inspects or alters messages, and fails at large ones",
        ),
        remedy="Raise the limit for WebSocket messages of the gateway in front of the brain to 1 MiB",
    ),
    Code(
        "signing.closed",
        "connection closed before the signed frame was acknowledged",
        causes=(
            "the brain is restarting, or had an internal error (see its log)",
            "another connection took this worker id over (close code 4002)",
            "a proxy that cuts WebSocket connections",
        ),
        remedy="Check the brain's log at this time, and the log of the proxy in front of it",
    ),
)
