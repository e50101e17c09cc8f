"""Who stands in a line, as their own records say. Decides nothing: what is read may be old at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from flowengine.engine.ports import AdvancingStore, NodeKey, Reading
from flowengine.execution.limits.lines import Member, is_of_starts, parse_member
from flowengine.execution.records import UNTOUCHED, Control, ExecutionRecord, NodeRecord
from flowengine.execution.rules.limits import node_turns, queueing


class Lines(Protocol):
    """Lines as they are read, without WATCH."""

    def place(self, line: str, member: str) -> tuple[int | None, int]:
        """The place of a member, 1 is the first, None: it does not stand there; and how many may run."""

    def front(self, line: str) -> list[str]:
        """Those that may run, the first first."""

    def first(self, line: str, count: int) -> list[str]:
        """So many members, the first first."""

    def before(self, line: str, member: str, most: int) -> tuple[list[str], int]:
        """Those that stand before a member, so many at most, the first first; and how many may run."""


class LineStore(AdvancingStore, Protocol):
    """State as lines need it."""

    @property
    def lines(self) -> Lines: ...
    def read_executions(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """Their own records."""

    def read_records(self, nodes: Sequence[NodeKey]) -> list[NodeRecord]:
        """Those of nodes of any executions."""


class Stander(msgspec.Struct, frozen=True):
    """A member of a line, who that is, and what its own records say: the execution's, and the node's."""

    member: str
    of: Member | None
    execution: ExecutionRecord | None = None
    node: NodeRecord = UNTOUCHED

    def stands(self, line: str) -> bool:
        """Whether its record says so."""
        if self.of is None or self.execution is None:
            return False
        return stands(self.of, line, self.execution.control, self.node)

    def waits(self, line: str) -> bool:
        """Whether its turn is all that it waits for."""
        if self.of is None or self.execution is None:
            return False
        return waits(self.of, line, self.execution.control, self.node)


def stands(member: Member, line: str, control: Control, node: NodeRecord) -> bool:
    """Whether a run of an execution, or a node, stands in the line as this member."""
    if member.node is None:
        return queueing.stands_in(control, member.run, line)
    return control.run >= member.run and node_turns.stands_as(node, member, line)


def waits(member: Member, line: str, control: Control, node: NodeRecord) -> bool:
    """Whether its turn is all that it waits for. If its execution is being stopped, it goes by that."""
    if member.node is None:
        return queueing.waits_for_turn(control, member.run, line)
    waiting = node_turns.waits_to_start(node) if is_of_starts(line) else node_turns.waits_for_turn(node)
    goes_on = control.lets_dispatch or node_turns.steps_aside(control)
    return waiting and goes_on and stands(member, line, control, node)


def reading_of(member: Member) -> Reading:
    """What is WATCHed to decide about a member."""
    nodes = () if member.node is None else ((member.execution, member.node),)
    return Reading(nodes, (member.execution,))


def read_standers(store: LineStore, members: Sequence[str]) -> list[Stander]:
    """What the records of these say, in two round trips."""
    parsed = [(member, parse_member(member)) for member in members]
    known = [found for _, found in parsed if found is not None]
    executions = iter(store.read_executions([each.execution for each in known]))
    nodes = iter(store.read_records([(each.execution, each.node) for each in known if each.node is not None]))
    found = []
    for member, of in parsed:
        execution = None if of is None else next(executions)
        node = UNTOUCHED if of is None or of.node is None else next(nodes)
        found.append(Stander(member, of, execution, node))
    return found
