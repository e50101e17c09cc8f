"""Reads a document's `after` (LANGUAGE section 9).

Nobody is there when an end starts an execution: what it is given is checked against the inputs of the
workflow when the document is accepted, as far as it holds no templates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, encode, pointer_to
from flowengine.template import is_template
from flowengine.template.json_values import type_name
from flowengine.workflow.chains.declared import END_STATUSES, FIELD, MAX_AFTER, After, EndStatus
from flowengine.workflow.checking.object_fields import JsonObject, read_list, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.children.call_reading import NamedDefinition
from flowengine.workflow.document import MAX_NAME_CHARS
from flowengine.workflow.inputs.declared import Declared
from flowengine.workflow.inputs.template_work import TemplateWork
from flowengine.workflow.problems import did_you_mean, quoted
from flowengine.workflow.schedules.declared import NO_INPUTS
from flowengine.workflow.schedules.given_inputs import GivenInputs

FIELDS: Final = ("workflow", "status", "inputs")
SPELLINGS: Final = {
    **dict.fromkeys(("name", "definition", "execution_of"), "workflow"),
    **dict.fromkeys(("on", "statuses", "states", "when"), "status"),
    **dict.fromkeys(("with", "params"), "inputs"),
}
EXAMPLE: Final = "as in {workflow: extract, status: [completed]}"
_STATUSES: Final = ", ".join(END_STATUSES)


def read_after(
    document: JsonObject, inputs: Declared, report: Report, work: TemplateWork
) -> tuple[After, ...]:
    """What a document follows. Whatever is wrong is reported."""
    said = read_list(document, FIELD, "", report)
    if len(said) > MAX_AFTER:
        report.add("out_of_range", f"/{FIELD}", f"'{FIELD}' has at most {MAX_AFTER} items, not {len(said)}")
        return ()
    reading = _Reading(document.get("name"), GivenInputs(inputs, report, work), report)
    return tuple([reading.read(one, pointer_to(f"/{FIELD}", at)) for at, one in enumerate(said)])


def followed(document: JsonValue) -> Iterator[NamedDefinition]:
    """The definitions that a right document follows."""
    said = document.get(FIELD) if isinstance(document, dict) else None
    for at, one in enumerate(said if isinstance(said, list) else ()):
        name = one.get("workflow") if isinstance(one, dict) else None
        if isinstance(name, str):
            yield NamedDefinition(
                code="unknown_definition",
                pointer=pointer_to(pointer_to(f"/{FIELD}", at), "workflow"),
                message=f"there is no definition {quoted(name)} yet: this starts nothing until it is applied",
                name=name,
                follows=True,
            )


class _Reading:
    def __init__(self, own: JsonValue, inputs: GivenInputs, report: Report) -> None:
        self._own = own
        self._inputs = inputs
        self._report = report
        self._seen: dict[tuple[str, EndStatus], str] = {}

    def read(self, said: JsonValue, pointer: str) -> After:
        """One of them; what is wrong of it counts as not given."""
        if not isinstance(said, dict):
            message = f"each of '{FIELD}' is an object, {EXAMPLE}: this is {type_name(said)}"
            self._report.add("wrong_type", pointer, message)
            return After("")
        refuse_unknown_fields(said, FIELDS, pointer, self._report, SPELLINGS)
        workflow, status = self._workflow(said, pointer), self._status(said, pointer)
        self._refuse_twice(workflow, status, pointer)
        return After(workflow, status, self._given(said, pointer))

    def _workflow(self, said: JsonObject, pointer: str) -> str:
        place, found = pointer_to(pointer, "workflow"), said.get("workflow")
        if found is None:
            self._report.add("missing_field", place, f"the field 'workflow' is required, {EXAMPLE}")
            return ""
        if not isinstance(found, str):
            self._report.add("wrong_type", place, f"'workflow' must be text, it is {type_name(found)}")
            return ""
        if is_template(found):
            message = "'workflow' is the name of a definition and takes no template: it is known beforehand"
            self._report.add("template_forbidden", place, message)
        elif not found.strip() or len(found) > MAX_NAME_CHARS or not found.isprintable():
            message = f"a name has 1 to {MAX_NAME_CHARS} printable characters"
            self._report.add("invalid_name", place, message)
        elif found == self._own:
            message = f"each execution of {quoted(found)} would start another, without an end"
            self._report.add("chain_cycle", place, message)
        return found

    def _status(self, said: JsonObject, pointer: str) -> tuple[EndStatus, ...]:
        place, found = pointer_to(pointer, "status"), said.get("status")
        if found is None:
            return ("completed",)
        if not isinstance(found, list) or not found:
            message = f"'status' is a list of some of {_STATUSES}, as in [completed]"
            self._report.add("wrong_type", place, message)
            return ()
        statuses: list[EndStatus] = []
        for at, one in enumerate(found):
            known = [each for each in END_STATUSES if each == one]
            if not known:
                shown = quoted(one) if isinstance(one, str) else type_name(one)
                nearest = self._report.nearest(one, END_STATUSES) if isinstance(one, str) else None
                message = f"an execution does not end as {shown}{did_you_mean(nearest) or '.'} There are: "
                self._report.add("invalid_value", pointer_to(place, at), message + _STATUSES)
            elif known[0] not in statuses:
                statuses += known
        return tuple(statuses)

    def _refuse_twice(self, workflow: str, statuses: tuple[EndStatus, ...], pointer: str) -> None:
        for status in statuses:
            other = self._seen.setdefault((workflow, status), pointer)
            if other != pointer and workflow:
                message = (
                    f"{other} starts it already when {quoted(workflow)} ends so ({status}): take one out"
                )
                self._report.add("not_together", pointer, message)

    def _given(self, said: JsonObject, pointer: str) -> msgspec.Raw:
        place, found = pointer_to(pointer, "inputs"), said.get("inputs")
        if found is not None and not isinstance(found, dict):
            self._report.add("wrong_type", place, f"'inputs' must be an object, it is {type_name(found)}")
            return NO_INPUTS
        self._inputs.check(found or {}, place if found is not None else pointer)
        return msgspec.Raw(encode(found)) if found else NO_INPUTS
