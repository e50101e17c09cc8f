"""The lines of limits: their names, and what stands in them. Pure.

A line is one list. Its first `limit` members may run; the others wait for their turn. A member names the run
that stands there, and of a node the ticket with which it has joined, so that one which has left and joined
anew is another member.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.workflow.limits.declared import Concurrency, MadeKeys, NodeConcurrency, OnLimit, RateLimit

LineKind: TypeAlias = Literal["workflow", "shared", "node", "nodes", "node_rate", "rate"]
_PREFIXES: Final[dict[str, LineKind]] = {
    "x": "workflow",
    "s": "shared",
    "m": "node",
    "n": "nodes",
    "q": "node_rate",
    "r": "rate",
}
"""Executions of one workflow, of several; one node of a workflow, and all nodes with a key; the starts of one
node of a workflow, and of all nodes with a key."""

_OF_A_WORKFLOW: Final = ("workflow", "node", "node_rate")
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


class NodeTurn(msgspec.Struct, frozen=True, array_like=True):
    """Where a node stands, waiting or in flight: a part of its record."""

    line: str
    limit: int
    ticket: int


class Pace(msgspec.Struct, frozen=True, array_like=True):
    """Where a node waits to start, and, in flight, as what its start is counted: a part of its record. In any
    time of `per_ms` at most `limit` start."""

    line: str
    limit: int
    per_ms: int
    ticket: int


class LineName(msgspec.Struct, frozen=True):
    """What a line is for: executions of one `workflow` or of all that share a `key`, a node of a workflow, or
    all nodes with a `key`."""

    kind: LineKind
    key: str
    workflow: str | None = None


def line_of(name: str, limit: Concurrency, key: str | None) -> str:
    """The line of an execution of a workflow with this name. `key`: as it was made; None: as it is
    written."""
    found = key or limit.key or name
    return f"s:{found}" if limit.shared else f"x:{name}{_BETWEEN}{found}"


def line_of_node(workflow: str, node: str, limit: NodeConcurrency, made: MadeKeys | None = None) -> str:
    """The line of a node of a workflow with this name. `made`: its keys, where they had to be made."""
    key = limit.key if made is None or made.turn is None else made.turn
    return f"m:{limit.place or f'{workflow}{_BETWEEN}{node}'}" if key is None else f"n:{key}"


def line_of_starts(workflow: str, node: str, limit: RateLimit, made: MadeKeys | None = None) -> str:
    """The line of those that wait to start, for a node of a workflow with this name. `made`: its keys, where
    they had to be made."""
    key = limit.key if made is None or made.pace is None else made.pace
    return f"q:{limit.place or f'{workflow}{_BETWEEN}{node}'}" if key is None else f"r:{key}"


def is_of_nodes(line: str) -> bool:
    """Whether nodes stand in it."""
    return line.startswith(("m:", "n:", "q:", "r:"))


def is_of_starts(line: str) -> bool:
    """Whether it is left by time: by those that start, in their order."""
    return line.startswith(("q:", "r:"))


def parse_line(line: str) -> LineName | None:
    """What a line is for; None for a name that is none of ours."""
    prefix, _, rest = line.partition(":")
    kind = _PREFIXES.get(prefix)
    if kind is None or kind not in _OF_A_WORKFLOW:
        return None if kind is None else LineName(kind, rest)
    workflow, between, key = rest.partition(_BETWEEN)
    return LineName(kind, key, workflow) if between else None


def shown_key(line: str) -> str:
    """The key of a line, as people write it."""
    name = parse_line(line)
    return line if name is None else name.key


class Member(msgspec.Struct, frozen=True):
    """Who stands in a line: a run of an execution, or a node of it, with a ticket."""

    execution: str
    run: int
    node: str | None = None
    ticket: int = 0

    def __str__(self) -> str:
        of_node = "" if self.node is None else f"|{self.node}|{self.ticket}"
        return f"{self.execution}|{self.run}{of_node}"


def parse_member(member: str) -> Member | None:
    """Who a member of a line is; None for what is none of ours."""
    execution, *parts = member.split("|")
    if not execution or len(parts) not in (1, 3) or not all(part.isdecimal() for part in parts[::2]):
        return None
    if len(parts) == 1:
        return Member(execution, int(parts[0]))
    return Member(execution, int(parts[0]), parts[1], int(parts[2]))
