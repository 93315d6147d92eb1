"""The codes of processes that should have an agent. No probe gives them, `status` does."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Step

CODES = (
    Code(
        "worker.not_wired",
        "the process has settings for an agent, but no agent",
        causes=(
            "its code starts no agent, which settings cannot do",
            "it runs an older version of the code than the one that was changed",
            "its settings are incomplete, or its agent failed to start: its log says why",
            "its agent has no state directory, and buffers in memory only",
        ),
        steps=(
            Step("Add z4j_worker (z4j_fastapi.workers.arq) to an arq worker as its decorator"),
            Step("Add Z4JMiddleware (z4j_fastapi.workers.taskiq) to a taskiq broker"),
            Step("Add z4j_lifespan (z4j_fastapi) to a FastAPI application"),
        ),
        heals=Heals.BY_A_PERSON,
    ),
)
