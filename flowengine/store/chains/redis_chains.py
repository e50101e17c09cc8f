"""Chains in Redis: a sorted set says which definitions lead to which, and each definition what it follows.

The transaction that starts an execution WATCHes the one whose end starts it, and notes it there.
"""

from __future__ import annotations

import msgspec

from flowengine.engine.ports import Acknowledge
from flowengine.execution.changes import ArmTimer, Change, DropTimer
from flowengine.execution.messages import StartFollowers
from flowengine.store import keys
from flowengine.store.api_state import AdmittingUnit, RedisApiState
from flowengine.store.connection.sessions import Commands
from flowengine.store.state import RedisState
from flowengine.workflow.chains.declared import NO_LINKS, Links

_decode_links = msgspec.json.Decoder(Links).decode


class RedisChains:
    """Implements `flowengine.engine.chains.ports.ChainStore`."""

    def __init__(self, state: RedisState, executions: RedisApiState) -> None:
        self._state = state
        self._keys = state.keys
        self._executions = executions

    def begin(self, execution: str) -> AdmittingUnit:
        """WATCH and read an execution."""
        return self._executions.begin_command(execution)

    def following(self, name: str, most: int) -> list[str]:
        """The definitions that follow this one, so many at most, by name."""
        low, high = keys.link_entries(name, by_end=True)
        command = ("ZRANGE", self._keys.links, low, high, "BYLEX", "LIMIT", 0, most)
        (found,) = self._state.sessions.retrying_read([command])
        return [keys.parse_link_entry(member)[0] for member in found]

    def links(self, name: str) -> Links:
        """What ties the version in force of a definition to others."""
        (found,) = self._state.sessions.retrying_read([("HGET", self._keys.definition(name), keys.LINKS)])
        return NO_LINKS if found is None else _decode_links(found)

    def settle(self, message: StartFollowers, due: int | None, acknowledge: Acknowledge) -> None:
        """Acknowledge, and let somebody look again when `due`; None: nobody needs to."""
        change: Change = DropTimer(message) if due is None else ArmTimer(message, due)
        commands: Commands = self._state.encoder().encode({message.execution: [change]})
        acknowledge(commands)
        self._state.sessions.here().write(commands)
        if due is not None:
            self._state.on_armed(due)
