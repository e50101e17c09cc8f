"""What an engine actor asks of the broker: joining, and what happens to a message that kills.

Pure data. An actor without a policy is an ordinary Dramatiq actor: never joined, acknowledged by
the broker, and dead-lettered without a callback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from flowengine.execution.messages import Callback, RunNode

LastWords: TypeAlias = Callable[[RunNode, int], Callback]
"""Given a task and how often its processing was started: what tells the orchestrator of its death."""


class ActorPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the broker treats the messages of one engine actor.

    `join` is how many waiting messages may reach the actor as one list. With `may_join`, only those whose
    payload it agrees to, and shared out between two threads. While messages come one at a time, those
    whose payload `is_quick` agrees to may be processed by the thread that has fetched them. With `on_dead`,
    a message delivered more than the broker's `max_deliveries` times goes to the dead letters, and the
    callback is sent in the same transaction. Without it, messages are delivered until they are
    acknowledged.
    """

    join: int = 1
    may_join: Callable[[bytes], bool] | None = None
    is_quick: Callable[[bytes], bool] | None = None
    on_dead: LastWords | None = None


Policies: TypeAlias = Mapping[str, ActorPolicy]
