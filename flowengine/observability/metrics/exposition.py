"""Metrics as the text that Prometheus reads. Import this only where somebody asks: the library takes time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from flowengine.observability.metrics import counted, gauges
from flowengine.observability.metrics.gauges import ReadGauges, Reading
from flowengine.observability.metrics.numbers import SECONDS, Counter, Histogram


class Exposition:
    """The metrics of one process of a service. `read` gives its gauges, and is called at each scrape."""

    def __init__(self, service: str, read: ReadGauges) -> None:
        self._service = service
        self._read = read
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(namespace="flowengine", registry=self._registry)
        self._registry.register(_Collected(self._families))

    def text(self, accept: str) -> tuple[bytes, str]:
        """The metrics as of now, in a form that this Accept header takes, and its media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def _families(self) -> Iterable[Metric]:
        yield _gauge(Reading(gauges.BUILD, {(self._service, version("flowengine")): 1}))
        yield from map(_counter, counted.COUNTERS)
        yield from map(_histogram, counted.HISTOGRAMS)
        yield from map(_gauge, self._read())


class _Collected(Collector):
    """What the library asks for metrics at each scrape."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families()


def _counter(family: Counter) -> Metric:
    made = CounterMetricFamily(family.name, family.text, labels=family.labels)
    for values, number in family.samples():
        made.add_metric(values, number)
    return made


def _histogram(family: Histogram) -> Metric:
    made = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    bounds = [*(str(float(bound)) for bound in SECONDS), "+Inf"]
    for values, numbers, total in family.samples():
        made.add_metric(values, list(zip(bounds, numbers, strict=True)), total)
    return made


def _gauge(reading: Reading) -> Metric:
    gauge = reading.gauge
    made = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
    for values, number in sorted(reading.values.items()):
        made.add_metric(values, number)
    return made
