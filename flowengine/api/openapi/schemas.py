"""The schemas of the OpenAPI document: what the API answers, and the workflow document that it takes.

They are made of the structs themselves. Names, types and bounds that a generated client needs are added.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from flowengine.api.edge import correlation_id
from flowengine.api.edge.problem_documents import ProblemDocument
from flowengine.api.openapi.bulk_schema import bulk_schema
from flowengine.api.openapi.operation import JsonObject
from flowengine.api.openapi.workflow_schemas import workflow_schemas
from flowengine.execution.definitions import views as definition_views
from flowengine.execution.delivery import views as delivery_views
from flowengine.execution.error_codes import OPERATOR
from flowengine.execution.history import runs
from flowengine.execution.history import views as history_views
from flowengine.execution.limits import views as limits_views
from flowengine.execution.requests.bulk import BulkView
from flowengine.execution.schedules import views as schedule_views
from flowengine.execution.status import EXECUTION_STATUSES, NODE_STATUSES, ExecutionStatus, NodeStatus
from flowengine.execution.views import access as access_views
from flowengine.execution.views import executions as views
from flowengine.execution.views import operations as operation_views
from flowengine.execution.views.maps import ItemView, MapView
from flowengine.execution.views.node_kinds import NODE_KINDS, NodeKind
from flowengine.execution.views.validation import NodePlaceView, ValidationView
from flowengine.handlers.webhooks.callback_url import MAX_CHARS as MAX_URL_CHARS
from flowengine.jsonvalue import JsonValue
from flowengine.layout import drawing
from flowengine.plugin import Registry
from flowengine.workflow.definitions.comparison import Difference
from flowengine.workflow.definitions.document_set import MAX_DOCUMENTS
from flowengine.workflow.policy_schema import priority as priority_schema
from flowengine.workflow.posting.posted import CODE_PATTERN, MAX_MESSAGE_CHARS, MAX_REASON_CHARS
from flowengine.workflow.problems import Problem
from flowengine.workflow.requests.chosen_version import LATEST, ORIGINAL
from flowengine.workflow.requests.rerun import MAX_ITEMS, MAX_NODES, MAX_VERSION, MODES, WORDS
from flowengine.workflow.schema import labels_schema

WORKFLOW: Final = "Workflow"
"""The name of the workflow document's schema. What it refers to has names that begin with it."""

POSTED: Final = "PostedWorkflow"
"""The name of the schema of what is posted: that document, or an envelope with it."""

ENVELOPE: Final = "WorkflowEnvelope"
"""The name of the schema of a workflow with what its execution is given."""

WRITTEN: Final = "The document as a text: JSON where it begins with a brace, else YAML. It is kept as it is."

INPUTS: Final = "GivenInputs"
LABELS: Final = "GivenLabels"
TRIGGER: Final = "Trigger"
"""The name of the schema of what comes with a trigger."""

START: Final = "StartRequest"
"""The name of the schema of what comes with the start of a definition."""

DOCUMENT_SET: Final = "DocumentSet"
"""The name of the schema of documents that are compared with what is applied."""

BULK: Final = "BulkRequest"
"""The name of the schema of an action on many executions."""

CANCEL: Final = "Cancel"
"""The name of the schema of what comes with a cancel."""

RERUN: Final = "Rerun"
"""The name of the schema of what comes with a rerun."""
SKIP: Final = "Skip"
COMPLETE: Final = "Complete"
FAIL: Final = "Fail"
"""The names of the schemas of what comes with an operator's word about a node."""

PAYLOAD: Final = "SignalPayload"
"""The name of the schema of what comes with a signal."""

CALLED_BACK: Final = "CallbackPayload"
"""The name of the schema of what comes to a callback URL."""

DECISION: Final = "Decision"
"""The name of the schema of what a person decides about a node."""

SIGN_IN: Final = "SignIn"
"""The name of the schema of what a page signs in with."""

NAMES: Final[Mapping[type[msgspec.Struct], str]] = {
    MapView: "MapNumbers",
    ItemView: "Item",
    views.CreatedView: "CreatedExecution",
    views.StartedView: "StartedExecution",
    views.TriggeredView: "TriggeredExecution",
    views.CancelledView: "CancelledExecution",
    views.SteeredView: "SteeredExecution",
    views.DeletedView: "DeletedExecution",
    BulkView: "Bulk",
    views.RerunView: "RerunExecution",
    views.RerunPreviewView: "RerunPreview",
    views.NotPossibleView: "NotPossible",
    views.ItemsAgainView: "ItemsAgain",
    views.ForkPreviewView: "NewExecutionPreview",
    views.AnewView: "BeginsAnew",
    views.RerunOfView: "RerunOf",
    views.OverruledView: "OverruledNode",
    views.SignalledView: "SentSignal",
    views.CalledBackView: "TakenCallback",
    views.DecidedView: "DecidedNode",
    views.DecisionView: "MadeDecision",
    views.WaitingView: "WaitingList",
    views.WaitingItemView: "WaitingNode",
    views.ExecutionView: "Execution",
    views.ListView: "ExecutionList",
    views.SummaryView: "ExecutionSummary",
    views.SummaryCountsView: "SummaryCounts",
    views.SummaryWaitView: "SummaryWait",
    views.TriggerView: "StartedBy",
    views.FollowerView: "Follower",
    views.CountsView: "NodeCounts",
    views.ParentView: "Parent",
    views.ChildrenView: "Children",
    views.NodeView: "Node",
    views.NodeDetailView: "NodeDetail",
    views.AttemptView: "NodeAttempt",
    views.NodeResultsView: "NodeResults",
    views.WaitingForView: "WaitingFor",
    views.ResultsView: "Results",
    drawing.Drawing: "Graph",
    drawing.Card: "GraphCard",
    drawing.Edge: "GraphEdge",
    drawing.Lane: "GraphLane",
    drawing.Condition: "GraphCondition",
    ValidationView: "Validation",
    NodePlaceView: "NodePlace",
    definition_views.AppliedView: "AppliedDefinition",
    definition_views.DefinitionView: "Definition",
    definition_views.DefinitionListView: "DefinitionList",
    definition_views.DefinitionSummaryView: "DefinitionSummary",
    definition_views.VersionView: "DefinitionVersion",
    definition_views.VersionListView: "DefinitionVersionList",
    definition_views.DeletedDefinitionView: "DeletedDefinition",
    definition_views.DiffView: "DefinitionDiffs",
    definition_views.ChangesView: "DefinitionChanges",
    definition_views.DefinitionDiffView: "DefinitionDiff",
    Difference: "DefinitionDifference",
    schedule_views.ScheduleView: "Schedule",
    schedule_views.ScheduleListView: "ScheduleList",
    schedule_views.HistoryView: "ScheduleHistory",
    schedule_views.OutcomeView: "ScheduleOutcome",
    schedule_views.PausedView: "SchedulePause",
    schedule_views.ScheduledView: "ScheduledExecution",
    schedule_views.ByView: "TriggeredBy",
    delivery_views.DeliveriesView: "Deliveries",
    delivery_views.DeliveryView: "Delivery",
    delivery_views.DeliveryAttemptView: "DeliveryAttempt",
    views.HealthView: "Health",
    views.QueueView: "Queue",
    access_views.KeyView: "Key",
    access_views.KeysView: "Keys",
    access_views.RevokedKeyView: "RevokedKey",
    access_views.MeView: "Caller",
    access_views.SessionView: "Session",
    access_views.EndedSessionView: "EndedSession",
    access_views.AuditEntryView: "AuditEntry",
    access_views.AuditView: "Audit",
    access_views.SettingView: "Setting",
    access_views.SettingsView: "Settings",
    history_views.EventView: "Event",
    history_views.LineView: "Line",
    runs.RunView: "Run",
    runs.WhyView: "Why",
    operation_views.DeadLetterView: "DeadLetter",
    operation_views.DeadLettersView: "DeadLetters",
    operation_views.RetriedLetterView: "RetriedDeadLetter",
    operation_views.DeletedLetterView: "DeletedDeadLetter",
    operation_views.QueuesView: "Queues",
    operation_views.QueueLoadView: "QueueLoad",
    operation_views.HandlerLineView: "HandlerLine",
    operation_views.WorkersView: "Workers",
    operation_views.WorkerView: "Worker",
    views.TurnView: "Turn",
    views.CancelView: "CancelRequest",
    limits_views.LimitsView: "Limits",
    limits_views.LimitView: "Limit",
    limits_views.StanderView: "Stander",
    operation_views.StatsView: "Statistics",
    operation_views.DefinitionStatsView: "DefinitionStatistics",
    operation_views.HourStatsView: "HourStatistics",
    operation_views.SpanStatsView: "SpanStatistics",
    operation_views.DurationsView: "Durations",
    ProblemDocument: "Problem",
    Problem: "DocumentProblem",
}
"""What callers know a struct by. The others keep the name of their class."""

_REF: Final = "#/components/schemas/"
_WORDS: Final[Mapping[str, tuple[tuple[str, ...], Mapping[Any, str]]]] = {
    "ExecutionStatus": (get_args(ExecutionStatus), EXECUTION_STATUSES),
    "NodeStatus": (get_args(NodeStatus), NODE_STATUSES),
    "NodeKind": (get_args(NodeKind), NODE_KINDS),
}
_IDS: Final[Mapping[str, str]] = {"execution_id": "ExecutionId", "correlation_id": "CorrelationId"}
"""Fields of these names hold the same thing wherever they stand."""
_JSON_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def reference(name: str) -> JsonObject:
    """The schema that refers to the component of this name."""
    return {"$ref": f"{_REF}{name}"}


def name_of(view: type[msgspec.Struct]) -> str:
    """The name of a struct's component."""
    return NAMES.get(view, view.__name__)


def schema_components(answers: Iterable[type[msgspec.Struct]], registry: Registry) -> JsonObject:
    """Every schema, by name: of these structs and problem documents, of the workflow document, and shared
    ones."""
    _, found = msgspec.json.schema_components([*answers, ProblemDocument], ref_template=f"{_REF}{{name}}")
    published = {kind.__name__: name for kind, name in NAMES.items()}
    return {
        **{published.get(name, name): _finished(schema, published) for name, schema in found.items()},
        **{name: _worded(*words) for name, words in _WORDS.items()},
        "ExecutionId": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"},
        "CorrelationId": {
            "type": "string",
            "minLength": 1,
            "maxLength": correlation_id.MAX_CHARS,
            "pattern": correlation_id.PATTERN,
        },
        **_workflow_components(registry),
        POSTED: {"oneOf": [reference(WORKFLOW), reference(ENVELOPE)]},
        ENVELOPE: {
            **_object_of(
                workflow={"oneOf": [reference(WORKFLOW), {"type": "string", "description": WRITTEN}]},
                inputs=reference(INPUTS),
                labels=reference(LABELS),
                priority=priority_schema(),
                callback_url=_CALLBACK_URL,
                trigger={
                    "type": ["boolean", "null"],
                    "description": "Whether it starts at once.",
                },
            ),
            "required": ["workflow"],
        },
        TRIGGER: _object_of(inputs=reference(INPUTS), labels=reference(LABELS)),
        START: _object_of(
            inputs=reference(INPUTS),
            labels=reference(LABELS),
            priority=priority_schema(),
            callback_url=_CALLBACK_URL,
            trigger={"type": ["boolean", "null"], "description": "It always starts: true, or nothing."},
        ),
        DOCUMENT_SET: {
            **_object_of(
                documents={
                    "type": "array",
                    "maxItems": MAX_DOCUMENTS,
                    "items": {"oneOf": [reference(WORKFLOW), {"type": "string", "description": WRITTEN}]},
                }
            ),
            "required": ["documents"],
        },
        LABELS: labels_schema(),
        SIGN_IN: {**_object_of(key={"type": "string"}), "required": ["key"]},
        CALLED_BACK: {
            "description": 'What the node waits for: any JSON; `{"error": {"code", "message"}}` fails it.'
        },
        PAYLOAD: {"description": "What a signal carries: any JSON value."},
        DECISION: {
            **_object_of(
                approved={"type": "boolean"},
                comment={"type": ["string", "null"], "maxLength": MAX_REASON_CHARS},
                data={"description": "What the node's `schema` asks for."},
                **{name: field for name, field in _OVERRULING.items() if name != "reason"},
                item={"type": "string", "maxLength": 200, "description": "The key of the item of a map."},
                iteration={"type": "integer", "minimum": 1},
            ),
            "required": ["approved"],
        },
        CANCEL: _object_of(reason={"type": "string", "maxLength": MAX_REASON_CHARS}),
        BULK: bulk_schema(reference),
        RERUN: _rerun(),
        SKIP: _object_of(**_OVERRULING),
        COMPLETE: {
            **_object_of(result={"description": "What the node gives: any JSON value."}, **_OVERRULING),
            "required": ["result"],
        },
        FAIL: _object_of(
            code={"type": "string", "pattern": CODE_PATTERN, "default": OPERATOR.code},
            message={"type": "string", "maxLength": MAX_MESSAGE_CHARS},
            **_OVERRULING,
        ),
        INPUTS: {
            "type": "object",
            "additionalProperties": True,
            "description": "What the execution is given, by the names of the workflow's inputs.",
        },
    }


_CALLBACK_URL: Final[JsonObject] = {
    "type": ["string", "null"],
    "format": "uri",
    "maxLength": MAX_URL_CHARS,
    "description": "Where its results are sent once it has ended, signed.",
}


def _rerun() -> JsonObject:
    node_ids: JsonObject = {"type": "array", "maxItems": MAX_NODES, "items": {"type": "string"}}
    fields: JsonObject = {
        "mode": {"type": "string", "enum": list(MODES)},
        "from": {**node_ids, "description": "The nodes that the mode `from` begins with."},
        "items": {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ITEMS,
                "items": {"type": ["string", "integer"]},
            },
            "description": "The items that run again, by the ids of their maps: their keys. Without a mode "
            "and in the mode `from` exactly these, in the mode `failed` all that have not completed besides.",
        },
        "skip": {**node_ids, "description": "Nodes that are skipped in this run."},
        "inputs": reference(INPUTS),
        "version": {
            "anyOf": [
                {"type": "string", "enum": [ORIGINAL, LATEST]},
                {"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
            ],
            "description": "The version of the definition. Another one takes a new execution.",
        },
        "as": {
            "type": "string",
            "enum": list(WORDS),
            "description": "`new`: as a new execution, which copies what it reuses; also of one that runs.",
        },
        "preview": {"type": "boolean", "description": "Tell what it would do, and change nothing."},
        "expect": {
            **_object_of(run={"type": "integer"}, version={"type": ["integer", "null"]}),
            "description": "The run and the version that it is meant for, as a preview has told them.",
        },
    }
    return {"type": "object", "additionalProperties": False, "properties": fields}


_OVERRULING: Final[JsonObject] = {
    "reason": {"type": "string", "maxLength": MAX_REASON_CHARS},
    "run": {"type": "integer", "minimum": 1, "description": "The execution's run that it is meant for."},
    "attempt": {"type": "integer", "minimum": 0, "description": "The node's attempt that it is meant for."},
}


def _object_of(**fields: JsonValue) -> JsonObject:
    return {"type": "object", "additionalProperties": False, "properties": fields}


def _worded(words: tuple[str, ...], sentences: Mapping[Any, str]) -> JsonObject:
    described = "\n".join(f"* `{word}`: {sentences[word]}" for word in words)
    return {"type": "string", "enum": list(words), "description": described}


def _workflow_components(registry: Registry) -> JsonObject:
    """The workflow document, and what it refers to, under names that no answer has."""
    schema, definitions = workflow_schemas(registry)
    published = {name: f"{WORKFLOW}{name}" for name in definitions}
    made = {published[name]: _finished(plain(item), published) for name, item in definitions.items()}
    return {WORKFLOW: _finished(plain({**schema, "title": WORKFLOW}), published), **made}


def _finished(value: JsonValue, names: Mapping[str, str]) -> JsonValue:
    """A schema, or a part of one, with the names that are published and what generated clients need."""
    if isinstance(value, list):
        return [_finished(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    made = {name: _finished(item, names) for name, item in value.items()}
    if isinstance(target := value.get("$ref"), str):
        return reference(names.get(name := target.rpartition("/")[2], name))
    if isinstance(words := value.get("enum"), list):
        return _enumeration(made, words)
    if isinstance(fields := made.get("properties"), dict):
        made["properties"] = {
            name: _id(_IDS[name], field) if name in _IDS else field for name, field in fields.items()
        }
    if "array" in _types(value) and "prefixItems" not in value:
        made.setdefault("items", {})
    if isinstance(title := value.get("title"), str):
        made["title"] = names.get(title, title)
    if isinstance(text := value.get("description"), str):
        made["description"] = inspect.cleandoc(text)
    return made


def _id(name: str, field: JsonValue) -> JsonObject:
    """A field that holds an id, or null where it may."""
    kinds = field.get("anyOf") if isinstance(field, dict) else None
    may_be_null = isinstance(kinds, list) and {"type": "null"} in kinds
    return {"anyOf": [reference(name), {"type": "null"}]} if may_be_null else reference(name)


def _enumeration(schema: JsonObject, words: list[JsonValue]) -> JsonObject:
    for name, (status, _) in _WORDS.items():
        if set(map(str, words)) == set(status):
            return reference(name)
    kinds = sorted({_JSON_TYPES[type(word)] for word in words})
    return {"type": kinds[0] if len(kinds) == 1 else [*kinds], **schema}


def _types(schema: Mapping[str, JsonValue]) -> list[JsonValue]:
    kinds = schema.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]


def plain(value: object) -> JsonValue:
    """A struct, or a structure of them, as JSON has it."""
    made: JsonValue = msgspec.json.decode(msgspec.json.encode(value))
    return made
