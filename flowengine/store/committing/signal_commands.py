"""How signals are kept and taken, in commands. The caller WATCHes their key. Decides nothing."""

from __future__ import annotations

import msgspec

from flowengine.execution.changes import KeepSignal, TakeSignal
from flowengine.store import keys
from flowengine.store.connection.packing import Command

_encode = msgspec.json.Encoder().encode


def signal_commands(names: keys.Keys, execution: str, change: KeepSignal | TakeSignal) -> list[Command]:
    """The commands of one change."""
    key, (last, size) = names.signals(execution), keys.SIGNAL_NUMBERS
    queue = keys.signal_queue(change.name)
    if isinstance(change, KeepSignal):
        number = change.queue[-1].number
        held = (queue, _encode(change.queue), keys.signal_field(number), change.data)
        return [("HSET", key, last, number, size, change.size, *held)]
    gone = (keys.signal_field(change.number), *(() if change.queue else (queue,)))
    left = (queue, _encode(change.queue)) if change.queue else ()
    return [("HSET", key, size, change.size, *left), ("HDEL", key, *gone)]
