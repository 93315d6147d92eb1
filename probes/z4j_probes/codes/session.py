"""The codes of an agent's session: what ends or stalls it once it was proven. No probe gives them."""

from z4j_probes.codes._code import Code
from z4j_probes.portable import shell
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "session.lost",
        "the connection to the brain was lost during a session",
        causes=(
            "the brain, or a proxy in front of it, was restarted",
            "a network or VPN that was down for a moment, or a NAT that dropped the connection",
            "a machine that was suspended",
        ),
        remedy=(
            Step("Wait for the agent to connect again: buffered events are kept"),
            Step(
                "If it does not, see what keeps it from connecting",
                "python -m z4j_fastapi doctor",
            ),
        ),
    ),
    Code(
        "session.cut",
        "sessions are cut again and again after the same time",
        causes=(
            "a proxy or load balancer with a limit for how long a connection may last, or may be idle",
            "a gateway that ends WebSocket connections after a fixed time",
        ),
        remedy=(
            Step(
                "Raise that limit for /ws/agent (nginx: proxy_read_timeout and proxy_send_timeout; "
                "HAProxy: timeout tunnel; AWS: idle timeout)"
            ),
            Step("Leave a limit of hours as it is: events are kept meanwhile"),
        ),
    ),
    Code(
        "session.schedules_rejected",
        "the brain accepts no more schedules from this worker",
        causes=(
            "a brain up to 1.13 accepts none from a worker once a snapshot has lacked a schedule",
            "a schedule was removed, and neither the state directory nor Redis is the one from before",
            "another service of the project has the same agent name and kind of worker",
        ),
        remedy=Step(
            "Give the service another agent name, so that the page shows its schedules, and keep "
            "Z4J_HOME on a volume",
            shell.set_variable("Z4J_AGENT_NAME", "mail-2"),
        ),
    ),
    Code(
        "session.unacknowledged",
        "the session is open, and the brain acknowledges no batch",
        status=Status.WARN,
        causes=(
            "a brain that is overloaded, or whose database is locked",
            "large frames that are lost on the path, while small ones arrive (MTU, message limits)",
        ),
        remedy=(
            Step(
                "See whether frames as large as a batch arrive (the last check sends them)",
                "python -m z4j_fastapi doctor",
            ),
            Step("If they do, look at the brain's log and load"),
        ),
    ),
    Code(
        "session.event_set_aside",
        "an event was set aside: the brain keeps closing after it",
        status=Status.WARN,
        causes=(
            "an event larger than a gateway or proxy in between allows (close code 1009)",
            "an event that makes the brain fail (1011), or that it can't read (4400)",
        ),
        remedy=(
            Step("See which events were set aside, and why", "python -m z4j_fastapi aside list"),
            Step("Fix the limit or the brain, then send them again", "python -m z4j_fastapi aside retry"),
        ),
    ),
)
