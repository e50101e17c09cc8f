"""What executions are found by: the entries of one in the indexes that lists are read from. Pure.

Two kinds of sorted sets, all of whose scores are 0, so that their members lie in the order of their bytes:

* `fe:list:STATUS` has ids. An id begins with the time at which it was made: backwards they are newest first.
  Those of `paused` and `cancelling` hold some of `running`, and are there to be counted.
* `fe:list:by` has `n NAME ID`, `c CORRELATION-ID ID`, `l LABEL VALUE ID`, of one of a definition `v NAME
  VERSION ID`, and of a fork `r ORIGIN ID`, parted by tabs, which none of these can hold; and `a ID JSON ID`,
  which says all of these, so that they can be taken away once nothing else of the execution is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus, is_over
from flowengine.observability.tracing.trace_text import without_trace
from flowengine.store.connection.packing import Command

TAB: Final = "\t"
_TAB: Final = b"\t"
_BEHIND_TAB: Final = "\n"
_BEHIND_ALL: Final = b"\xff"
"""No text has this byte: what begins with a text lies before the text and this."""

NAME: Final = "n"
CORRELATION: Final = "c"
LABEL: Final = "l"
VERSION: Final = "v"
RERUN: Final = "r"
ALL: Final = "a"

LISTS: Final[tuple[ExecutionStatus, ...]] = (
    "pending",
    "running",
    *(status for status in ALL_EXECUTION_STATUSES if is_over(status)),
)
"""The statuses that have a list. That of `running` has all that have begun and not ended."""
NARROW_LISTS: Final[tuple[ExecutionStatus, ...]] = tuple(
    status for status in ALL_EXECUTION_STATUSES if status not in LISTS
)
"""Those whose executions are in the list of `running`, and in one of their own besides."""


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """What an execution is found by. `version`: of its definition. `origin`: the execution that it is a fork
    of."""

    name: str
    correlation_id: str
    labels: Mapping[str, str] = {}
    version: int | None = None
    origin: str | None = None

    def entries(self, execution: str) -> list[str]:
        """Its members of `fe:list:by`."""
        return [
            of_value(execution, NAME, self.name),
            of_value(execution, CORRELATION, without_trace(self.correlation_id)),
            *(of_value(execution, LABEL, *label) for label in self.labels.items()),
            *([] if self.version is None else [of_value(execution, VERSION, self.name, str(self.version))]),
            *([] if self.origin is None else [of_value(execution, RERUN, self.origin)]),
            of_value(execution, ALL, execution, _encode(self).decode()),
        ]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Listed).decode


def reading_all(key: str, execution: str) -> Command:
    """What asks for the members that say what an execution is found by: one."""
    span = having(key, "", "", ALL, execution)
    return ("ZRANGE", span.key, span.low, span.high, "BYLEX")


def stored_entries(execution: str, members: object) -> list[str | bytes]:
    """What an execution was found by, as these members say, and they themselves; of one of which nobody
    knows, the sweep's walk finds it."""
    entries: list[str | bytes] = [*members] if isinstance(members, list) else []
    for member in members if isinstance(members, list) else ():
        with contextlib.suppress(msgspec.MsgspecError, IndexError):
            entries += _decode(member.split(_TAB)[2]).entries(execution)
    return entries


def list_of(status: ExecutionStatus) -> ExecutionStatus:
    """The status whose list has the executions of this one."""
    return status if status in LISTS else "running"


def of_value(execution: str, kind: str, *values: str) -> str:
    """The member that says that an execution has a value."""
    return TAB.join((kind, *values, execution))


def id_in(member: bytes) -> bytes:
    """The id in a member of any of these sets."""
    return member.rpartition(_TAB)[2]


class Span(msgspec.Struct, frozen=True):
    """Neighbours in a sorted set: from `low` on, up to before `high`."""

    key: str
    low: bytes
    high: bytes

    def before(self, execution: str) -> Span:
        """Those of the same value, or of the same list, with ids that are less than this one."""
        begin, tab, _ = self.low[1:].rpartition(_TAB)
        return Span(self.key, self.low, b"(" + begin + tab + execution.encode())


def ids_within(key: str, low: str, high: str) -> Span:
    """Ids of a list that are at least `low` and less than `high`; empty: without a bound."""
    return Span(key, f"[{low}".encode() if low else b"-", f"({high}".encode() if high else b"+")


def having(key: str, low: str, high: str, kind: str, *values: str) -> Span:
    """The members of a value, with ids within these bounds."""
    begin = TAB.join((kind, *values))
    end = f"{begin}{TAB}{high}" if high else f"{begin}{_BEHIND_TAB}"
    return Span(key, f"[{begin}{TAB}{low}".encode(), f"({end}".encode())


def beginning_with(key: str, kind: str, text: str) -> Span:
    """The members whose value begins with a text: in the order of the values."""
    begin = TAB.join((kind, text)).encode()
    return Span(key, b"[" + begin, b"(" + begin + _BEHIND_ALL)
