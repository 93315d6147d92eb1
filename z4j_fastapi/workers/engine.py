"""What to implement so that a brain can ask a worker's framework for something: see `Engine`.

It is defined beside what calls it, in `commands`, since this room imports the agent, which has commands.
"""

from z4j_fastapi.commands.engine import (
    Action,
    DeadLetter,
    DeadLetters,
    Engine,
    EngineState,
    Failed,
    InvalidCursor,
    NewTask,
    Reconciled,
    Refused,
    Retry,
    RunningTask,
    WorkerDetails,
)
from z4j_fastapi.commands.schedule_source import ScheduleSource

__all__ = [
    "Action",
    "DeadLetter",
    "DeadLetters",
    "Engine",
    "EngineState",
    "Failed",
    "InvalidCursor",
    "NewTask",
    "Reconciled",
    "Refused",
    "Retry",
    "RunningTask",
    "ScheduleSource",
    "WorkerDetails",
]
