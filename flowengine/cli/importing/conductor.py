"""Conductor (Netflix, Orkes): definitions in JSON with `tasks` that have a `taskReferenceName`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from flowengine.cli.importing.expressions import Expressions, quoted_text
from flowengine.cli.importing.translated import (
    Node,
    Translated,
    as_list,
    as_object,
    http_node,
    objects,
    placeholder,
    refuse_placeholders,
    retry,
    seconds,
    text_of,
    timeout,
    whole,
)
from flowengine.jsonvalue import JsonValue

PLACEHOLDER: Final = re.compile(r"\$\{(.*?)\}")
_OUTPUT: Final = re.compile(r"([\w-]+)\.output((?:\.\w+)*)")
_RESPONSE: Final = {
    ".response.body": ".result",
    ".response.statusCode": ".status_code",
    ".response.headers": ".headers",
}


def is_conductor(document: Mapping[str, JsonValue]) -> bool:
    """Whether its tasks have reference names."""
    tasks = objects(document.get("tasks"))
    return bool(tasks) and all("taskReferenceName" in task for task in tasks)


def translate(document: Mapping[str, JsonValue]) -> Translated:
    """The document as one of FlowEngine."""
    made = Translated(text_of(document.get("name"), "workflow"), text_of(document.get("description")))
    defaults = as_object(document.get("inputTemplate"))
    for name in dict.fromkeys(
        [*(text_of(each) for each in as_list(document.get("inputParameters"))), *defaults]
    ):
        made.inputs[name] = {"default": defaults[name]} if name in defaults else {}
    for field in ("failureWorkflow", "outputParameters", "timeoutSeconds", "schedules"):
        if document.get(field):
            made.note(f"{field}: {text_of(document[field]) or 'see the file'}")
    _Conductor(made).sequence(objects(document.get("tasks")), [], None)
    return made


class _Conductor:
    def __init__(self, made: Translated) -> None:
        self._made = made
        self._nodes: dict[str, str] = {}
        self._ends: dict[str, list[str]] = {}

    def sequence(
        self, tasks: Sequence[Mapping[str, JsonValue]], before: Sequence[str], when: str | None
    ) -> list[str]:
        """One after the other; returns what follows them waits for."""
        last = list(before)
        for task in tasks:
            last = self._task(task, last, when)
            self._ends[text_of(task.get("taskReferenceName"))] = last
        return last

    def _task(self, task: Mapping[str, JsonValue], before: list[str], when: str | None) -> list[str]:
        match text_of(task.get("type"), "SIMPLE"):
            case "FORK_JOIN":
                branches = [objects(branch) for branch in as_list(task.get("forkTasks"))]
                return [node for branch in branches for node in self.sequence(branch, before, when)] or before
            case "JOIN":
                named = [text_of(name) for name in as_list(task.get("joinOn"))]
                return [node for name in named for node in self._ends.get(name, ())] or before
            case "SWITCH" | "DECISION":
                return self._switch(task, before, when)
        return [self._leaf(task, before, when).id]

    def _switch(self, task: Mapping[str, JsonValue], before: list[str], when: str | None) -> list[str]:
        parameters = as_object(task.get("inputParameters"))
        name = text_of(task.get("expression")) or text_of(task.get("caseValueParam"))
        value = Expressions(PLACEHOLDER, self._resolve).expression(text_of(parameters.get(name)))
        if value is None or text_of(task.get("evaluatorType"), "value-param") != "value-param":
            return [
                self._add(
                    placeholder(
                        self._new_id(task), "its condition is a script", task.get("expression"), before
                    )
                ).id
            ]
        cases = as_object(task.get("decisionCases"))
        ends: list[str] = []
        for case, tasks in cases.items():
            ends += self._branch(tasks, before, _both(when, f"{value} == {quoted_text(case)}"))
        others = f"{value} not in [{', '.join(map(quoted_text, cases))}]"
        ends += self._branch(task.get("defaultCase"), before, _both(when, others))
        if not ends:
            return before
        node = Node(self._new_id(task), "set", {"value": None}, ends, {"trigger_rule": "none_failed"})
        node.notes.append("Where the branches meet again.")
        return [self._add(node).id]

    def _branch(self, tasks: JsonValue, before: list[str], when: str) -> list[str]:
        return self.sequence(objects(tasks), before, when) if objects(tasks) else []

    def _leaf(self, task: Mapping[str, JsonValue], before: Sequence[str], when: str | None) -> Node:
        expressions = Expressions(PLACEHOLDER, self._resolve)
        node = self._work(task, self._new_id(task), before, expressions)
        self._nodes[text_of(task.get("taskReferenceName"))] = node.id
        if when is not None:
            node.fields["when"] = "{{ " + when + " }}"
        if task.get("optional") is True:
            node.fields["on_error"] = "continue"
        definition = as_object(task.get("taskDefinition"))
        count = task.get("retryCount", definition.get("retryCount"))
        if isinstance(count, int) and count > 0:
            factor = 2.0 if definition.get("retryLogic") == "EXPONENTIAL_BACKOFF" else None
            node.fields["retry"] = retry(count + 1, seconds(definition.get("retryDelaySeconds")), factor)
        if definition.get("responseTimeoutSeconds") or definition.get("timeoutSeconds"):
            timeout(node, definition.get("responseTimeoutSeconds") or definition.get("timeoutSeconds"))
        refuse_placeholders(node, expressions.untranslated)
        return self._add(node)

    def _work(
        self, task: Mapping[str, JsonValue], node_id: str, before: Sequence[str], expressions: Expressions
    ) -> Node:
        kind, parameters = text_of(task.get("type"), "SIMPLE"), as_object(task.get("inputParameters"))
        request = as_object(parameters.get("http_request")) or parameters
        if kind == "HTTP" and request.get("uri"):
            node = http_node(
                node_id,
                expressions.text(text_of(request.get("uri"))),
                method=request.get("method"),
                headers={
                    name: expressions.value(value)
                    for name, value in as_object(request.get("headers")).items()
                },
                body=expressions.value(request.get("body")),
                dependencies=before,
            )
            limit = seconds(request.get("readTimeOut"))
            timeout(node, None if limit is None else limit / 1000)
            return node
        if kind == "WAIT" and seconds(_spaced(parameters.get("duration"))) is not None:
            return Node(
                node_id,
                "wait",
                {"seconds": whole(seconds(_spaced(parameters["duration"])) or 0)},
                list(before),
            )
        if kind == "HUMAN":
            return Node(node_id, "approval", {}, list(before))
        why = {
            "SIMPLE": f"it is the task {text_of(task.get('name'))!r} of a worker: write a handler for it",
            "DO_WHILE": "it is a loop whose condition is a script",
        }
        return placeholder(node_id, why.get(kind, f"it is a task of the type {kind}"), dict(task), before)

    def _add(self, node: Node) -> Node:
        return self._made.add(node)

    def _new_id(self, task: Mapping[str, JsonValue]) -> str:
        return self._made.new_id(text_of(task.get("taskReferenceName"), "task"))

    def _resolve(self, inner: str) -> str | None:
        found = re.fullmatch(r"workflow\.input\.(\w+)((?:\.\w+)*)", inner)
        if found and found[1] in self._made.inputs:
            return f"inputs.{found[1]}{found[2]}"
        if inner == "workflow.workflowId":
            return "execution.id"
        found = re.fullmatch(r"workflow\.secrets\.(\w+)", inner)
        if found:
            return f"secrets.{found[1]}"
        found = _OUTPUT.fullmatch(inner)
        if found and found[1] in self._nodes:
            field = next((key for key in _RESPONSE if found[2].startswith(key)), None)
            rest = f".result{found[2]}" if field is None else _RESPONSE[field] + found[2][len(field) :]
            return f"{self._nodes[found[1]]}{rest}"
        return None


def _both(one: str | None, other: str) -> str:
    return other if one is None else f"({one}) and ({other})"


def _spaced(value: JsonValue) -> JsonValue:
    """`2 minutes` as `2m`."""
    return re.sub(r"\s*(s|m|h|d)[a-z]*\s*", r"\1", value) if isinstance(value, str) else value
