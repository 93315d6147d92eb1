"""uvicorn taskiq_from_fastapi:app; the application's agent tells of the tasks that it sends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from taskiq import InMemoryBroker

from z4j_fastapi import Z4JAgent, z4j_lifespan
from z4j_fastapi.workers.taskiq import Z4JMiddleware

agent = Z4JAgent(agent_name="web", engines=["taskiq"])
broker = InMemoryBroker().with_middlewares(Z4JMiddleware(agent))


@broker.task
async def greet(name: str) -> str:
    return f"hello {name}"


@asynccontextmanager
async def with_broker(app: FastAPI) -> AsyncIterator[None]:
    async with broker:
        yield


app = FastAPI(lifespan=z4j_lifespan(agent, lifespan=with_broker))


@app.post("/greet/{name}")
async def send(name: str) -> str:
    return (await greet.kiq(name)).task_id
