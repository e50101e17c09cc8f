"""Takes the messages out of the queues of a stack in this process, one by one, until there are none.

The order is always the same: the oldest message of the orchestrator's queue, then the oldest of each worker's
queue. It stands where broker and actors stand in production.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from flowengine.broker.streams.wire import acknowledge, decode
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.held import Held, Sink
from flowengine.errors import FlowEngineError
from flowengine.execution.messages import RunNode
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store.state import RedisState
from flowengine.testing.memory.connection import MemoryClient
from flowengine.testing.memory.stream import Stream

MESSAGES_AT_MOST: Final = 200_000
"""An execution that takes more never ends, or is none that a test can wait for."""
CONSUMER: Final = "test"


class EndlessExecutionError(FlowEngineError):
    """An execution does not come to an end."""

    code = "endless_execution"


class _InHand:
    """The Receipt of one message. Nothing takes it away, and nothing hands it back."""

    def __init__(self, stream: str, entry: bytes) -> None:
        self._stream = stream
        self._entry = entry

    def acknowledge(self, sink: Sink, entries: Sequence[int]) -> None:
        """Remove it from its queue."""
        acknowledge(sink, self._stream, (self._entry,))

    def confirm(self, entries: Sequence[int]) -> None:
        """It is done."""

    def is_lost(self, entry: int) -> bool:
        """Never: nobody else is there."""
        return False

    def hand_back(self, entries: Sequence[int]) -> None:
        """Nothing is: the one that has it in hand ends with it."""
        raise AssertionError("nothing is handed back in one process")

    def pass_on(self, entries: Sequence[int]) -> None:
        """Nothing is: there is one worker, and it knows every handler."""
        raise AssertionError("there is one worker")


_Oldest: TypeAlias = Callable[[str], tuple[bytes, Sequence[bytes]] | None]
"""The oldest entry of a stream: its id and its fields."""


def _oldest_of(state: RedisState) -> _Oldest:
    """Reads a server, or looks into the memory that stands for one, which takes a tenth of the time."""
    client: object = state.sessions.client
    if isinstance(client, MemoryClient):
        space = client.space

        def look(stream: str) -> tuple[bytes, Sequence[bytes]] | None:
            entries = space.find(stream.encode(), Stream)
            return None if entries is None else entries.oldest()

        return look

    def read(stream: str) -> tuple[bytes, Sequence[bytes]] | None:
        (entries,) = state.sessions.retrying_read([("XRANGE", stream, "-", "+", "COUNT", 1)])
        return (entries[0][0], entries[0][1]) if entries else None

    return read


class MessageLoop:
    """The queues of a stack. `run_node` takes the tasks of workers."""

    def __init__(
        self,
        state: RedisState,
        engine: Orchestrator,
        run_node: Callable[[Held[RunNode]], None],
        worker_queues: Sequence[str],
    ) -> None:
        self._oldest = _oldest_of(state)
        self._streams = [state.keys.stream(queue) for queue in (ORCHESTRATOR_QUEUE, *worker_queues)]
        self._left = MESSAGES_AT_MOST
        self._steps: Mapping[str, Callable[[Held[Any]], None]] = {
            "run_node": run_node,
            "start_execution": engine.start,
            "stop_execution": engine.stop,
            "resume_execution": engine.resume,
            "delete_execution": engine.delete,
            "node_overruled": engine.follow_overruled,
            "signal_kept": engine.bring_signals,
            "line_moved": engine.move_line,
            "tend_child": engine.tend_child,
            "tend_children": engine.tend_children,
            "keep_children": engine.keep_children,
            "node_finished": lambda held: engine.finish([held]),
            "timer_fired": engine.fire,
            "delivery_attempted": engine.deliver,
            # There is no other execution that its schedule could start next.
            "fire_schedule": lambda held: state.acknowledge(held.acknowledge),
        }

    def run_dry(self) -> None:
        """Deal with all messages, and with those that follow from them. Raises EndlessExecutionError."""
        while True:
            for stream in self._streams:
                found = self._oldest(stream)
                if found is not None:
                    self._deal_with(stream, *found)
                    break
            else:
                return

    def _deal_with(self, stream: str, entry: bytes, fields: Sequence[bytes]) -> None:
        self._left -= 1
        if self._left < 0:
            raise EndlessExecutionError(f"it has not ended after {MESSAGES_AT_MOST} messages")
        actor = fields[1].decode()
        payload = decode(actor, fields[3])
        held = Held(payload, 1, f"{entry.decode()}/{CONSUMER}", _InHand(stream, entry))
        self._steps[actor](held)
