"""GitHub Actions, and files like them: `jobs` with `needs`, and `steps` with `run` and `uses`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice, product
from typing import Final

from flowengine.cli.importing.curl import curl_call, curl_node
from flowengine.cli.importing.expressions import Expressions
from flowengine.cli.importing.translated import (
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
    seconds,
    text_of,
    timeout,
)
from flowengine.jsonvalue import JsonValue

PLACEHOLDER: Final = re.compile(r"\$\{\{(.*?)\}\}")
MOST_COMBINATIONS: Final = 20
_ALWAYS: Final = {
    "always()": "all_done",
    "!cancelled()": "all_done",
    "failure()": "one_failed",
    "success()": None,
}
_NO_SERVICE: Final = (
    "services",
    "container",
    "environment",
    "concurrency",
    "permissions",
    "defaults",
    "outputs",
    "env",
)


def is_github_actions(document: Mapping[str, JsonValue]) -> bool:
    """Whether the document has jobs with steps."""
    jobs = as_object(document.get("jobs"))
    return bool(jobs) and all({"steps", "uses"} & set(as_object(job)) for job in jobs.values())


def translate(document: Mapping[str, JsonValue]) -> Translated:
    """The document as one of FlowEngine."""
    return _Actions(document).translated()


class _Actions:
    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        self._document = document
        self._made = Translated(text_of(document.get("name"), "workflow"))
        self._ends: dict[str, list[str]] = {}

    def translated(self) -> Translated:
        triggers = self._document.get("on")
        inputs = as_object(as_object(as_object(triggers).get("workflow_dispatch")).get("inputs"))
        inputs |= as_object(as_object(as_object(triggers).get("workflow_call")).get("inputs"))
        for name, said in inputs.items():
            self._made.inputs[_name(name)] = _input(as_object(said))
        names = (
            list(triggers) if isinstance(triggers, dict) else [text_of(each) for each in as_list(triggers)]
        )
        others = [name for name in names if name not in ("workflow_dispatch", "workflow_call")]
        if others:
            self._made.note(f"what starts it: {', '.join(others)}")
        for name, value in as_object(self._document.get("env")).items():
            self._made.variables[_name(name)] = Expressions(PLACEHOLDER, self._outer).value(value)
        jobs = {name: as_object(job) for name, job in as_object(self._document.get("jobs")).items()}
        check_size(len(jobs))
        waiting = dict(jobs)
        while waiting:
            ready = [name for name, job in waiting.items() if waiting.keys().isdisjoint(_needs(job))] or list(
                waiting
            )
            for name in ready:
                self._job(name, waiting.pop(name))
        return self._made

    def _job(self, name: str, job: Mapping[str, JsonValue]) -> None:
        before = [node for needed in _needs(job) for node in self._ends.get(needed, ())]
        matrix = as_object(as_object(job.get("strategy")).get("matrix"))
        axes = {
            axis: as_list(values) for axis, values in matrix.items() if axis not in ("include", "exclude")
        }
        for field in (
            *_NO_SERVICE,
            *(f"strategy.matrix.{each}" for each in ("include", "exclude") if each in matrix),
        ):
            if job.get(field) or "." in field:
                self._made.note(f"jobs.{name}.{field}")
        products = islice(product(*axes.values()), MOST_COMBINATIONS + 1)
        combinations = [dict(zip(axes, values, strict=True)) for values in products]
        if len(combinations) > MOST_COMBINATIONS:
            self._made.note(f"jobs.{name}.strategy.matrix: only the first {MOST_COMBINATIONS} combinations")
        ends: list[str] = []
        for combination in combinations[:MOST_COMBINATIONS]:
            prefix = "_".join([name, *(text_of(value) for value in combination.values())])
            ends += self._steps(prefix, job, before, combination)
        self._ends[name] = ends

    def _steps(
        self,
        prefix: str,
        job: Mapping[str, JsonValue],
        before: Sequence[str],
        matrix: Mapping[str, JsonValue],
    ) -> list[str]:
        steps = objects(job.get("steps"))
        if not steps:
            why = f"it calls the workflow {text_of(job.get('uses'))}"
            return [self._made.add(placeholder(self._made.new_id(prefix), why, dict(job), before)).id]
        last, by_id = list(before), dict[str, str]()
        for number, step in enumerate(steps, 1):
            expressions = self._expressions(job, step, matrix, by_id)
            own = text_of(step.get("id")) or text_of(step.get("name")) or f"step_{number}"
            node = self._work(step, self._made.new_id(f"{prefix}_{own}"), last, expressions)
            if step.get("id"):
                by_id[text_of(step["id"])] = node.id
            said = [text_of(job.get("if")) if number == 1 else "", text_of(step.get("if"))]
            _when([each for each in said if each], node, expressions)
            timeout(node, _minutes(step.get("timeout-minutes")))
            if step.get("env"):
                node.notes.append("NOT TRANSLATED: its env.")
            if step.get("continue-on-error") is True or job.get("continue-on-error") is True:
                node.fields["on_error"] = "continue"
            refuse_placeholders(node, expressions.untranslated)
            last = [self._made.add(node).id]
        return last

    def _work(
        self, step: Mapping[str, JsonValue], node_id: str, before: Sequence[str], expressions: Expressions
    ) -> Node:
        given = as_object(step.get("with"))
        if "http-request" in text_of(step.get("uses")) and given.get("url"):
            return http_node(
                node_id,
                expressions.text(text_of(given["url"])),
                method=given.get("method"),
                headers={
                    name: expressions.value(value)
                    for name, value in _headers(given.get("customHeaders")).items()
                },
                body=expressions.value(given.get("data")),
                dependencies=before,
            )
        call = curl_call(text_of(step.get("run")), PLACEHOLDER)
        if call is not None:
            return curl_node(node_id, call, expressions, before)
        why = (
            f"it uses the action {text_of(step['uses'])}" if "uses" in step else "it runs a script in a shell"
        )
        return placeholder(node_id, why, dict(step), before)

    def _expressions(
        self,
        job: Mapping[str, JsonValue],
        step: Mapping[str, JsonValue],
        matrix: Mapping[str, JsonValue],
        by_id: Mapping[str, str],
    ) -> Expressions:
        """Of a step: what its own `env` or its job's sets is not what the workflow's sets."""
        own = {f"env.{name}" for each in (job, step) for name in as_object(each.get("env"))}
        return Expressions(
            PLACEHOLDER, lambda inner: None if inner in own else self._resolve(inner, matrix, by_id)
        )

    def _outer(self, inner: str) -> str | None:
        found = re.fullmatch(r"(?:inputs|github\.event\.inputs)\.([\w-]+)", inner)
        if found and _name(found[1]) in self._made.inputs:
            return f"inputs.{_name(found[1])}"
        found = re.fullmatch(r"secrets\.(\w+)", inner)
        if found:
            return f"secrets.{found[1]}"
        return {"github.run_id": "execution.id", "github.workflow": "execution.name"}.get(inner)

    def _resolve(self, inner: str, matrix: Mapping[str, JsonValue], by_id: Mapping[str, str]) -> str | None:
        found = re.fullmatch(r"matrix\.([\w-]+)", inner)
        if found and isinstance(matrix.get(found[1]), str | int | float):
            value = matrix[found[1]]
            return repr(value) if isinstance(value, str) else text_of(value)
        found = re.fullmatch(r"steps\.([\w-]+)\.(outcome|conclusion|outputs\.[\w-]+)", inner)
        if found and found[1] in by_id:
            node = by_id[found[1]]
            return (
                f"{node}.result.{_name(found[2][8:])}"
                if found[2].startswith("outputs.")
                else f"statuses.{node}"
            )
        found = re.fullmatch(r"env\.(\w+)", inner)
        if found and found[1] in self._made.variables:
            return f"vars.{found[1]}"
        return self._outer(inner)


def _when(said: Sequence[str], node: Node, expressions: Expressions) -> None:
    whens: list[str] = []
    for text in said:
        bare = text.strip().removeprefix("${{").removesuffix("}}").strip()
        if bare in _ALWAYS:
            rule = _ALWAYS[bare]
            if rule is not None:
                node.fields["trigger_rule"] = rule
            continue
        condition = (
            None
            if "(" in bare.replace("(", "", 0) and re.search(r"\w\(", bare)
            else expressions.condition(bare)
        )
        if condition is None or re.search(r"'(github|needs|runner|job|env|vars)\.", condition):
            refuse(node, f"if: {text}")
        else:
            whens.append(condition[3:-3])
    if whens:
        node.fields["when"] = (
            "{{ " + " and ".join(f"({each})" for each in whens) + " }}"
            if len(whens) > 1
            else "{{ " + whens[0] + " }}"
        )


def _needs(job: Mapping[str, JsonValue]) -> list[str]:
    return [text_of(each) for each in as_list(job.get("needs"))]


def _minutes(value: JsonValue) -> float | None:
    found = seconds(value)
    return None if found is None else found * 60


def _headers(said: JsonValue) -> Mapping[str, JsonValue]:
    if isinstance(said, str):
        return {found[1]: found[2] for found in re.finditer(r'"([^"]+)"\s*:\s*"([^"]*)"', said)}
    return as_object(said)


def _input(said: Mapping[str, JsonValue]) -> JsonValue:
    kind = text_of(said.get("type"), "string")
    found: dict[str, JsonValue] = {"type": kind if kind in ("boolean", "number") else "string"}
    if kind == "choice" and isinstance(said.get("options"), list):
        found["enum"] = said["options"]
    if "default" in said:
        found["default"] = said["default"] if found["type"] != "string" else text_of(said["default"])
    elif said.get("required") is not True:
        found["required"] = False
    if said.get("description"):
        found["description"] = text_of(said["description"])
    return found


def _name(name: str) -> str:
    return re.sub(r"\W", "_", name)
