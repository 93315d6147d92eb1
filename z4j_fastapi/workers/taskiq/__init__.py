"""A taskiq broker with an agent: its tasks as events."""

from z4j_fastapi.workers.taskiq.hooks import Z4JMiddleware

__all__ = ["Z4JMiddleware"]
