"""What a file of tests says: one workflow, and what is to become of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowengine.execution.status import ExecutionStatus, NodeStatus, SkipReason
from flowengine.testing.cases.durations import Duration
from flowengine.testing.running.mocks import Mock, Reply
from flowengine.workflow.chains.declared import EndStatus

Count: TypeAlias = Annotated[int, Meta(ge=0)]


class ExpectedNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to become of a node. What is left out is not looked at."""

    status: Annotated[NodeStatus | UnsetType, Meta(description="Its status.")] = UNSET
    result: Annotated[Any, Meta(description="What `X.result` means of what it gives, exactly.")] = UNSET
    output: Annotated[
        Any, Meta(description="What it gives. Of an object, only the fields that stand here are compared.")
    ] = UNSET
    error: Annotated[
        str | UnsetType, Meta(description="The code of its error, or a pattern such as http_503 or http_5xx.")
    ] = UNSET
    attempts: Annotated[Count | UnsetType, Meta(description="How often it was tried.")] = UNSET
    iterations: Annotated[Count | UnsetType, Meta(description="Its iterations, of one that repeats.")] = UNSET
    skipped: Annotated[SkipReason | UnsetType, Meta(description="Why it does not run.")] = UNSET
    tolerated: Annotated[bool | UnsetType, Meta(description="Whether its failure is tolerated.")] = UNSET


class ExpectedCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the handler of a node, or its mock, is called."""

    count: Annotated[Count | UnsetType, Meta(description="How often.")] = UNSET
    config: Annotated[
        Mapping[str, Any] | UnsetType,
        Meta(description="What each call's rendered config has: the fields that stand here are compared."),
    ] = UNSET
    configs: Annotated[
        list[Mapping[str, Any]] | UnsetType, Meta(description="The same, one for each call in its order.")
    ] = UNSET


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to become of the execution. What is left out is not looked at, but for `status`."""

    status: Annotated[ExecutionStatus, Meta(description="How the execution ends.")] = "completed"
    error: Annotated[str | UnsetType, Meta(description="The code of the execution's error.")] = UNSET
    nodes: Annotated[
        Mapping[str, NodeStatus | ExpectedNode],
        Meta(description="By a node's id, or group.node: its status, or more of what becomes of it."),
    ] = {}
    outputs: Annotated[
        Mapping[str, Any] | UnsetType,
        Meta(description="The workflow's outputs: each that stands here is compared, exactly."),
    ] = UNSET
    calls: Annotated[
        Mapping[str, Count | ExpectedCalls],
        Meta(description="By a node's id, or group.node: how often its handler is called, or more."),
    ] = {}
    within: Annotated[
        Duration | UnsetType,
        Meta(description="The longest that it takes by its own time: seconds, or a text such as 10m."),
    ] = UNSET
    refused: Annotated[
        str | UnsetType,
        Meta(description="The code with which the start is refused, as inputs_invalid. Nothing runs then."),
    ] = UNSET


class GivenTrigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What starts the execution: the end of one of the definition `workflow`, by `after`; or a `schedule` of
    its own. One of these two is given."""

    workflow: Annotated[
        str | UnsetType, Meta(description="The definition of the execution that has ended.")
    ] = UNSET
    schedule: Annotated[str | UnsetType, Meta(description="In place of that: the id of the schedule.")] = (
        UNSET
    )
    scheduled_at: Annotated[
        str | UnsetType,
        Meta(description="The time of the schedule, with an offset, as 2026-11-28T02:00:00Z. Default: now."),
    ] = UNSET
    status: Annotated[EndStatus, Meta(description="How it has ended.")] = "completed"
    outputs: Annotated[Mapping[str, Any] | None, Meta(description="What it has given.")] = {}
    execution_id: Annotated[str, Meta(description="Its id.")] = "0" * 27


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test: what an execution is given, what answers for its nodes, what is to become of it."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="What it shows, as a sentence.")]
    inputs: Annotated[Mapping[str, Any], Meta(description="The inputs that it is started with.")] = {}
    trigger: Annotated[
        GivenTrigger | UnsetType,
        Meta(description="What starts it, in place of inputs: its `after` or its schedule makes these."),
    ] = UNSET
    labels: Annotated[Mapping[str, str], Meta(description="Labels beside those of the workflow.")] = {}
    secrets: Annotated[Mapping[str, str], Meta(description="What templates read as secrets.NAME.")] = {}
    now: Annotated[
        str | UnsetType,
        Meta(description="When it begins, with an offset, as 2026-11-28T02:00:00Z. Default: 2026-01-01."),
    ] = UNSET
    mocks: Annotated[
        Mapping[str, Mock | list[Reply]],
        Meta(description="What answers for nodes, by id, or group.node. A list: one answer for each call."),
    ] = {}
    real: Annotated[
        Sequence[str], Meta(description="The nodes whose handlers run as they are, without a network.")
    ] = ()
    expect: Annotated[Expected, Meta(description="What is to become of it. Default: it completes.")] = (
        msgspec.field(default_factory=Expected)
    )


class CaseFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tests of one workflow."""

    workflow: Annotated[str, Meta(min_length=1, description="The workflow's file, from this file's folder.")]
    tests: Annotated[list[Case], Meta(min_length=1, description="The tests.")]


def schema() -> dict[str, Any]:
    """The JSON Schema of a file of tests, for editors."""
    made = msgspec.json.schema(CaseFile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tests of a workflow", **made}
