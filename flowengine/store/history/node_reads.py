"""What is stored of one node, and of what its templates read, for those who look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flowengine.engine.node_store import Readable, StoredNode
from flowengine.engine.ports import NO_ITEMS, Given, NodeState
from flowengine.store import keys
from flowengine.store.codec import decode_attempt, decode_record, parse_begun
from flowengine.store.map_reads import map_numbers
from flowengine.store.state import RedisState

_GIVEN_FIELDS: Final = (keys.VALUES, keys.VARS, keys.LATE, keys.OUTCOME, keys.OUTPUTS)


def read_node(state: RedisState, execution: str, node: str) -> StoredNode:
    """All that is stored of a node."""
    names = state.keys
    stored, started = state.sessions.retrying_read(
        [("HGETALL", names.node(execution, node)), ("HGETALL", names.started(execution))]
    )
    fields = _fields(stored)
    record = decode_record(fields.get(keys.STATE))
    begun = begun_at(started).get(keys.start_field(node, record.dispatch))
    tries = {keys.parse_try_field(field): value for field, value in fields.items()}
    kept = {attempt: decode_attempt(value) for attempt, value in tries.items() if attempt is not None}
    numbers = NO_ITEMS if record.map is None else map_numbers(state, execution, [node])[node]
    found = NodeState(record, begun, numbers)
    return StoredNode(found, fields.get(keys.RESULT), kept, fields.get(keys.PREVIOUS))


def read_readable(state: RedisState, execution: str, nodes: Sequence[str]) -> Readable:
    """What templates read but for outputs: what the execution is given, and how these nodes stand."""
    names = state.keys
    given, *replies = state.sessions.retrying_read(
        [
            ("HMGET", names.inputs(execution), *_GIVEN_FIELDS),
            *(("HGET", names.node(execution, node), keys.STATE) for node in nodes),
            *(("HSTRLEN", names.node(execution, node), keys.RESULT) for node in nodes),
        ]
    )
    states, sizes = replies[: len(nodes)], replies[len(nodes) :]
    inputs, made, late, outcome, outputs = given
    return Readable(
        Given(inputs=inputs, vars=made, late=late, outcome=outcome, outputs=outputs),
        {node: decode_record(found) for node, found in zip(nodes, states, strict=True)},
        dict(zip(nodes, map(int, sizes), strict=True)),
    )


def begun_at(reply: list[bytes] | dict[bytes, bytes]) -> dict[str, int]:
    """When each dispatch began that a worker has noted, by its field's name."""
    return {field: parse_begun(value).at for field, value in _fields(reply).items()}


def _fields(reply: list[bytes] | dict[bytes, bytes]) -> dict[str, bytes]:
    """All fields of a hash."""
    items = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {field.decode(): value for field, value in items}
