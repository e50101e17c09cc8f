"""What is as it is at the moment, read when somebody asks: gauges, and who gives them. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec


class Gauge(msgspec.Struct, frozen=True):
    """A gauge that some process gives. `labels` are the names of its labels."""

    name: str
    text: str
    labels: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True):
    """What a gauge shows now, by the values of its labels."""

    gauge: Gauge
    values: Mapping[tuple[str, ...], float]


ReadGauges: TypeAlias = Callable[[], tuple[Reading, ...]]

BUILD: Final = Gauge("flowengine_build_info", "The version of this process.", ("service", "version"))
THREADS: Final = Gauge("flowengine_threads", "Threads that process messages.")
BUSY: Final = Gauge("flowengine_threads_busy", "Threads that process a message now.")
CONCURRENCY: Final = Gauge("flowengine_concurrency", "Nodes of async handlers that may run at once.")
ASYNC_RUNNING: Final = Gauge("flowengine_async_running", "Nodes of async handlers that run now.")
EXECUTIONS: Final = Gauge("flowengine_executions", "Executions that are kept, by status.", ("status",))
LENGTH: Final = Gauge(
    "flowengine_queue_length",
    "Messages in a queue, those that are worked on and those in the lines beside it included.",
    ("queue",),
)
IN_FLIGHT: Final = Gauge(
    "flowengine_queue_in_flight", "Messages that were delivered and not acknowledged.", ("queue",)
)
OLDEST: Final = Gauge(
    "flowengine_queue_oldest_age_seconds",
    "Age of the oldest message that no live process works on; 0 where there is none.",
    ("queue",),
)
CONSUMERS: Final = Gauge("flowengine_queue_consumers", "Live processes that serve a queue.", ("queue",))
DEAD: Final = Gauge("flowengine_queue_dead_letters", "Dead letters that are kept.", ("queue",))
UP: Final = Gauge("flowengine_redis_up", "Whether Redis answers: 1 or 0.")

OF_PROCESSES: Final = (BUILD, THREADS, BUSY, CONCURRENCY, ASYNC_RUNNING)
OF_THE_API: Final = (BUILD, EXECUTIONS, LENGTH, IN_FLIGHT, OLDEST, CONSUMERS, DEAD, UP)
