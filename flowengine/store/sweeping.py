"""What the slow sweep asks of Redis."""

from __future__ import annotations

from collections.abc import Sequence

from flowengine.execution.model import ExecutionStatus
from flowengine.store import keys
from flowengine.store.state import RedisState

ENDED: tuple[ExecutionStatus, ...] = ("pending", "completed", "failed")


class RedisSweepState(RedisState):
    """Implements `flowengine.engine.sweep.SweepStore`."""

    def sweep_due(self, every_s: float) -> bool:
        """True for the first caller in each period; the period is kept by Redis's clock."""
        reply = self.sessions.retrying_read([("SET", keys.SWEEP, "1", "NX", "PX", int(every_s * 1000))])[0]
        return reply is not None

    def running_executions(self) -> list[str]:
        """The ids of all running executions, longest running first."""
        return [
            m.decode() for m in self.sessions.retrying_read([("ZRANGE", keys.index("running"), 0, -1)])[0]
        ]

    def last_moves(self, executions: Sequence[str]) -> dict[str, str]:
        """For each execution, the id of its newest event."""
        if not executions:
            return {}
        replies = self.sessions.retrying_read(
            [("XREVRANGE", keys.events(execution), "+", "-", "COUNT", 1) for execution in executions]
        )
        return {
            execution: entries[0][0].decode() if entries else ""
            for execution, entries in zip(executions, replies, strict=True)
        }

    def oldest_entry_ms(self, queue: str) -> int | None:
        """When the oldest message of a queue was sent, in milliseconds since the epoch."""
        entries = self.sessions.retrying_read([("XRANGE", keys.queue(queue), "-", "+", "COUNT", 1)])[0]
        return int(entries[0][0].split(b"-")[0]) if entries else None

    def prune(self) -> int:
        """Remove executions whose keys have expired from the indexes."""
        before = self.clock.now() - self.settings.retention_s * 1000
        replies = self.sessions.retrying_read(
            [("ZREMRANGEBYSCORE", keys.index(status), "-inf", before) for status in ENDED]
        )
        return sum(replies)
