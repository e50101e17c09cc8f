"""Whether a gathered answer is one, and what is wrong with it if it is not. Pure.

An answer 200 with an empty text is not a success: a filter, a refusal or a limit is behind it, and the next
node would go on with nothing.
"""

from __future__ import annotations

from typing import Final

from flowengine.execution import error_codes
from flowengine.execution.error_codes import ErrorCode
from flowengine.handlers.llm.answers.model_answer import ModelAnswer
from flowengine.handlers.llm.answers.provider_error import sentence_of
from flowengine.handlers.llm.chat_config import OnLength
from flowengine.handlers.llm.failure_table import Meaning, meaning_of

_FINISH: Final = {
    "filtered": "content_filter content_filtered content-filter safety recitation blocklist "
    "prohibited_content spii image_safety sensitive guardrail_intervened guardrails",
    "refused": "refusal refused",
    "cut": "length max_tokens max_output_tokens model_length model_context_window_exceeded token_limit limit",
    "tools": "tool_calls tool_call tool_use function_call malformed_function_call",
    "broken": "error network_error abort aborted cancelled insufficient_system_resource other_error timeout",
}
_MEANS: Final = {reason: kind for kind, reasons in _FINISH.items() for reason in reasons.split()}


def wrong_with(answer: ModelAnswer, on_length: OnLength) -> Meaning | None:
    """Why the answer is a failure, or None. The meaning's sentence is complete."""
    if answer.error is not None:
        meaning = meaning_of(answer.error)
        said = f"{meaning.says}: {answer.error.sentence}" if answer.error.sentence else meaning.says
        return Meaning(code=meaning.code, says=said, retryable=meaning.retryable)
    if not answer.has_choice:
        return _failed(error_codes.INVALID_RESPONSE, "the answer is no chat completion: it has no choices")
    ended = _MEANS.get((answer.finish_reason or "").lower(), "")
    if ended == "filtered":
        return _failed(
            error_codes.LLM_CONTENT_FILTERED,
            f"a filter of the service stopped the answer (finish_reason {answer.finish_reason})",
        )
    if ended == "broken":
        return _failed(
            error_codes.HTTP_SERVER_ERROR,
            f"the service broke its answer off (finish_reason {answer.finish_reason})",
            retryable=True,
        )
    if not answer.content.strip() or answer.only_thinks:
        return _empty(answer, ended, on_length)
    if ended == "refused":
        return _failed(error_codes.LLM_REFUSED, f"the model refused: {sentence_of(answer.content)}")
    if ended == "cut" and on_length == "fail":
        return _truncated(answer)
    return None


def _empty(answer: ModelAnswer, ended: str, on_length: OnLength) -> Meaning:
    """Why there is no text."""
    if answer.refusal.strip() or ended == "refused":
        said = sentence_of(answer.refusal) or f"finish_reason {answer.finish_reason}"
        return _failed(error_codes.LLM_REFUSED, f"the model refused: {said}")
    if answer.asks_for_tools or ended == "tools":
        return _failed(
            error_codes.LLM_TOOL_CALLS,
            "the model asked for tools and gave no text; llm_service offers no tools",
        )
    if answer.has_reasoned:
        return _failed(
            error_codes.LLM_ONLY_REASONING,
            f"the model spent its tokens on reasoning and gave no text{_tokens(answer)}; raise "
            "max_completion_tokens (or max_tokens), or lower reasoning_effort",
        )
    if ended == "cut" and on_length == "fail":
        return _truncated(answer)
    return _failed(
        error_codes.LLM_NO_CONTENT, f"the model gave no text (finish_reason {answer.finish_reason})"
    )


def _truncated(answer: ModelAnswer) -> Meaning:
    return _failed(
        error_codes.LLM_OUTPUT_TRUNCATED,
        f"the answer was cut at the limit on its tokens{_tokens(answer)}; raise max_tokens (or "
        "max_completion_tokens), or take the beginning with `on_length: keep`",
    )


def _tokens(answer: ModelAnswer) -> str:
    count = (answer.usage or {}).get("completion_tokens")
    return f" ({count} tokens)" if isinstance(count, int) else ""


def _failed(code: ErrorCode, says: str, *, retryable: bool = False) -> Meaning:
    return Meaning(code=code, says=says, retryable=retryable)
