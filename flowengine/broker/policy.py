"""What an engine actor asks of the broker: which messages are joined, and what happens to one that kills.

Pure data. An actor without a policy is an ordinary Dramatiq actor: its messages are never joined, the broker
acknowledges them, and no callback tells of a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from flowengine.execution.messages import Callback, RunNode

LastWords: TypeAlias = Callable[[RunNode, int], Callback]
"""Given a task and how often it was started: the callback that tells the orchestrator of its death."""


class ActorPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the broker treats the messages of one engine actor.

    * `join`: so many waiting messages may reach the actor as one list.
    * `may_join`: only messages whose payload it accepts are joined, and they are shared out between two
      threads.
    * `is_quick`: messages whose payload it accepts may run on the thread that has fetched them, while
      they come one at a time.
    * `on_dead`: a message that was delivered more often than the broker's `max_deliveries` goes to the dead
      letters, and this callback is sent in the same transaction. Without it, messages are delivered until
      they are acknowledged.
    """

    join: int = 1
    may_join: Callable[[bytes], bool] | None = None
    is_quick: Callable[[bytes], bool] | None = None
    on_dead: LastWords | None = None


class KnownHandlers(msgspec.Struct, frozen=True, kw_only=True):
    """Which handlers a process knows, and what becomes of tasks for others.

    * `knows`: whether it knows the handler of this name.
    * `patience_s`: a handler that no process has known for so long is given up.
    * `on_unknown`: given such a task and how long that has been, in milliseconds: the callback that ends it.
    """

    knows: Callable[[str], bool]
    patience_s: float
    on_unknown: Callable[[RunNode, int], Callback]


Policies: TypeAlias = Mapping[str, ActorPolicy]
