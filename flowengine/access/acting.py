"""Who acts, while a request or a command of the tool is dealt with: what the audit tells of it.

It goes with the context, so that a new command is in the audit without a word of its own. The first change
that is written takes the note with it; further steps of the same command write none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

import msgspec

from flowengine.access.records import Actor


class Note(msgspec.Struct, kw_only=True):
    """What is to be told of the command under way. `target`: what it is about, where that is no execution.
    `node`: the node of the execution that it is about. `reason`: why, as the caller says."""

    action: str
    actor: Actor
    target: str | None = None
    node: str | None = None
    reason: str | None = None
    written: bool = False


_NOBODY: Final = Actor()
_NOTE: Final[ContextVar[Note | None]] = ContextVar("flowengine_note", default=None)


def act(note: Note) -> None:
    """From now on, in this context, what is changed is told of so."""
    _NOTE.set(note)


@contextlib.contextmanager
def acting(note: Note) -> Iterator[None]:
    """The same, for the length of a with block."""
    token = _NOTE.set(note)
    try:
        yield
    finally:
        _NOTE.reset(token)


def explain(*, node: str | None = None, reason: str | None = None) -> None:
    """Tell with the command under way what node it is about, and why."""
    note = _NOTE.get()
    if note is not None:
        note.node, note.reason = node, reason


def unwritten_note() -> Note | None:
    """What is still to be told; None where nobody acts that the audit knows, or it has been told."""
    note = _NOTE.get()
    return None if note is None or note.written else note


def acting_key() -> str | None:
    """The id of the key of who acts; None where nobody acts that the audit knows, or without a key."""
    return acting_actor().key


def acting_patterns() -> tuple[str, ...]:
    """The patterns of the definitions that the key of who acts is for; none: it is for all."""
    return acting_actor().definitions


def acting_actor() -> Actor:
    """Who acts; nobody where nobody acts that the audit knows."""
    note = _NOTE.get()
    return _NOBODY if note is None else note.actor
