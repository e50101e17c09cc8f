"""What is stored of a schedule, and of what its times have brought about. Pure data.

Times are milliseconds since the epoch on Redis's clock.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.workflow.schedules.declared import Schedule

MAX_RUNNING: Final = 100
"""Of the executions of a schedule that have not ended, so many are known."""
KEPT_OUTCOMES: Final = 500
"""So many outcomes of a schedule are kept, and a few more."""

Said: TypeAlias = Literal["paused", "resumed"]


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an operator has said last, and when. `by`: the id of their key."""

    said: Said
    at: int
    by: str | None = None


class Started(msgspec.Struct, frozen=True, array_like=True):
    """An execution of a schedule, and the time that it is of."""

    execution: str
    planned: int


class ScheduleRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a schedule stands: all that decides about its times, so that one WATCH covers it.

    `schedule`: what the version in force says, which is `version`. `armed_at`: when it was applied first,
    from when `every_seconds` counts. `next`: the first time that nothing has been decided about; None: there
    is none. `word`: the operator's. `waiting`: the time whose execution starts once those that run have
    ended. `running`: those of its executions that had not ended when it was last looked at, oldest first.
    `noticed`: when somebody has seen first that `next` has come, if no execution could begin then; None: it
    was not put off.
    """

    schedule: Schedule
    version: int
    armed_at: int
    next: int | None
    word: Word | None = None
    waiting: int | None = None
    running: tuple[Started, ...] = ()
    noticed: int | None = None

    @property
    def is_paused(self) -> bool:
        """Whether its times start nothing. An operator's word counts before the document's."""
        return self.schedule.paused if self.word is None else self.word.said == "paused"


OutcomeKind: TypeAlias = Literal["started", "skipped", "queued", "replaced", "refused", "missed"]
"""`started`; `skipped`: one still ran; `queued`: it waits for that one; `replaced`: it waited, and a newer
time took its place; `refused`: no execution could begin; `missed`: it was not caught up."""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a time has brought about, and `at` when. `execution`: the one that was started, or that still ran.
    `until`: the last one of several times that were missed. `code` and `message`: of a refusal. `by_hand`: an
    operator has started it, with the key `by`."""

    kind: OutcomeKind
    planned: int
    at: int
    execution: str | None = None
    until: int | None = None
    code: str | None = None
    message: str | None = None
    by_hand: bool = False
    by: str | None = None
