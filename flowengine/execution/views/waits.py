"""What is shown of what a node waits for. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine.execution.times import Moment

WaitingKind: TypeAlias = Literal["retry", "repeat", "later", "wait", "signal", "approval", "callback", "turn"]
"""`retry`: the next try after a failure; `repeat`: the next iteration; `later`: the next call, for which its
handler has asked; `wait`: a time; `signal`; `approval`: a person's decision; `callback`: a POST to its
`callback_url`; `turn`: its turn among the nodes of a key."""


class WaitingForView(msgspec.Struct, frozen=True, kw_only=True):
    """What a waiting node waits for, `until` that time at the longest. `since`: when it began to wait for
    what is no retry and no iteration. `prompt`: what a person is asked. `key`: of the limit under which it
    waits for its turn. `place`: in that limit's line, from 1, those that run included. Null: it has just
    left, or more than 10,000 stand before it. At most 100 nodes of an answer have it."""

    kind: WaitingKind
    until: Moment | None
    since: Moment | msgspec.UnsetType = msgspec.UNSET
    prompt: str | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType = msgspec.UNSET
    place: int | msgspec.UnsetType | None = msgspec.UNSET
