"""What follows below a node that has ended: who runs, who is skipped, who fails with it.

To a fixed point over the records that were read. A record that is not read is taken for that of a pending
node, and named in `unread`: the caller reads it and begins anew, or what was found holds. What must wait for
a counter (`joins`) or for another transaction (`later`) is named as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import Change, CountDown, Happened, Tally, Write
from flowengine.execution.error_codes import UPSTREAM_FAILED
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED, NodeError, NodeRecord, carried_on
from flowengine.execution.rules.dispatching import Run, Sizes, dispatch, fits, not_ended, readable
from flowengine.execution.rules.limits.node_turns import begin_in_turn
from flowengine.execution.rules.readiness import Records, ends_of
from flowengine.execution.rules.trigger_rules import Ends, Ruling, ruling, ruling_after_completions
from flowengine.execution.status import SkipReason, after, may
from flowengine.workflow.plan import Plan


class Everything(Container[object]):
    """Holds each index, and each name."""

    def __contains__(self, item: object) -> bool:
        return True


EVERYTHING: Final = Everything()


class Grounds(msgspec.Struct, frozen=True):
    """What a descent goes by: the plan, the records, which of them were read, and what may be done.

    `bytes_left`: bytes of tasks that the transaction may still send. `dispatches`: whether nodes may be put
    in flight.
    """

    plan: Plan
    run: Run
    records: Records
    read: Container[object]
    now: int
    sizes: Sizes
    bytes_left: int
    dispatches: bool = True


class Descent:
    """Decisions below the nodes that `end` and `look` name, and the changes that they make."""

    def __init__(self, grounds: Grounds) -> None:
        self.changes: list[Change] = []
        self.joins: dict[int, None] = {}
        """Joins whose counters have moved, and may say now that something is to be decided."""
        self.later: dict[int, None] = {}
        """Nodes to look at in another transaction."""
        self.unread: dict[int, None] = {}
        self.unfinished = 0
        self.failed = 0
        self.first_failed: int | None = None
        """The first node that was found to fail with another."""
        self.continues = False
        """Whether a node was put in flight."""
        self._grounds = grounds
        self._plan = grounds.plan
        self._written: dict[int, NodeRecord] = {}
        self._ended: deque[tuple[int, int]] = deque()
        self._startable: dict[int, None] = {}
        self._named: set[int] = set()
        self._bytes_left = grounds.bytes_left

    # -- what the caller names

    def end(self, position: int, record: NodeRecord) -> None:
        """A node has this record now, with which it has ended, or is settled."""
        self._written[position] = record
        self._ended.append((position, position))

    def look(self, position: int, ends: Ends) -> None:
        """A node is to be decided by how the nodes that it depends on have ended.

        If it runs, it is put in flight here: the caller names no more than one transaction may do.
        """
        self._named.add(position)
        self._look(position, ends)

    def _look(self, position: int, ends: Ends) -> None:
        record = self._record(position)
        if record.unsettled:
            if not ends.left:
                self._settle(position, record)
        elif may(record.status, "dispatch"):
            found = ruling(self._plan.trigger_rules[position], ends)
            if found is not None:
                self._decide(position, found, ends)

    def look_after_completions(self, position: int) -> None:
        """The same of a node whose dependencies have all completed."""
        parents = len(self._plan.nodes[position].parents)
        if ruling_after_completions(self._plan.trigger_rules[position], parents) == "run":
            self._named.add(position)
            self._startable[position] = None
        else:
            self.look(position, Ends(completed=parents))

    def finish(self) -> None:
        """Go down to where nothing more follows, and put in flight what may be."""
        while self._ended or self._startable:
            while self._ended:
                self._below(*self._ended.popleft())
            if self._startable:
                startable, self._startable = self._startable, {}
                self._start(startable)

    @property
    def bytes_left(self) -> int:
        """Bytes of tasks that the transaction may still send."""
        return self._bytes_left

    @property
    def tally(self) -> Tally:
        """What the changes here add to the execution's numbers."""
        return Tally(unfinished=self.unfinished, failed=self.failed)

    # -- going down

    def _below(self, position: int, cause: int) -> None:
        """What the end of one node means for its children. `cause`: the node whose own failure it
        inherits."""
        record = self._written[position]
        failed = record.status == "failed" and not record.tolerated
        if failed:
            for child in self._plan.children[position]:
                if self._plan.trigger_rules[child] == "all_success":
                    self._fail_at_once(child, cause, record)
        if record.unsettled:
            return
        completed = record.status == "completed"
        for child in self._plan.joins_below[position]:
            self.changes.append(CountDown(self._plan.nodes[child].id, completed=completed))
            if not (failed and self._has_failed_for_good(child)):
                self.joins[child] = None
        for child in self._plan.only_children[position]:
            if completed and ruling_after_completions(self._plan.trigger_rules[child], 1) == "run":
                # Not read where there are too many of them: looked at later then.
                self._startable[child] = None
            else:
                self._look(child, ends_of(self._plan, self._by_name, child))

    def _fail_at_once(self, child: int, cause: int, parent: NodeRecord) -> None:
        record = self._record(child)
        if not may(record.status, "inherit_failure"):
            return
        node = self._plan.nodes[child]
        waits = node.is_join or parent.unsettled
        self._fail(child, record, cause, unsettled=waits and self._plan.settles[child])

    def _has_failed_for_good(self, child: int) -> bool:
        """Whether nothing is left to decide about a join below a failure, by what has just been found."""
        record = self._written.get(child) or self._record_if_read(child)
        return record is not None and record.status == "failed" and not record.unsettled

    # -- one decision

    def _decide(self, position: int, found: Ruling, ends: Ends) -> None:
        if found == "run":
            self._startable[position] = None
        elif found == "skip":
            rule = self._plan.trigger_rules[position]
            self._skip(position, "upstream_skipped" if rule == "all_success" else "trigger_rule")
        else:
            unsettled = ends.left > 0 and self._plan.settles[position]
            self._fail(position, self._record(position), self._cause(position), unsettled=unsettled)

    def _start(self, startable: Iterable[int]) -> None:
        """Put in flight what the caller named, and what was found below if it was read and fits.

        If not all that was found was read or fits, all of it is looked at later.
        """
        wanted = tuple(startable)
        found = tuple([position for position in wanted if position not in self._named])
        if not all(map(self._is_ready_to_start, found)) or not fits(
            self._plan, found, self._grounds.sizes, self._bytes_left
        ):
            self.later.update(dict.fromkeys(found))
            wanted = tuple([position for position in wanted if position in self._named])
        for position in wanted:
            record = self._record(position)
            if may(record.status, "dispatch"):
                self._begin(position, record)
            elif record.unsettled:
                self._settle(position, record)

    def _begin(self, position: int, record: NodeRecord) -> None:
        plan, grounds = self._plan, self._grounds
        if record.when is False:
            self._skip(position, "when")
            return
        if not grounds.dispatches:
            return
        unseen = not_ended(plan, position, self._by_name) if plan.begins_early[position] else ()
        self.continues = True
        if position in plan.limited:
            self.changes += begin_in_turn(plan, position, record, grounds.run, grounds.now, unseen)
            return
        self.changes += dispatch(plan, position, record, grounds.run, grounds.now, unseen)
        self._bytes_left -= plan.weights[position]

    def _is_ready_to_start(self, position: int) -> bool:
        """Whether all is read that a dispatch goes by."""
        if not self._plan.begins_early[position]:
            return self._is_read(position)
        return all(map(self._is_read, (position, *readable(self._plan, position))))

    def _skip(self, position: int, reason: SkipReason) -> None:
        before = self._record(position)
        name = self._plan.nodes[position].id
        record = replace(
            carried_on(before, after(before.status, "skip")), finished_at=self._grounds.now, skipped=reason
        )
        event = Event("node_skipped", self._grounds.now, name, before.attempt, before.dispatch, reason)
        self.changes += (Write(name, record), Happened(event))
        self.unfinished -= 1
        self.end(position, record)

    def _fail(self, position: int, before: NodeRecord, cause: int, *, unsettled: bool) -> None:
        """The node inherits the failure of `cause`."""
        name, cause_name = self._plan.nodes[position].id, self._plan.nodes[cause].id
        error = NodeError(
            code=UPSTREAM_FAILED.code,
            message=f"not run: '{cause_name}', which it depends on, failed",
            caused_by=cause_name,
            attempts=0,
        )
        record = replace(
            carried_on(before, after(before.status, "inherit_failure")),
            finished_at=self._grounds.now,
            error=error,
            unsettled=unsettled,
        )
        event = Event("node_failed", self._grounds.now, name, before.attempt, before.dispatch, error.code)
        self.changes += (Write(name, record), Happened(event))
        self.unfinished -= 1
        self.failed += 1
        self.first_failed = position if self.first_failed is None else self.first_failed
        self._written[position] = record
        self._ended.append((position, cause))

    def _settle(self, position: int, before: NodeRecord) -> None:
        """All has ended that a node depends on which had ended before: its end counts from now on."""
        after(before.status, "settle")
        record = replace(before, unsettled=False)
        self.changes.append(Write(self._plan.nodes[position].id, record))
        self.end(position, record)

    # -- records

    def _cause(self, position: int) -> int:
        """The first dependency, in the document's order, whose own or inherited failure a node inherits: a
        tolerated one, if all that have failed are."""
        parents = sorted(self._plan.nodes[position].parents)
        failed = [parent for parent in parents if self._record(parent).status == "failed"]
        counting = [parent for parent in failed if not self._record(parent).tolerated]
        for parent in counting or failed:
            error = self._record(parent).error
            inherited = error is not None and error.code == UPSTREAM_FAILED.code
            cause = error.caused_by if error is not None and inherited else None
            return self._plan.index.get(cause, parent) if cause else parent
        return position

    def _record(self, position: int) -> NodeRecord:
        record = self._written.get(position) or self._record_if_read(position)
        if record is None:
            self.unread[position] = None
            return UNTOUCHED
        return record

    def _by_name(self, name: str) -> NodeRecord:
        return self._record(self._plan.index[name])

    def _record_if_read(self, position: int) -> NodeRecord | None:
        name = self._plan.nodes[position].id
        return self._grounds.records(name) if name in self._grounds.read else None

    def _is_read(self, position: int) -> bool:
        return position in self._written or self._plan.nodes[position].id in self._grounds.read
