"""What a message looks like inside a stream entry. Pure.

An engine message is two fields: `a`, the actor's name, and `p`, its payload (JSON bytes of a struct
from `flowengine.execution.records`). The actor receives a list of payloads, of length one unless the
consumer joined several. A message of any other Dramatiq actor is one field, `m`: the whole message.
"""

from __future__ import annotations

from typing import Final, Protocol

ACTOR: Final = b"a"
PAYLOAD: Final = b"p"
MESSAGE: Final = b"m"


def engine_fields(actor: str, payload: bytes) -> dict[bytes, bytes]:
    """The fields of an engine message, for XADD."""
    return {ACTOR: actor.encode(), PAYLOAD: payload}


class CommandSink(Protocol):
    """Anything that takes a Redis command: a pipeline inside MULTI, or a client."""

    def execute_command(self, *args: object) -> object: ...


class Receipt(Protocol):
    """The entries behind the message that this thread processes.

    The engine queues `acknowledge` onto the MULTI that carries the message's effect, and calls
    `confirm` once EXEC has succeeded; what is not confirmed when the actor returns is handed back.
    `deliveries` holds, for each payload, how often it has been delivered (1: the first time), `places`
    where it stands: ENTRY/CONSUMER.
    """

    @property
    def deliveries(self) -> tuple[int, ...]: ...
    @property
    def places(self) -> tuple[str, ...]: ...
    def acknowledge(self, sink: CommandSink, *, only: tuple[int, ...] | None = None) -> None: ...
    def confirm(self, *, only: tuple[int, ...] | None = None) -> None: ...
