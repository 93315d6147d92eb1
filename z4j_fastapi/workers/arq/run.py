"""Runs of arq's jobs: how events name their engine, and the run that the current code is part of."""

from __future__ import annotations

from contextvars import ContextVar

from z4j_fastapi.workers.task_run import TaskRun

ENGINE = "arq"

# What a job enqueues is its child.
current_run: ContextVar[TaskRun | None] = ContextVar("z4j_arq_run", default=None)
