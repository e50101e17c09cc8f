"""The body of an action on many executions: which action, on which, and how."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast, get_args

from litestar import Request

from flowengine.api.edge.correlation_id import correlation_id_of
from flowengine.api.edge.request_bodies import Body, read_document
from flowengine.api.routes.backend import Backend
from flowengine.api.routes.executions.workflow_body import refused
from flowengine.execution.requests.bulk import MAX_IDS, Bulk, BulkAction, BulkMode
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.status import ALL_EXECUTION_STATUSES, ExecutionStatus
from flowengine.jsonvalue import JsonValue
from flowengine.settings import Limits
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject, refuse_unknown_fields
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.labels import MAX_LABELS
from flowengine.workflow.posting.posted import check_reason
from flowengine.workflow.problems import Problem, did_you_mean, quoted
from flowengine.workflow.validation import read_text

FIELDS: Final = ("action", "ids", "filter", "dry_run", "reason", "force", "mode")
FILTER_FIELDS: Final = (
    "status",
    "name",
    "label",
    "correlation_id",
    "created_after",
    "created_before",
    "q",
)
ACTIONS: Final[tuple[str, ...]] = get_args(BulkAction)
MODES: Final[tuple[str, ...]] = get_args(BulkMode)
MAX_CHARS: Final = 200


async def read_bulk(request: Request[Any, Any, Any], backend: Backend) -> Bulk:
    """What was asked. Raises RefusalError as `read_document`, and with every problem."""
    with backend.request_budget.share() as share:
        body = await read_document(request, backend.limits, share)
        correlation_id = correlation_id_of(request.scope)
        return await backend.calls.check(lambda: _bulk(body, backend.limits, correlation_id))


def _bulk(body: Body, limits: Limits, correlation_id: str) -> Bulk:
    text = read_text(body.data, body.form, limits)
    if isinstance(text, Problem):
        raise refused("malformed_document", (text,), malformed=True)
    report = Report()
    asked = text.value if isinstance(text.value, dict) else {}
    if not isinstance(text.value, dict):
        report.add("wrong_type", "", f"the body is an object with 'action', this is {type_name(text.value)}")
    else:
        refuse_unknown_fields(asked, FIELDS, "", report)
    bulk = _read(asked, report, correlation_id) if not report.problems() else None
    problems = text.located(report.problems())
    if problems or bulk is None:
        raise refused("invalid_body", problems, malformed=False)
    return bulk


def _read(asked: JsonObject, report: Report, correlation_id: str) -> Bulk | None:
    action = _action(asked.get("action"), report)
    reason = asked.get("reason")
    check_reason(reason, report)
    ids, wanted = _ids(asked, report), _wanted(asked, report)
    if ("ids" in asked) == ("filter" in asked):
        report.add("out_of_range", "", "say on which executions: 'ids' or 'filter', one of the two")
    flags = {name: _flag(asked, name, report) for name in ("dry_run", "force")}
    if reason is not None and action != "cancel":
        report.add("out_of_range", "/reason", "'reason' is that of a cancel")
    if flags["force"] and action != "delete":
        report.add("out_of_range", "/force", "'force' is that of a delete")
    mode = _mode(asked.get("mode"), action, report)
    if action is None:
        return None
    return Bulk(
        action=action,
        created_at=0,
        correlation_id=correlation_id,
        ids=ids,
        wanted=wanted,
        reason=reason if isinstance(reason, str) else None,
        mode=mode,
        dry_run=flags["dry_run"],
        force=flags["force"],
    )


def _action(given: JsonValue, report: Report) -> BulkAction | None:
    if isinstance(given, str) and given in ACTIONS:
        return cast(BulkAction, given)
    _refuse("action", given, ACTIONS, report)
    return None


def _mode(given: JsonValue, action: BulkAction | None, report: Report) -> BulkMode:
    if given is None:
        return "failed"
    if action != "rerun":
        report.add("out_of_range", "/mode", "'mode' is that of a rerun")
    elif not isinstance(given, str) or given not in MODES:
        _refuse("mode", given, MODES, report)
    else:
        return cast(BulkMode, given)
    return "failed"


def _refuse(field: str, given: JsonValue, known: tuple[str, ...], report: Report) -> None:
    meant = report.nearest(given, known) if isinstance(given, str) else None
    said = quoted(given) if isinstance(given, str) else type_name(given)
    message = f"'{field}' is one of {', '.join(known)}, not {said}{did_you_mean(meant) or ''}"
    report.add("out_of_range", f"/{field}", message)


def _ids(asked: JsonObject, report: Report) -> tuple[str, ...]:
    given = asked.get("ids")
    if given is None and "ids" not in asked:
        return ()
    if not isinstance(given, list) or not given:
        report.add("wrong_type", "/ids", f"'ids' is a list of execution ids, not {_said(given)}")
        return ()
    if len(given) > MAX_IDS:
        message = f"'ids' has at most {MAX_IDS} ids, not {len(given)}: send several requests, or a filter"
        report.add("out_of_range", "/ids", message)
        return ()
    found = []
    for place, each in enumerate(given):
        if isinstance(each, str) and 0 < len(each) <= MAX_CHARS and each.isprintable():
            found.append(each)
        else:
            report.add("wrong_type", f"/ids/{place}", "this is no id of an execution")
    return tuple(dict.fromkeys(found))


def _said(given: JsonValue) -> str:
    return "an empty one" if given == [] else type_name(given)


def _flag(asked: JsonObject, name: str, report: Report) -> bool:
    given = asked.get(name)
    if given is not None and not isinstance(given, bool):
        report.add("wrong_type", f"/{name}", f"'{name}' is true or false, not {type_name(given)}")
    return given is True


def _wanted(asked: JsonObject, report: Report) -> Wanted | None:
    given = asked.get("filter")
    if not isinstance(given, dict):
        if "filter" in asked:
            report.add("wrong_type", "/filter", f"'filter' is an object, not {type_name(given)}")
        return None
    refuse_unknown_fields(given, FILTER_FIELDS, "/filter", report)
    return Wanted(
        statuses=tuple(dict.fromkeys(_statuses(given, report))),
        name=_text(given, "name", report),
        labels=tuple(dict.fromkeys(_labels(given, report))),
        correlation_id=_text(given, "correlation_id", report),
        prefix=_text(given, "q", report) or "",
        created_after=_moment(given, "created_after", report),
        created_before=_moment(given, "created_before", report),
    )


def _texts(given: JsonObject, name: str, report: Report) -> list[str]:
    """The texts of a field that is a text, or a list of them."""
    value = given.get(name)
    listed = [] if value is None else value if isinstance(value, list) else [value]
    found = [each for each in listed if isinstance(each, str) and len(each) <= MAX_CHARS]
    if len(found) < len(listed):
        message = f"'{name}' is a text of at most {MAX_CHARS} characters, or a list of such texts"
        report.add("wrong_type", f"/filter/{name}", message)
    return found


def _text(given: JsonObject, name: str, report: Report) -> str | None:
    value = given.get(name)
    if value is None or (isinstance(value, str) and len(value) <= MAX_CHARS and value.isprintable()):
        return value
    report.add(
        "wrong_type", f"/filter/{name}", f"'{name}' is printable text of at most {MAX_CHARS} characters"
    )
    return None


def _statuses(given: JsonObject, report: Report) -> list[ExecutionStatus]:
    found: list[ExecutionStatus] = []
    for each in _texts(given, "status", report):
        if each in ALL_EXECUTION_STATUSES:
            found.append(each)
        else:
            hint = did_you_mean(report.nearest(each, ALL_EXECUTION_STATUSES)) or "."
            names = ", ".join(ALL_EXECUTION_STATUSES)
            report.add("out_of_range", "/filter/status", f"no status {quoted(each)}{hint} There are: {names}")
    return found


def _labels(given: JsonObject, report: Report) -> list[tuple[str, str]]:
    found = []
    for each in _texts(given, "label", report)[: MAX_LABELS + 1]:
        name, colon, value = each.partition(":")
        if name and colon and each.isprintable():
            found.append((name, value))
        else:
            report.add(
                "out_of_range", "/filter/label", f"{quoted(each)} is no label with its value, NAME:VALUE"
            )
    if len(found) > MAX_LABELS:
        report.add("out_of_range", "/filter/label", f"an execution has at most {MAX_LABELS} labels")
    return found


def _moment(given: JsonObject, name: str, report: Report) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value if isinstance(value, str) else "")
        if time.tzinfo is None:
            raise ValueError("it has no zone")
        return int(time.timestamp() * 1000)
    except (ValueError, OverflowError):
        message = f"'{name}' is a time with its zone, as 2026-03-01T08:00:00Z"
        report.add("out_of_range", f"/filter/{name}", message)
        return None
