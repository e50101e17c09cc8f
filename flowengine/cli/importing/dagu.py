"""Dagu: files with steps that are commands or calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from flowengine.cli.importing.curl import curl_call, curl_node
from flowengine.cli.importing.expressions import Expressions, quoted_text
from flowengine.cli.importing.translated import (
    Node,
    Translated,
    as_list,
    as_object,
    http_node,
    placeholder,
    refuse,
    refuse_placeholders,
    retry,
    seconds,
    text_of,
    timeout,
)
from flowengine.jsonvalue import JsonValue

PLACEHOLDER: Final = re.compile(r"\$\{([\w.-]+)\}|\$(\w+)")
_CALL: Final = re.compile(r"(GET|POST|PUT|PATCH|DELETE|HEAD)\s+(\S+)")
_PAIR: Final = re.compile(r"""(\w+)=("[^"]*"|'[^']*'|\S*)""")
_LEFT_OUT: Final = ("schedule", "env", "dotenv", "mailOn", "smtp", "logDir", "queue", "maxActiveRuns", "otel")


def is_dagu(document: Mapping[str, JsonValue]) -> bool:
    """Whether the document has steps as Dagu's have."""
    steps = document.get("steps")
    known = {"command", "script", "executor", "depends", "run", "call", "type"}
    if isinstance(steps, dict):
        return any(known & set(as_object(each)) for each in steps.values())
    return isinstance(steps, list) and all(
        isinstance(each, str) or known & set(as_object(each)) for each in steps
    )


def translate(document: Mapping[str, JsonValue]) -> Translated:
    """The document as one of FlowEngine."""
    return _Dagu(document).translated()


class _Dagu:
    def __init__(self, document: Mapping[str, JsonValue]) -> None:
        self._document = document
        self._made = Translated(
            text_of(document.get("name"), "workflow"), text_of(document.get("description"))
        )
        self._nodes: dict[str, str] = {}
        self._outputs: dict[str, str] = {}

    def translated(self) -> Translated:
        for name, default in _params(self._document.get("params")):
            self._made.inputs[name] = (
                {"type": "string", "default": default} if default else {"type": "string"}
            )
        for field in _LEFT_OUT:
            if self._document.get(field):
                self._made.note(f"{field}: {text_of(self._document[field]) or 'see the file'}")
        steps = self._document.get("steps")
        if isinstance(steps, dict):
            steps = [{"name": name, **as_object(each)} for name, each in steps.items()]
        listed = [{"command": each} if isinstance(each, str) else as_object(each) for each in as_list(steps)]
        for number, step in enumerate(listed, 1):
            self._nodes[_name(step, number)] = self._made.new_id(_name(step, number))
        in_line = text_of(self._document.get("type")) == "chain" or not any(
            "depends" in step for step in listed
        )
        for number, step in enumerate(listed, 1):
            named = [
                self._nodes[name]
                for name in map(text_of, as_list(step.get("depends")))
                if name in self._nodes
            ]
            if in_line and number > 1 and "depends" not in step:
                named = [self._nodes[_name(listed[number - 2], number - 1)]]
            self._made.add(self._step(step, self._nodes[_name(step, number)], named))
        self._handlers(as_object(self._document.get("handlerOn", self._document.get("handler_on"))))
        return self._made

    def _handlers(self, handlers: Mapping[str, JsonValue]) -> None:
        targets = {"failure": self._made.on_failure, "exit": self._made.at_end}
        for name, step in handlers.items():
            if name in targets:
                node = self._step(as_object(step), self._made.new_id(f"on_{name}"), [])
                self._made.add(node, targets[name])
            else:
                self._made.note(f"handlerOn.{name}")

    def _step(self, step: Mapping[str, JsonValue], node_id: str, before: Sequence[str]) -> Node:
        expressions = Expressions(PLACEHOLDER, self._resolve)
        node = self._work(step, node_id, before, expressions)
        if step.get("description"):
            node.fields["description"] = text_of(step["description"])
        policy = as_object(step.get("retryPolicy", step.get("retry_policy")))
        if policy:
            limit = seconds(policy.get("limit"))
            node.fields["retry"] = retry(
                None if limit is None else limit + 1,
                seconds(policy.get("intervalSec", policy.get("interval_sec"))),
                seconds(policy.get("backoff")),
                seconds(policy.get("maxIntervalSec", policy.get("max_interval_sec"))),
            )
        timeout(node, step.get("timeoutSec", step.get("timeout_sec")))
        goes_on = step.get("continueOn", step.get("continue_on"))
        if goes_on == "failed" or as_object(goes_on).get("failure") or as_object(goes_on).get("failed"):
            node.fields["on_error"] = "continue"
        self._conditions(step, node, expressions)
        for field in ("repeatPolicy", "repeat_policy", "parallel", "mailOnError", "dir", "env", "container"):
            if step.get(field):
                node.notes.append(f"NOT TRANSLATED: its {field}.")
        output = step.get("output")
        if isinstance(output, str) and output:
            self._outputs[output] = node_id
        refuse_placeholders(node, expressions.untranslated)
        return node

    def _conditions(self, step: Mapping[str, JsonValue], node: Node, expressions: Expressions) -> None:
        whens: list[str] = []
        for each in as_list(step.get("preconditions", step.get("precondition"))):
            said = as_object(each)
            condition = expressions.expression(text_of(said.get("condition")))
            expected = text_of(said.get("expected"))
            if condition is None or not expected or expected.startswith("re:"):
                refuse(node, f"the precondition {text_of(said.get('condition')) or text_of(each)}")
            else:
                whens.append(f"{condition} == {quoted_text(expected)}")
        if whens:
            node.fields["when"] = "{{ " + " and ".join(whens) + " }}"

    def _work(
        self, step: Mapping[str, JsonValue], node_id: str, before: Sequence[str], expressions: Expressions
    ) -> Node:
        executor = step.get("executor", step.get("type"))
        kind = text_of(executor) or text_of(as_object(executor).get("type"))
        command = step.get("command")
        if kind == "http":
            said = as_object(as_object(executor).get("config")) or as_object(
                step.get("with", step.get("config"))
            )
            found = _CALL.match(text_of(command).strip())
            return http_node(
                node_id,
                expressions.text(found[2] if found else text_of(said.get("url"))),
                method=found[1] if found else said.get("method"),
                headers={
                    name: expressions.value(value) for name, value in as_object(said.get("headers")).items()
                },
                body=expressions.value(said.get("body")),
                dependencies=before,
            )
        call = curl_call(text_of(command), PLACEHOLDER) if not kind or kind in ("command", "shell") else None
        if call is not None:
            return curl_node(node_id, call, expressions, before)
        told = next((field for field in ("run", "call", "script", "command") if step.get(field)), "step")
        why = {"run": "it runs another DAG", "call": "it runs another DAG"}.get(
            told, f"it is a {kind or told}"
        )
        return placeholder(node_id, why, dict(step), before)

    def _resolve(self, inner: str) -> str | None:
        if inner in self._made.inputs:
            return f"inputs.{inner}"
        if inner.isdigit() and f"param_{inner}" in self._made.inputs:
            return f"inputs.param_{inner}"
        first, _, rest = inner.partition(".")
        if first in self._outputs:
            return f"{self._outputs[first]}.result" + (f".{rest}" if rest else "")
        if first in self._nodes and rest in ("stdout", "output"):
            return f"{self._nodes[first]}.result"
        return {"DAG_RUN_ID": "execution.id", "DAG_NAME": "execution.name"}.get(inner)


def _name(step: Mapping[str, JsonValue], number: int) -> str:
    return text_of(step.get("id")) or text_of(step.get("name")) or f"step_{number}"


def _params(said: JsonValue) -> list[tuple[str, str]]:
    """Names and defaults: of a text `A=1 B`, of a list of these, or of an object."""
    if isinstance(said, dict):
        return [(re.sub(r"\W", "_", name), text_of(value)) for name, value in said.items()]
    if isinstance(said, list):
        return [pair for each in said for pair in _params(each)]
    text = text_of(said)
    if not text:
        return []
    pairs = [(name, value.strip("\"'")) for name, value in _PAIR.findall(text)]
    return pairs or [(f"param_{number}", value) for number, value in enumerate(text.split(), 1)]
