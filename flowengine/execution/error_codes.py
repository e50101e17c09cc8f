"""Every error code that FlowEngine itself gives a node, with its meaning, and whether another try could help.

A handler of a user's own may fail with codes of its own; they are not listed, and they are not permanent.
A code is part of the interface: workflows and callers compare it. Codes are added, never renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class ErrorCode(msgspec.Struct, frozen=True):
    """One code. `meaning` is a sentence for users.

    `permanent`: the same node would fail the same way again, so it is not retried unless its `retry.only`
    names the code.
    """

    code: str
    meaning: str
    permanent: bool = False


WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429})
"""The 4xx statuses of which another try may be answered otherwise (RFC 9110, RFC 6585)."""

# The node as the engine sees it.
TIMEOUT: Final = ErrorCode("timeout", "The node did not end within its timeout_seconds.")
WORKER_LOST: Final = ErrorCode(
    "worker_lost", "The worker died each time that it ran the node.", permanent=True
)
UPSTREAM_FAILED: Final = ErrorCode(
    "upstream_failed", "The node was not run, because a node that it depends on failed.", permanent=True
)
WHEN_NOT_BOOLEAN: Final = ErrorCode(
    "when_not_boolean",
    "The node's `when`, `retry.when` or `repeat.until` gives something else than true, false or null.",
    permanent=True,
)
INTERNAL_ERROR: Final = ErrorCode(
    "internal_error", "A defect of FlowEngine ended the node; the logs say more."
)
UNKNOWN_HANDLER: Final = ErrorCode(
    "unknown_handler", "No worker knew the node's handler within FLOWENGINE_UNKNOWN_HANDLER_SECONDS."
)
INPUTS_TOO_LARGE: Final = ErrorCode(
    "inputs_too_large",
    "The outputs that the node's templates read are larger than one node may read.",
    permanent=True,
)
UNENCODABLE_RESULT: Final = ErrorCode(
    "unencodable_result", "The handler returned something that JSON cannot carry."
)
RESULT_TOO_LARGE: Final = ErrorCode("result_too_large", "The node's result is larger than a result may be.")
RESULTS_TOO_LARGE: Final = ErrorCode(
    "results_too_large", "The node's result would take the execution's results over their limit."
)

MAP_FAILED: Final = ErrorCode(
    "map_failed", "More items of the node's `map` failed than it tolerates.", permanent=True
)
MAP_INVALID: Final = ErrorCode(
    "map_invalid",
    "The node's `map` gives no list or object, too many items, or keys that are not unique.",
    permanent=True,
)

KEY_INVALID: Final = ErrorCode(
    "key_invalid", "The key of the node's limit gives no text or number, or is too long.", permanent=True
)

OUTPUT_INVALID: Final = ErrorCode(
    "output_invalid", "The node's primary value is not what its output_schema says.", permanent=True
)

# The call of a handler.
INVALID_CONFIG: Final = ErrorCode(
    "invalid_config", "The node's rendered config is not what its handler takes.", permanent=True
)
HANDLER_ERROR: Final = ErrorCode("handler_error", "The handler raised an exception that it did not expect.")
HANDLER_EXITED: Final = ErrorCode("handler_exited", "The handler tried to end its process.")
HANDLER_CRASHED: Final = ErrorCode(
    "handler_crashed", "The process of an isolated handler ended before the handler did."
)
HANDLER_CANCELLED: Final = ErrorCode(
    "handler_cancelled", "The handler was cancelled, by itself or because its process was stopping."
)

# Templates and secrets.
TEMPLATE_SYNTAX: Final = ErrorCode("template_syntax", "The text is no valid template.", permanent=True)
TEMPLATE_FORBIDDEN: Final = ErrorCode(
    "template_forbidden", "The template uses something that templates may not use.", permanent=True
)
TEMPLATE_UNDEFINED: Final = ErrorCode(
    "template_undefined", "The template reads something that does not exist.", permanent=True
)
TEMPLATE_FAILED: Final = ErrorCode(
    "template_failed", "An expression failed, for example because of a value's type.", permanent=True
)
TEMPLATE_OUTPUT_TOO_LARGE: Final = ErrorCode(
    "template_output_too_large", "The template makes more than a template may make.", permanent=True
)
SECRET_MISSING: Final = ErrorCode(
    "secret_missing", "The template reads a secret that the worker does not have.", permanent=True
)
SECRET_UNUSABLE: Final = ErrorCode(
    "secret_unusable",
    "The secret's file cannot be read, or the secret is too short to be hidden.",
    permanent=True,
)
SECRET_NOT_ALLOWED: Final = ErrorCode(
    "secret_not_allowed",
    "The template alters a secret, which could then not be hidden, or shows one to a language model.",
    permanent=True,
)

# HTTP calls. A status decides before the code: 408, 409, 425 and 429 are not permanent, other 4xx are.
INVALID_REQUEST: Final = ErrorCode(
    "invalid_request", "The config describes a request that cannot be sent.", permanent=True
)
EGRESS_REFUSED: Final = ErrorCode(
    "egress_refused", "The egress rules (FLOWENGINE_EGRESS) do not allow the address.", permanent=True
)
REDIRECT_REFUSED: Final = ErrorCode(
    "redirect_refused", "The answer redirects to where the request may not go.", permanent=True
)
TOO_MANY_REDIRECTS: Final = ErrorCode(
    "too_many_redirects", "The answers redirect more often than is allowed."
)
CONNECTION_FAILED: Final = ErrorCode(
    "connection_failed", "The service could not be reached, or the connection broke."
)
REQUEST_TIMEOUT: Final = ErrorCode("request_timeout", "The service did not answer in time.")
HTTP_CLIENT_ERROR: Final = ErrorCode(
    "http_client_error", "The service refused the request with a 4xx status.", permanent=True
)
HTTP_SERVER_ERROR: Final = ErrorCode("http_server_error", "The service failed with a 5xx status.")
HTTP_STATUS: Final = ErrorCode(
    "http_status", "A handler's own HTTP call was answered with an error status (raise_for_status)."
)
RESPONSE_TOO_LARGE: Final = ErrorCode(
    "response_too_large", "The service's answer is larger than an answer or a result may be."
)
INVALID_RESPONSE: Final = ErrorCode(
    "invalid_response", "The service's answer is not what it says it is, or not what was asked for."
)

# Language models.
LLM_NOT_CONFIGURED: Final = ErrorCode(
    "llm_not_configured",
    "LLM_BASE_URL or a model is missing on the worker, or LLM_BASE_URL leads to no chat completions API.",
    permanent=True,
)
LLM_AUTH_FAILED: Final = ErrorCode(
    "llm_auth_failed", "The service does not accept the key, or the key may not do this.", permanent=True
)
LLM_QUOTA_EXCEEDED: Final = ErrorCode(
    "llm_quota_exceeded", "The account has used up its quota or its credit.", permanent=True
)
LLM_MODEL_NOT_FOUND: Final = ErrorCode(
    "llm_model_not_found", "The service does not have the model.", permanent=True
)
LLM_CONTEXT_LENGTH_EXCEEDED: Final = ErrorCode(
    "llm_context_length_exceeded", "The conversation is longer than the model can read.", permanent=True
)
LLM_BAD_REQUEST: Final = ErrorCode(
    "llm_bad_request", "The service refused the request as it is.", permanent=True
)
LLM_RATE_LIMITED: Final = ErrorCode("llm_rate_limited", "The service was asked more often than it allows.")
LLM_CONTENT_FILTERED: Final = ErrorCode(
    "llm_content_filtered", "A filter of the service stopped the conversation or the answer."
)
LLM_REFUSED: Final = ErrorCode("llm_refused", "The model refused to answer.")
LLM_TOOL_CALLS: Final = ErrorCode(
    "llm_tool_calls", "The model asked for tools in place of an answer; llm_service offers none."
)
LLM_ONLY_REASONING: Final = ErrorCode(
    "llm_only_reasoning", "The model spent all its tokens on reasoning and gave no text."
)
LLM_OUTPUT_TRUNCATED: Final = ErrorCode(
    "llm_output_truncated", "The answer was cut, because it reached the limit on its tokens."
)
LLM_NO_CONTENT: Final = ErrorCode("llm_no_content", "The model answered without a text.")

ASSERTION_FAILED: Final = ErrorCode(
    "assertion_failed", "What an `assert` node's `that` says is not true.", permanent=True
)
REJECTED: Final = ErrorCode(
    "rejected", "A person has rejected what an `approval` node asked.", permanent=True
)
REPEAT_EXHAUSTED: Final = ErrorCode(
    "repeat_exhausted",
    "The node's `repeat.until` was not true when no iteration was left to it.",
    permanent=True,
)
INVALID_REPEAT: Final = ErrorCode(
    "invalid_repeat", "A template of the node's `repeat` gives what the field cannot be.", permanent=True
)
OPERATOR: Final = ErrorCode("operator", "An operator has failed the node, and named no code.")
ENDED: Final = ErrorCode("ended", "An `end` node has ended the execution as failed.", permanent=True)

# Nodes that run as executions of their own.
GROUP_FAILED: Final = ErrorCode(
    "group_failed", "A node inside the group has failed, or its outputs could not be made."
)
CHILD_FAILED: Final = ErrorCode(
    "child_failed", "The execution of a definition that the node stands for has failed."
)
UNKNOWN_DEFINITION: Final = ErrorCode(
    "unknown_definition", "There is no definition, or no version, of this name.", permanent=True
)
DEFINITION_NOT_ALLOWED: Final = ErrorCode(
    "definition_not_allowed",
    "The key that asked for the run is not for the definition, which no applied definition names.",
    permanent=True,
)
CHILD_INPUTS_INVALID: Final = ErrorCode(
    "child_inputs_invalid",
    "The inputs, or the vars made of them, are not what the definition says.",
    permanent=True,
)
NESTED_TOO_DEEP: Final = ErrorCode(
    "nested_too_deep", "Executions stand in one another eight deep at most.", permanent=True
)
TOO_MANY_CHILDREN: Final = ErrorCode(
    "too_many_children", "There are 100,000 executions below the one at the top.", permanent=True
)
TOO_MANY_EXECUTIONS: Final = ErrorCode(
    "too_many_executions", "With `wait: false`: too many executions have not ended."
)
CONCURRENCY_LIMIT: Final = ErrorCode(
    "concurrency_limit", "The definition's `concurrency` lets no other execution run, and says `reject`."
)
STORE_FULL: Final = ErrorCode("store_full", "With `wait: false`: Redis has no room for another execution.")
CHILD_CANCELLED: Final = ErrorCode(
    "child_cancelled", "Somebody has cancelled the execution that the node stands for.", permanent=True
)

# Of an execution as a whole.
EXECUTION_TIMEOUT: Final = ErrorCode(
    "execution_timeout", "The whole execution took longer than its workflow's `timeout_seconds`."
)
CANCELLED: Final = ErrorCode("cancelled", "A caller has cancelled the execution.")
ORIGIN_GONE: Final = ErrorCode(
    "origin_gone",
    "The execution whose results this one was to copy was deleted, has expired or has begun another run "
    "before all was copied.",
)
OUTPUT_FAILED: Final = ErrorCode("output_failed", "The workflow's `outputs` could not be computed.")

# Values that `compute`, `transform` and `aggregate` cannot work with.
NOT_A_NUMBER: Final = ErrorCode("not_a_number", "A value is no real, finite number.", permanent=True)
DIVISION_BY_ZERO: Final = ErrorCode("division_by_zero", "The node would divide by zero.", permanent=True)
WRONG_INPUT_TYPE: Final = ErrorCode(
    "wrong_input_type", "A value has a type that the operation does not take.", permanent=True
)
EMPTY_INPUTS: Final = ErrorCode(
    "empty_inputs", "The operation needs at least one value, there is none.", permanent=True
)
INVALID_JSON: Final = ErrorCode(
    "invalid_json", "The text is not JSON, or the value cannot be written as JSON.", permanent=True
)
MISSING_PARAMETER: Final = ErrorCode(
    "missing_parameter", "The operation needs a parameter that the config does not give.", permanent=True
)
NOT_MOCKED: Final = ErrorCode(
    "not_mocked", "In `flowengine test`: the node would call out, and no mock answers for it.", permanent=True
)

TABLE: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {row.code: row for row in tuple(globals().values()) if isinstance(row, ErrorCode)}
)
"""Every row by its code, in the order above."""


def markdown() -> str:
    """The table in the reference's page on errors."""
    rows = [f"| `{row.code}` | {row.meaning} | {'yes' if row.permanent else ''} |" for row in TABLE.values()]
    return "\n".join(["| code | meaning | permanent |", "| --- | --- | --- |", *rows]) + "\n"
