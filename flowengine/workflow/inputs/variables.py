"""Reads a document's `vars`: values with names, made of inputs, the execution and vars above (LANGUAGE
section 1).

One that reads a secret is secret itself: it is never stored, and is made where it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, encode, pointer_to
from flowengine.template import (
    Analysis,
    SecretNotAllowedError,
    refuse_altered_given,
)
from flowengine.template.json_values import type_name
from flowengine.template.reference import (
    EXECUTION,
    EXECUTION_FIELDS,
    INPUTS,
    TRIGGER,
    TRIGGER_FIELDS,
    VARS,
)
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.document import MAX_ID_CHARS, NODE_ID
from flowengine.workflow.inputs.declared import MAX_BYTES, Declared, Var
from flowengine.workflow.inputs.reading import templates_in
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.problems import did_you_mean, quoted

MAX_VARS: Final = 200
_FIELDS: Final = {EXECUTION: EXECUTION_FIELDS, TRIGGER: TRIGGER_FIELDS}


class Variables(msgspec.Struct, frozen=True):
    """The vars of a document, and the secrets that they read, each with the pointer to its first place."""

    vars: dict[str, Var]
    secrets: dict[str, str]


NO_VARIABLES: Final = Variables({}, {})


def read_vars(document: JsonObject, inputs: Declared, report: Report, work: TemplateWork) -> Variables:
    """The vars of a document. Whatever is wrong is reported."""
    declared = document.get("vars")
    reading = _Reading(inputs, report, work)
    if isinstance(declared, dict) and len(declared) <= MAX_VARS:
        for name, value in declared.items():
            reading.read(name, value)
        size = sum(len(bytes(one.value)) for one in reading.vars.values())
        if size > MAX_BYTES:
            message = f"the vars take {size} bytes of JSON, the limit is {MAX_BYTES}"
            report.add("vars_too_large", "/vars", message)
    elif isinstance(declared, dict):
        report.add("out_of_range", "/vars", f"at most {MAX_VARS} vars, these are {len(declared)}")
    elif declared is not None:
        report.add("wrong_type", "/vars", f"'vars' must be an object, it is {type_name(declared)}")
    return Variables(reading.vars, reading.secrets)


class _Reading:
    """The vars that have been read so far: those that the next one may read."""

    def __init__(self, inputs: Declared, report: Report, work: TemplateWork) -> None:
        self.vars: dict[str, Var] = {}
        self.secrets: dict[str, str] = {}
        self._inputs = inputs
        self._report = report
        self._work = work

    def read(self, name: str, value: JsonValue) -> None:
        """One more."""
        pointer = pointer_to("/vars", name[:MAX_ID_CHARS])
        if NODE_ID.fullmatch(name) is None or len(name) > MAX_ID_CHARS or name.startswith("__"):
            message = f"{quoted(name)} is no name of a var: letters, digits, _ and -"
            self._report.add("invalid_name", pointer, message)
            return
        found = [self._template(place, text) for place, text in templates_in(value, pointer)]
        self.vars[name] = Var(msgspec.Raw(encode(value)), secret=any(found))

    def _template(self, pointer: str, text: str) -> bool:
        """Whether a template reads a secret. What it may not read is reported."""
        analysis = self._work.analysed(pointer, text)
        if analysis is None:
            return False
        for code, message in self._wrong(analysis):
            self._report.add(code, pointer, message)
        secret = self._secret_of(analysis)
        try:
            refuse_altered_given(text, secret)
        except SecretNotAllowedError as error:
            self._report.add(error.code, pointer, error.message)
        for name in analysis.secrets:
            self.secrets.setdefault(name, pointer)
        return bool(analysis.secrets or secret)

    def _wrong(self, analysis: Analysis) -> Iterator[tuple[str, str]]:
        for node in (*analysis.nodes, *analysis.fates):
            yield "unknown_node_reference", f"a var can read no node: it reads {quoted(node)}"
        for root, name in analysis.given:
            if not name and root not in _FIELDS:
                yield "template_forbidden", f"a var names what it reads: {{{{ {root}.NAME }}}}"
            known = self._known(root)
            if name and known is not None and name not in known:
                where = " above" if root == VARS else ""
                hint = did_you_mean(self._report.nearest(name, known)) or "."
                yield "unknown_field", f"there is no {root}.{name[:60]}{where}{hint}"

    def _known(self, root: str) -> tuple[str, ...] | None:
        if root in _FIELDS:
            return _FIELDS[root]
        if root == VARS:
            return tuple(self.vars)
        return None if self._inputs is None else tuple(self._inputs)

    def _secret_of(self, analysis: Analysis) -> frozenset[tuple[str, str]]:
        """What it reads that is secret."""
        inputs = self._inputs or {}
        return frozenset(
            (root, name)
            for root, name in analysis.given
            if (root == INPUTS and name in inputs and inputs[name].secret)
            or (root == VARS and name in self.vars and self.vars[name].secret)
        )
