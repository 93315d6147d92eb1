"""The metrics of an agent where its application has some of its own: prometheus_client, or OpenTelemetry.

    register_prometheus(lambda: app.state.z4j)       once, where the application sets up its metrics
    register_opentelemetry(lambda: app.state.z4j)

Names and labels are those of `/z4j/metrics`, of this process's agent only. Neither library is needed by this
package; each is imported by the function that is for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from z4j_fastapi.agent.agent import Z4JAgent
from z4j_fastapi.inventory.metrics import Family, families, kinds
from z4j_fastapi.inventory.rows import AgentRow
from z4j_fastapi.log import logger

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["register_opentelemetry", "register_prometheus"]

log = logger("z4j.metrics")

FindAgent = Callable[[], Z4JAgent]


def register_prometheus(agent: FindAgent, registry: CollectorRegistry | None = None) -> None:
    """Have prometheus_client's registry (None: its default one) collect them.

    `agent` is asked at each scrape, since a lifespan makes the agent later; until then there are none. In
    prometheus_client's multiprocess mode the registry that is scraped knows no collectors: use /z4j/metrics.
    Raises ImportError without prometheus_client.
    """
    from prometheus_client import REGISTRY
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    class AgentCollector(Collector):
        def describe(self) -> list[Metric]:
            return []  # else registering would collect, before there is an agent

        def collect(self) -> Iterator[Metric]:
            for family in _families_of(agent):
                metric = Metric(family.name, family.help, family.kind)
                for sample in family.samples:
                    metric.add_sample(family.name + sample.suffix, dict(sample.labels), sample.value)
                yield metric

    (registry or REGISTRY).register(AgentCollector())


def register_opentelemetry(agent: FindAgent, meter: Any = None) -> None:
    """Have an OpenTelemetry meter (None: one of the global provider) observe them.

    What a histogram counts is observed as two counters, `…_count` and `…_sum`: OpenTelemetry has no
    observable histogram. Raises ImportError without opentelemetry-api.
    """
    from opentelemetry import metrics

    meter = meter or metrics.get_meter("z4j_fastapi")

    def observing(name: str, suffix: str) -> Callable[[Any], Iterator[Any]]:
        def observe(options: Any) -> Iterator[Any]:
            for family in _families_of(agent):
                if family.name == name:
                    for sample in family.samples:
                        if sample.suffix == suffix:
                            yield metrics.Observation(sample.value, dict(sample.labels))

        return observe

    for name, kind, text in kinds():
        if kind == "gauge":
            meter.create_observable_gauge(name, [observing(name, "")], description=text)
        elif kind == "counter":
            meter.create_observable_counter(name, [observing(name, "_total")], description=text)
        else:
            for suffix in ("_count", "_sum"):
                callbacks = [observing(name, suffix)]
                meter.create_observable_counter(f"{name}{suffix}", callbacks, description=text)


def _families_of(agent: FindAgent) -> list[Family]:
    """None where there is no agent yet; an error of ours costs no other metric of the application."""
    try:
        description = agent().describe()
        row = AgentRow.parse(description, description["slot"])
        return families([row] if row else [])
    except (AttributeError, LookupError):  # the host has not come to it: `app.state.z4j`
        return []
    except Exception:
        log.exception("the agent's metrics can't be collected; please report it")
        return []
