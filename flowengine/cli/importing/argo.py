"""Argo Workflows: `Workflow`, `WorkflowTemplate` and `CronWorkflow` (argoproj.io)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from flowengine.cli.importing.curl import curl_call, curl_node
from flowengine.cli.importing.expressions import Expressions
from flowengine.cli.importing.foreign_text import UnreadableError
from flowengine.cli.importing.translated import (
    MAX_NODES,
    Node,
    Translated,
    as_list,
    as_object,
    check_size,
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

PLACEHOLDER: Final = re.compile(r"\{\{=?(.*?)\}\}")
MAX_DEPTH: Final = 8
MOST_CALLS: Final = 10 * MAX_NODES
"""So often are templates called: one without a step makes no node, however often it is."""

MOST_ITEMS: Final = 1000
_OUTPUT: Final = re.compile(r"(?:tasks|steps)\.([\w-]+)\.outputs\.(?:result|parameters\.([\w-]+))")
_STATUS: Final = re.compile(r"(?:tasks|steps)\.([\w-]+)\.status")
_DEPENDS: Final = re.compile(r"([\w-]+)(?:\.(\w+))?")


def is_argo(document: Mapping[str, JsonValue]) -> bool:
    """Whether the document is one of Argo's."""
    return text_of(document.get("apiVersion")).startswith("argoproj.io/")


def translate(document: Mapping[str, JsonValue]) -> Translated:
    """The document as one of FlowEngine."""
    return _Argo(document).translated()


class _Argo:
    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        metadata, spec = as_object(document.get("metadata")), as_object(document.get("spec"))
        name = text_of(metadata.get("name")) or text_of(metadata.get("generateName")).rstrip("-")
        self._made = Translated(name or "workflow")
        if document.get("kind") == "CronWorkflow":
            self._made.note(f"its schedule: {text_of(spec.get('schedule')) or spec.get('schedules')}")
            spec = as_object(spec.get("workflowSpec"))
        self._spec = spec
        self._calls = 0
        self._templates = {text_of(each.get("name")): each for each in objects(spec.get("templates"))}

    def translated(self) -> Translated:
        for each in objects(as_object(self._spec.get("arguments")).get("parameters")):
            self._made.inputs[_name(text_of(each.get("name")))] = _input(each)
        for field in ("volumes", "volumeClaimTemplates", "artifactRepositoryRef", "synchronization"):
            if field in self._spec:
                self._made.note(f"spec.{field}")
        self._template(text_of(self._spec.get("entrypoint")), "", [], {}, 0)
        if self._spec.get("onExit"):
            main, self._made.nodes = self._made.nodes, []
            self._template(text_of(self._spec.get("onExit")), "", [], {}, 0)
            self._made.at_end, self._made.nodes = self._made.nodes, main
        return self._made

    def _template(
        self, name: str, step: str, after: Sequence[str], scope: Mapping[str, str], depth: int
    ) -> list[Node]:
        """The nodes of a template; the last of them are returned, which others wait for."""
        template = self._templates.get(name)
        if template is None or depth > MAX_DEPTH:
            why = (
                f"the template {name!r} is not in this file"
                if template is None
                else "templates are nested too deep"
            )
            return [self._made.add(placeholder(self._made.new_id(step or name), why, None, after))]
        dag = as_object(template.get("dag"))
        if dag:
            return self._dag(objects(dag.get("tasks")), step, after, scope, depth)
        if "steps" in template:
            return self._steps(as_list(template["steps"]), step, after, scope, depth)
        return [self._leaf(template, step or name, after, _Scope(scope, {}))]

    def _dag(
        self,
        tasks: Sequence[Mapping[str, JsonValue]],
        prefix: str,
        after: Sequence[str],
        scope: Mapping[str, str],
        depth: int,
    ) -> list[Node]:
        ends: dict[str, list[Node]] = {}
        check_size(len(tasks))
        waiting = list(tasks)
        waited: set[str] = set()
        while waiting:
            ready = [task for task in waiting if ends.keys() >= set(_named(task))]
            if not ready:
                self._made.note(f"dependencies that lead nowhere or round in a circle: {_names(waiting)}")
                ready = waiting
            for task in ready:
                waiting.remove(task)
                named = [name for name in _named(task) if name in ends]
                waited |= set(named)
                before = [node.id for name in named for node in ends[name]] or list(after)
                ends[text_of(task.get("name"))] = self._call(task, prefix, before, scope, ends, depth)
        return [node for name, nodes in ends.items() if name not in waited for node in nodes]

    def _steps(
        self,
        groups: Sequence[JsonValue],
        prefix: str,
        after: Sequence[str],
        scope: Mapping[str, str],
        depth: int,
    ) -> list[Node]:
        ends: dict[str, list[Node]] = {}
        last: list[Node] = []
        before = list(after)
        for group in groups:
            last = []
            for step in objects(group):
                found = self._call(step, prefix, before, scope, ends, depth)
                ends[text_of(step.get("name"))] = found
                last += found
            before = [node.id for node in last] or before
        return last

    def _call(
        self,
        task: Mapping[str, JsonValue],
        prefix: str,
        before: Sequence[str],
        scope: Mapping[str, str],
        ends: Mapping[str, list[Node]],
        depth: int,
    ) -> list[Node]:
        """A task of a graph, or a step."""
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise UnreadableError(f"templates are called more than {MOST_CALLS} times: import its parts")
        name = text_of(task.get("name"), "step")
        step = f"{prefix}_{name}" if prefix else name
        siblings = {other: nodes[-1].id for other, nodes in ends.items() if nodes}
        outer = _Scope(scope, siblings)
        expressions = Expressions(PLACEHOLDER, outer.resolve)
        given = {
            text_of(each.get("name")): expressions.text(text_of(each.get("value")))
            for each in objects(as_object(task.get("arguments")).get("parameters"))
        }
        inline = as_object(task.get("inline"))
        inner = {f"inputs.parameters.{key}": value for key, value in given.items()}
        if inline:
            nodes = [self._leaf(inline, step, before, _Scope(inner, siblings))]
        else:
            template = text_of(task.get("template"))
            first = len(self._made.nodes)
            target = self._templates.get(template, {})
            if "dag" in target or "steps" in target or template not in self._templates:
                nodes = self._template(template, step, before, inner, depth + 1)
                self._on_whole(task, self._made.nodes[first:])
                return nodes
            nodes = [self._leaf(target, step, before, _Scope(inner, siblings))]
        self._loop(task, nodes[0], expressions)
        _when(task, nodes[0], expressions)
        _tell(nodes[0], expressions)
        return nodes

    def _on_whole(self, task: Mapping[str, JsonValue], nodes: Sequence[Node]) -> None:
        """What is said of a task that is a graph of its own, and has no counterpart there."""
        for field in ("when", "withItems", "withParam", "withSequence"):
            if field in task and nodes:
                refuse(nodes[0], f"{field} of the task {text_of(task.get('name'))}")
                self._made.note(
                    f"{field} of the task {text_of(task.get('name'))}, which is a graph of its own"
                )

    def _loop(self, task: Mapping[str, JsonValue], node: Node, expressions: Expressions) -> None:
        items: JsonValue = None
        if "withItems" in task:
            items = expressions.value(task["withItems"])
        elif "withParam" in task:
            items = expressions.text(text_of(task["withParam"]))
        elif "withSequence" in task:
            items = _sequence(text_of(as_object(task["withSequence"]).get("count")))
            if items is None:
                refuse(node, "its withSequence")
        if items is not None:
            node.fields["map"] = {"items": items}

    def _leaf(
        self, template: Mapping[str, JsonValue], step: str, before: Sequence[str], scope: _Scope
    ) -> Node:
        defaults = {
            f"inputs.parameters.{text_of(each.get('name'))}": text_of(each.get("value", each.get("default")))
            for each in objects(as_object(template.get("inputs")).get("parameters"))
            if "value" in each or "default" in each
        }
        expressions = Expressions(PLACEHOLDER, scope.with_defaults(defaults).resolve)
        node = self._work(template, self._made.new_id(step), before, expressions)
        strategy = as_object(template.get("retryStrategy"))
        if strategy:
            backoff = as_object(strategy.get("backoff"))
            limit = seconds(strategy.get("limit"))
            node.fields["retry"] = retry(
                None if limit is None else limit + 1,
                seconds(backoff.get("duration")),
                seconds(backoff.get("factor")),
                seconds(backoff.get("maxDuration")),
            )
        timeout(node, template.get("activeDeadlineSeconds"))
        if as_object(template.get("outputs")).get("artifacts") or as_object(template.get("inputs")).get(
            "artifacts"
        ):
            node.notes.append("NOT TRANSLATED: its artifacts.")
        _tell(node, expressions)
        return self._made.add(node)

    def _work(
        self, template: Mapping[str, JsonValue], node_id: str, before: Sequence[str], expressions: Expressions
    ) -> Node:
        http = as_object(template.get("http"))
        if http:
            headers = {
                text_of(each.get("name")): expressions.value(each.get("value"))
                for each in objects(http.get("headers"))
            }
            node = http_node(
                node_id,
                expressions.text(text_of(http.get("url"))),
                method=http.get("method"),
                headers=headers,
                body=expressions.value(http.get("body")),
                dependencies=before,
            )
            timeout(node, http.get("timeoutSeconds"))
            if "successCondition" in http:
                refuse(node, "its successCondition")
            return node
        if "suspend" in template:
            duration = seconds(as_object(template["suspend"]).get("duration"))
            if duration is None:
                return Node(node_id, "approval", {}, list(before))
            return Node(node_id, "wait", {"seconds": whole(duration)}, list(before))
        container = as_object(template.get("container"))
        command = [text_of(each) for field in ("command", "args") for each in as_list(container.get(field))]
        call = curl_call(command, PLACEHOLDER) if command else None
        if call is not None:
            return curl_node(node_id, call, expressions, before)
        kind = next(
            (
                field
                for field in ("container", "script", "resource", "containerSet", "plugin", "data")
                if field in template
            ),
            "template",
        )
        return placeholder(node_id, f"it is a {kind}", template.get(kind), before)


class _Scope:
    """What the names in placeholders mean: parameters, and the nodes of other tasks."""

    def __init__(self, parameters: Mapping[str, str], siblings: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._siblings = siblings

    def with_defaults(self, defaults: Mapping[str, str]) -> _Scope:
        """The same with values for parameters that are not given."""
        return _Scope({**defaults, **self._parameters}, self._siblings)

    def resolve(self, inner: str) -> str | None:
        """The expression, or None."""
        name = inner.strip()
        if name.startswith("workflow.parameters."):
            return f"inputs.{_name(name.removeprefix('workflow.parameters.'))}"
        if name in self._parameters:
            return _as_expression(self._parameters[name])
        if name == "item" or name.startswith("item."):
            return name
        if name in ("workflow.name", "workflow.uid"):
            return "execution.id" if name == "workflow.uid" else "execution.name"
        found = _OUTPUT.fullmatch(name)
        if found and found[1] in self._siblings:
            return f"{self._siblings[found[1]]}.result" + (f".{_name(found[2])}" if found[2] else "")
        found = _STATUS.fullmatch(name)
        if found and found[1] in self._siblings:
            return f"statuses.{self._siblings[found[1]]}"
        return None


def _as_expression(text: str) -> str:
    """A value that may hold a template itself, as an expression."""
    whole_one = re.fullmatch(r"\{\{ (.*) \}\}", text)
    if whole_one and "{{" not in whole_one[1]:
        return whole_one[1]
    parts = re.split(r"(\{\{ .*? \}\})", text)
    return (
        " ~ ".join(
            part[3:-3]
            if part.startswith("{{ ")
            else "'" + part.replace("\\", "\\\\").replace("'", "\\'") + "'"
            for part in parts
            if part
        )
        or "''"
    )


def _sequence(count: str) -> JsonValue:
    """The numbers below a count. None for what is no count, or too large to be written out."""
    if not count.isdecimal() or len(count) > len(str(MOST_ITEMS)) or int(count) > MOST_ITEMS:
        return None
    return list(range(int(count)))


def _when(task: Mapping[str, JsonValue], node: Node, expressions: Expressions) -> None:
    depends = text_of(task.get("depends"))
    states = {state for _, state in _DEPENDS.findall(depends) if state}
    if states - {"Succeeded"} or "||" in depends or "!" in depends:
        node.fields["trigger_rule"] = "all_done"
        node.notes.append(f"NOT TRANSLATED: depends: {depends}. It runs once all of these have ended.")
    said = text_of(task.get("when"))
    if said:
        when = expressions.condition(said)
        if when is None:
            refuse(node, f"when: {said}")
        else:
            node.fields["when"] = when
    if as_object(task.get("continueOn")).get("failed"):
        node.fields["on_error"] = "continue"


def _named(task: Mapping[str, JsonValue]) -> list[str]:
    """The tasks that a task waits for."""
    depends = text_of(task.get("depends"))
    found = [name for name, _ in _DEPENDS.findall(depends)]
    return list(dict.fromkeys([*found, *(text_of(each) for each in as_list(task.get("dependencies")))]))


def _names(tasks: Sequence[Mapping[str, JsonValue]]) -> str:
    return ", ".join(text_of(task.get("name")) for task in tasks)


def _tell(node: Node, expressions: Expressions) -> None:
    refuse_placeholders(node, expressions.untranslated)


def _input(parameter: Mapping[str, JsonValue]) -> JsonValue:
    said: dict[str, JsonValue] = {"type": "string"}
    if parameter.get("enum"):
        said["enum"] = parameter["enum"]
    value = parameter.get("value", parameter.get("default"))
    if value is not None:
        said["default"] = text_of(value)
    if parameter.get("description"):
        said["description"] = text_of(parameter["description"])
    return said


def _name(name: str) -> str:
    """A parameter's name as templates read it with a dot."""
    return re.sub(r"\W", "_", name)
