"""Writes a test from an execution that has run: what its services and people have answered become mocks.

What is not kept cannot be recorded: the outputs of earlier iterations of a plain node, and the failures of
items that were tried again. Iterations that are executions are kept, the newest ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, Protocol

import yaml
from msgspec import UNSET

from flowengine.execution.error_codes import REJECTED, TIMEOUT, UPSTREAM_FAILED
from flowengine.execution.records import NodeError
from flowengine.execution.views.executions import ExecutionView, NodeDetailView, NodeView, ResultsView
from flowengine.execution.views.maps import ItemView
from flowengine.jsonvalue import JsonValue, decode
from flowengine.plaintext import plain_text
from flowengine.testing.running.mocked_handlers import COMPUTING
from flowengine.workflow.children.group import GROUP

DUMMY: Final = "dummy-value"
_SECRET: Final = re.compile(r"\bsecrets(?:\.(\w+)|\[\s*['\"](\w+)['\"]\s*\])")
_COMMENT: Final = re.compile(r"\s*#")
_WIDTH: Final = 110
_WAITING: Final = frozenset({"approval", "signal"})


class RecordedExecutions(Protocol):
    """Executions that can be asked what became of them."""

    def status(self, execution_id: str, /) -> ExecutionView: ...
    def results(self, execution_id: str, /) -> ResultsView: ...
    def node(self, execution_id: str, node: str, /) -> NodeDetailView: ...
    def items(self, execution_id: str, node: str, /) -> Iterable[ItemView]: ...
    def text(self, execution_id: str, /) -> str:
        """The document."""


def record(executions: RecordedExecutions, execution: str, workflow: str) -> str:
    """A file of one test, as YAML. `workflow`: the name of the workflow's file."""
    view = executions.status(execution)
    results = executions.results(execution)
    case: dict[str, JsonValue] = {"name": f"as execution {execution} went"}
    if started_by := _start(view):
        case["trigger"] = started_by
    elif view.inputs is not UNSET and view.inputs:
        case["inputs"] = {name: decode(bytes(value)) for name, value in view.inputs.items()}
    said = "\n".join(line for line in executions.text(execution).splitlines() if not _COMMENT.match(line))
    names = {found[1] or found[2] for found in _SECRET.finditer(said)}
    if names:
        case["secrets"] = dict.fromkeys(sorted(names), DUMMY)
    if view.started_at is not None:
        case["now"] = view.started_at
    mocks = dict(_mocks(executions, execution, ""))
    if mocks:
        case["mocks"] = mocks
    case["expect"] = _expected(view, results)
    file: JsonValue = {"workflow": workflow, "tests": [case]}
    text = _written(file, escaped=False)
    # What is not safe to show is escaped by YAML itself, so that it is read back as it was.
    return text if plain_text(text, keep_lines=True) == text else _written(file, escaped=True)


def _start(view: ExecutionView) -> dict[str, JsonValue]:
    """What has started it and made its inputs, if that was no caller."""
    by = view.trigger
    if by is UNSET or view.run != 1:
        return {}
    if by.kind == "schedule" and by.schedule is not UNSET and by.scheduled_at is not UNSET:
        return {"schedule": by.schedule, "scheduled_at": by.scheduled_at}
    if by.kind != "after" or by.workflow is UNSET or by.status is UNSET or by.outputs is UNSET:
        return {}
    given = None if by.outputs is None else {name: decode(bytes(data)) for name, data in by.outputs.items()}
    end: dict[str, JsonValue] = {"workflow": by.workflow, "status": by.status, "outputs": given}
    return end if by.execution_id is UNSET else {**end, "execution_id": by.execution_id}


def _written(file: JsonValue, *, escaped: bool) -> str:
    text: str = yaml.safe_dump(file, sort_keys=False, allow_unicode=not escaped, width=_WIDTH)
    return text


def _expected(view: ExecutionView, results: ResultsView) -> JsonValue:
    expected: dict[str, JsonValue] = {"status": view.status}
    if view.error is not UNSET:
        expected["error"] = view.error.code
    expected["nodes"] = {node.id: node.status for node in _nodes(view)}
    if results.outputs:
        expected["outputs"] = {name: decode(bytes(value)) for name, value in results.outputs.items()}
    return expected


def _nodes(view: ExecutionView) -> tuple[NodeView, ...]:
    return view.nodes if view.hooks is UNSET else (*view.nodes, *view.hooks)


def _mocks(executions: RecordedExecutions, execution: str, before: str) -> Iterator[tuple[str, JsonValue]]:
    for node in _nodes(executions.status(execution)):
        address = f"{before}{node.id}"
        if node.handler == GROUP:
            children = _iterations(executions, execution, node)
            yield from _together([dict(_mocks(executions, child, f"{address}.")) for child in children])
            continue
        if node.map is UNSET:
            said = _of_node(executions, execution, node)
        else:
            items = list(executions.items(execution, node.id))
            apart = any(item.child is not UNSET for item in items)
            found = dict(_items_apart(executions, node.id, items) if apart else _items(items))
            said = {"items": found} if found and (apart or node.handler not in COMPUTING) else None
        if said is not None:
            yield address, said


def _of_node(executions: RecordedExecutions, execution: str, node: NodeView) -> JsonValue:
    """What has answered for a node; None: nothing has to."""
    if node.iteration is not UNSET and node.child is not UNSET:
        return _of_iterations(executions, _iterations(executions, execution, node), node.id)
    if node.handler in _WAITING:
        return _answer(node, executions.node(execution, node.id))
    if node.handler in COMPUTING or not node.attempt:
        return None
    found = list(_replies(executions.node(execution, node.id)))
    return found[0] if len(found) == 1 else found or None


def _iterations(executions: RecordedExecutions, execution: str, node: NodeView) -> list[str]:
    """The executions that a node has run as, of its iterations that are kept, the oldest first."""
    if node.child is UNSET:
        return []
    attempts = () if node.iteration is UNSET else executions.node(execution, node.id).attempts
    return list(dict.fromkeys([*[each.child for each in attempts if each.child is not UNSET], node.child]))


def _together(found: list[dict[str, JsonValue]]) -> Iterator[tuple[str, JsonValue]]:
    """What has answered in several iterations, one after the other."""
    for address in dict.fromkeys([address for mocks in found for address in mocks]):
        yield address, _in_turn([mocks[address] for mocks in found if address in mocks])


def _in_turn(said: list[JsonValue]) -> JsonValue:
    """One mock that says these, one after the other; of items, each by its key."""
    if len(said) == 1:
        return said[0]
    items = [one["items"] for one in said if isinstance(one, dict) and isinstance(one.get("items"), dict)]
    if items:
        return {"items": dict(_together([each for each in items if isinstance(each, dict)]))}
    return [reply for one in said for reply in (one if isinstance(one, list) else [one])]


def _of_iterations(executions: RecordedExecutions, children: list[str], node: str) -> JsonValue:
    """What has answered for iterations that run apart. One to which nothing came is answered too late."""
    said: list[JsonValue] = []
    late: list[JsonValue] = []
    for child in children:
        for each in _nodes(executions.status(child)):
            found = _of_node(executions, child, each) if each.id == node else None
            if found is not None:
                said += [*late, found]
                late = []
            elif each.handler in _WAITING:
                took_s = _seconds_between(each.started_at or each.queued_at, each.finished_at)
                never = {"approved": False} if each.handler == "approval" else {"payload": None}
                late.append({**never, "after": took_s + 1})
    return _in_turn(said) if said else None


def _items_apart(
    executions: RecordedExecutions, node: str, items: Iterable[ItemView]
) -> Iterator[tuple[str, JsonValue]]:
    """What has answered for items that run as executions of one node."""
    for item in items:
        shown = () if item.child is UNSET else _nodes(executions.status(item.child))
        for each in shown:
            said = _of_node(executions, str(item.child), each) if each.id == node else None
            if said is not None:
                yield item.key, said


def _items(items: Iterable[ItemView]) -> Iterator[tuple[str, JsonValue]]:
    for item in items:
        if item.status == "completed":
            yield item.key, {"output": decode(bytes(item.result))}
        elif item.status == "failed" and item.error is not None:
            yield item.key, _failure(item.error)


def _replies(detail: NodeDetailView) -> Iterator[JsonValue]:
    """What was answered, a call each: the failures that are kept, then what it has given."""
    for attempt in detail.attempts:
        if attempt.error is not None and attempt.error.code != UPSTREAM_FAILED.code:
            yield _failure(attempt.error)
    if detail.status != "completed":
        return
    output = decode(bytes(detail.result))
    if isinstance(output, dict) and set(output) == {"result", "response", "timed_out"}:
        called_back = {} if output["timed_out"] else {"callback": output["result"]}
        yield {"output": output["response"], **called_back}
    else:
        yield {"output": output}


def _failure(error: NodeError) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = {"code": error.code, "message": error.message}
    if isinstance(error.status_code, int):
        told["status_code"] = error.status_code
    return {"error": told}


def _answer(node: NodeView, detail: NodeDetailView) -> JsonValue:
    """What a person decided, or a signal carried, and how long that took; None: nothing came."""
    output = decode(bytes(detail.result)) if detail.status == "completed" else None
    result = output.get("result") if isinstance(output, dict) else None
    error = detail.error
    if isinstance(output, dict) and output.get("timed_out") is True:
        return None
    if error is not None and error.code == TIMEOUT.code:
        return None
    answer: dict[str, JsonValue] = {}
    if node.handler == "approval" and isinstance(result, dict):
        answer = {
            name: result[name] for name in ("approved", "comment", "data") if result.get(name) is not None
        }
    elif node.handler == "approval" and error is not None and error.code == REJECTED.code:
        answer = {"approved": False}
    elif isinstance(result, dict) and set(result) == {"name", "payload"}:
        answer = {"payload": result["payload"], "signal": result["name"]}
    elif isinstance(output, dict):
        answer = {"payload": result}
    if not answer:
        return None
    took_s = _seconds_between(node.started_at or node.queued_at, node.finished_at)
    return {**answer, "after": took_s} if took_s else answer


def _seconds_between(begin: str | None, end: str | None) -> float:
    if begin is None or end is None:
        return 0.0
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
