"""Deliveries in Redis: their units, and what a worker asks before it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowengine.engine.delivering.ports import Wanted
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.messages import DeliverResults, DeliveryAttempted, DeliveryDue
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store import keys
from flowengine.store.codec import decode_delivery, parse_execution
from flowengine.store.connection.sessions import Commands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowengine.engine.ports import Acknowledge
    from flowengine.execution.changes import Change
    from flowengine.execution.records import ExecutionRecord, NodeRecord
    from flowengine.store.state import RedisState
    from flowengine.workflow.plan import Plan


class RedisDeliveryUnit:
    """Implements `flowengine.engine.ports.DeliveryUnit`: WATCHes the execution's control and deliveries."""

    def __init__(self, state: RedisState, execution: str, run: int) -> None:
        names = state.keys
        control, deliveries = names.control(execution), names.deliveries(execution)
        time, record, stored = state.sessions.retrying_watch(
            [control, deliveries],
            [("TIME",), state.execution_read(execution), ("HGET", deliveries, keys.run_field(run))],
        )
        self.now = state.clock.seen(time)
        self.record: ExecutionRecord | None = parse_execution(record)
        self.delivery: Delivery | None = decode_delivery(stored)
        self._state = state
        self._session = state.sessions.here()
        self._epoch = self._session.epoch

    def commit(self, changes: Mapping[str, Sequence[Change]], acknowledge: Acknowledge) -> bool:
        """Write everything in one transaction; False if something has changed meanwhile."""
        encoder = self._state.encoder()
        commands = encoder.encode(changes)
        acknowledge(commands)
        if self._session.transact(commands, self._epoch) is None:
            return False
        if encoder.armed is not None:
            self._state.on_armed(encoder.armed)
        return True

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()


def read_deliveries(state: RedisState, execution: str) -> tuple[str | None, list[Delivery], bool]:
    """The `callback_url`, if there is one, the deliveries, and whether the execution is there."""
    names = state.keys
    stored, there = state.sessions.retrying_read(
        [("HGETALL", names.deliveries(execution)), ("EXISTS", names.control(execution))]
    )
    fields = dict(stored) if isinstance(stored, dict) else dict(zip(stored[::2], stored[1::2], strict=True))
    url = fields.pop(keys.URL.encode(), None)
    found = [delivery for value in fields.values() if (delivery := decode_delivery(value)) is not None]
    return None if url is None else url.decode(), found, bool(there)


class RedisSending:
    """Implements `flowengine.engine.delivering.ports.SendingStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        return self._state.now()

    def plan(self, execution: str) -> Plan | None:
        """The compiled plan."""
        return self._state.plan(execution)

    def read_execution(self, execution: str) -> ExecutionRecord | None:
        """The execution's own record, or None."""
        return self._state.read_execution(execution)

    def node_results(self, execution: str, nodes: Sequence[str]) -> list[tuple[NodeRecord, bytes | None]]:
        """The records and outputs of nodes."""
        return self._state.node_results(execution, nodes)

    def map_results(self, execution: str, node: str, primary: str | None) -> bytes | None:
        """What the items of a completed map gave, and their numbers, as JSON."""
        return self._state.map_results(execution, node, primary)

    def wanted(self, message: DeliverResults) -> Wanted:
        """What is known of a delivery, in one round trip."""
        names, execution = self._state.keys, message.execution
        record, found, used = self._state.sessions.retrying_read(
            [
                self._state.execution_read(execution),
                ("HMGET", names.deliveries(execution), keys.URL, keys.run_field(message.run)),
                ("HGET", names.counts(execution), "bytes"),
            ]
        )
        url, delivery = found
        return Wanted(
            record=parse_execution(record),
            delivery=decode_delivery(delivery),
            url=None if url is None else url.decode(),
            result_bytes=int(used or 0),
        )

    def report(self, report: DeliveryAttempted | DeliveryDue, acknowledge: Acknowledge) -> None:
        """Tell the orchestrator, and acknowledge the message, in one transaction.

        Tried twice: while it was sent the connection was idle, and may have been closed.
        """
        commands = Commands()
        self._state.post(commands, ORCHESTRATOR_QUEUE, report, self._state.keys.partition)
        acknowledge(commands)
        self._state.sessions.retrying_write(commands)

    def put_off(self, timer: DeliveryDue, due: int, acknowledge: Acknowledge) -> None:
        """Let a timer send it later, and acknowledge the message, in one transaction."""
        names = self._state.keys
        commands = Commands()
        commands.append(("ZADD", names.timers(keys.timer_kind(timer)), due, keys.member_of(timer)))
        acknowledge(commands)
        self._state.sessions.retrying_write(commands)

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that needs nothing else."""
        self._state.acknowledge(acknowledge)
