"""Everything that the processes count: the table of their metrics. Each process has its own numbers.

What is read from Redis when the API is asked stands in `flowengine.execution.views.operations`.
"""

from __future__ import annotations

from typing import Final

from flowengine.observability.metrics.numbers import Counter, Histogram

ROUND_TRIPS: Final = Counter(
    "flowengine_redis_round_trips_total", "Times that this process sent something to Redis."
)
ATTEMPTS: Final = Counter(
    "flowengine_node_attempts_total",
    "Attempts of nodes that a worker has reported, by outcome.",
    ("handler", "outcome"),
)
WAIT: Final = Histogram(
    "flowengine_node_wait_seconds",
    "From the sending of a node's task to its start in a worker.",
    ("handler",),
)
RUN: Final = Histogram("flowengine_node_run_seconds", "How long handlers ran.", ("handler",))
NODES: Final = Counter(
    "flowengine_nodes_ended_total", "Nodes that have ended, by status.", ("handler", "status")
)
RETRIES: Final = Counter(
    "flowengine_node_retries_total", "Failures after which a node waits for another try.", ("handler",)
)
EXECUTIONS: Final = Counter(
    "flowengine_executions_ended_total",
    "Executions that have ended, by the name of their workflow and their status.",
    ("name", "status"),
)
STALE: Final = Counter("flowengine_stale_callbacks_total", "Outcomes of nodes that came too late to count.")
REPAIRS: Final = Counter(
    "flowengine_sweep_repairs_total",
    "What the sweep had to correct; it should never find anything.",
    ("what",),
    known=("ready_nodes", "numbers", "vanished_timer", "vanished_message", "vanished_delivery"),
)
DELIVERIES: Final = Counter(
    "flowengine_deliveries_total",
    "Attempts to send an execution's results to its `callback_url`, by outcome.",
    ("outcome",),
    known=("delivered", "failed"),
)
SCHEDULED: Final = Counter(
    "flowengine_schedule_times_total",
    "Times of schedules, by what they have brought about.",
    ("outcome",),
    known=("started", "skipped", "queued", "replaced", "refused", "missed"),
)
TIMERS_LATE: Final = Histogram(
    "flowengine_timer_lateness_seconds", "How long after it was due a timer fired.", ("kind",)
)
DEAD_LETTERS: Final = Counter(
    "flowengine_dead_letters_total", "Messages that were set aside.", ("queue", "reason")
)
TAKEN_OVER: Final = Counter(
    "flowengine_messages_taken_over_total", "Messages of processes that were silent for a lease.", ("queue",)
)
REQUESTS: Final = Counter(
    "flowengine_http_requests_total", "Requests that were answered.", ("method", "route", "status")
)
REQUEST_TIMES: Final = Histogram(
    "flowengine_http_request_seconds", "How long requests took.", ("method", "route")
)

COUNTERS: Final = (
    ROUND_TRIPS, ATTEMPTS, NODES, RETRIES, EXECUTIONS, STALE, REPAIRS, DELIVERIES, SCHEDULED,
    DEAD_LETTERS, TAKEN_OVER, REQUESTS,
)  # fmt: skip
HISTOGRAMS: Final = (WAIT, RUN, TIMERS_LATE, REQUEST_TIMES)
