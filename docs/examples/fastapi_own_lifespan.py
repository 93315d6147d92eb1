"""An application that has a lifespan of its own; the agent is there before it starts and after it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from z4j_fastapi import EventKind, z4j_lifespan


@asynccontextmanager
async def my_lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}


app = FastAPI(lifespan=z4j_lifespan(lifespan=my_lifespan, agent_name="web"))


@app.get("/work/{task_id}")
async def work(task_id: str, request: Request) -> str:
    app.state.z4j.emit(EventKind.TASK_SUCCEEDED, task_id=task_id, task_name="work", runtime_ms=1.5)
    greeting: str = request.state.greeting
    return greeting
