"""Checks the inputs that a document gives to executions which start by themselves.

Literal ones are checked against the workflow's schemas. Those with templates are rendered and checked when an
execution starts; what they may read is known now.
"""

from __future__ import annotations

from typing import Final

from flowengine.jsonvalue import JsonValue, encode, pointer_to
from flowengine.template import Analysis
from flowengine.template.reference import EXECUTION, EXECUTION_FIELDS, TRIGGER, TRIGGER_FIELDS
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.inputs.declared import MAX_BYTES, Declared, Input
from flowengine.workflow.inputs.json_schema import misfits
from flowengine.workflow.inputs.reading import templates_in
from flowengine.workflow.inputs.subschemas import CheckWork
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.problems import did_you_mean, quoted

MAX_WORK: Final = 200_000
"""What it may take to check all literal values of a document, in the units of `subschemas.work_of`."""
SHOWN: Final = 20
_FIELDS: Final = {EXECUTION: EXECUTION_FIELDS, TRIGGER: TRIGGER_FIELDS}
_ROOTS: Final = " and ".join(f"'{root}'" for root in _FIELDS)


class GivenInputs:
    """Checks what is given, within a bound of work for the document. `declared`: the workflow's inputs; None:
    any may be given."""

    def __init__(self, declared: Declared, report: Report, work: TemplateWork) -> None:
        self._declared = declared
        self._report = report
        self._work = work
        self._left = CheckWork(MAX_WORK)

    def check(self, given: JsonObject, pointer: str) -> None:
        """Report what is wrong with these, which stand at the pointer."""
        size = len(encode(given))
        if size > MAX_BYTES:
            message = f"the inputs take {size} bytes of JSON, the limit is {MAX_BYTES}"
            self._report.add("inputs_too_large", pointer, message)
            return
        for name, value in given.items():
            self._check(name, value, pointer_to(pointer, name[:200]))
        for name, one in (self._declared or {}).items():
            if one.must_be_given and name not in given:
                self._report.add("missing_input", pointer, _missing(name, one))

    def _check(self, name: str, value: JsonValue, place: str) -> None:
        texts = list(templates_in(value, place))
        for where, text in texts:
            analysis = self._work.analysed(where, text)
            if analysis is not None:
                self._check_template(analysis, where)
        if self._declared is None:
            return
        one = self._declared.get(name)
        if one is None:
            known = ", ".join(list(self._declared)[:SHOWN]) or "none"
            nearest = did_you_mean(self._report.nearest(name, tuple(self._declared))) or "."
            message = f"there is no input {quoted(name)}{nearest} There are: {known}"
            self._report.add("unknown_input", place, message)
        elif one.secret:
            message = (
                f"the input {quoted(name)} is secret, and anyone who reads the document would know it: let "
                "nodes read {{ secrets.NAME }}"
            )
            self._report.add("secret_not_allowed", place, message)
        elif not texts:
            for misfit in misfits(bytes(one.schema), value, len(encode(value)), self._left):
                self._report.add("invalid_input", place + misfit.pointer, misfit.message)

    def _check_template(self, analysis: Analysis, place: str) -> None:
        for node in dict.fromkeys((*analysis.nodes, *analysis.fates)):
            message = f"no node has run before an execution starts: it reads {_ROOTS}, not {quoted(node)}"
            self._report.add("unknown_node_reference", place, message)
        if analysis.secrets:
            message = "inputs are shown, so they take no secrets: let nodes read them"
            self._report.add("secret_not_allowed", place, message)
        for root, name in analysis.given:
            if root not in _FIELDS:
                message = f"'{root}' is not known before an execution starts: it reads {_ROOTS} only"
                self._report.add("template_forbidden", place, message)
            elif name and name not in _FIELDS[root]:
                nearest = did_you_mean(self._report.nearest(name, _FIELDS[root])) or "."
                fields = f" Its fields: {', '.join(_FIELDS[root])}"
                message = f"'{root}' has no field {quoted(name)}{nearest}{fields}"
                self._report.add("unknown_field", place, message)


def _missing(name: str, one: Input) -> str:
    if one.secret:
        return (
            f"the input {quoted(name)} is secret and required, and no document can give it: say `required: "
            "false`, or let nodes read {{ secrets.NAME }}"
        )
    return f"the input {quoted(name)} is required: nobody else gives it, so give it here, or a default"
