"""What is stored of the items of maps, read in bounded steps. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from flowengine.engine.ports import ItemToSend, MapNumbers
from flowengine.execution.records import ItemRecord, MapRecord, NodeRecord, counted_bytes
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.maps.children import child_of
from flowengine.execution.rules.maps.choosing import EndedItem, KnownItems, choose
from flowengine.execution.rules.maps.opening import key_of
from flowengine.execution.views.maps import MapOutput, StoredItemState, output_of
from flowengine.queues import ORCHESTRATOR_QUEUE, crowd_line
from flowengine.store import keys
from flowengine.store.codec import decode_record, parse_begun
from flowengine.store.connection.packing import Command

if TYPE_CHECKING:
    from flowengine.store.state import RedisState

SHOWN_BYTES: Final = 64 * 1024
"""An end of an item that takes more is shown without its result."""
AT_ONCE: Final = 64
"""So many ends of items are read in one step: each may be a megabyte."""

decode_item = msgspec.json.Decoder(ItemRecord).decode


class ReadOutput(msgspec.Struct, frozen=True):
    """The output of a map as JSON, and its size. None: there is none, or it is too large."""

    data: bytes | None
    size: int


def read_map_output(
    state: RedisState,
    execution: str,
    node: str,
    primary: str | None,
    most_bytes: int,
    *,
    with_items: bool = True,
) -> ReadOutput:
    """The output of a completed map, of its items' outputs, whose primary values are in the field `primary`.

    Not read where these are larger than `most_bytes`. An operator may have given the map another output.
    """
    names, read = state.keys, state.sessions.retrying_read
    ((stored, result),) = read([("HMGET", names.node(execution, node), keys.STATE, keys.RESULT)])
    record = decode_record(stored)
    if result is not None or record.status != "completed" or record.map is None:
        return ReadOutput(result, 0 if result is None else len(result))
    total, ended = record.map.total, names.items_ended(execution, node)
    found: dict[int, ItemRecord] = {}
    size = 0
    for indexes in _parts(total):
        if size > most_bytes:
            size += sum(read([("HSTRLEN", ended, index) for index in indexes]))
            continue
        (values,) = read([("HMGET", ended, *indexes)])
        size += sum(len(value) for value in values if value)
        found |= {index: decode_item(value) for index, value in zip(indexes, values, strict=True) if value}
    if size > most_bytes:
        return ReadOutput(None, size)
    item_keys = [key for part in _keys(state, execution, node, total) for key in part] if with_items else []
    return ReadOutput(output_of(MapOutput(record.map, found, item_keys, primary, with_items)), size)


def _parts(total: int) -> Iterator[Sequence[int]]:
    for first in range(0, total, AT_ONCE):
        yield range(first, min(first + AT_ONCE, total))


def _keys(state: RedisState, execution: str, node: str, total: int) -> Iterator[list[str]]:
    name = state.keys.items(execution, node)
    for part in _parts(total):
        (items,) = state.sessions.retrying_read([("LRANGE", name, part[0], part[-1])])
        yield [key_of(stored, index) for index, stored in zip(part, items, strict=True)]


def items_to_send(
    state: RedisState, execution: str, node: str, first: int, count: int, *, again: bool
) -> list[ItemToSend]:
    """The next items of a map that are to be sent, from this place of the order. `again`: of those that a run
    before has left."""
    last = first + count - 1
    if not again:
        (items,) = state.sessions.here().call([("LRANGE", state.keys.items(execution, node), first, last)])
        return [ItemToSend(index, 0, item) for index, item in enumerate(items, start=first)]
    (listed,) = state.sessions.here().call([("LRANGE", state.keys.items_todo(execution, node), first, last)])
    left = [tuple(map(int, each.split(b":"))) for each in listed]
    items = stored_items(state, execution, node, [index for index, _ in left])
    return [ItemToSend(index, answered, item) for (index, answered), item in zip(left, items, strict=True)]


def map_numbers(state: RedisState, execution: str, nodes: Sequence[str]) -> dict[str, MapNumbers]:
    """How far the items of these maps are."""
    names = state.keys
    replies = iter(
        state.sessions.retrying_read(
            [
                command
                for node in nodes
                for command in (
                    ("HGET", names.map(execution, node), keys.SENT),
                    ("HLEN", names.map(execution, node)),
                    ("HLEN", names.items_ended(execution, node)),
                )
            ]
        )
        if nodes
        else ()
    )
    found = {}
    for node in nodes:
        sent, fields, ended = next(replies), next(replies), next(replies)
        found[node] = MapNumbers(int(sent or 0), ended, max(0, fields - 1))
    return found


def item_states(
    state: RedisState, execution: str, node: str, record: NodeRecord, indexes: Sequence[int]
) -> list[StoredItemState]:
    """What is stored of these items of a map, which follow one another. Large results are left out."""
    names, read = state.keys, state.sessions.retrying_read
    ended = names.items_ended(execution, node)
    again = record.map is not None and record.map.again
    stored, sent, todo, *sizes = read(
        [
            ("LRANGE", names.items(execution, node), indexes[0], indexes[-1]),
            ("HGET", names.map(execution, node), keys.SENT),
            ("LRANGE", names.items_todo(execution, node), 0, -1 if again else 0),
            *(("HSTRLEN", ended, index) for index in indexes),
        ]
    )
    number = int(sent or 0)
    runs = 0 if record.map is None else record.map.to_run
    listed = [int(each.partition(b":")[0]) for each in todo[:runs]] if again else []
    in_flight, to_run = set(listed[:number]) if again else range(number), set(listed)
    small = [index for index, size in zip(indexes, sizes, strict=True) if 0 < size <= SHOWN_BYTES]
    found: dict[int, ItemRecord] = {}
    if small:
        (values,) = read([("HMGET", ended, *small)])
        found = {index: decode_item(value) for index, value in zip(small, values, strict=True) if value}
    for index in [index for index, size in zip(indexes, sizes, strict=True) if size > SHOWN_BYTES]:
        (value,) = read([("HGET", ended, index)])
        if value:
            found[index] = msgspec.structs.replace(decode_item(value), result=msgspec.Raw(b"null"))
    tries = read([("HGET", names.item_try(execution, node, index), keys.STATE) for index in indexes])
    children = _children(state, execution, node, record, [*zip(indexes, stored, strict=False)])
    return [
        StoredItemState(
            key_of(item, index),
            found.get(index),
            decode_record(tried) if tried else None,
            index in in_flight,
            truncated=size > SHOWN_BYTES,
            left_out=again and index not in to_run,
            child=children.get(index),
        )
        for index, item, tried, size in zip(indexes, stored, tries, sizes, strict=False)
    ]


def _children(
    state: RedisState, execution: str, node: str, record: NodeRecord, items: Sequence[tuple[int, bytes]]
) -> dict[int, str]:
    """The children that there are of these items."""
    known = None if record.map is None else record.map.children
    if known is None or not items:
        return {}
    found = {index: child_of(execution, node, known, key_of(item, index)).execution for index, item in items}
    controls = [("EXISTS", state.keys.control(child)) for child in found.values()]
    there = state.sessions.retrying_read(controls)
    return {index: child for (index, child), is_there in zip(found.items(), there, strict=True) if is_there}


def items_in_flight(
    state: RedisState, execution: str, node: str, sent: int, *, again: bool
) -> list[tuple[ItemToSend, NodeRecord | None]]:
    """The items that have been sent and have not ended, each with how it stands between its tries."""
    names, call = state.keys, state.sessions.retrying_read
    (fields,) = call([("HKEYS", names.items_ended(execution, node))])
    ended = {int(field) for field in fields}
    indexes = range(sent)
    answered: dict[int, int] = {}
    if again and sent:
        (listed,) = call([("LRANGE", names.items_todo(execution, node), 0, sent - 1)])
        answered = dict(tuple(map(int, each.split(b":"))) for each in listed)  # type: ignore[misc]
    wanted = [index for index in (answered if again else indexes) if index not in ended]
    if not wanted:
        return []
    stored = stored_items(state, execution, node, wanted)
    tries = call([("HGET", names.item_try(execution, node, index), keys.STATE) for index in wanted])
    return [
        (ItemToSend(index, answered.get(index, 0), item), decode_record(tried) if tried else None)
        for index, item, tried in zip(wanted, stored, tries, strict=True)
    ]


def items_left(
    state: RedisState, execution: str, node: str, record: MapRecord | None
) -> list[tuple[int, int]]:
    """The items that run again of an ended map: those that a rerun has listed, else all that have not
    completed. Each with the number in its idempotency key."""
    if record is None:
        return []
    if record.chosen:
        return [*_listed(state, execution, node).items()][: record.to_run]
    known = known_items(state, execution, node, record.total, ())
    return list(choose(known, (), with_unfinished=True).left)


def known_items(
    state: RedisState, execution: str, node: str, total: int, wanted: Sequence[str]
) -> KnownItems:
    """What is known of the items of an ended map, of which these are asked for by their keys."""
    name = state.keys.items_ended(execution, node)
    (fields,) = state.sessions.retrying_read([("HKEYS", name)])
    failures = noted_failures(state, execution, node)
    failed = {index: record for index, record in failures.items() if record.status == "failed"}
    completed = {int(field) for field in fields} - failed.keys()
    indexes = _indexes(state, execution, node, total, wanted)
    named = [index for index in indexes.values() if index in completed]
    ended = {index: EndedItem(has_failed=True, answered=each.answered) for index, each in failed.items()}
    for first in range(0, len(named), AT_ONCE):
        part = named[first : first + AT_ONCE]
        (values,) = state.sessions.retrying_read([("HMGET", name, *part)])
        for index, value in zip(part, values, strict=True):
            if value:
                found = decode_item(value)
                ended[index] = EndedItem(False, found.answered, counted_bytes(len(found.result)))
    listed = _listed(state, execution, node)
    over = completed | failed.keys()
    open_ones = [index for index in _sent(state, execution, node, listed) if index not in over]
    tried = _answered_tries(state, execution, node, open_ones)
    return KnownItems(total, indexes, completed, ended, {**listed, **tried})


def _sent(state: RedisState, execution: str, node: str, listed: Mapping[int, int]) -> Sequence[int]:
    """The items that its last run has sent."""
    (sent,) = state.sessions.retrying_read([("HGET", state.keys.map(execution, node), keys.SENT)])
    return [*listed][: int(sent or 0)] if listed else range(int(sent or 0))


def _answered_tries(state: RedisState, execution: str, node: str, indexes: Sequence[int]) -> dict[int, int]:
    """Those of these items that were answered in tries before a stop, with the number that the next one is to
    have."""
    if not indexes:
        return {}
    names = [state.keys.item_try(execution, node, index) for index in indexes]
    tries = state.sessions.retrying_read([("HGET", name, keys.STATE) for name in names])
    records = [(index, decode_record(tried)) for index, tried in zip(indexes, tries, strict=True) if tried]
    return {index: record.answered for index, record in records if record.answered}


def _indexes(
    state: RedisState, execution: str, node: str, total: int, wanted: Sequence[str]
) -> dict[str, int]:
    """Where the items of these keys stand."""
    missing = set(wanted)
    found: dict[str, int] = {}
    for part, listed in zip(_parts(total), _keys(state, execution, node, total), strict=True):
        if not missing:
            break
        there = {key: index for index, key in zip(part, listed, strict=True) if key in missing}
        found |= there
        missing -= there.keys()
    return found


def _listed(state: RedisState, execution: str, node: str) -> dict[int, int]:
    """The items that its last run was to run, if these were not all, and then those that rest, with the
    number in each idempotency key."""
    (listed,) = state.sessions.retrying_read([("LRANGE", state.keys.items_todo(execution, node), 0, -1)])
    return dict(tuple(map(int, each.split(b":"))) for each in listed)  # type: ignore[misc]


def noted_failures(state: RedisState, execution: str, node: str) -> dict[int, ItemRecord]:
    """The records of the items of a map that are noted as failed."""
    (fields,) = state.sessions.here().call([("HKEYS", state.keys.map(execution, node))])
    indexes = [index for field in fields if (index := keys.parse_failure_field(field)) is not None]
    name = state.keys.items_ended(execution, node)
    found: dict[int, ItemRecord] = {}
    for first in range(0, len(indexes), AT_ONCE):
        part = indexes[first : first + AT_ONCE]
        (values,) = state.sessions.here().call([("HMGET", name, *part)])
        found |= {index: decode_item(value) for index, value in zip(part, values, strict=True) if value}
    return found


def stored_items(state: RedisState, execution: str, node: str, indexes: Sequence[int]) -> list[bytes]:
    """These items of a map."""
    name = state.keys.items(execution, node)
    commands: list[Command] = [("LINDEX", name, index) for index in indexes]
    return [item for item in state.sessions.here().call(commands) if item] if commands else []


def has_items_begun(state: RedisState, execution: str, node: str, dispatch: int) -> bool:
    """Whether it is noted that an item of this dispatch runs: by a worker, or as a child.

    Asked at each report while a map is stopped: so it ends at the first such note, and the notes of ten
    thousand items are not read for each of them.
    """
    name, cursor = state.keys.started(execution), b"0"
    while True:
        ((cursor, noted),) = state.sessions.here().call([("HSCAN", name, cursor, "COUNT", AT_ONCE)])
        if any(keys.is_item_start(field, node, dispatch) for field in noted[::2]):
            return True
        if int(cursor) == 0:
            return False


def may_hold_reports(state: RedisState, before: int) -> bool:
    """Whether a message to the orchestrators from before this time may wait to be applied."""
    queues = (ORCHESTRATOR_QUEUE, crowd_line(ORCHESTRATOR_QUEUE))
    commands: list[Command] = [("XRANGE", state.keys.stream(queue), "-", "+", "COUNT", 1) for queue in queues]
    found = state.sessions.here().call(commands)
    return any(int(entry.partition(b"-")[0]) < before for entries in found for entry, _ in entries)


def children_of_items(state: RedisState, execution: str, node: str) -> list[tuple[int, str, int]]:
    """The items of a map that are noted to run as children: the index and the child of each, and the dispatch
    of the map in which that was noted."""
    (noted,) = state.sessions.here().call([("HGETALL", state.keys.started(execution))])
    found = []
    for field, value in zip(noted[::2], noted[1::2], strict=True):
        start, child = keys.parse_item_start(field, node), parse_begun(value).place
        if start is not None and is_child(child):
            found.append((start[0], child, start[1]))
    return sorted(found)
