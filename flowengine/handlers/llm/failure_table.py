"""What a provider's refusal means: one table from its status, code, type and words to our error. Pure.

OpenAI, Azure, llama.cpp, vLLM, Ollama, litellm, OpenRouter, Mistral, Gemini and others say the same things in
different words. The provider's own code decides before its words, and these before the status, because the
same status stands for several things: 400 for a long prompt, a filter, an unknown model and a wrong field.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from flowengine.execution import error_codes
from flowengine.execution.error_codes import ErrorCode
from flowengine.handlers.http.retry_waits import QUOTA_CODES


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says in place of an answer.

    `status` is that of the HTTP answer, or the one that an answer 200 has inside. `names` are the service's
    code and type, `sentence` is what it says to people. `wait_s`: seconds until it may be asked again, if the
    document has them in a field of their own. Each may be missing.
    """

    status: int | None = None
    names: tuple[str, ...] = ()
    sentence: str = ""
    wait_s: float | None = None


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What a refusal means: our code, a sentence for users, and whether the same call may succeed soon."""

    code: ErrorCode
    says: str
    retryable: bool = False


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """One meaning, and all that stands for it. `vague` names decide only where the status does not."""

    meaning: Meaning
    names: str = ""
    words: str = r"(?!)"
    statuses: frozenset[int] = frozenset()
    vague: str = ""


_TABLE: Final = (
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_QUOTA_EXCEEDED,
            says="the account's quota or credit at the service is used up",
        ),
        names=" ".join(sorted(QUOTA_CODES)),
        words=r"insufficient (balance|credits?|funds|quota)|credit balance is too low|requires more credits"
        r"|budget has been exceeded",
        statuses=frozenset({402}),
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_CONTENT_FILTERED, says="a filter of the service stopped the conversation"
        ),
        names="content_filter content_filtered content_policy_violation responsible_ai_policy_violation "
        "moderation moderation_blocked data_inspection_failed prohibited_content guardrail_violation",
        words=r"content (management )?policy|content[ _]filter|safety (system|filter|polic)|usage polic"
        r"|flagged (as|by|for)|requires moderation|inappropriate content",
        statuses=frozenset({451}),
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_CONTEXT_LENGTH_EXCEEDED,
            says="the conversation is longer than the model can read",
        ),
        names="context_length_exceeded exceed_context_size context_window_exceeded string_above_max_length "
        "prompt_too_long max_tokens_exceeded",
        words=r"context[ _]?(length|window|size)|(prompt|input|request|conversation) is too long"
        r"|maximum (prompt|input|sequence) length|max(imum)?[ _](model[ _])?(seq(uence)?[ _])?len(gth)?\b"
        r"|(input )?token count\b.*exceed|too many (input )?tokens|inputs?`? tokens\b.*must be"
        r"|reduce the length",
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_MODEL_NOT_FOUND,
            says="the service does not have the model; check `model` and LLM_MODEL",
        ),
        names="model_not_found model_not_exist model_not_available unknown_model invalid_model "
        "invalid_model_name deployment_not_found model_decommissioned",
        words=r"\bmodel\b[^.]{0,200}?\b((does|do|did) ?n[o']t exist|not exist|(was |is )?not found"
        r"|not available"
        r"|unknown|(is )?not a valid model|has been (deprecated|decommissioned)|no longer available)"
        r"|\b(unknown|invalid|no such|unrecognized) model\b|not a valid model"
        r"|deployment\b.{0,80}\bdoes not exist",
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_AUTH_FAILED,
            says="the service does not accept the worker's key for this; check LLM_API_KEY",
        ),
        names="invalid_api_key authentication authentication_failed invalid_authentication auth unauthorized "
        "unauthenticated permission permission_denied access_denied forbidden account_deactivated "
        "expired_key token_not_found_in_db key_model_access_denied invalid_token api_key_invalid",
        words=r"api[ _-]?key (is )?(not valid|invalid|expired|missing)"
        r"|(invalid|incorrect|missing|no) api[ _-]?key|not authenticated|unauthori[sz]ed"
        r"|authentication (error|failed|required)|invalid .{0,20}token passed",
        statuses=frozenset({401, 403, 407}),
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_RATE_LIMITED,
            says="the service was asked more often than it allows",
            retryable=True,
        ),
        names="rate_limit rate_limited rate_limit_exceeded rate_limit_reached too_many_requests "
        "resource_exhausted throttling throttled",
        words=r"rate[ _-]?limit|too many requests",
        statuses=frozenset({429}),
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.REQUEST_TIMEOUT,
            says="the service took too long, by its own clock",
            retryable=True,
        ),
        statuses=frozenset({408}),
        vague="timeout request_timeout",
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.HTTP_CLIENT_ERROR, says="the service cannot take the request now", retryable=True
        ),
        statuses=frozenset({409, 425}),
    ),
    _Row(
        meaning=Meaning(
            code=error_codes.LLM_NOT_CONFIGURED,
            says="there is no chat completions API at this address; check LLM_BASE_URL",
        ),
        statuses=frozenset({404, 405}),
        vague="not_found",
    ),
    _Row(
        meaning=Meaning(code=error_codes.HTTP_SERVER_ERROR, says="the service cannot do this"),
        statuses=frozenset({501, 505}),
    ),
    _Row(
        meaning=Meaning(code=error_codes.HTTP_SERVER_ERROR, says="the service failed", retryable=True),
        statuses=frozenset({*range(500, 600)} - {501, 505}),
        vague="server internal internal_server service_unavailable unavailable overloaded engine_overloaded "
        "bad_gateway gateway_timeout api_connection upstream provider",
    ),
    _Row(
        meaning=Meaning(code=error_codes.LLM_BAD_REQUEST, says="the service refused the request"),
        names="unsupported_parameter unsupported_value unknown_parameter invalid_value invalid_json_schema "
        "missing_required_parameter",
        statuses=frozenset(range(400, 500)),
        vague="invalid_request bad_request unprocessable_entity validation invalid_argument",
    ),
)
_UNKNOWN: Final = Meaning(
    code=error_codes.INVALID_RESPONSE, says="the service answered with an error in place of an answer"
)

# With other statuses the words are no help: a 429 speaks of tokens and models, a 503 of a model being loaded.
_WORDS_DECIDE: Final = frozenset({None, 400, 403, 404, 413, 422, 500})
_LOOKED_AT_CHARS: Final = 2000
_SUFFIX: Final = re.compile(r"(error|exception)\Z")
_LITELLM: Final = re.compile(r"\blitellm\.(\w+)")


def _squashed(name: str) -> str:
    """`rate_limit_error`, `RateLimitError` and `rate-limit` are one name: `ratelimit`."""
    return _SUFFIX.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))


_NAMES: Final = {_squashed(name): row.meaning for row in _TABLE for name in row.names.split()}
_VAGUE: Final = {_squashed(name): row.meaning for row in _TABLE for name in row.vague.split()}
_WORDS: Final = tuple((re.compile(row.words, re.IGNORECASE | re.DOTALL), row.meaning) for row in _TABLE)
_STATUSES: Final = {status: row.meaning for row in reversed(_TABLE) for status in row.statuses}


def meaning_of(refusal: Refusal) -> Meaning:
    """What the refusal means. One that nothing is known of is no reason to try again."""
    sentence = refusal.sentence[:_LOOKED_AT_CHARS]
    names = [_squashed(name) for name in (*refusal.names, *_LITELLM.findall(sentence))]
    for name in names:
        if name in _NAMES:
            return _NAMES[name]
    if refusal.status in _WORDS_DECIDE:
        for words, meaning in _WORDS:
            if words.search(sentence):
                return meaning
    if refusal.status in _STATUSES:
        return _STATUSES[refusal.status]
    return next((_VAGUE[name] for name in names if name in _VAGUE), _UNKNOWN)
