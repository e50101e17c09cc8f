"""Documents that are to be applied together: read, and checked each on its own and beside the others. Pure.

The body is `{"documents": [...]}`. Each is an object, or a text, in JSON if it begins with a brace, else in
YAML: then its problems have their places in that text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.definitions.applied_document import AppliedDocument, check_value
from flowengine.workflow.problems import Problem, quoted
from flowengine.workflow.validation import Form, read_text

DOCUMENTS: Final = "documents"
MAX_DOCUMENTS: Final = 1000
MAX_PROBLEMS: Final = 1000

CheckText: TypeAlias = Callable[[bytes, Form], AppliedDocument]
"""Reads and checks a document that is a text."""


class DocumentSet(msgspec.Struct, frozen=True):
    """The documents, in their order, or what is wrong with them: of a `malformed` body one problem."""

    documents: tuple[AppliedDocument, ...] = ()
    problems: tuple[Problem, ...] = ()
    malformed: bool = False


def check_set(
    body: bytes, form: Form, registry: Registry, limits: Limits, check_text: CheckText
) -> DocumentSet:
    """Read and check documents that are applied together. `check_text`: one that is a text."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return DocumentSet(problems=(text,), malformed=True)
    report = Report()
    listed = _listed(text.value, report)
    if report:
        return DocumentSet(problems=text.located(report.problems()))
    documents: list[AppliedDocument] = []
    problems: list[Problem] = []
    for place, written in enumerate(listed):
        pointer = pointer_to(f"/{DOCUMENTS}", place)
        if isinstance(written, str):
            found = _check_text(written, check_text)
            wrong = _below(found.checked.problems, pointer)
        else:
            found = check_value(written, registry, limits)
            wrong = text.located(_below(found.checked.problems, pointer))
        problems += wrong or _twice(found, documents, pointer)
        documents.append(found)
    return DocumentSet(tuple(documents), tuple(problems[:MAX_PROBLEMS]))


def _listed(body: JsonValue, report: Report) -> list[JsonValue]:
    if not isinstance(body, dict):
        report.add("wrong_type", "", f"the body is an object with '{DOCUMENTS}', this is {type_name(body)}")
        return []
    refuse_unknown_fields(body, (DOCUMENTS,), "", report)
    if DOCUMENTS not in body:
        report.add("missing_field", f"/{DOCUMENTS}", f"the field '{DOCUMENTS}' is required: a list")
        return []
    listed = body[DOCUMENTS]
    if not isinstance(listed, list):
        report.add("wrong_type", f"/{DOCUMENTS}", f"'{DOCUMENTS}' must be a list, it is {type_name(listed)}")
        return []
    if len(listed) > MAX_DOCUMENTS:
        message = f"'{DOCUMENTS}' has at most {MAX_DOCUMENTS} items, not {len(listed)}: ask several times"
        report.add("out_of_range", f"/{DOCUMENTS}", message)
    return listed


def _check_text(written: str, check_text: CheckText) -> AppliedDocument:
    # What is no Unicode is refused by the parser, with its place.
    body = written.encode(errors="surrogatepass")
    form: Form = "json" if written.lstrip("\ufeff \t\r\n").startswith("{") else "yaml"
    return check_text(body, form)


def _below(problems: tuple[Problem, ...], pointer: str) -> tuple[Problem, ...]:
    return tuple(msgspec.structs.replace(problem, pointer=pointer + problem.pointer) for problem in problems)


def _twice(found: AppliedDocument, before: Sequence[AppliedDocument], pointer: str) -> tuple[Problem, ...]:
    """Two documents of one name may say the same: in YAML and in JSON, say."""
    same_name = [place for place, each in enumerate(before) if each.name == found.name]
    if not same_name or before[same_name[0]].value == found.value:
        return ()
    other = pointer_to(f"/{DOCUMENTS}", same_name[0])
    message = f"{quoted(found.name)} is the name of {other} too, which says something else: rename one"
    return (Problem(code="duplicate_name", pointer=f"{pointer}/name", message=message),)
