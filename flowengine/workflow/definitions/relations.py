"""What workflow documents say of each other: which definitions they run and follow, and what is wrong there.

Looks at documents that are right by themselves. Pure. What is not among them may be applied elsewhere, and is
a warning; what certainly fails when they are applied together is a problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.nearest_name import nearest_name
from flowengine.template import is_template
from flowengine.workflow.chains.circles import Lead, endless, shown, told
from flowengine.workflow.inputs.declared import Declared
from flowengine.workflow.inputs.values import InputsInvalidError, check_given
from flowengine.workflow.output_schema import FIELD as OUTPUT_SCHEMA
from flowengine.workflow.problems import Problem, did_you_mean, quoted

CALLING: Final = "workflow"
"""The handler whose nodes run definitions."""
AFTER: Final = "after"
NODE_LISTS: Final = ("nodes", "on_failure", "finally")
Kind: TypeAlias = Literal["runs", "follows"]


class Member(msgspec.Struct, frozen=True):
    """A right document, its name, and the inputs that it declares."""

    name: str
    document: JsonValue
    inputs: Declared


class Relation(msgspec.Struct, frozen=True):
    """One definition names another. `pointer` is where; `given` the inputs at `given_pointer`; `checked_at`
    the schema of its outputs, or nothing."""

    kind: Kind
    name: str
    pointer: str
    version: JsonValue
    given: Mapping[str, JsonValue]
    given_pointer: str
    checked_at: str = ""


class Finding(msgspec.Struct, frozen=True):
    """Something wrong in the document of that number."""

    member: int
    problem: Problem
    is_warning: bool = False


def relations(document: JsonValue) -> Iterator[Relation]:
    """The definitions that a document names in a way that is known before it runs."""
    if not isinstance(document, dict):
        return
    for node, place in nodes_of(document):
        config = node.get("config")
        if node.get("handler") == CALLING and isinstance(config, dict):
            checked_at = "" if node.get(OUTPUT_SCHEMA) is None else pointer_to(place, OUTPUT_SCHEMA)
            for found in _relation("runs", config, config.get("name"), f"{place}/config", "name"):
                yield msgspec.structs.replace(found, checked_at=checked_at)
    followed = document.get(AFTER)
    for number, each in enumerate(followed if isinstance(followed, list) else ()):
        if isinstance(each, dict):
            yield from _relation("follows", each, each.get("workflow"), f"/{AFTER}/{number}", "workflow")


def findings(members: Sequence[Member]) -> Iterator[Finding]:
    """All that is wrong between these documents."""
    by_name = {member.name: member for member in reversed(members)}
    for number, member in enumerate(members):
        for relation in relations(member.document):
            other = by_name.get(relation.name)
            if other is None:
                yield Finding(number, _unknown(relation, by_name), is_warning=True)
            # What follows another is started itself, and with these inputs.
            started = member if relation.kind == "follows" else other
            if started is not None and relation.version is None:
                yield from (Finding(number, problem) for problem in _misfits(relation, started))
                yield from (Finding(number, problem) for problem in _unchecked(relation, started))
    yield from _endless(members, by_name)
    yield from _circles(members, by_name)


def _relation(
    kind: Kind, says: Mapping[str, JsonValue], name: JsonValue, pointer: str, field: str
) -> Iterator[Relation]:
    if isinstance(name, str) and not is_template(name):
        given = says.get("inputs")
        yield Relation(
            kind,
            name,
            f"{pointer}/{field}",
            says.get("version"),
            given if isinstance(given, dict) else {},
            f"{pointer}/inputs" if "inputs" in says else pointer,
        )


def _unknown(relation: Relation, known: Mapping[str, Member]) -> Problem:
    meant = did_you_mean(nearest_name(relation.name, known))
    message = f"none of these files is called {quoted(relation.name)}{meant or ': the stack must have it'}"
    return Problem(code="definition_not_here", pointer=relation.pointer, message=message)


def _misfits(relation: Relation, other: Member) -> Iterator[Problem]:
    """What the definition that is started does not take. Values with templates are known only later."""
    known = {
        name: value
        for name, value in relation.given.items()
        if not _has_template(value) or other.inputs is None or name not in other.inputs
    }
    try:
        check_given(other.inputs, known)
    except InputsInvalidError as error:
        for each in error.problems:
            pointer = relation.given_pointer + each.pointer.removeprefix("/inputs")
            message = f"{quoted(other.name)} does not take this: {each.message}"
            yield Problem(code="inputs_do_not_fit", pointer=pointer, message=message)
    for name, one in (other.inputs or {}).items():
        if one.must_be_given and name not in relation.given:
            message = f"{quoted(other.name)} needs the input {quoted(name)}: give it here"
            yield Problem(code="inputs_do_not_fit", pointer=relation.given_pointer, message=message)


def _unchecked(relation: Relation, other: Member) -> Iterator[Problem]:
    """That there are no outputs, where a schema says what they are."""
    has = isinstance(other.document, dict) and other.document.get("outputs") is not None
    if relation.checked_at and not has:
        message = f"{quoted(other.name)} has no 'outputs', and this says what they are: add them there"
        yield Problem(code="no_outputs", pointer=relation.checked_at, message=message)


def nodes_of(document: JsonValue) -> Iterator[tuple[Mapping[str, JsonValue], str]]:
    """All nodes, those of groups and hooks too, each with the pointer to it."""
    if isinstance(document, dict):
        for name in NODE_LISTS:
            yield from _nodes(document.get(name), f"/{name}")


def _nodes(listed: JsonValue, pointer: str) -> Iterator[tuple[Mapping[str, JsonValue], str]]:
    for number, node in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(node, dict):
            place = pointer_to(pointer, number)
            yield node, place
            yield from _nodes(node.get("nodes"), pointer_to(place, "nodes"))


def _has_template(value: JsonValue) -> bool:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str) and is_template(each):
            return True
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return False


def _endless(members: Sequence[Member], by_name: Mapping[str, Member]) -> Iterator[Finding]:
    """One finding for each document that follows another one which its own executions lead to."""
    leads: dict[str, list[Lead]] = {name: [] for name in by_name}
    for name, member in by_name.items():
        for relation in relations(member.document):
            if relation.name not in by_name:
                continue
            if relation.kind == "follows":
                leads[relation.name].append(Lead(name, True))
            else:
                leads[name].append(Lead(relation.name, False))
    for number, member in enumerate(members):
        for relation in relations(member.document):
            if relation.kind != "follows" or relation.name not in by_name:
                continue
            others = {**leads, relation.name: [Lead(member.name, True)]}
            way = endless(relation.name, partial(_of_these, others))
            if way is not None:
                problem = Problem(code="chain_cycle", pointer=relation.pointer, message=told(way))
                yield Finding(number, problem)
                break


def _of_these(leads: Mapping[str, list[Lead]], names: Sequence[str]) -> Mapping[str, list[Lead]]:
    return {name: leads[name] for name in names}


def _circles(members: Sequence[Member], by_name: Mapping[str, Member]) -> Iterator[Finding]:
    """One finding for each document that is in a circle of those that run each other: at what it says of the
    next one."""
    numbers = {member.name: number for number, member in reversed(list(enumerate(members)))}
    edges = {
        name: {
            each.name: each
            for each in relations(by_name[name].document)
            if each.kind == "runs" and each.name in by_name
        }
        for name in sorted(by_name, key=numbers.__getitem__)
    }
    for name in edges:
        way = _way_back(name, edges)
        if way is not None:
            yield Finding(numbers[name], _runs_itself(edges[name][way[1]], way), is_warning=True)


def _runs_itself(relation: Relation, way: Sequence[str]) -> Problem:
    message = f"it runs itself, and fails at the limit of nesting unless a `when` ends that: {shown(way)}"
    return Problem(code="runs_itself", pointer=relation.pointer, message=message)


def _way_back(start: str, edges: Mapping[str, Mapping[str, Relation]]) -> list[str] | None:
    """The shortest way from a definition to itself, or None."""
    before: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for following in edges[name]:
            if following == start:
                way = [start, name]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1] if name != start else [start, start]
            if following not in before:
                before[following] = name
                waiting.append(following)
    return None
