"""Executions that tests of the page post, each marked with a label that no other test has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack

ENDS: Mapping[str, Any] = node("done", "set", values={"answer": 42})
FAILS: Mapping[str, Any] = node("check_stock", "assert", that=False, message="negative stock of 3 items")
AFTER: Mapping[str, Any] = node("report", "set", after=["check_stock"], values={"x": 1})


def waits(seconds: float) -> dict[str, Any]:
    """A node that runs so long, or until it is stopped."""
    return node("slow", "test_wait", seconds=seconds)


class Runs:
    """Posts executions with one label; `label` is its value."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.label = uuid4().hex

    @property
    def address(self) -> str:
        """The list of these alone."""
        return f"/ui/runs?label=suite:{self.label}"

    def post(
        self,
        name: str,
        *nodes: Mapping[str, Any],
        labels: Mapping[str, str] | None = None,
        start: bool = True,
    ) -> str:
        """The id of one that is stored, and begun unless `start` is False."""
        document = workflow(*map(dict, nodes or (ENDS,)), name=name)
        envelope = {"workflow": document, "labels": {**(labels or {}), "suite": self.label}, "trigger": start}
        answer = self._stack.client.post("/workflow", json=envelope)
        assert answer.is_success, answer.text
        created: str = answer.json()["execution_id"]
        return created

    def ended(self, name: str, *nodes: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> str:
        """The id of one that has ended."""
        execution = self.post(name, *nodes, labels=labels)
        self._stack.ended(execution)
        return execution
