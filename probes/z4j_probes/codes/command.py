"""The codes of commands: why an agent did not do what a brain asked."""

from z4j_probes.codes._code import Code
from z4j_probes.portable import shell
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "command.unknown_task",
        "the worker has no task of this name",
        causes=(
            "the schedule's task name is misspelled, or the task was renamed",
            "another service of the project has it: a brain chooses among workers by their engine only",
            "this worker runs an older version of the code",
        ),
        remedy="Add the task to this worker's functions, or correct the name on the dashboard",
    ),
    Code(
        "command.not_allowed",
        "the agent's settings do not allow this command",
        causes=(
            "purge_queue and restart_worker are off unless they are named",
            "Z4J_COMMANDS, or commands= in the code, does not name it",
        ),
        remedy=Step(
            "Add it to Z4J_COMMANDS to allow it", shell.set_variable("Z4J_COMMANDS", "default,purge_queue")
        ),
    ),
    Code(
        "command.unsupported",
        "the worker's engine can't do this",
        causes=(
            "arq and taskiq have no rate limits, no pool to resize, and no consumers to add",
            "the worker's settings leave no way to do it",
            "a newer brain sends commands that this version does not know",
        ),
        remedy="Make the change where the worker is configured",
    ),
    Code(
        "command.busy",
        "the agent has too many commands waiting",
        causes=(
            "more than 256 commands are waiting, or more than 100 arrive in a second",
            "a worker whose loop is blocked",
        ),
        remedy="Wait, then send fewer commands at once",
    ),
    Code(
        "command.abort_not_allowed",
        "the task is running, and this worker can't end running tasks",
        causes=("arq ends running jobs only with allow_abort_jobs", "a synchronous task runs in a thread"),
        remedy="Wait until it ends. For later jobs, set allow_abort_jobs = True on the arq worker",
    ),
    Code(
        "command.result_not_kept",
        "the task's arguments are not kept, so it can't run again",
        causes=(
            "it is kept only for a time that is over (arq: keep_result, 1 hour; taskiq: 7 days)",
            "taskiq: only failed tasks are kept, the last 1,000 on each host (keep_failed)",
            "the worker is set to keep nothing (arq: keep_result = 0; taskiq: keep_failed=0)",
            "the task has not ended, or was requeued before",
        ),
        remedy=(
            Step("Run the task again from the application"),
            Step("Raise keep_result (arq) or keep_failed of Z4JMiddleware (taskiq) to keep more"),
        ),
    ),
    Code(
        "command.wrong_token",
        "the queue has changed since it was looked at",
        causes=(
            "tasks were added or done between the look and the click",
            "the command has no confirmation token and is not forced",
        ),
        remedy="Look at the queue on the dashboard again, then purge it",
    ),
    Code(
        "command.no_worker_here",
        "no worker in this process can act on it",
        causes=(
            "a web process and a worker share a token, but not the host, the user, and Z4J_HOME",
            "the worker whose token the web process shares has stopped",
            "it was delivered to a doctor, which acts on nothing",
            "the worker has another queue, can't reach its Redis, or is stopping",
        ),
        remedy="Use a separate token for each kind of process, then send the command again",
    ),
    Code(
        "command.outcome_unknown",
        "it is not known whether the command was carried out",
        causes=(
            "the process was killed between acting and answering",
            "the connection to Redis was lost in the middle of it",
        ),
        remedy="Check whether it was carried out before you send it again",
        status=Status.WARN,
    ),
)
