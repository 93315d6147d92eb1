"""uvicorn fastapi_app:app, with Z4J_BRAIN_URL, Z4J_TOKEN and Z4J_HMAC_SECRET in the environment."""

from fastapi import FastAPI

from z4j_fastapi import z4j_lifespan

app = FastAPI(lifespan=z4j_lifespan(agent_name="web"))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"z4j": app.state.z4j.status.state}
