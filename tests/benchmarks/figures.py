"""What the findings mean: figures, ratios between systems, and how they stand to what is asked. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Literal

import msgspec

from tests.benchmarks.findings import Findings
from tests.benchmarks.phases import OURS
from tests.benchmarks.sizes import Sizes

Verdict = Literal["aim", "must", "missed", "-"]
KIB = 1024


class Row(msgspec.Struct, frozen=True):
    """One ratio or figure of ours, and what is asked of it. `least`: more is better."""

    what: str
    value: float | None
    must: float
    aim: float
    least: bool
    shown: str = "{:.2f}"

    @property
    def verdict(self) -> Verdict:
        """How far it gets."""
        if self.value is None:
            return "-"
        for name, bound in (("aim", self.aim), ("must", self.must)):
            if (self.value >= bound) if self.least else (self.value <= bound):
                return name  # type: ignore[return-value]  # one of the two names above
        return "missed"


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Figures:
    """Medians over rounds, and ratios of them."""

    def __init__(self, findings: Findings, sizes: Sizes) -> None:
        self._found = findings
        self._nodes = {
            "chain": sizes.chain,
            "fan_out": sizes.fan_out + 2,
            "bare": sizes.fan_out + 2,
            "many": sizes.many * 5,
            "many_chain": sizes.many * 5,
            "many_group": sizes.many * 5,
            "payload": sizes.payload_nodes,
            "wide_100": sizes.hundred,
            "wide_1000": sizes.thousand,
            "map_1000": sizes.thousand,
            "map_10000": 10 * sizes.thousand,
            "deep_1000": sizes.thousand,
        }

    def ms_a_hop(self, system: str, label: str) -> float | None:
        """Milliseconds a node of a chain."""
        taken = self._found.seconds(system, label)
        return median(taken) * 1000 / self._nodes[label] if taken else None

    def nodes_per_s(self, system: str, label: str) -> float | None:
        """Nodes a second."""
        taken = self._found.seconds(system, label)
        return self._nodes[label] / median(taken) if taken else None

    def of_server(self, what: str, label: str) -> float | None:
        """The bytes that one of our executions takes in Redis once it has ended, or the commands that the
        server carried out meanwhile, by the node or item: the median over rounds."""
        found = [
            samples[what][0] for samples in self._found.samples.get((OURS, label), ()) if what in samples
        ]
        return median(found) / self._nodes[label] if found else None

    def latency_ms(self, system: str, label: str, share: float) -> float | None:
        """From trigger to end, in milliseconds: the median over rounds of each round's percentile."""
        rounds = self._found.latencies(system, label)
        if label == "single":
            rounds = [[value for one in rounds for value in one]] if rounds else []
        return median(percentile(one, share) for one in rounds) * 1000 if rounds else None

    def late_ms(self, what: str, share: float) -> float | None:
        """By how much a try came later than it was due, in milliseconds."""
        found = self._found.lateness.get(what)
        return percentile(found, share) if found else None

    def pss(self, system: str) -> float | None:
        """Bytes of the whole stack, shared pages counted once."""
        memory = self._found.memory.get(system)
        return None if memory is None else float(memory.services.pss)

    def idle_percent(self, system: str) -> float | None:
        """CPU of one core."""
        idle = self._found.idle.get(system)
        return None if idle is None else idle.services_percent

    def quick_p95_ms(self, system: str, *, beside: bool) -> float | None:
        """What a quick node takes, beside calls that wait or on the idle stack: the 95th percentile."""
        found = self._found.waiting.get(system)
        if found is None:
            return None
        return percentile(found.beside_hops if beside else found.idle_hops, 0.95) * 1000

    def rows(self) -> list[Row]:
        """The table of what is asked."""
        backlog = self._found.backlog
        waiting = None if backlog is None else backlog.triggered_bytes / KIB
        hop, rate = self.ms_a_hop, self.nodes_per_s
        return [
            Row("chain: ms a hop / Celery's", _against(hop, "chain", "celery"), 0.5, 0.33, False),
            Row("chain: ms a hop / Dramatiq's pipeline", _against(hop, "chain", "dramatiq"), 0.4, 0.4, False),
            Row("fan-out: nodes/s / Celery's chord", _against(rate, "fan_out", "celery"), 6, 8, True),
            Row("fan-out: nodes/s / Dramatiq's group", _against(rate, "fan_out", "dramatiq"), 3.5, 5, True),
            Row(
                "fan-out: nodes/s / Dramatiq, bare messages",
                _ratio(rate(OURS, "fan_out"), rate("dramatiq", "bare")),
                *(0.6, 1.0, True),
            ),
            Row("many: nodes/s / Celery", _against(rate, "many", "celery"), 4, 5, True),
            Row(
                "many: nodes/s / Dramatiq, two messages",
                _against(rate, "many", "dramatiq"),
                1.3,
                1.6,
                True,
            ),
            Row("many: p95 / Celery's", self._late("many", 0.95), 0.5, 0.25, False),
            Row("single, idle stack: median / Celery's", self._late("single", 0.5), 1.0, 0.5, False),
            Row("single, idle stack: p95 / Celery's", self._late("single", 0.95), 1.0, 0.5, False),
            Row("idle: % of one core", self.idle_percent(OURS), 1.0, 0.5, False),
            Row(
                "wide 1000: nodes/s / 100's",
                _ratio(rate(OURS, "wide_1000"), rate(OURS, "wide_100")),
                *(0.8, 0.95, True),
            ),
            Row(
                "deep 1000: nodes/s / 100's",
                _ratio(rate(OURS, "deep_1000"), rate(OURS, "chain")),
                *(0.8, 0.95, True),
            ),
            Row(
                "map of 1000: time / fan-out of 1000",
                _ratio(rate(OURS, "wide_1000"), rate(OURS, "map_1000")),
                *(1.1, 0.9, False),
            ),
            Row(
                "map of 1000: bytes in Redis / fan-out of 1000",
                _ratio(self.of_server("bytes", "map_1000"), self.of_server("bytes", "wide_1000")),
                *(0.6, 0.5, False),
            ),
            Row(
                "map of 10,000: commands an item / of 1000",
                _ratio(self.of_server("commands", "map_10000"), self.of_server("commands", "map_1000")),
                *(1.1, 1.0, False),
            ),
            Row(
                "memory, whole stack / Celery's",
                _ratio(self.pss(OURS), self.pss("celery")),
                1.5,
                1,
                False,
            ),
            Row("waiting 5-node execution: KiB in Redis", waiting, 6, 3, False),
            *self._waiting_rows(),
            Row(
                "a single node beside 10,000 of another execution: s, worst",
                None if self._found.flood is None else max(self._found.flood.beside),
                *(1.0, 0.25, False),
            ),
        ]

    def _waiting_rows(self) -> list[Row]:
        ours, gevent = self._found.waiting.get(OURS), self._found.waiting.get("celery-gevent")
        beside, idle = (self.quick_p95_ms(OURS, beside=beside) for beside in (True, False))
        return [
            Row("1000 calls of 1 s: seconds", None if ours is None else ours.seconds, 3.0, 2.0, False),
            Row(
                "1000 calls of 1 s: MiB of the worker",
                None if ours is None else ours.rss / KIB / KIB,
                *(150, 110, False, "{:.0f}"),
            ),
            Row(
                "a waiting call: ms of the worker's CPU",
                None if ours is None else ours.cpu_ms,
                *(2.0, 1.0, False),
            ),
            Row(
                "1000 calls of 1 s / Celery's, gevent",
                _ratio(None if ours is None else ours.seconds, None if gevent is None else gevent.seconds),
                *(0.5, 0.27, False),
            ),
            Row(
                "1000 calls of 1 s as the items of a map: time / as nodes",
                None if ours is None else _ratio(ours.mapped_seconds, ours.seconds),
                *(1.1, 0.9, False),
            ),
            Row("quick nodes beside 200 calls of 10 s: p95 / idle", _ratio(beside, idle), 3.0, 1.5, False),
        ]

    def _late(self, label: str, share: float) -> float | None:
        return _ratio(self.latency_ms(OURS, label, share), self.latency_ms("celery", label, share))


def _against(figure: Callable[[str, str], float | None], label: str, peer: str) -> float | None:
    return _ratio(figure(OURS, label), figure(peer, label))


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs
