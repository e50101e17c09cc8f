"""Kestra: flows with an id, a namespace and tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from flowengine.cli.importing.curl import curl_call, curl_node
from flowengine.cli.importing.expressions import Expressions
from flowengine.cli.importing.translated import (
    Node,
    Translated,
    as_list,
    as_object,
    http_node,
    objects,
    placeholder,
    refuse,
    refuse_placeholders,
    retry,
    seconds,
    text_of,
    timeout,
    whole,
)
from flowengine.jsonvalue import JsonValue

PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}")
_TYPES: Final = {
    "INT": "integer",
    "FLOAT": "number",
    "BOOLEAN": "boolean",
    "BOOL": "boolean",
    "JSON": "object",
    "ARRAY": "array",
}
_SECRET: Final = re.compile(r"secret\(\s*['\"](\w+)['\"]\s*\)")
_OUTPUT: Final = re.compile(r"outputs\.([\w-]+)((?:\.\w+)*)")
_FIELDS: Final = {".body": ".result", ".code": ".status_code", ".headers": ".headers", ".value": ".result"}


def is_kestra(document: Mapping[str, JsonValue]) -> bool:
    """Whether the document is a flow."""
    return "namespace" in document and "tasks" in document and "id" in document


def translate(document: Mapping[str, JsonValue]) -> Translated:
    """The document as one of FlowEngine."""
    made = Translated(text_of(document.get("id"), "flow"), text_of(document.get("description")))
    for each in objects(document.get("inputs")):
        made.inputs[_name(text_of(each.get("id", each.get("name"))))] = _input(each)
    flow = _Kestra(made)
    made.variables = {
        _name(name): flow.value(value) for name, value in as_object(document.get("variables")).items()
    }
    for each in objects(document.get("triggers")):
        made.note(
            f"the trigger {text_of(each.get('id'))} ({text_of(each.get('type'))}) {text_of(each.get('cron'))}"
        )
    for field in ("concurrency", "pluginDefaults", "taskDefaults", "listeners", "sla", "outputs", "labels"):
        if document.get(field):
            made.note(field)
    flow.sequence(objects(document.get("tasks")), [], None)
    for field, target in (("errors", made.on_failure), ("finally", made.at_end)):
        flow.target = target
        flow.sequence(objects(document.get(field)), [], None)
    return made


class _Kestra:
    def __init__(self, made: Translated) -> None:
        self._made = made
        self._nodes: dict[str, str] = {}
        self.target = made.nodes

    def value(self, value: JsonValue) -> JsonValue:
        """A value with its templates."""
        return Expressions(PLACEHOLDER, self._resolve).value(value)

    def sequence(
        self, tasks: Sequence[Mapping[str, JsonValue]], before: Sequence[str], when: str | None
    ) -> list[str]:
        """One after the other; returns what follows them waits for."""
        last = list(before)
        for task in tasks:
            last = self._task(task, last, when)
        return last

    def _task(self, task: Mapping[str, JsonValue], before: Sequence[str], when: str | None) -> list[str]:
        kind = text_of(task.get("type")).rpartition(".")[2]
        inner = objects(task.get("tasks"))
        match kind:
            case "Sequential":
                return self.sequence(inner, before, when)
            case "Parallel" | "Dag":
                return self._parallel(task, kind, before, when)
            case "If":
                return self._branches(task, before, when)
            case "Switch":
                return self._switch(task, before, when)
            case "ForEach" | "EachParallel" | "EachSequential":
                return self._each(task, kind, inner, before, when)
        return [self._leaf(task, kind, before, when).id]

    def _parallel(
        self, task: Mapping[str, JsonValue], kind: str, before: Sequence[str], when: str | None
    ) -> list[str]:
        ends: list[str] = []
        by_name: dict[str, list[str]] = {}
        for each in objects(task.get("tasks")):
            own = as_object(each.get("task")) if kind == "Dag" else each
            named = [text_of(name) for name in as_list(each.get("dependsOn"))]
            first = [node for name in named for node in by_name.get(name, ())] or list(before)
            by_name[text_of(own.get("id"))] = found = self._task(own, first, when)
            ends += found
        return ends or list(before)

    def _branches(self, task: Mapping[str, JsonValue], before: Sequence[str], when: str | None) -> list[str]:
        condition = Expressions(PLACEHOLDER, self._resolve).condition(text_of(task.get("condition")))
        if condition is None:
            node = placeholder(
                self._made.new_id(text_of(task.get("id"))),
                "its condition has no counterpart",
                task.get("condition"),
                before,
            )
            return [self._made.add(node, self.target).id]
        bare = condition[3:-3]
        yes = self.sequence(objects(task.get("then")), before, _both(when, bare))
        no = self.sequence(objects(task.get("else")), before, _both(when, f"not ({bare})"))
        return self._joined(task, before, yes, no)

    def _switch(self, task: Mapping[str, JsonValue], before: Sequence[str], when: str | None) -> list[str]:
        value = Expressions(PLACEHOLDER, self._resolve).expression(text_of(task.get("value")))
        cases = as_object(task.get("cases"))
        if value is None:
            node = placeholder(
                self._made.new_id(text_of(task.get("id"))),
                "its value has no counterpart",
                task.get("value"),
                before,
            )
            return [self._made.add(node, self.target).id]
        ends = [
            self.sequence(objects(tasks), before, _both(when, f"{value} == '{case}'"))
            for case, tasks in cases.items()
        ]
        others = f"{value} not in [{', '.join(repr(case) for case in cases)}]"
        ends.append(self.sequence(objects(task.get("defaults")), before, _both(when, others)))
        return self._joined(task, before, *ends)

    def _joined(self, task: Mapping[str, JsonValue], before: Sequence[str], *ends: list[str]) -> list[str]:
        """A node behind branches: what follows runs whichever of them was taken."""
        found = [node for each in ends if each != list(before) for node in each]
        if not found:
            return list(before)
        node = Node(self._made.new_id(f"{text_of(task.get('id'))}_done"), "set", {"value": None}, found)
        node.fields["trigger_rule"] = "none_failed"
        node.notes.append("Where the branches meet again.")
        return [self._made.add(node, self.target).id]

    def _each(
        self,
        task: Mapping[str, JsonValue],
        kind: str,
        inner: Sequence[Mapping[str, JsonValue]],
        before: Sequence[str],
        when: str | None,
    ) -> list[str]:
        if len(inner) != 1:
            node = placeholder(
                self._made.new_id(text_of(task.get("id"))),
                "it is a loop over several tasks",
                dict(task),
                before,
            )
            return [self._made.add(node, self.target).id]
        node = self._leaf(inner[0], text_of(inner[0].get("type")).rpartition(".")[2], before, when)
        values = task.get("values", task.get("value"))
        said: dict[str, JsonValue] = {"items": self.value(values)}
        limit = task.get("concurrencyLimit", 1 if kind == "EachSequential" else None)
        if isinstance(limit, int) and limit > 0:
            said["max_concurrent"] = limit
        node.fields["map"] = said
        return [node.id]

    def _leaf(
        self, task: Mapping[str, JsonValue], kind: str, before: Sequence[str], when: str | None
    ) -> Node:
        name = text_of(task.get("id"), "task")
        expressions = Expressions(PLACEHOLDER, self._resolve)
        node_id = self._made.new_id(name)
        node = self._work(task, kind, node_id, before, expressions)
        self._nodes[name] = node_id
        if task.get("description"):
            node.fields["description"] = text_of(task["description"])
        said = text_of(task.get("runIf"))
        if said:
            condition = expressions.condition(said)
            if condition is None:
                refuse(node, f"runIf: {said}")
            else:
                when = _both(when, condition[3:-3])
        if when is not None:
            node.fields["when"] = "{{ " + when + " }}"
        policy = as_object(task.get("retry"))
        if policy:
            attempts = seconds(policy.get("maxAttempts", policy.get("maxAttempt")))
            node.fields["retry"] = retry(
                attempts, seconds(policy.get("interval")),
                seconds(policy.get("delayFactor")) or (2.0 if policy.get("type") == "exponential" else None),
                seconds(policy.get("maxInterval")),
            )  # fmt: skip
        timeout(node, task.get("timeout"))
        if task.get("env"):
            node.notes.append("NOT TRANSLATED: its env.")
        if task.get("allowFailure") is True:
            node.fields["on_error"] = "continue"
        if task.get("disabled") is True:
            node.fields["when"] = "{{ false }}"
        refuse_placeholders(node, expressions.untranslated)
        return self._made.add(node, self.target)

    def _work(
        self,
        task: Mapping[str, JsonValue],
        kind: str,
        node_id: str,
        before: Sequence[str],
        expressions: Expressions,
    ) -> Node:
        if ".http." in text_of(task.get("type")) and kind in ("Request", "Download"):
            return http_node(
                node_id,
                expressions.text(text_of(task.get("uri"))),
                method=task.get("method"),
                headers={
                    name: expressions.value(value) for name, value in as_object(task.get("headers")).items()
                },
                body=expressions.value(task.get("body", task.get("formData"))),
                dependencies=before,
            )
        if kind == "Log":
            return Node(node_id, "set", {"value": expressions.value(task.get("message"))}, list(before))
        if kind in ("Return", "OutputValues"):
            field = "format" if kind == "Return" else "values"
            return Node(node_id, "set", {"value": expressions.value(task.get(field))}, list(before))
        if kind in ("Pause", "Sleep"):
            duration = seconds(task.get("delay", task.get("duration", task.get("pauseDuration"))))
            if duration is None:
                return Node(node_id, "approval", {}, list(before))
            return Node(node_id, "wait", {"seconds": whole(duration)}, list(before))
        commands = as_list(task.get("commands"))
        call = curl_call(text_of(commands[0]), PLACEHOLDER) if len(commands) == 1 else None
        if call is not None:
            return curl_node(node_id, call, expressions, before)
        return placeholder(
            node_id, f"its type is {text_of(task.get('type'), 'not told')}", dict(task), before
        )

    def _resolve(self, inner: str) -> str | None:
        name, _, rest = (part.strip() for part in inner.partition("|"))
        if rest:
            return None
        found = _SECRET.fullmatch(name)
        if found:
            return f"secrets.{found[1]}"
        if name in ("taskrun.value", "parent.taskrun.value"):
            return "item"
        if name == "taskrun.iteration":
            return "item_index"
        if name in ("execution.id", "flow.id"):
            return "execution.id" if name == "execution.id" else "execution.name"
        for prefix, root in (("inputs.", "inputs"), ("vars.", "vars")):
            if re.fullmatch(rf"{prefix}[\w-]+", name):
                return f"{root}.{_name(name.removeprefix(prefix))}"
        found = _OUTPUT.fullmatch(name)
        if found and found[1] in self._nodes:
            field = next((key for key in _FIELDS if found[2].startswith(key)), None)
            rest = found[2] if field is None else _FIELDS[field] + found[2][len(field) :]
            return f"{self._nodes[found[1]]}{rest or '.result'}"
        return None


def _both(one: str | None, other: str) -> str:
    return other if one is None else f"({one}) and ({other})"


def _input(said: Mapping[str, JsonValue]) -> JsonValue:
    kind = text_of(said.get("type"), "STRING")
    found: dict[str, JsonValue] = {"type": _TYPES.get(kind, "string")}
    if kind in ("DATE", "DATETIME", "TIME"):
        found["format"] = {"DATE": "date", "DATETIME": "date-time", "TIME": "time"}[kind]
    if kind in ("SELECT", "ENUM") and isinstance(said.get("values"), list):
        found["enum"] = said["values"]
    if kind == "SECRET":
        found["secret"] = True
    default = said.get("defaults", said.get("prefill"))
    if default is not None and kind not in ("JSON", "SECRET"):
        found["default"] = text_of(default) if found["type"] == "string" else default
    elif said.get("required") is False:
        found["required"] = False
    if said.get("description"):
        found["description"] = text_of(said["description"])
    return found


def _name(name: str) -> str:
    return re.sub(r"\W", "_", name)
