"""Has a process an agent, and does its worker reach its Redis? (`status`, and a row of `doctor --worker`.)"""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.portable import shell
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "worker.ok",
        "the worker has an agent and reaches its Redis",
        status=Status.PASS,
    ),
    Code(
        "worker.not_wired",
        "the process has settings for an agent, but no agent",
        causes=(
            "workers are separate processes: the agent of the web application does not run in them",
            "its code does not start an agent, and settings can't do that",
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
    Code(
        "worker.import_failed",
        "the worker can't be imported",
        causes=(
            "the name is misspelled, or the doctor runs in another directory than the worker",
            "the worker has another Python environment than the doctor, or other variables",
            "the module raises an exception, or waits for something",
        ),
        steps=(
            Step("Run the doctor where the worker runs, with its Python, or name its process with --pid"),
        ),
    ),
    Code(
        "worker.redis_unreachable",
        "the worker can't reach its Redis",
        causes=(
            "Redis is not running, or listens on another address",
            "a firewall, a wrong password, or a certificate that is not trusted",
            "the worker's settings name no Redis, so it asks localhost:6379",
        ),
        steps=(Step("Correct the Redis settings of the worker, or start Redis"),),
    ),
    Code(
        "worker.queue_mismatch",
        "tasks of this worker wait in a queue that it does not read",
        causes=(
            "the web application enqueues with another queue name than the worker has",
            "the worker's queue was renamed, and tasks were left in the old one",
        ),
        steps=(Step("Give both the same name (arq: queue_name, and default_queue_name of the pool)"),),
    ),
    Code(
        "worker.owner_taken",
        "another service has this worker's name on the Schedules page",
        causes=("two services have one agent name, and each has schedules of its own",),
        steps=(
            Step(
                "Give each service an agent name of its own",
                shell.set_variable("Z4J_AGENT_NAME", "mail-worker"),
            ),
        ),
    ),
    Code(
        "worker.abort_off",
        "running jobs can't be canceled from the dashboard",
        status=Status.WARN,
        causes=("arq's allow_abort_jobs is off, as it is by default",),
        steps=(Step("Set allow_abort_jobs = True in the worker's settings"),),
    ),
)
