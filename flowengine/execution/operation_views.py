"""What the API shows of the service at work: dead letters, queues, processes. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine.execution.views import Moment

DeadReason: TypeAlias = Literal["undecodable", "exhausted", "unknown_actor", "rejected", "raised"]
"""Why a message became a dead letter."""

LetterRetry: TypeAlias = Literal["trigger", "send"]
"""What a retry of a dead letter does: trigger its execution again, or send the message again."""


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was set aside. `deliveries`: how often it was started.

    What it speaks of is there only where it can be read. `retry`: what a retry does.
    """

    id: str
    queue: str
    reason: DeadReason
    deliveries: int
    buried_at: Moment
    retry: LetterRetry
    actor: str | msgspec.UnsetType = msgspec.UNSET
    execution_id: str | msgspec.UnsetType = msgspec.UNSET
    run: int | msgspec.UnsetType = msgspec.UNSET
    node: str | msgspec.UnsetType = msgspec.UNSET
    handler: str | msgspec.UnsetType = msgspec.UNSET


class DeadLettersView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of dead letters, the newest first. `next_cursor` asks for the next page; null: there is none."""

    items: tuple[DeadLetterView, ...]
    next_cursor: str | None


class RetriedLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a retry. `done`: its execution was triggered, for this `run`; the message was sent again; or
    its execution was triggered by others before, and nothing was to be done. The letter is gone."""

    id: str
    done: Literal["triggered", "sent", "overtaken"]
    execution_id: str | msgspec.UnsetType = msgspec.UNSET
    run: int | msgspec.UnsetType = msgspec.UNSET


class DeletedLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to the deletion of a dead letter."""

    id: str
