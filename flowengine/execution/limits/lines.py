"""The lines of limits: their names, and what stands in them. Pure.

A line is one list. Its first `limit` members may run; the others wait for their turn. A member names the run
that stands there, so that one which has left and joined anew is another member.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.workflow.limits.declared import Concurrency, OnLimit

LineKind: TypeAlias = Literal["workflow", "shared"]
_OWN: Final = "x"
_SHARED: Final = "s"
_BETWEEN: Final = "\t"
"""Between a workflow's name and a key: both are printable."""


class InLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an execution stands: the field `line` of its control.

    `at`: since when, in milliseconds since the epoch. `on_limit`: what it has said of the case that it does
    not run at once. `has_cancelled`: it has had another one cancelled.
    """

    line: str
    limit: int
    at: int
    on_limit: OnLimit = "queue"
    has_cancelled: bool = False


class LineName(msgspec.Struct, frozen=True):
    """What a line is for: executions of one `workflow`, or of all that share a `key`."""

    kind: LineKind
    key: str
    workflow: str | None = None


def line_of(name: str, limit: Concurrency, key: str | None) -> str:
    """The line of an execution of a workflow with this name. `key`: as it was made; None: as it is
    written."""
    found = key or limit.key or name
    return f"{_SHARED}:{found}" if limit.shared else f"{_OWN}:{name}{_BETWEEN}{found}"


def parse_line(line: str) -> LineName | None:
    """What a line is for; None for a name that is none of ours."""
    kind, _, rest = line.partition(":")
    if kind == _SHARED:
        return LineName("shared", rest)
    workflow, between, key = rest.rpartition(_BETWEEN)
    return LineName("workflow", key, workflow) if kind == _OWN and between else None


def shown_key(line: str) -> str:
    """The key of a line, as people write it."""
    name = parse_line(line)
    return line if name is None else name.key


class Member(msgspec.Struct, frozen=True):
    """Who stands in a line: a run of an execution."""

    execution: str
    run: int

    def __str__(self) -> str:
        return f"{self.execution}|{self.run}"


def parse_member(member: str) -> Member | None:
    """Who a member of a line is; None for what is none of ours."""
    execution, _, run = member.partition("|")
    return Member(execution, int(run)) if execution and run.isdecimal() else None
