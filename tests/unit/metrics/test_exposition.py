"""The metrics as Prometheus gets them, read back by its own parser, and the port that they are served on."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from structlog.testing import capture_logs

from flowengine.observability.metrics import counted, gauges
from flowengine.observability.metrics.exposition import Exposition
from flowengine.observability.metrics.gauges import Reading
from flowengine.observability.metrics.numbers import Counter, Histogram
from flowengine.observability.metrics.server import serve
from tests.support.servers.valkey import free_port

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
EVERYTHING = (*counted.COUNTERS, *counted.HISTOGRAMS, *gauges.OF_PROCESSES, *gauges.OF_THE_API)


def read() -> tuple[Reading, ...]:
    """One gauge."""
    return (Reading(gauges.LENGTH, {("worker",): 3, ('odd"\n\\',): 1}),)


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """Name and labels -> number."""
    return {
        (
            sample.name,
            ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items())),
        ): sample.value
        for family in parse_text(text.decode())
        for sample in family.samples
    }


def test_a_scrape_has_what_was_counted_and_what_is() -> None:
    """Counters, histograms and gauges, with the process's own figures."""
    before = counted.REPAIRS.value("counter")
    counted.REPAIRS.add("counter")
    counted.WAIT.observe(0.2, "of-a-test")
    text, media_type = Exposition("worker", read).text("")
    found = samples(text)
    assert media_type.startswith("text/plain; version=")
    assert found["flowengine_sweep_repairs_total", "what=counter"] == before + 1
    assert found["flowengine_node_wait_seconds_bucket", "handler=of-a-test,le=0.25"] == 1
    assert found["flowengine_node_wait_seconds_count", "handler=of-a-test"] == 1
    assert found["flowengine_queue_length", "queue=worker"] == 3
    assert found["flowengine_queue_length", 'queue=odd"\n\\'] == 1
    assert found["flowengine_build_info", "service=worker,version=0.2.0"] == 1
    assert found["flowengine_process_resident_memory_bytes", ""] > 0


def test_openmetrics_are_given_where_they_are_asked_for() -> None:
    """Its parser is strict about names and bounds."""
    text, media_type = Exposition("worker", read).text(OPENMETRICS)
    assert media_type.startswith("application/openmetrics-text")
    assert len(list(parse_openmetrics(text.decode()))) > 15  # type: ignore[no-untyped-call]  # the library's


def test_names_are_as_prometheus_wants_them() -> None:
    """One prefix; counters end with _total, times with _seconds; no two have the same."""
    names = [family.name for family in EVERYTHING]
    distinct = {*names}
    assert all(re.fullmatch("flowengine_[a-z_]+", name) for name in distinct)
    assert all(family.name.endswith("_total") for family in counted.COUNTERS)
    assert all(family.name.endswith("_seconds") for family in counted.HISTOGRAMS)
    assert len(distinct) == len(names) - 1  # every process tells its version
    assert all(family.text.endswith(".") or ";" in family.text for family in EVERYTHING)


def test_every_metric_is_in_the_lists() -> None:
    """What is counted and in no list would be shown nowhere."""
    kinds = (Counter, Histogram)
    made = {value for value in vars(counted).values() if isinstance(value, kinds)}
    assert made == {*counted.COUNTERS, *counted.HISTOGRAMS}
    told = {value for value in vars(gauges).values() if isinstance(value, gauges.Gauge)}
    assert told == {*gauges.OF_PROCESSES, *gauges.OF_THE_API}


def served(entries: Iterable[Mapping[str, Any]]) -> list[int]:
    """The ports that the log tells."""
    return [
        entry["port"] for entry in entries if isinstance(entry, dict) and entry["event"] == "metrics.served"
    ]


def test_processes_take_the_first_free_ports() -> None:
    """Two of them, and a port that something else has."""
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as logs:
        first = taken.getsockname()[1]
        for _ in range(2):
            serve(Exposition("worker", read).text, "127.0.0.1", first)
    ports = served(logs)
    assert len({first, *ports}) == 3
    for port in ports:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
        assert answer.status_code == 200
        assert "flowengine_queue_length" in answer.text
    assert httpx.get(f"http://127.0.0.1:{ports[0]}/", trust_env=False).status_code == 404


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
def test_a_process_goes_on_without_metrics_where_they_cannot_be_served(host: str) -> None:
    """It says so."""
    with capture_logs() as logs:
        serve(Exposition("worker", read).text, host, free_port())
    assert [entry["event"] for entry in logs] == ["metrics.not_served"]


def test_a_caller_that_sends_nothing_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is answered at a time, and each has only so long."""
    monkeypatch.setattr("flowengine.observability.metrics.server.REQUEST_S", 0.2)
    with capture_logs() as logs:
        serve(Exposition("worker", read).text, "127.0.0.1", free_port())
    (port,) = served(logs)
    with socket.create_connection(("127.0.0.1", port)):
        assert httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=20).status_code == 200


def test_the_reference_names_every_metric() -> None:
    """And no other."""
    page = (Path(__file__).parents[3] / "flowengine/reference/operating.md").read_text()
    told = set(re.findall(r"`(flowengine_[a-z_]+)`", page))
    assert told == {family.name for family in EVERYTHING}
