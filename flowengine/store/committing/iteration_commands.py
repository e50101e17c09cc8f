"""How what is kept of a node's iterations is written and removed: as many commands for each, however many
there were. Decides nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.execution.changes import Iteration
from flowengine.store import keys
from flowengine.store.connection.packing import Command

KEPT_ATTEMPTS: Final = 20
"""So many attempts of a node are kept beside its last one."""

_encode = msgspec.json.Encoder().encode


def iteration_commands(
    names: keys.Keys, execution: str, node: str, state: bytes, iteration: Iteration
) -> list[Command]:
    """Write a node's record, and what is kept of the iteration that has ended with it."""
    key = names.node(execution, node)
    fields: list[str | bytes] = [keys.STATE, state]
    if iteration.previous is not None:
        fields += (keys.PREVIOUS, bytes(iteration.previous))
    if iteration.attempt is not None:
        fields += (keys.try_field(iteration.number), _encode(iteration.attempt))
    commands: list[Command] = [("HSET", key, *fields)]
    if iteration.attempt is not None and iteration.number > KEPT_ATTEMPTS:
        commands.append(("HDEL", key, keys.try_field(iteration.number - KEPT_ATTEMPTS)))
    if iteration.collected is not None:
        commands.append(("APPEND", names.collected(execution, node), b"," + bytes(iteration.collected)))
    return commands


def forgetting(names: keys.Keys, execution: str, node: str, *, collects: bool) -> list[Command]:
    """Remove it."""
    previous: Command = ("HDEL", names.node(execution, node), keys.PREVIOUS, keys.RESPONSE)
    return [previous, ("DEL", names.collected(execution, node))] if collects else [previous]
