"""What a report means, and what it changes."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from flowengine.execution.changes import Change, Tally

Verdict: TypeAlias = Literal["accepted", "repeated", "stale"]


class Decision(msgspec.Struct, frozen=True):
    """What one callback means.

    `joins`: children with several parents whose counters must be looked at once the changes are
    applied. `later`: children to dispatch afterwards, in chunks, too many for this transaction.
    `continues`: the changes put a child in flight, so that the execution cannot end here.
    `again`: it was applied before; its follow-up may be missing, so do it again.
    `tally`: what the changes add to the execution's numbers. `unread`: nodes that must be read before this
    decision holds, nearest first. `open`: it is a map that is open, whose items must be looked at.
    """

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    joins: tuple[str, ...] = ()
    later: tuple[int, ...] = ()
    continues: bool = False
    again: bool = False
    tally: Tally = Tally()
    unread: tuple[str, ...] = ()
    open: bool = False
