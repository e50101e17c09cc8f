"""The pass of the crash points over groups: one fails, the next run goes on, and all is deleted."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import msgspec

from flowengine.errors import ExecutionNotFoundError, WrongStateError
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.faults import Gate
from tests.support.group_plans import adds, group, plan_from

ALL: Final[dict[str, Any]] = {
    "statuses": frozenset(),
    "begin": 0,
    "with_results": False,
    "limit": 10,
    "cursor": None,
}
"""All items of a map, as the API takes it."""


def grouped() -> Plan:
    """A group in a group, whose node fails in the first run."""
    inner = group("inner", adds("deep", "x", "a", after=()), after=("x",))
    outer = group("outer", adds("x", "a", after=()), inner, after=("a",), when="{{ a.result == 1 }}")
    last = {"inputs": ["{{ outer.result.inner.deep }}"]}
    return plan_from(
        nodes=[adds("a"), outer, {"id": "z", "handler": "sum", "config": last, "dependencies": ["outer"]}]
    )


def group_for_each() -> Plan:
    """A group for each of two items, one after the other, and what reads them."""
    one = {"id": "one", "handler": "sum", "config": {"inputs": ["{{ item }}"]}}
    each = group("each", one, adds("two", "one"))
    each["map"] = {"items": [1, 2], "max_concurrent": 1, "tolerated_failures": 0}
    last = {"inputs": "{{ each.result | map('two') }}"}
    return plan_from(nodes=[each, {"id": "z", "handler": "sum", "config": last, "dependencies": ["each"]}])


class Nested(Reference):
    """An execution with children, of which nothing is left when it is deleted."""

    def _has_failed(self, execution: str, code: str) -> None:
        """By its first node, and so by the one that reads it."""
        view = self._api(lambda: self.harness.api.executions.status(execution))
        codes = [node.error and node.error.code for node in view.nodes]
        assert codes == [code, "upstream_failed"], (view, self.harness.errors)
        check_everything(self.harness.client)

    def _settle(self) -> None:
        """Deal with all messages, and with no timer."""
        harness = self.harness
        while waiting := [*harness.waiting("orchestrator"), *harness.tasks()]:
            for entry in waiting:
                process = harness.workers[0] if entry.actor == "run_node" else harness.orchestrators[0]
                harness.deliver(process, entry)

    def _delete(self, execution: str, kept: int) -> None:
        """With its children, so many executions in all."""
        assert len(check_everything(self.harness.client)) == kept
        with contextlib.suppress(ExecutionNotFoundError):
            self._api(lambda: self.harness.delete(execution))
        self._to_the_end()
        left = list(self.harness.client.scan_iter("fe:x:*"))
        assert left == [], left

    def _to_the_end(self) -> None:
        super()._to_the_end()
        assert not self.harness.client.exists("fe:nested"), "a child did not end without the sweep"


class GroupMapped(Nested):
    """Two runs of a map of a group, under two orchestrators, and its deletion. In the first run the child of
    one item fails, so that the other one may not be begun."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.plan = group_for_each()
        self._first = ""

    def _script(self, context: Context) -> None:
        if context.node_id != "two" or context.run > 1:
            return
        self._first = self._first or context.execution_id
        if context.execution_id == self._first:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """It fails with one item, runs what is left, and leaves nothing when it is deleted."""
        harness = self.harness
        harness.second_orchestrator()
        execution = self._api(lambda: self._create(self.plan))
        self._trigger(execution)
        self._to_the_end()
        self._has_failed(execution, "map_failed")
        self._trigger(execution)
        self._to_the_end()
        again = self._api(lambda: harness.api.executions.status(execution))
        assert again.status == "completed", (again, harness.errors)
        found = self._api(lambda: harness.api.executions.results(execution)).results
        assert msgspec.json.decode(found["each"])["result"] == [{"two": 3}, {"two": 4}]
        assert msgspec.json.decode(found["z"]) == {"result": 8}
        self._delete(execution, len(("root", "first", "second")))


class ItemsApart(Nested):
    """Two runs of a map of approvals, one asked after the other, and its deletion. In the first run one is
    rejected, so that the other is never asked."""

    def run(self) -> None:
        """What is answered counts once, and the next run asks only what has no answer yet."""
        harness = self.harness
        asked = {"items": [1, 2], "max_concurrent": 1}
        node = {"id": "each", "handler": "approval", "config": {"prompt": "{{ item }}?"}, "map": asked}
        last = {"inputs": "{{ each.items | map('index') }}"}
        after = {"id": "z", "handler": "sum", "config": last, "dependencies": ["each"]}
        execution = self._api(lambda: self._create(plan_from(nodes=[node, after])))
        self._trigger(execution)
        self._answer(execution, 0, approved=False)
        self._to_the_end()
        self._has_failed(execution, "map_failed")
        self._trigger(execution)
        for index in (0, 1):
            self._answer(execution, index, approved=True)
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        result = msgspec.json.decode(found["each"])["result"]
        assert [each["approved"] for each in result] == [True] * 2
        self._delete(execution, len(("root", "first", "second")))

    def _answer(self, execution: str, index: int, *, approved: bool) -> None:
        """A person who asks again may learn that it was heard."""
        self._settle()
        page = self._api(lambda: self.harness.api.executions.items(execution, "each", **ALL))
        child = str(page.items[index].child)
        with contextlib.suppress(WrongStateError):
            self._api(lambda: self.harness.api.executions.decide(child, "each", Answer(approved=approved)))


class ItemsOver(ItemsApart):
    """Two runs of a map of approvals, and its deletion. Nobody answers in the first run, which the time of
    the map ends."""

    def run(self) -> None:
        """The children are stopped, each once, and go on in the next run."""
        harness = self.harness
        node: dict[str, Any] = {"id": "each", "handler": "approval", "config": {"prompt": "{{ item }}?"}}
        node["map"] = {"items": [1, 2], "max_seconds": 600}
        last = {"inputs": "{{ each.items | map('index') }}"}
        after = {"id": "z", "handler": "sum", "config": last, "dependencies": ["each"]}
        execution = self._api(lambda: self._create(plan_from(nodes=[node, after])))
        self._trigger(execution)
        self._settle()
        while harness.end_maps():
            self._settle()
        self._has_failed(execution, "timeout")
        self._trigger(execution)
        for index in (0, 1):
            self._answer(execution, index, approved=True)
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        result = msgspec.json.decode(found["each"])["result"]
        assert [each["approved"] for each in result] == [True] * 2
        self._delete(execution, len(("root", "first", "second")))


class Grouped(Nested):
    """Two runs of it, and its deletion."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.plan = grouped()

    def _script(self, context: Context) -> None:
        if context.node_id == "deep" and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """It fails by its innermost node, goes on from there, and leaves nothing when it is deleted."""
        harness = self.harness
        execution = self._api(lambda: self._create(self.plan))
        self._trigger(execution)
        self._to_the_end()
        view = self._api(lambda: harness.api.executions.status(execution))
        assert {node.id: node.status for node in view.nodes} == {
            "a": "completed",
            "outer": "failed",
            "z": "failed",
        }
        check_everything(harness.client)
        self._trigger(execution)
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        assert msgspec.json.decode(found["z"]) == {"result": 5}
        self._delete(execution, len(("root", "outer", "inner")))


def group_again_and_again() -> Plan:
    """A group of two iterations, the second of which reads what the first gave, and what reads them."""
    reads = ["{{ previous.two | default(0) }}", "{{ iteration }}"]
    one = {"id": "one", "handler": "sum", "config": {"inputs": reads}}
    loop = group("loop", one, adds("two", "one"))
    loop["repeat"] = {"until": "{{ iteration == 2 }}", "collect": True, "delay_seconds": 1}
    # Its failure is asked about, and is not tried again.
    loop["retry"] = {"max_attempts": 2, "delay_seconds": 1, "when": "{{ error.code != 'group_failed' }}"}
    last = {"inputs": "{{ loop.result | map('two') }}"}
    return plan_from(nodes=[loop, {"id": "z", "handler": "sum", "config": last, "dependencies": ["loop"]}])


class GroupRepeated(Nested):
    """Two runs of a group that repeats, under two orchestrators, and its deletion. In the first run its
    second iteration fails."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.plan = group_again_and_again()
        self._first = ""

    def _script(self, context: Context) -> None:
        if context.node_id != "two" or context.run > 1:
            return
        self._first = self._first or context.execution_id
        if context.execution_id != self._first:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """It fails in its second iteration, goes on there, and leaves nothing when it is deleted."""
        harness = self.harness
        harness.second_orchestrator()
        execution = self._api(lambda: self._create(self.plan))
        self._trigger(execution)
        self._to_the_end()
        self._has_failed(execution, "group_failed")
        self._trigger(execution)
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        # one = 1 + 1 = 2, two = 3; then one = 1 + 3 + 2 = 6, two = 7
        assert msgspec.json.decode(found["loop"]) == {"result": [{"two": 3}, {"two": 7}], "iterations": 2}
        assert msgspec.json.decode(found["z"]) == {"result": 11}
        self._delete(execution, len(("root", "first", "second")))


class IterationsApart(Nested):
    """Two runs of an approval that repeats, under two orchestrators, and its deletion. The first iteration is
    approved, the second is rejected in the first run."""

    def run(self) -> None:
        """Each answer counts for its iteration, and the next run asks only for that which was rejected."""
        harness = self.harness
        harness.second_orchestrator()
        repeat = {"until": "{{ iteration == 2 }}", "collect": True}
        node = {
            "id": "ask",
            "handler": "approval",
            "config": {"prompt": "{{ iteration }}?"},
            "repeat": repeat,
        }
        last = {"inputs": ["{{ ask.iterations }}"]}
        after = {"id": "z", "handler": "sum", "config": last, "dependencies": ["ask"]}
        execution = self._api(lambda: self._create(plan_from(nodes=[node, after])))
        self._trigger(execution)
        self._answer(execution, 1, approved=True)
        self._answer(execution, 2, approved=False)
        self._to_the_end()
        self._has_failed(execution, "rejected")
        self._trigger(execution)
        self._answer(execution, 2, approved=True)
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        result = msgspec.json.decode(found["ask"])
        assert [each["approved"] for each in result["result"]] == [True] * 2
        assert msgspec.json.decode(found["z"]) == {"result": 3}
        self._delete(execution, len(("root", "first", "second")))

    def _answer(self, execution: str, number: int, *, approved: bool) -> None:
        """A person who asks again may learn that it was heard."""
        self._settle()
        answer = Answer(approved=approved, iteration=number)
        with contextlib.suppress(WrongStateError):
            self._api(lambda: self.harness.api.executions.decide(execution, "ask", answer))
