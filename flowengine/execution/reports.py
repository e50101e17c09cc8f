"""What is reported of a node, and who reports it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.execution.prepared import Prepared
from flowengine.execution.records import Decided, NodeError, WaitKind
from flowengine.workflow.waits.wait_policy import WaitPolicy


class Completed(msgspec.Struct, frozen=True, tag="completed", tag_field="outcome", omit_defaults=True):
    """The handler returned; `result` is its output as JSON. `cached`: it did so at another time."""

    result: msgspec.Raw
    cached: bool = False


class Failed(msgspec.Struct, frozen=True, tag="failed", tag_field="outcome", omit_defaults=True):
    """The node failed.

    `permanent`: another try would fail the same way, as the handler says. `retry_after_ms`: how long the
    service asks to wait before another try. `again`: what the node's `retry.when` gives, or why it gives
    nothing; None: nobody has asked it. `outputs`: those of an `end` that says failed.
    """

    error: NodeError
    permanent: bool = False
    retry_after_ms: int | None = None
    again: bool | NodeError | None = None
    outputs: dict[str, msgspec.Raw] | None = None


class Skipped(msgspec.Struct, frozen=True, tag="skipped", tag_field="outcome"):
    """Its `when` is not true: the handler was not called."""


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled", tag_field="outcome"):
    """Its execution is being stopped, and its worker has stopped the handler."""


class Waiting(msgspec.Struct, frozen=True, tag="waiting", tag_field="outcome", omit_defaults=True):
    """The handler has returned, and the node waits: no worker holds it.

    `until`: for this time, in milliseconds since the epoch. `after_ms`: for so long. Neither: for what its
    policy says, or `said`, what it has returned. `prompt`: what a person is asked. `response`: what the
    handler has given, of a node that waits for a callback, as JSON.
    """

    kind: WaitKind
    until: int | None = None
    after_ms: int | None = None
    prompt: str | None = None
    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    said: WaitPolicy | None = None


Exhausted: TypeAlias = Literal["max_iterations", "max_seconds"]
"""By which of its limits a node may repeat no more."""


class Again(msgspec.Struct, frozen=True, tag="again", tag_field="outcome", omit_defaults=True):
    """An iteration has ended, or the wait before the first one is to begin; the next one follows.

    `value`: the primary value that it has given, as JSON, where that is kept. `pause_ms`: how long to wait
    before the next one. `exhausted`: there is none, so that the node fails.
    """

    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    pause_ms: int = 0
    exhausted: Exhausted | None = None


class Child(msgspec.Struct, frozen=True, tag="child", tag_field="outcome", omit_defaults=True):
    """What has to be rendered is: the node is to run as a child execution.

    `prepared`: it is one of a definition; None: it is a group, or goes on with the child that it has.
    """

    prepared: Prepared | None = None


class KeysMade(msgspec.Struct, frozen=True, tag="keys_made", tag_field="outcome", omit_defaults=True):
    """The keys of the node's limits: it is to line up under them. None: it needs no making."""

    turn: str | None = None
    pace: str | None = None


class Expanded(msgspec.Struct, frozen=True, tag="expanded", tag_field="outcome", omit_defaults=True):
    """The items of a map are known; each as JSON. `keys`: theirs, if they have other keys than their indexes.

    `left`: the items are those of the run before, and these are run again, each with how many of its failures
    were answered. `at_once`: how many may run at a time; 0: as many as workers take. `tolerated`: how many
    may fail. `max_ms`: for how long they may run together; 0: for as long as they take.
    """

    items: tuple[msgspec.Raw, ...]
    keys: tuple[str, ...] = ()
    at_once: int = 0
    tolerated: int = 0
    left: tuple[tuple[int, int], ...] | None = None
    max_ms: int = 0


class ItemsEnded(msgspec.Struct, frozen=True, tag="items_ended", tag_field="outcome"):
    """All items of a map have ended that were begun, and no other begins. Told by the engine itself.

    `error`: why the map has failed, if it has. `counted`: the bytes of their results that count towards the
    execution's limit.
    """

    completed: int
    failed: int
    error: NodeError | None = None
    counted: int = 0


Outcome: TypeAlias = (
    Completed | Failed | Skipped | Cancelled | Waiting | Again | Child | KeysMade | Expanded | ItemsEnded
)

WORDS: Final[Mapping[type[Outcome], str]] = MappingProxyType(
    {
        Completed: "completed",
        Failed: "failed",
        Skipped: "skipped",
        Cancelled: "cancelled",
        Waiting: "waiting",
        Again: "again",
        Child: "opened",
        KeysMade: "keys_made",
        Expanded: "expanded",
        ItemsEnded: "items_ended",
    }
)
"""What each outcome is called."""


def size_of(outcome: Outcome) -> int:
    """How many bytes of what the node has given it carries."""
    if type(outcome) is Completed:  # most are, and a pattern takes longer
        return len(outcome.result)
    match outcome:
        case Again(value=msgspec.Raw() as value) | Waiting(response=msgspec.Raw() as value):
            return len(value)
        case _:
            return 0


class ByDelivery(msgspec.Struct, frozen=True, array_like=True, tag="delivery"):
    """The worker that ran this delivery (1: the first). `started_at` in milliseconds since the epoch.

    `noted`: whether its start is written down, so that there is something to remove.
    """

    number: int
    started_at: int
    noted: bool = True


class ByDeadline(msgspec.Struct, frozen=True, array_like=True, tag="deadline"):
    """The deadline's timer, in place of a worker that hangs or is gone.

    `started_at`: when that worker began, where it is known.
    """

    started_at: int | None = None


class ByEngine(msgspec.Struct, frozen=True, array_like=True, tag="engine"):
    """The engine, of a task that was started `starts` times and never reported.

    0: no worker knew its handler.
    """

    starts: int


class ByEvent(msgspec.Struct, frozen=True, array_like=True, tag="event"):
    """What a node has waited for, or its timer. `key`: the id of the key of who has sent that; `decided`:
    what a person has decided. `called`: it is a callback, which also ends the pause before another try."""

    key: str | None = None
    decided: Decided | None = None
    called: bool = False


class ByChild(msgspec.Struct, frozen=True, array_like=True, tag="child"):
    """The child execution that the node stands for, by its end. `started_at`: when the node was opened."""

    started_at: int | None = None


Reporter: TypeAlias = ByDelivery | ByDeadline | ByEngine | ByEvent | ByChild


def delivery_of(reporter: Reporter) -> int:
    """The delivery that a report speaks of; 0 where it speaks of none."""
    if type(reporter) is ByDelivery:  # most are, and a struct is slow to say that it is none of the others
        return reporter.number
    match reporter:
        case ByDelivery(number=number):
            return number
        case ByEngine(starts=starts):
            return starts
        case ByDeadline() | ByEvent() | ByChild():
            return 0


def may_be_noted(reporter: Reporter) -> bool:
    """Whether a start of what is reported may be written down.

    One that began unnoted leaves nothing. Of another delivery of the same dispatch that was noted, its own
    report, or its timer, removes what it wrote. A node that waits has been reported.
    """
    return reporter.noted if isinstance(reporter, ByDelivery) else not isinstance(reporter, ByEvent | ByChild)


def started_at_of(reporter: Reporter) -> int | None:
    """When the reported try began, where that is known."""
    if type(reporter) is ByDelivery:
        return reporter.started_at
    return None if isinstance(reporter, ByEngine | ByEvent) else reporter.started_at
