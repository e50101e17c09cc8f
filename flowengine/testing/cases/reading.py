"""Reads a file of tests, and says all that is wrong with it: each problem with its place and what to do.

Knows its workflow's plan, so that a test that names a node which is not there is told before it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final, TypeVar

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.nearest_name import nearest_name
from flowengine.plugin import Handler, Registry
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.testing.cases.case_file import (
    Case,
    CaseFile,
    Expected,
    ExpectedCalls,
    ExpectedNode,
    GivenTrigger,
)
from flowengine.testing.cases.durations import milliseconds
from flowengine.testing.cases.moments import milliseconds_at
from flowengine.testing.running.addresses import PlannedNode, nodes_of
from flowengine.testing.running.mocked_handlers import ANSWERS_TO, COMPUTING
from flowengine.testing.running.mocks import ANSWERS, Mock, MockedError, Reply
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.children.group import GROUP
from flowengine.workflow.plan import Plan
from flowengine.workflow.problems import Problem, did_you_mean, quoted
from flowengine.workflow.validation import Text, read_text

T = TypeVar("T")

NO_WORKFLOW: Final = "the file has to name its workflow, beside it: `workflow: nightly.yaml`"
_PATH: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_SPELLINGS: Final[Mapping[str, str]] = {
    "cases": "tests",
    "mock": "mocks",
    "expected": "expect",
    "assert": "expect",
    "file": "workflow",
    "description": "name",
}


class Cases(msgspec.Struct, frozen=True):
    """A file of tests that was read. `file` is None where it has problems. `lines`: where each test
    begins."""

    file: CaseFile | None
    problems: tuple[Problem, ...]
    lines: tuple[int, ...] = ()


class Written(msgspec.Struct, frozen=True):
    """A file of tests whose workflow is not known yet. `workflow`: what it says of it; None: nothing that
    could be read."""

    text: Text | None
    workflow: str | None
    problems: tuple[Problem, ...] = ()


def read_written(body: bytes, path: PurePath, limits: Limits) -> Written:
    """What the file says, as far as it names its workflow."""
    text = read_text(body, "json" if path.suffix.lower() == ".json" else "yaml", limits)
    if isinstance(text, Problem):
        return Written(None, None, (text,))
    workflow = text.value.get("workflow") if isinstance(text.value, dict) else None
    return Written(text, workflow if isinstance(workflow, str) else None)


def read_cases(written: Written, plan: Plan | None, registry: Registry) -> Cases:
    """The tests, or all that is wrong with them. Without a `plan`, nothing is said of nodes."""
    text = written.text
    if text is None:
        return Cases(None, written.problems)
    reader = _Reader(plan, registry)
    found = reader.file(text.value)
    if reader.report:
        return Cases(None, text.located(reader.report.problems()))
    assert found is not None, "what has no problems could be read"
    pointers = [f"/tests/{at}" for at in range(len(found.tests))]
    places = text.positions.locate(text.value, pointers)
    return Cases(found, (), tuple(places[pointer][0] for pointer in pointers))


def read_given(value: JsonValue, plan: Plan, registry: Registry) -> Cases:
    """The tests that are known as a value already."""
    reader = _Reader(plan, registry)
    found = reader.file(value)
    return Cases(found, reader.report.problems()) if found is None else Cases(found, ())


def _waits_for_callback(planned: PlannedNode) -> bool:
    waits = planned.plan.policy(planned.position).waits
    return waits is not None and waits.kind == "callback"


class _Reader:
    """Walks a file once."""

    def __init__(self, plan: Plan | None, registry: Registry) -> None:
        self.report = Report()
        self._nodes = None if plan is None else nodes_of(plan)
        self._registry = registry

    def file(self, value: JsonValue) -> CaseFile | None:
        """The file's own fields, and its tests."""
        if not isinstance(value, dict):
            self._add("wrong_type", "", f"a file of tests is an object, this is {type_name(value)}")
            return None
        self._fields(value, CaseFile, "", _SPELLINGS)
        tests = value.get("tests")
        if not isinstance(value.get("workflow"), str) or not value["workflow"]:
            self._add("missing_field", "/workflow", NO_WORKFLOW)
        if not isinstance(tests, list) or not tests:
            self._add("missing_field", "/tests", "a file of tests has a list of them: `tests: [{name: ...}]`")
            return None
        cases = [self._case(case, f"/tests/{at}") for at, case in enumerate(tests)]
        self._refuse_repeated_names(cases)
        if self.report:
            return None
        return CaseFile(workflow=str(value["workflow"]), tests=[case for case in cases if case is not None])

    def _refuse_repeated_names(self, cases: Iterable[Case | None]) -> None:
        names: set[str] = set()
        for at, case in enumerate(cases):
            if case is not None and case.name in names:
                self._add("repeated_name", f"/tests/{at}/name", f"another test is called {quoted(case.name)}")
            names |= set() if case is None else {case.name}

    def _case(self, value: JsonValue, pointer: str) -> Case | None:
        if not isinstance(value, dict):
            self._add("wrong_type", pointer, f"a test is an object, this is {type_name(value)}")
            return None
        self._fields(value, Case, pointer, _SPELLINGS)
        known = {name: part for name, part in value.items() if name in Case.__struct_fields__}
        mocks = self._mocks(known.pop("mocks", {}), f"{pointer}/mocks")
        expect = self._expect(known.pop("expect", {}), f"{pointer}/expect")
        case = self._convert(known, Case, pointer)
        if case is None:
            return None
        if case.inputs and case.trigger is not msgspec.UNSET:
            message = (
                "with a 'trigger', the document's 'after' or its schedule makes the inputs: take one out"
            )
            self._add("not_together", f"{pointer}/inputs", message)
        if case.trigger is not msgspec.UNSET:
            self._check_trigger(case.trigger, f"{pointer}/trigger")
        if isinstance(case.now, str):
            self._check_moment(case.now, f"{pointer}/now")
        for at, node in enumerate(case.real):
            self._check_real(node, f"{pointer}/real/{at}")
        return msgspec.structs.replace(case, mocks=mocks, expect=expect)

    def _check_trigger(self, given: GivenTrigger, pointer: str) -> None:
        of_end = given.workflow is not msgspec.UNSET
        if of_end == (given.schedule is not msgspec.UNSET):
            code, said = ("not_together", "both") if of_end else ("missing_field", "none of them")
            message = f"a 'trigger' has a 'workflow' whose end it is, or a 'schedule', and this has {said}"
            self._add(code, pointer, message)
        if isinstance(given.scheduled_at, str):
            self._check_moment(given.scheduled_at, f"{pointer}/scheduled_at")
            if of_end:
                self._add("not_together", f"{pointer}/scheduled_at", "only a 'schedule' has a time")

    def _check_moment(self, now: str, pointer: str) -> None:
        try:
            milliseconds_at(now)
        except (ValueError, OverflowError):
            self._add("invalid_time", pointer, "a time has an offset from UTC, as in 2026-11-28T02:00:00Z")

    def _check_real(self, node: str, pointer: str) -> None:
        found = self._node(node, pointer)
        handler = None if found is None else self._registry.get(found.node.work.handler)
        if handler is None or handler.name in COMPUTING:
            return
        if handler.function.__module__.startswith("flowengine."):
            message = f"handler '{handler.name}' reaches what a test has not: give the node a mock"
            self._add("calls_out", pointer, message)

    # -- mocks

    def _mocks(self, value: JsonValue, pointer: str) -> dict[str, Mock | list[Reply]]:
        found: dict[str, Mock | list[Reply]] = {}
        for node, mock in self._entries(value, pointer, "mocks"):
            at = pointer_to(pointer, node)
            planned = self._node(node, at)
            if isinstance(mock, list):
                found[node] = self._replies(mock, at, planned)
            else:
                made = self._reply(mock, Mock, at, planned)
                if isinstance(made, Mock):
                    found[node] = self._with_items(made, mock, at, planned)
        return found

    def _with_items(self, mock: Mock, value: JsonValue, pointer: str, planned: PlannedNode | None) -> Mock:
        items = value.get("items") if isinstance(value, dict) else None
        if items is None:
            return mock
        found: dict[str, Reply | list[Reply]] = {}
        for key, answer in self._entries(items, f"{pointer}/items", "items"):
            at = pointer_to(f"{pointer}/items", key)
            if isinstance(answer, list):
                found[key] = self._replies(answer, at, planned)
            elif reply := self._reply(answer, Reply, at, planned):
                found[key] = reply
        return msgspec.structs.replace(mock, items=found)

    def _replies(self, values: list[JsonValue], pointer: str, planned: PlannedNode | None) -> list[Reply]:
        if not values:
            self._add("empty_list", pointer, "a list of answers has one at least")
        found = [self._reply(each, Reply, f"{pointer}/{at}", planned) for at, each in enumerate(values)]
        return [reply for reply in found if reply is not None]

    def _reply(
        self, value: JsonValue, kind: type[Reply], pointer: str, planned: PlannedNode | None
    ) -> Reply | None:
        if not isinstance(value, dict):
            message = f"an answer is an object as {{result: 1}}, this is {type_name(value)}"
            self._add("wrong_type", pointer, message)
            return None
        self._fields(value, kind, pointer)
        error = value.get("error")
        if isinstance(error, dict):
            self._fields(error, MockedError, f"{pointer}/error")
        known = {name: part for name, part in value.items() if name in kind.__struct_fields__}
        items = known.pop("items", None)
        reply = self._convert(known, kind, pointer)
        if reply is not None:
            self._check_reply(reply, pointer, planned, has_items=items is not None)
        return reply

    def _check_reply(
        self, reply: Reply, pointer: str, planned: PlannedNode | None, *, has_items: bool
    ) -> None:
        calls_back = reply.callback is not msgspec.UNSET
        if calls_back and planned is not None and not _waits_for_callback(planned):
            self._add("unclear_answer", f"{pointer}/callback", "the node has no `wait_for_callback`")
        if len(reply.kinds) > 1 or not (reply.kinds or has_items or calls_back):
            message = f"an answer has one of {', '.join(ANSWERS)}, and this has {len(reply.kinds)}"
            self._add("unclear_answer", pointer, message)
            return
        if reply.error is not msgspec.UNSET and not 100 <= (reply.error.status_code or 200) <= 599:
            self._add("invalid_status", f"{pointer}/error/status_code", "an HTTP status is 100 to 599")
        if planned is None or not reply.kinds:
            return
        handler, said = self._registry.get(planned.node.work.handler), reply.kinds[0]
        if planned.node.work.handler == GROUP:
            self._add("mocked_group", pointer, "a group has no handler: mock its nodes, as GROUP.NODE")
        elif handler is not None:
            self._check_said(reply, said, handler, pointer)

    def _check_said(self, reply: Reply, said: str, handler: Handler, pointer: str) -> None:
        wanted = ANSWERS_TO.get("signal" if handler.signals is not None else handler.name)
        if said in ("approved", "payload") and said != wanted:
            more = f": it takes `{wanted}`" if wanted is not None else ""
            message = f"handler '{handler.name}' waits for no such answer{more}"
            self._add("unclear_answer", f"{pointer}/{said}", message)
        known = None if handler.output_type is None else handler.output_type.__struct_fields__
        if known and isinstance(reply.output, dict):
            refuse_unknown_fields(reply.output, known, f"{pointer}/output", self.report)

    # -- what is expected

    def _expect(self, value: JsonValue, pointer: str) -> Expected:
        if not isinstance(value, dict):
            self._add("wrong_type", pointer, f"`expect` is an object, this is {type_name(value)}")
            return Expected()
        self._fields(value, Expected, pointer)
        known = {name: part for name, part in value.items() if name in Expected.__struct_fields__}
        nodes = known.pop("nodes", {})
        calls = known.pop("calls", {})
        expected = self._convert(known, Expected, pointer) or Expected()
        return msgspec.structs.replace(
            expected,
            nodes=self._by_node(nodes, ExpectedNode, Expected, "nodes", pointer),
            calls=self._by_node(calls, ExpectedCalls, Expected, "calls", pointer),
        )

    def _by_node(
        self, value: JsonValue, kind: type[Any], owner: type[Any], field: str, pointer: str
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for node, said in self._entries(value, f"{pointer}/{field}", field):
            at = pointer_to(f"{pointer}/{field}", node)
            self._node(node, at)
            if isinstance(said, dict):
                self._fields(said, kind, at)
                known = {name: part for name, part in said.items() if name in kind.__struct_fields__}
                found[node] = self._convert(known, kind, at)
            else:
                made = self._convert({field: {node: said}}, owner, at, is_whole=True)
                found[node] = None if made is None else getattr(made, field)[node]
        return found

    # -- what all of them do

    def _node(self, address: str, pointer: str) -> PlannedNode | None:
        if self._nodes is None or address in self._nodes:
            return None if self._nodes is None else self._nodes[address]
        inner = [name for name in self._nodes if name.endswith(f".{address}")]
        meant = inner[0] if inner else nearest_name(address, self._nodes)
        message = f"the workflow has no node {quoted(address)}{did_you_mean(meant) or '.'}"
        self._add("unknown_node", pointer, message)
        return None

    def _entries(self, value: JsonValue, pointer: str, field: str) -> Iterator[tuple[str, JsonValue]]:
        if isinstance(value, dict):
            yield from value.items()
        else:
            self._add("wrong_type", pointer, f"`{field}` is an object, this is {type_name(value)}")

    def _fields(
        self, value: JsonObject, kind: type[Any], pointer: str, spellings: Mapping[str, str] | None = None
    ) -> None:
        refuse_unknown_fields(value, kind.__struct_fields__, pointer, self.report, spellings or {})

    def _convert(self, value: JsonObject, kind: type[T], pointer: str, *, is_whole: bool = False) -> T | None:
        """`is_whole`: whatever is wrong with it is told of the pointer itself."""
        try:
            made = msgspec.convert(value, kind)
            self._check_durations(made, pointer)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$")
            found = [] if is_whole else _PATH.findall(path.rstrip("`").partition("[...]")[0])
            at = "".join(f"/{name or number}" for name, number in found)
            code = "missing_field" if "missing required field" in message else "wrong_type"
            self._add(code, pointer + at, message)
            return None
        return made

    def _check_durations(self, made: object, pointer: str) -> None:
        for field in ("after", "within"):
            length = getattr(made, field, msgspec.UNSET)
            if isinstance(length, str):
                try:
                    milliseconds(length)
                except ValueError as error:
                    self._add("invalid_duration", f"{pointer}/{field}", str(error))

    def _add(self, code: str, pointer: str, message: str) -> None:
        self.report.add(code, pointer, message)
