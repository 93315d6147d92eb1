"""An agent's metrics in the registry or meter of its application, read by these libraries' own exporters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.support.agents import agent_of, until
from z4j_fastapi import Z4JAgent
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.inventory.metrics import kinds
from z4j_fastapi.metrics import register_opentelemetry, register_prometheus


async def test_they_are_among_the_applications_own_in_prometheus_clients_registry(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    own = Counter("orders", "Orders.", registry=registry)
    own.inc()
    found: dict[str, Z4JAgent] = {}
    register_prometheus(lambda: found["agent"], registry)
    assert b"z4j" not in generate_latest(registry)
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        found["agent"] = agent
        agent.emit("task.sent", task_id="1")
        await until(lambda: agent.status.acknowledged == 1, "it was acknowledged")
        text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
        read = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        families = {family.name: family for family in read}
        assert families["orders"].samples[0].value == 1
        (online,) = families["z4j_agent_online"].samples
        assert (online.value, online.labels["slot"]) == (1, "0")
        events = {s.labels["outcome"]: s.value for s in families["z4j_agent_events"].samples}
        assert events["acknowledged"] == 1
        assert families["z4j_agent_acknowledgement_seconds"].type == "histogram"
        assert families.keys() - {"orders"} <= {name for name, _, _ in kinds()}
        assert b"z4j_agent_events_total{" in generate_latest(registry)


def test_an_agent_that_fails_costs_no_other_metric(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    Counter("orders", "Orders.", registry=registry).inc()

    def broken() -> Any:
        raise ZeroDivisionError

    register_prometheus(broken, registry)
    assert b"orders_total 1.0" in generate_latest(registry)
    assert "the agent's metrics can't be collected" in caplog.text


async def test_they_are_observed_by_an_opentelemetry_meter(tmp_path: Path) -> None:
    export = pytest.importorskip(
        "opentelemetry.sdk.metrics.export", reason="the OpenTelemetry SDK is missing"
    )
    sdk = pytest.importorskip("opentelemetry.sdk.metrics")
    reader = export.InMemoryMetricReader()
    provider = sdk.MeterProvider([reader])
    async with DevBrain() as brain, agent_of(brain, tmp_path) as agent:
        register_opentelemetry(lambda: agent, provider.get_meter("application"))
        agent.emit("task.sent", task_id="1")
        await until(lambda: agent.status.acknowledged == 1, "it was acknowledged")
        (resource,) = reader.get_metrics_data().resource_metrics
        metrics = {m.name: m.data.data_points for scope in resource.scope_metrics for m in scope.metrics}
        assert metrics["z4j_agent_online"][0].value == 1
        events = {point.attributes["outcome"]: point.value for point in metrics["z4j_agent_events"]}
        assert events["acknowledged"] == 1
        assert metrics["z4j_agent_acknowledgement_seconds_count"][0].value == 1
    provider.shutdown()
