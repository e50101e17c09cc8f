"""Bulks in Redis: what was asked and how far it is, in one hash, WATCHed by all that goes on with it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import redis

from flowengine.engine.advancing.steps.bulk_step import Counted
from flowengine.engine.commands.create import new_id
from flowengine.engine.ports import Acknowledge, Candidates, Committed
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change
from flowengine.execution.messages import RunBulk
from flowengine.execution.records import ExecutionRecord, NodeRecord
from flowengine.execution.requests.bulk import Bulk, BulkStopped, Progress
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.maps.choosing import KnownItems
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store.access.audit_log import add_note, was_written
from flowengine.store.access.stored_keys import StoredKeys
from flowengine.store.admission import Admission, Asked
from flowengine.store.codec import parse_execution
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Commands, Session
from flowengine.store.lists.listing import RedisListing
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan

_REFUSED: Final = "r:"
_NUMBERS: Final = ("seen", "done", "finished_at", "reset", "reused")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Bulk).decode


def _fit() -> None:
    """The server has been looked at."""


class RedisBulks:
    """Implements `flowengine.engine.advancing.steps.bulk_step.BulkStore` and
    `flowengine.engine.commands.bulk.BulkCommands`. `ensure_fit`: what has to pass before the first use."""

    def __init__(self, state: RedisState, ensure_fit: Callable[[], None] = _fit) -> None:
        self._state = state
        self._keys = state.keys
        self._api_keys = StoredKeys(state.sessions)
        self._listing = RedisListing(state)
        self._ensure_fit = ensure_fit
        self._admission = Admission(state)

    @property
    def owner(self) -> str:
        """The id of the execution whose own queues are used; else empty."""
        return self._state.keys.owner

    def line_length(self, line: str) -> int:
        """How many stand in a line."""
        return self._state.lines.length(line)

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        self._ensure_fit()
        return self._state.now()

    def create(self, bulk: Bulk) -> str:
        """Store it and send its first message; returns its id."""
        bulk_id = new_id(bulk.created_at, secrets.token_hex(8), self._keys.partition)
        key = self._keys.bulk(bulk_id)
        commands = Commands([("HSET", key, "asked", _encode(bulk), "step", 1, "reached", "")])
        self._go_on(commands, RunBulk(bulk=bulk_id, step=1, correlation_id=bulk.correlation_id))
        commands.append(("EXPIREAT", key, self._expires_at()))
        note = add_note(commands, self._keys, bulk_id)
        self._state.sessions.here().write(commands)
        was_written(note)
        return bulk_id

    def read(self, bulk_id: str) -> tuple[Bulk, Progress] | None:
        """What was asked and how far it is."""
        self._ensure_fit()
        (reply,) = self._state.sessions.retrying_read([("HGETALL", self._keys.bulk(bulk_id))])
        return _parse(reply)

    def may_go_on(self, bulk: Bulk) -> bool:
        """Whether the key of who asked is valid; so is one that Redis does not hold, and none."""
        if bulk.by is None or bulk.key_made_at is None:
            return True
        return self._api_keys.is_valid(bulk.by, bulk.key_made_at)

    def candidates(self, wanted: Wanted, before: str) -> Candidates:
        """Executions that may be wanted, newest first, whose ids are less than `before`; empty: all."""
        return self._listing.candidates(wanted, before)

    def records(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """The executions' own records; None for one that is not there."""
        return self._listing.records(executions)

    def plan(self, execution: str) -> Plan | None:
        """The compiled plan."""
        return self._state.plan(execution)

    def read_nodes(self, execution: str, nodes: Sequence[str]) -> dict[str, NodeRecord]:
        """The records of nodes that have one."""
        return self._state.read_nodes(execution, nodes)

    def read_given(self, execution: str) -> tuple[bytes | None, bytes | None]:
        """Its inputs and its vars, as JSON."""
        return self._state.read_given(execution)

    def outputs_before(self, execution: str) -> bytes | None:
        """What an end has given that has led to it, as JSON, if it has given something."""
        return self._state.outputs_before(execution)

    def bytes_of_items(self, execution: str, maps: Sequence[str]) -> dict[str, int]:
        """How many bytes of the results of these maps' items count."""
        return self._state.bytes_of_items(execution, maps)

    def known_items(self, execution: str, node: str, total: int, keys: Sequence[str]) -> KnownItems:
        """What is known of the items of an ended map, of which these are asked for by their keys."""
        return self._state.known_items(execution, node, total, keys)

    def begin(
        self, bulk_id: str, step: int, reached: str, execution: str, *, admits: bool = False
    ) -> RedisCountingUnit:
        """WATCH and read one execution. Raises ConflictError if the walk does not stand there any more.

        `admits`: ask whether work may come in as well."""
        asked = self._admission.ask(starting=True) if admits else None
        names = [self._keys.control(execution), self._keys.bulk(bulk_id)]
        stands = ("HMGET", self._keys.bulk(bulk_id), "step", "reached")
        reads: list[Command] = [("TIME",), self._state.execution_read(execution), stands]
        reads += [] if asked is None else asked.commands
        time, record, found, *replies = self._state.sessions.retrying_watch(names, reads)
        self._refuse_overtaken(bulk_id, step, reached, found)
        now = self._state.clock.seen(time)
        unit = RedisCountingUnit(self._state, bulk_id, parse_execution(record), now)
        if asked is not None:
            unit.admission = Admittance(self._admission, asked, replies)
        return unit

    def advance(
        self,
        message: RunBulk,
        before: str,
        counted: Counted,
        acknowledge: Acknowledge,
        *,
        goes_on: bool,
        stopped: BulkStopped | None = None,
    ) -> None:
        """End a step that stands there: acknowledge its message, and send the next or finish. `stopped`: why
        it finishes before its end.

        Raises ConflictError."""
        key = self._keys.bulk(message.bulk)
        (found,) = self._state.sessions.retrying_watch([key], [("HMGET", key, "step", "reached")])
        self._refuse_overtaken(message.bulk, message.step, before, found)
        session = self._state.sessions.here()
        commands = Commands([*counting(key, counted), ("EXPIREAT", key, self._expires_at())])
        if goes_on:
            following = msgspec.structs.replace(message, step=message.step + 1)
            commands.append(("HSET", key, "step", following.step))
            self._go_on(commands, following)
        else:
            commands.append(("HSET", key, "finished_at", self._state.now()))
            if stopped is not None:
                commands.append(("HSET", key, "stopped", stopped))
            commands.append(("ZREM", self._keys.bulks, message.bulk))
        acknowledge(commands)
        if session.transact(commands, session.epoch) is None:
            raise ConflictError(f"bulk '{message.bulk}' was gone on with meanwhile")

    def acknowledge(self, acknowledge: Acknowledge) -> None:
        """Acknowledge a message that needs nothing else."""
        self._state.acknowledge(acknowledge)

    def send_again(self, stuck: Sequence[bytes], pass_over: Callable[[str, object], None]) -> list[str]:
        """Send the messages again of these, by their ids; returns of which. `pass_over` is told of a key that
        cannot be read, and why."""
        sent = []
        for member in stuck:
            bulk_id = member.decode(errors="replace")
            try:
                sent += [bulk_id] if self._send_again(bulk_id) else []
            except (redis.ResponseError, msgspec.MsgspecError, KeyError, ValueError) as error:
                pass_over(self._keys.bulk(bulk_id), error)
        return sent

    def _send_again(self, bulk_id: str) -> bool:
        key = self._keys.bulk(bulk_id)
        (reply,) = self._state.sessions.retrying_watch([key], [("HGETALL", key)])
        session, found = self._state.sessions.here(), _parse(reply)
        commands = Commands()
        if found is None:
            commands.append(("ZREM", self._keys.bulks, bulk_id))
        else:
            bulk, progress = found
            message = RunBulk(bulk=bulk_id, step=progress.step, correlation_id=bulk.correlation_id)
            self._go_on(commands, message)
        return session.transact(commands, session.epoch) is not None and found is not None

    def _go_on(self, commands: Commands, message: RunBulk) -> None:
        commands.append(("ZADD", self._keys.bulks, self._state.now(), message.bulk))
        self._state.post(commands, ORCHESTRATOR_QUEUE, message, self._keys.partition)

    def _refuse_overtaken(self, bulk_id: str, step: int, reached: str, found: list[bytes | None]) -> None:
        if found != [str(step).encode(), reached.encode()]:
            self._state.sessions.here().unwatch()
            raise ConflictError(f"bulk '{bulk_id}' is gone on with elsewhere")

    def _expires_at(self) -> int:
        return self._state.now() // 1000 + self._state.retention_s


class Admittance(msgspec.Struct, frozen=True):
    """What was asked of whether work may come in, and what was answered."""

    admission: Admission
    asked: Asked
    replies: Sequence[Any]


class RedisCountingUnit:
    """Implements `flowengine.engine.advancing.steps.bulk_step.CountingUnit`."""

    admission: Admittance | None = None

    def __init__(self, state: RedisState, bulk_id: str, record: ExecutionRecord | None, now: int) -> None:
        self.record = record
        self.now = now
        self._state = state
        self._key = state.keys.bulk(bulk_id)
        self._session: Session = state.sessions.here()
        self._epoch = self._session.epoch

    def admit(self, size: int = 0) -> None:
        """Raises TooManyExecutionsError or StoreFullError if none may start that stores so much more."""
        if self.admission is not None:
            self.admission.admission.decide(self.admission.asked, self.admission.replies, size=size)

    def commit(self, changes: Mapping[str, Sequence[Change]]) -> Committed | None:
        """Without a number: nothing here does so."""
        raise AssertionError("what a bulk does is counted")

    def commit_counted(self, changes: Mapping[str, Sequence[Change]], counted: Counted) -> Committed | None:
        """Write everything in one transaction; None if the execution, or the bulk, has changed meanwhile."""
        encoder = self._state.encoder()
        commands = encoder.encode(changes)
        commands += counting(self._key, counted)
        replies = self._session.transact(commands, self._epoch)
        return None if replies is None else encoder.committed(replies)

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()


def counting(key: str, counted: Counted) -> list[Command]:
    """What adds to the numbers, and says where the walk stands."""
    added = {"seen": counted.seen, "done": counted.done, "reset": counted.reset, "reused": counted.reused}
    added |= {f"{_REFUSED}{reason}": count for reason, count in counted.refused.items()}
    return [
        *(("HINCRBY", key, field, by) for field, by in added.items() if by),
        ("HSET", key, "reached", counted.reached),
    ]


def _parse(reply: list[bytes] | dict[bytes, bytes]) -> tuple[Bulk, Progress] | None:
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    fields: dict[str, Any] = {name.decode(): value for name, value in pairs}
    if "asked" not in fields:
        return None
    refused = {
        name.removeprefix(_REFUSED): int(value) for name, value in fields.items() if name.startswith(_REFUSED)
    }
    numbers = {name: int(fields.get(name, 0)) for name in _NUMBERS}
    reached = fields["reached"].decode()
    stopped: BulkStopped | None = "key_not_valid" if "stopped" in fields else None
    progress = Progress(int(fields["step"]), reached, refused=refused, stopped=stopped, **numbers)
    return _decode(fields["asked"]), progress
