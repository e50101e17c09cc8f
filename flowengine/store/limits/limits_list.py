"""Limits as they are shown: a page of lines, who holds a place in each, and who waits."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from msgspec import UNSET

from flowengine.errors import BadCursorError
from flowengine.execution.limits.lines import parse_line, parse_member
from flowengine.execution.limits.views import LimitsView, LimitView, StanderView
from flowengine.store.state import RedisState

SHOWN: Final = 100


class LimitsList:
    """Reads them. Raises StoreUnavailableError."""

    def __init__(self, state: RedisState) -> None:
        self._lines = state.lines

    def __call__(self, limit: int, cursor: str | None) -> LimitsView:
        """A page. Raises BadCursorError."""
        names = self._lines.page("" if cursor is None else _after(cursor), limit + 1)
        shown = names[:limit]
        rows = zip(shown, self._lines.shown(shown, SHOWN), strict=True)
        items = [view for line, found in rows if (view := _view(line, *found)) is not None]
        following = _cursor(shown[-1]) if len(names) > limit else None
        return LimitsView(items=tuple(items), next_cursor=following)


def _view(line: str, length: int, limit: int, holders: list[str], waiters: list[str]) -> LimitView | None:
    """None for one in which nobody stands any more."""
    name = parse_line(line)
    if name is None or not length:
        return None
    holding = min(length, limit)
    return LimitView(
        kind=name.kind,
        key=name.key,
        workflow=name.workflow,
        limit=limit,
        holding=holding,
        waiting=length - holding,
        holders=_standers(holders),
        waiters=_standers(waiters),
    )


def _standers(members: list[str]) -> tuple[StanderView, ...]:
    known = [found for member in members if (found := parse_member(member)) is not None]
    return tuple(
        [
            StanderView(
                execution_id=each.execution, run=each.run, node=UNSET if each.node is None else each.node
            )
            for each in known
        ]
    )


def _cursor(line: str) -> str:
    return base64.urlsafe_b64encode(line.encode()).decode().rstrip("=")


def _after(cursor: str) -> str:
    """The line behind which a page begins. Only what `_cursor` has written is one."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        line = base64.b64decode(padded, b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadCursorError(f"no page of limits has given the cursor {cursor[:100]!r}") from error
    if not line or _cursor(line) != cursor:
        raise BadCursorError(f"no page of limits has given the cursor {cursor[:100]!r}")
    return line
