"""Every kind of refusal that the API gives: one row for each `code`.

What a refusal means to a caller is decided here and nowhere else. A row also holds what the OpenAPI document
shows for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from flowengine.workflow.problems import Problem


class ProblemKind(msgspec.Struct, frozen=True):
    """One row.

    `detail`: what is said where the refusal has no words of its own, and the published example.
    `retry_after_s`: when to come again, where that helps. `problems`: an example, for refused documents.
    """

    status: int
    title: str
    detail: str
    retry_after_s: int | None = None
    problems: tuple[Problem, ...] = ()


PROBLEM_KINDS: Final[Mapping[str, ProblemKind]] = {
    "bad_request": ProblemKind(400, "The request cannot be understood", "The request is malformed."),
    "not_supported": ProblemKind(
        400,
        "The request asks for something that is not done here",
        "The header Idempotency-Key is not supported here: send none. A node of FlowEngine leaves it out "
        "with `headers: {Idempotency-Key: null}`.",
    ),
    "malformed_document": ProblemKind(
        400,
        "The body is no well-formed JSON or YAML",
        "line 2, column 12: this is not JSON: invalid character",
        problems=(
            Problem(
                code="malformed_json",
                pointer="",
                message="this is not JSON: invalid character",
                line=2,
                column=12,
            ),
        ),
    ),
    "unauthorized": ProblemKind(
        401, "A key is needed", "Send a key in the header `Authorization: Bearer KEY`."
    ),
    "role_missing": ProblemKind(
        403,
        "The key's role does not allow this",
        "This needs the role 'operate'; the key 'ci' has the role 'read'. See: flowengine help api",
    ),
    "definition_missing": ProblemKind(
        403,
        "The key is for other definitions",
        "The key 'etl' with the role 'run' is for the definitions 'etl-*' only: it is not for the definition "
        "'billing'. See: flowengine help api",
    ),
    "cross_site_request": ProblemKind(
        403,
        "A page of another site sent this",
        "A browser may change something here only from a page of this service: Sec-Fetch-Site must be "
        "same-origin or none, or Origin this service's own.",
    ),
    "route_not_found": ProblemKind(404, "No such route", "There is nothing here; see /docs."),
    "execution_not_found": ProblemKind(
        404,
        "No such execution",
        "no execution has the id '19b7ca98f2ef2c4d1b3a9e87f60'; it never existed, or it has expired",
    ),
    "key_not_found": ProblemKind(404, "No such key", "no key is called 'ic'; GET /keys lists them"),
    "node_not_found": ProblemKind(
        404, "No such node", "the execution has no node 'fetch_dat'; did you mean 'fetch_data'?"
    ),
    "callback_not_found": ProblemKind(
        404,
        "Nobody waits at this URL",
        "nobody waits at this URL, or what waited has expired",
    ),
    "signal_not_found": ProblemKind(
        404,
        "No node waits for this signal",
        "no node of execution '19b7ca98f2ef2c4d1b3a9e87f60' waits for a signal 'pad'; did you mean 'paid'?",
    ),
    "bulk_not_found": ProblemKind(
        404,
        "No such bulk",
        "no bulk has the id '19b7ca98f2ef2c4d1b3a9e87f61'; there never was one, or it has expired",
    ),
    "dead_letter_not_found": ProblemKind(
        404,
        "No such dead letter",
        "no dead letter has the id 'worker:1764385584000-0'; it was retried or deleted, or newer ones have "
        "taken its place",
    ),
    "document_not_found": ProblemKind(
        404,
        "No document is kept of this execution",
        "execution '19b7ca98f2ef2c4d1b3a9e87f60' was accepted by an earlier version, which kept no documents",
    ),
    "definition_not_found": ProblemKind(
        404,
        "No such definition, or no such version of it",
        "no definition is applied as 'nightly-reprot'; GET /definitions lists those that are",
    ),
    "schedule_not_found": ProblemKind(
        404,
        "No such schedule",
        "no schedule 'nigthly' of a definition 'report' is armed; GET /schedules lists those that are",
    ),
    "method_not_allowed": ProblemKind(
        405, "The route has no such method", "Allowed here: GET, HEAD, OPTIONS."
    ),
    "request_timeout": ProblemKind(408, "The body took too long", "The body did not arrive within 30 s."),
    "wrong_state": ProblemKind(
        409,
        "The execution's state does not allow this",
        "execution '19b7ca98f2ef2c4d1b3a9e87f60' is completed; only one that is pending, failed or cancelled "
        "can be triggered",
    ),
    "already_decided": ProblemKind(
        409,
        "Somebody has decided before",
        "node 'release' was approved by 'ada' at 2025-11-28T13:03:56.000Z: a decision counts once",
    ),
    "already_triggered": ProblemKind(
        409,
        "The execution was triggered, and waits for its turn",
        "execution '19b7ca98f2ef2c4d1b3a9e87f60' was triggered, and waits for its turn to run: see its "
        "'waiting_for'",
    ),
    "idempotency_conflict": ProblemKind(
        409,
        "The Idempotency-Key came with another request before",
        "this Idempotency-Key came with another body, media type or query before: a new request needs a new "
        "key",
    ),
    "overtaken": ProblemKind(
        409,
        "The execution has gone on meanwhile",
        "execution '19b7ca98f2ef2c4d1b3a9e87f60' is in run 3, and run 2 was expected: look at it again",
    ),
    "rerun_not_possible": ProblemKind(
        409,
        "The rerun cannot do what is asked",
        "1 problem: see `problems`. The first: 'join' would fail again by what stays above it ('a' "
        "completed, 'b' failed): begin further up",
        problems=(
            Problem(
                code="does_not_run",
                pointer="/from/0",
                message="'join' would fail again by what stays above it ('a' completed, 'b' failed): begin "
                "further up",
            ),
        ),
    ),
    "key_in_settings": ProblemKind(
        409,
        "The key is in the settings",
        "The key 'ops' is in FLOWENGINE_API_KEYS: take its entry out there, and restart the API.",
    ),
    "callback_gone": ProblemKind(
        410,
        "What waited for this callback waits no more",
        "what waited at this URL waits no more: a callback, a timeout or a stop ended it",
    ),
    "body_too_large": ProblemKind(
        413, "The body is too large", "A body in YAML may have 2097152 bytes; it has 2097153."
    ),
    "unsupported_media_type": ProblemKind(
        415,
        "The body's media type is not accepted",
        "Content-Type must be one of application/json, application/yaml, application/x-yaml, text/yaml, "
        "text/x-yaml; not 'text/plain'.",
    ),
    "misdirected_request": ProblemKind(
        421,
        "The host name is not this service's",
        "Without keys only loopback host names are served: set FLOWENGINE_API_KEYS, or start the API "
        "with --insecure where something else keeps strangers out.",
    ),
    "invalid_workflow": ProblemKind(
        422,
        "The workflow has problems",
        "1 problem: see `problems`. The first: line 7, column 14: no handler called 'llm_servce'; "
        "did you mean 'llm_service'? See: flowengine handlers",
        problems=(
            Problem(
                code="unknown_handler",
                pointer="/nodes/1/handler",
                message="no handler called 'llm_servce'; did you mean 'llm_service'? "
                "See: flowengine handlers",
                line=7,
                column=14,
            ),
        ),
    ),
    "result_invalid": ProblemKind(
        422,
        "The node cannot have this result",
        "'fetch_data' cannot have this result: the output does not match output_schema: /data: is missing",
    ),
    "inputs_invalid": ProblemKind(
        422,
        "The inputs do not fit the workflow",
        "1 problem: see `problems`. The first: the input 'day' is required",
        problems=(
            Problem(code="missing_input", pointer="/inputs/day", message="the input 'day' is required"),
        ),
    ),
    "invalid_body": ProblemKind(
        422,
        "The body has problems",
        "1 problem: see `problems`. The first: unknown field 'why'; did you mean 'reason'? "
        "Known fields: reason",
        problems=(
            Problem(code="wrong_type", pointer="/reason", message="'reason' must be text, it is a number"),
        ),
    ),
    "payload_invalid": ProblemKind(
        422,
        "What was sent is not what the node waits for",
        "1 problem: see `problems`. The first: is not of type integer",
        problems=(Problem(code="payload_invalid", pointer="/order", message="is not of type integer"),),
    ),
    "vars_invalid": ProblemKind(
        422,
        "A var of the workflow, or the key of its limit, cannot be made",
        "inputs has no field 'day'; its fields are: threshold",
        problems=(
            Problem(
                code="vars_invalid",
                pointer="/vars/base",
                message="inputs has no field 'day'; its fields are: threshold",
            ),
        ),
    ),
    "unknown_parameter": ProblemKind(
        422,
        "The query has an unknown parameter",
        "There is no query parameter 'wiat' here; did you mean 'wait'? Known are: trigger, wait.",
    ),
    "invalid_parameter": ProblemKind(
        422,
        "A query parameter has a value that cannot be",
        "The query parameter 'trigger' is true or false, not 'yes'.",
    ),
    "too_many_executions": ProblemKind(
        429,
        "Too many executions wait or run",
        "100000 executions have not ended, the limit is 100000 (FLOWENGINE_MAX_UNFINISHED_EXECUTIONS): "
        "try again later",
        5,
    ),
    "signals_full": ProblemKind(
        429,
        "Too many signals wait to be taken",
        "execution '19b7ca98f2ef2c4d1b3a9e87f60' keeps signals of 1048300 bytes that no node has taken, the "
        "limit is 1048576 with this one: send it again once some are taken",
        5,
    ),
    "too_many_callbacks": ProblemKind(
        429,
        "Too many callbacks from this address",
        "This address sends too many callbacks, or unknown ones: try again later.",
        1,
    ),
    "concurrency_limit": ProblemKind(
        429,
        "As many executions run as may at once",
        "1 executions of 'nightly-report' with the key '2025-11-29' run, the limit is 1, and the workflow "
        "says 'on_limit: reject': try again later",
        5,
    ),
    "internal_error": ProblemKind(
        500, "Something went wrong here", "The log tells more under this correlation id."
    ),
    "store_unavailable": ProblemKind(503, "Redis cannot be used", "Redis did not answer within 6 s.", 5),
    "stored_format": ProblemKind(
        503,
        "Redis holds the state of another version",
        "this Redis holds state of format 1; this version reads formats 2 and later. "
        "See: flowengine help operating",
        30,
    ),
    "store_full": ProblemKind(
        503,
        "Redis is close to its memory limit",
        "Redis uses 931234567 bytes, the limit is 912680550 (85% of its maxmemory): new work is refused so "
        "that what runs can end; give Redis more memory, or wait until old executions expire",
        30,
    ),
    "too_busy": ProblemKind(
        503, "Too much at once", "Too many large bodies are being read at once; try again.", 1
    ),
    "conflict": ProblemKind(
        503, "Too many changes at once", "Others changed the same execution; try again.", 1
    ),
}
