"""Requests that their senders may repeat: how they are told apart, and what is kept of each. Pure.

What is kept lives with the execution, so a repetition is known as long as that is kept. The id of an
execution that such a request has created names the request's key in its random part, so that what is kept
can be found from the execution as well. The first digit of that part says whether it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from flowengine.errors import FlowEngineError
from flowengine.execution.views.executions import CreatedView, StartedView, TriggeredView
from flowengine.workflow.problems import Problem

PART_CHARS: Final = 16
"""The length of the random part of an execution's id."""

_BITS: Final = 4 * PART_CHARS
_MARK: Final = 1 << (_BITS - 1)


class IdempotentRequest(msgspec.Struct, frozen=True):
    """A request whose repetition has no further effect.

    `key`: of whom, where and with which Idempotency-Key, as the random part of an id. `content`: the digest
    of this and of all that was sent.
    """

    key: str
    content: str


class KeptCreation(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a request that has created an execution. `starts`: and started it."""

    content: str
    execution: str
    starts: bool
    warnings: tuple[Problem, ...] = ()


class KeptTrigger(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a request that has begun a run."""

    content: str
    run: int


class IdempotencyConflictError(FlowEngineError):
    """The key came with another request before."""

    code = "idempotency_conflict"

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key came with another body, media type or query before: a new request needs a "
            "new key"
        )


class AlreadyAnsweredError(FlowEngineError):
    """The request was answered before. `view`: as it was then."""

    def __init__(self, view: CreatedView | StartedView | TriggeredView) -> None:
        super().__init__(f"answered before, about execution '{view.execution_id}'")
        self.view = view


def idempotent_request(scope: Iterable[str], key: str, sent: Iterable[bytes]) -> IdempotentRequest:
    """A request. `scope`: its route and its caller; `sent`: all that it may differ in."""
    whose = [*scope, key]
    number = int.from_bytes(_digest(part.encode() for part in whose)[: PART_CHARS // 2])
    content = _digest([*(part.encode() for part in whose), *sent])
    return IdempotentRequest(f"{number | _MARK:0{PART_CHARS}x}", content.hex())


def part_of_no_request(random_bits: int) -> str:
    """The random part of an id that no request is named in."""
    return f"{random_bits % _MARK:0{PART_CHARS}x}"


def names_request(part: str) -> bool:
    """Whether the random part of an id names a request's key."""
    return part[:1] in "89abcdef"


def refuse_other(kept: KeptCreation | KeptTrigger, request: IdempotentRequest) -> None:
    """Raises IdempotencyConflictError where the key came with another request."""
    if kept.content != request.content:
        raise IdempotencyConflictError


def _digest(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
