"""What answers in place of a handler, a person or a sender of signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowengine.testing.cases.durations import Duration


class MockedError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failure."""

    code: Annotated[
        str,
        Meta(
            min_length=1,
            description="The error's code. `http_503` is the answer of a service with that status.",
        ),
    ]
    message: Annotated[str, Meta(description="What the error says.")] = ""
    status_code: Annotated[
        int | None, Meta(description="The HTTP status that a service answered with, 100 to 599.")
    ] = None
    permanent: Annotated[bool, Meta(description="Whether another try would fail the same way.")] = False
    retry_after_s: Annotated[
        float | None, Meta(description="How many seconds the service asks to wait before another try.")
    ] = None


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer in place of one call of a handler, of a person, or of a sender of signals."""

    output: Annotated[Any, Meta(description="What the handler returns, whole.")] = UNSET
    result: Annotated[Any, Meta(description="What `X.result` means of what the handler returns.")] = UNSET
    error: Annotated[MockedError | UnsetType, Meta(description="The handler fails.")] = UNSET
    approved: Annotated[bool | UnsetType, Meta(description="What a person decides.")] = UNSET
    comment: Annotated[str | None, Meta(description="What that person says about it.")] = None
    data: Annotated[Any, Meta(description="What comes with an approval.")] = None
    payload: Annotated[Any, Meta(description="What a signal carries.")] = UNSET
    signal: Annotated[
        str | UnsetType, Meta(description="Which signal it is, of a node that waits for several.")
    ] = UNSET
    callback: Annotated[
        Any,
        Meta(
            description="What comes to the node's callback URL, once its handler has been called: "
            "{error: {code, message}} fails it, anything else is its result."
        ),
    ] = UNSET
    after: Annotated[
        Duration | UnsetType,
        Meta(
            description="How long the decision, signal or callback takes to come: seconds, or a text as 10m."
        ),
    ] = UNSET

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it says: one of these, or it is no answer."""
        return tuple(name for name in ANSWERS if getattr(self, name) is not UNSET)


ANSWERS: Final = ("output", "result", "error", "approved", "payload")
"""The fields of which each reply has one."""


class Mock(Reply, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What answers for a node: the same each time; or by the key of its item, else as the mock itself
    says."""

    items: Annotated[
        Mapping[str, Reply | list[Reply]] | UnsetType,
        Meta(description="For each item of a map, by its key. A list is one answer for each call."),
    ] = UNSET


Answers: TypeAlias = "Reply | Sequence[Reply]"
"""The same each time, or one answer for each call."""


class OutOfAnswersError(Exception):
    """A list of answers has none for this call."""


def reply_of(mock: Mock | Sequence[Reply] | None, item: str | None, call: int) -> Reply | None:
    """What answers call number `call`, from 0 on, of a node or of one of its items; None: nothing does.

    Raises OutOfAnswersError.
    """
    answers: Answers | None = mock
    if isinstance(mock, Mock) and mock.items is not UNSET and item is not None and item in mock.items:
        answers = mock.items[item]
    if isinstance(answers, Reply):
        return answers if answers.kinds or answers.callback is not UNSET else None
    if answers is None:
        return None
    if call >= len(answers):
        raise OutOfAnswersError(f"its mock has {len(answers)} answers, and this is call {call + 1}")
    return answers[call]
