"""`flowengine queues`, `workers`, `limits` and `stats`: the stack itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.stack.options import json_option
from flowengine.cli.stack.reaching import stack

if TYPE_CHECKING:
    from flowengine.execution.views.operations import DurationsView, SpanStatsView


@click.command()
@json_option
def queues(as_json: bool) -> None:
    """List the queues of a stack: what waits in them, and who serves them."""
    from flowengine.cli.output.tables import print_json_line, print_rows

    with stack(as_json=as_json) as client:
        found = client.queues().items
    if as_json:
        for queue in found:
            print_json_line(queue)
        return
    print_rows(
        ("queue", "length", "in flight", "oldest", "consumers", "dead letters", "handlers nobody knows"),
        [
            (
                queue.queue,
                str(queue.length),
                str(queue.in_flight),
                "" if queue.oldest_age_s is None else f"{queue.oldest_age_s:.1f} s",
                str(queue.consumers),
                str(queue.dead_letters),
                ", ".join(f"{line.handler} ({line.length})" for line in queue.handlers if not line.known),
            )
            for queue in found
        ],
        nothing="There are no queues.",
    )


@click.command()
@json_option
def workers(as_json: bool) -> None:
    """List the live processes of orchestrators and workers."""
    from flowengine.cli.output.tables import print_json_line, print_rows, shown_age, shown_time

    with stack(as_json=as_json) as client:
        found = client.workers().items
    if as_json:
        for worker in found:
            print_json_line(worker)
        return
    print_rows(
        ("id", "service", "host", "pid", "version", "queues", "busy", "async", "started", "seen"),
        [
            (
                worker.id,
                f"{worker.service} (stopping)" if worker.stopping else worker.service,
                worker.host,
                str(worker.pid),
                worker.version,
                ", ".join(worker.queues),
                f"{worker.busy}/{worker.threads}",
                f"{worker.async_running}/{worker.concurrency}" if worker.concurrency else "",
                shown_time(worker.started_at),
                shown_age(worker.seen_at),
            )
            for worker in found
        ],
        nothing="No orchestrator and no worker is alive.",
    )


@click.command()
@json_option
def limits(as_json: bool) -> None:
    """List the limits that are in use: who runs, and who waits for a turn."""
    from flowengine.cli.output.tables import print_json_line, print_rows

    with stack(as_json=as_json) as client:
        found = list(client.limits(limit=500))
    if as_json:
        for limit in found:
            print_json_line(limit)
        return
    print_rows(
        ("key", "workflow", "holding", "waiting", "next"),
        [
            (
                limit.key,
                limit.workflow or "",
                f"{limit.holding}/{limit.limit}",
                str(limit.waiting),
                limit.waiters[0].execution_id if limit.waiters else "",
            )
            for limit in found
        ],
        nothing="Nothing runs under a limit.",
    )


@click.command()
@json_option
def stats(as_json: bool) -> None:
    """Show how many executions are kept, and how those of the last hour and day have ended."""
    from flowengine.cli.output.tables import print_json_line, print_rows

    with stack(as_json=as_json) as client:
        found = client.stats()
    if as_json:
        print_json_line(found)
        return
    kept = [(status, str(count)) for status, count in found.executions.items() if count]
    print_rows(("status", "kept"), kept, nothing="No execution is kept.")
    spans = [("last hour", found.last_hour), ("last day", found.last_day)]
    print_rows(
        ("", "completed", "failed", "cancelled", "a minute", "half within", "95 %", "99 %"),
        [(name, *_ended(span)) for name, span in spans],
        nothing="Nothing has ended.",
    )
    print_rows(
        ("workflow, last day", "completed", "failed", "cancelled"),
        [
            (each.name, str(each.completed), str(each.failed), str(each.cancelled))
            for each in found.definitions
        ],
        nothing="None has ended in the last day.",
    )


def _ended(span: SpanStatsView) -> tuple[str, ...]:
    numbers = (str(span.completed), str(span.failed), str(span.cancelled), f"{span.per_minute:.4g}")
    return (*numbers, *_lengths(span.durations))


def _lengths(durations: DurationsView | None) -> tuple[str, str, str]:
    if durations is None:
        return ("", "", "")
    return (f"{durations.p50_s:.3g} s", f"{durations.p95_s:.3g} s", f"{durations.p99_s:.3g} s")
