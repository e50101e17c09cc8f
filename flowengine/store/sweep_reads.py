"""What the slow sweep asks of Redis."""

from __future__ import annotations

from collections.abc import Sequence

from flowengine.execution.records import ExecutionStatus
from flowengine.queues import stream_key
from flowengine.store import keys
from flowengine.store.state import RedisState

AT_ONCE = 1000
ENDED: tuple[ExecutionStatus, ...] = ("pending", "completed", "failed")


class RedisSweepState(RedisState):
    """Implements `flowengine.engine.maintenance.sweep.SweepStore`."""

    def sweep_due(self, every_s: float) -> bool:
        """True for the first caller in each period; the period is kept by Redis's clock."""
        reply = self.sessions.retrying_read([("SET", keys.SWEEP, "1", "NX", "PX", int(every_s * 1000))])[0]
        return reply is not None

    def running_executions(self) -> dict[str, int]:
        """The ids of all running executions, longest running first, and when each was triggered."""
        command = ("ZRANGE", keys.index("running"), 0, -1, "WITHSCORES")
        found = self.sessions.retrying_read([command])[0]
        return {
            member.decode(): int(float(score)) for member, score in zip(found[::2], found[1::2], strict=True)
        }

    def last_moves(self, executions: Sequence[str]) -> dict[str, str]:
        """For each execution, the id of its newest event."""
        found: dict[str, str] = {}
        for at in range(0, len(executions), AT_ONCE):
            some = executions[at : at + AT_ONCE]
            replies = self.sessions.retrying_read(
                [("XREVRANGE", keys.events(execution), "+", "-", "COUNT", 1) for execution in some]
            )
            for execution, entries in zip(some, replies, strict=True):
                found[execution] = entries[0][0].decode() if entries else ""
        return found

    def oldest_entries_ms(self, queues: Sequence[str]) -> dict[str, int | None]:
        """When the oldest message of each queue was sent, in milliseconds since the epoch."""
        replies = self.sessions.retrying_read(
            [("XRANGE", stream_key(queue), "-", "+", "COUNT", 1) for queue in queues]
        )
        return {
            queue: int(entries[0][0].split(b"-")[0]) if entries else None
            for queue, entries in zip(queues, replies, strict=True)
        }

    def forget_running(self, execution: str) -> None:
        """Take an execution whose keys are gone out of the index: it would count against the limit."""
        self.sessions.retrying_read([("ZREM", keys.index("running"), execution)])

    def server_now(self) -> int:
        """Redis's time in milliseconds."""
        return self.clock.now()

    def prune(self) -> int:
        """Remove executions whose keys have expired from the indexes."""
        before = self.clock.now() - self.settings.retention_s * 1000
        replies = self.sessions.retrying_read(
            [("ZREMRANGEBYSCORE", keys.index(status), "-inf", before) for status in ENDED]
        )
        return sum(replies)
