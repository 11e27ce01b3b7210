"""``nectar metrics``: how handlers do, as OpenMetrics text. The only module that imports prometheus_client.

A handler whose daemon does not answer has no counters meanwhile, and those of the next daemon begin anew; ``_created`` says when.
Of the types there are only those that the older text format of Prometheus has, too, because collectors of files read that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from nectar import __version__
from nectar.manage.environment import generations
from nectar.manage.handlers import handlers, inspection
from nectar.manage.handlers.health import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from nectar.home import Home
    from nectar.manage.handlers.inspection import Seen

OUTCOMES = ("success", "error", "timeout")
HANDLER = ["handler"]


def render(home: Home) -> str:
    """The text, as of now."""
    text: str = generate_latest(_register(home)).decode()
    return text


def make_application(home: Home) -> Callable[..., Any]:
    """A WSGI application that gives the text to who asks, in the format that it wants."""
    return make_wsgi_app(_register(home), disable_compression=True)


def _register(home: Home) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers(home))
    return registry


class Numbers(Collector):
    """Asks all daemons, each time that somebody collects."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def describe(self) -> list[Metric]:
        """Nothing: what there is, is known when it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        all_of_them = inspection.survey(self._home, handlers.refresh(self._home))
        now = time.time()
        version = GaugeMetricFamily("nectar_build_info", "Which nectar this is.", labels=["version"])
        version.add_metric([__version__], 1)
        yield version
        yield from _tell_states(all_of_them)
        yield from _tell_counts(all_of_them)
        yield _tell_durations(all_of_them)
        yield from self._tell_waiting(all_of_them, now)
        yield _tell_memory(all_of_them)
        yield self._tell_builds(all_of_them)

    def _tell_waiting(self, all_of_them: list[Seen], now: float) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("nectar_questions_waiting", "Questions that nobody has taken.", labels=HANDLER)
        oldest = GaugeMetricFamily(
            "nectar_oldest_question_age_seconds",
            "For how long the question that is next has waited; 0 where none waits.",
            labels=HANDLER,
            unit="seconds",
        )
        for seen in all_of_them:
            if seen.daemon is not None:
                count = seen.daemon.get("queue", 0)
                age = max((alias.get("oldest") or 0.0 for alias in seen.daemon.get("aliases", {}).values()), default=0.0)
            else:
                found = inspection.find_waiting(self._home, seen.record)
                count, age = found.count, 0.0 if found.oldest is None else max(0.0, now - found.oldest)
            waiting.add_metric([seen.name], count)
            oldest.add_metric([seen.name], age)
        yield waiting
        yield oldest

    def _tell_builds(self, all_of_them: list[Seen]) -> Metric:
        took = GaugeMetricFamily(
            "nectar_environment_build_seconds", "How long its environment took to build.", labels=HANDLER, unit="seconds"
        )
        for seen in all_of_them:
            key = seen.record.environment
            marker = generations.read_marker(self._home, key) if key and not seen.record.is_newer else None
            if marker is not None and marker.took > 0:
                took.add_metric([seen.name], marker.took)
        return took


def _tell_states(all_of_them: list[Seen]) -> Iterator[Metric]:
    up = GaugeMetricFamily("nectar_handler_up", "Whether its daemon runs and answers.", labels=HANDLER)
    well = GaugeMetricFamily("nectar_handler_well", "Whether nobody need look, as `nectar view --check` says.", labels=HANDLER)
    states = GaugeMetricFamily("nectar_handler_state", "How it is: 1 for the state that it is in.", labels=["handler", "state"])
    started = GaugeMetricFamily(
        "nectar_handler_start_time_seconds", "When its daemon was started, in Unix seconds.", labels=HANDLER, unit="seconds"
    )
    for seen in all_of_them:
        up.add_metric([seen.name], seen.daemon is not None)
        well.add_metric([seen.name], seen.health.is_well)
        for state in State:
            states.add_metric([seen.name, state.value], seen.health.state is state)
        if seen.daemon is not None:
            started.add_metric([seen.name], seen.daemon["started"])
    yield from (up, well, states, started)


def _tell_counts(all_of_them: list[Seen]) -> Iterator[Metric]:
    questions = CounterMetricFamily("nectar_questions", "Questions that were answered.", labels=["handler", "outcome"])
    workers = CounterMetricFamily("nectar_workers_started", "Workers that were started.", labels=HANDLER)
    deaths = CounterMetricFamily(
        "nectar_daemon_deaths", "Daemons that ended without a stop, as the next one found.", labels=HANDLER
    )
    for seen in all_of_them:
        if seen.daemon is None:
            continue
        started = seen.daemon["started"]
        for outcome in OUTCOMES:
            questions.add_metric([seen.name, outcome], seen.daemon["counts"].get(outcome, 0), created=started)
        if "workers_started" in seen.daemon:  # an older nectar tells of neither
            workers.add_metric([seen.name], seen.daemon["workers_started"], created=started)
            deaths.add_metric([seen.name], seen.daemon["deaths_in_all"])
    yield from (questions, workers, deaths)


def _tell_durations(all_of_them: list[Seen]) -> Metric:
    name = "nectar_question_duration_seconds"
    told = HistogramMetricFamily(name, "From when a question came to its answer.", labels=HANDLER, unit="seconds")
    for seen in all_of_them:
        answers = (seen.daemon or {}).get("answers")
        if seen.daemon is None or answers is None:
            continue
        buckets, count = [], 0
        for bound, more in answers["within"]:
            count += more
            buckets.append((repr(float(bound)), count))
        buckets[-1] = ("+Inf", count)  # what took longer than all bounds is counted there
        told.add_metric([seen.name], buckets, answers["seconds"])
        told.add_sample(f"{name}_created", {"handler": seen.name}, seen.daemon["started"])
    return told


def _tell_memory(all_of_them: list[Seen]) -> Metric:
    memory = GaugeMetricFamily(
        "nectar_worker_memory_bytes",
        "Resident memory of a worker, where the system tells.",
        labels=["handler", "worker"],
        unit="bytes",
    )
    for seen in all_of_them:
        for number, worker in enumerate((seen.daemon or {}).get("workers", ()), 1):
            if worker.get("memory"):
                memory.add_metric([seen.name, str(number)], worker["memory"])
    return memory
