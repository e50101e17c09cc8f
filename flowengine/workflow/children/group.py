"""What the plan says of a group, and of a node in one that reads what is around it. Pure data."""

from __future__ import annotations

from typing import Final

import msgspec

GROUP: Final = "group"
"""What a group has for a handler's name. No document can name it."""
PRIMARY: Final = "result"
"""The field of a group's output that `X.result` means."""


class Group(msgspec.Struct, frozen=True, array_like=True):
    """The node runs as a child execution by this plan, which is encoded as stored plans are.

    `sole`: the document has no group there, but a node whose items, or iterations, run as children. The plan
    holds the node itself, under the same id, and what it gives and fails with is theirs.
    """

    plan: msgspec.Raw
    sole: bool = False


class Outer(msgspec.Struct, frozen=True, array_like=True):
    """A node that is read, of an execution around the reader's own.

    `up`: how many executions around; 1 is the parent. `primary`: the field that `X.result` means there.
    `is_read`: its output is. `is_seen`: what became of it is, or its output may be missing. `is_map`: it is a
    map, whose output is that of its items.
    """

    up: int
    node: str
    primary: str | None
    is_read: bool
    is_seen: bool
    is_map: bool = False
