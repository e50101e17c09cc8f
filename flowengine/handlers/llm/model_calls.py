"""All calls of one node: each try, what it took, and whether and when there is another.

At most three tries fail: those answered with a status that may pass, those that time out and those whose
connection breaks. A service that asks to wait because it is asked too often is waited for until the node's
deadline, and that is not one of the three. A call that the model answered is never repeated: it has been paid
for, and the same question gets the same answer.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import httpx
import msgspec
from msgspec.structs import replace

from flowengine.execution.error_codes import (
    INVALID_RESPONSE,
    LLM_AUTH_FAILED,
    LLM_RATE_LIMITED,
    REQUEST_TIMEOUT,
)
from flowengine.handlers.http.exchange import TryFailedError, exchange_with
from flowengine.handlers.http.retries import CLOCK_MARGIN_S, MAX_TRIES, MAX_WAIT_SECONDS
from flowengine.handlers.http.retry_waits import http_date
from flowengine.handlers.http.service_transports import CallOptions, origin_of
from flowengine.handlers.llm.answers.answer_reader import (
    MAX_STREAM_BYTES,
    MAX_STREAM_PIECES,
    AnswerReader,
    Reading,
)
from flowengine.handlers.llm.answers.model_answer import ModelAnswer
from flowengine.handlers.llm.answers.provider_error import without_key
from flowengine.handlers.llm.chat_config import OnLength
from flowengine.handlers.llm.chat_request import ChatRequest
from flowengine.handlers.llm.failure_table import Meaning, Refusal, meaning_of
from flowengine.handlers.llm.rate_limit import told_wait_s, wait_s
from flowengine.handlers.llm.verdict import wrong_with
from flowengine.observability.tracing.call_spans import CallSpan
from flowengine.observability.tracing.spans import Value
from flowengine.plugin.context import Context
from flowengine.plugin.errors import AttemptError, HandlerError, HandlerTimeoutError, ModelCall
from flowengine.settings.model import LlmSettings

MAX_CALLS: Final = 20
LEAST_WAIT_SECONDS: Final = 0.05
MAX_NOTED_USAGE_BYTES: Final = 4096

_SHOULD_RETRY: Final = {"true": True, "false": False}
_STREAM_REFUSED: Final = re.compile(r"\bstream(ing)?\b", re.IGNORECASE)
_STREAM_OPTIONS_REFUSED: Final = re.compile(r"\bstream_options\b|\binclude_usage\b", re.IGNORECASE)
_REFUSED_FIELD: Final = frozenset({400, 404, 405, 415, 422, 501})


class _Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One call and what came of it; `wrong` is None if it gave the answer.

    `told_s`: seconds until the service wants to be asked again, if it says so.
    """

    answer: ModelAnswer | None = None
    refusal: Refusal | None = None
    wrong: Meaning | None = None
    told_s: float | None = None

    @property
    def is_told_to_wait(self) -> bool:
        """Whether the service is asked too often, and says when it may be asked again."""
        return self.wrong is not None and self.wrong.code is LLM_RATE_LIMITED and self.told_s is not None


class ModelCalls:
    """Asks until there is an answer. `calls` lists the newest 20 calls; those without usage are dropped
    first."""

    def __init__(self, request: ChatRequest, context: Context, settings: LlmSettings) -> None:
        self.calls: list[ModelCall] = []
        self._request = request
        self._context = context
        self._settings = settings
        self._read = AnswerReader(deadline=context.deadline, max_bytes=settings.http.max_result_bytes)
        self._errors: list[AttemptError] = []
        self._counted = 0
        self._silences = 0
        self._started = time.monotonic()

    async def answer(self, on_length: OnLength) -> ModelAnswer:
        """The model's answer. Raises HandlerError; its `calls` and `errors` list what was tried."""
        while True:
            tried = await self._once(on_length)
            if tried.wrong is None and tried.answer is not None:
                return tried.answer
            if not self._asks_otherwise(tried):
                await self._wait_before_next(tried)

    async def _once(self, on_length: OnLength) -> _Tried:
        began = time.monotonic()
        said: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": self._request.model,
        }
        with CallSpan(self._context.traceparent, f"chat {self._request.model}", said) as span:
            context = replace(self._context, traceparent=span.traceparent)
            try:
                tried = self._judged(await self._sent(context), on_length)
            except TryFailedError as error:
                tried = _Tried(wrong=self._meaning_of(error))
            if tried.answer is not None:
                said.update(_told_by(tried.answer))
            if tried.wrong is not None:
                said["error.type"] = span.error = tried.wrong.code.code
        wrong, answer = tried.wrong, tried.answer
        self._note(
            ModelCall(
                model=(answer and answer.model) or self._request.model,
                code=None if wrong is None else wrong.code.code,
                usage=answer.usage if answer else None,
                seconds=round(time.monotonic() - began, 3),
            )
        )
        if wrong is not None:
            after_s = round(time.monotonic() - self._started, 3)
            self._errors.append(AttemptError(code=wrong.code.code, message=wrong.says, after_s=after_s))
        return tried

    async def _sent(self, context: Context) -> Reading:
        request = self._request.prepared().sent_by(context)
        options = CallOptions(
            # A service that was silent for too long gets more time at the next try, in which it may succeed.
            silence_s=self._settings.idle_s * 2.0**self._silences,
            max_bytes=MAX_STREAM_BYTES,
            max_pieces=MAX_STREAM_PIECES,
            own_service=origin_of(request.url),
        )
        return await exchange_with(request, context, self._read, options)

    def _judged(self, reading: Reading, on_length: OnLength) -> _Tried:
        if reading.answer is not None:
            wrong = wrong_with(reading.answer, on_length)
            refusal = reading.answer.error
        else:
            refusal = reading.refusal or Refusal(status=reading.head.status_code)
            wrong = _meaning_of_refusal(refusal, reading)
        if wrong is None or refusal is None:
            return _Tried(answer=reading.answer, wrong=wrong)
        now = http_date(reading.head.headers.get("date")) or datetime.now(UTC)
        told_s = told_wait_s(reading.head, refusal.sentence, now, is_limit=wrong.code is LLM_RATE_LIMITED)
        return _Tried(
            answer=reading.answer,
            refusal=refusal,
            wrong=_as_told(wrong, reading.head.headers),
            told_s=refusal.wait_s if told_s is None else told_s,
        )

    def _meaning_of(self, error: TryFailedError) -> Meaning:
        says = error.message
        if isinstance(error.__cause__, httpx.ReadTimeout) and self._left_s() > CLOCK_MARGIN_S:
            silence_s = self._settings.idle_s * 2.0**self._silences
            self._silences += 1
            says = f"the service sent nothing for {silence_s:g} s (LLM_IDLE_SECONDS)"
        return Meaning(code=error.code, says=says, retryable=error.retryable)

    def _asks_otherwise(self, tried: _Tried) -> bool:
        """Whether the service refuses to stream, so that it is asked again without. That is no failed try."""
        refusal = tried.refusal
        if refusal is None or refusal.status not in _REFUSED_FIELD:
            return False
        if self._request.wants_usage and _STREAM_OPTIONS_REFUSED.search(refusal.sentence):
            self._request = self._request.without_usage()
        elif self._request.streams and _STREAM_REFUSED.search(refusal.sentence):
            self._request = self._request.without_stream()
        else:
            return False
        self._context.logger.info("llm.asked_otherwise", request=self._request.label)
        return True

    async def _wait_before_next(self, tried: _Tried) -> None:
        """Wait until the next try. Raises HandlerError if there is none."""
        wrong, told_s, base_s = tried.wrong, tried.told_s, self._settings.http.retry_base_s
        assert wrong is not None
        if tried.is_told_to_wait and told_s is not None and not self._context.tries_once:
            wait = wait_s(told_s, max(base_s, LEAST_WAIT_SECONDS), random.random())
            wait = wait if told_s >= self._left_s() else min(wait, (told_s + self._left_s()) / 2)
        else:
            self._counted += 1
            most = 1 if self._context.tries_once else MAX_TRIES
            if not wrong.retryable or self._counted >= most:
                raise self._failure(tried, wrong)
            wait = min(base_s * 2.0 ** (self._counted - 1), MAX_WAIT_SECONDS) if told_s is None else told_s
        if wait >= self._left_s():
            raise self._failure(tried, wrong, refused_wait_s=told_s if tried.is_told_to_wait else wait)
        self._context.logger.info(
            "llm.retry_scheduled", request=self._request.label, code=wrong.code.code, delay_s=round(wait, 3)
        )
        await asyncio.sleep(wait)

    def _failure(
        self, tried_last: _Tried, wrong: Meaning, refused_wait_s: float | None = None
    ) -> HandlerError:
        tried = f" ({len(self._errors)} attempts)" if len(self._errors) > 1 else ""
        message = f"{self._request.label}: {wrong.says}{tried}"
        errors, calls, left_s = tuple(self._errors), tuple(self.calls), self._left_s()
        if wrong.code is REQUEST_TIMEOUT and left_s <= CLOCK_MARGIN_S:
            return HandlerTimeoutError(
                f"{message}; the node's timeout_seconds are over", errors=errors, calls=calls
            )
        if refused_wait_s is not None:
            message += (
                f"; the next attempt would have to wait {refused_wait_s:.3g} s, but only {left_s:.3g} s of "
                "the node's timeout_seconds are left"
            )
        return HandlerError(
            wrong.code.code,
            message,
            errors=errors,
            calls=calls,
            status_code=None if tried_last.refusal is None else tried_last.refusal.status,
            permanent=not wrong.retryable,
            retry_after_s=tried_last.told_s,
        )

    def _note(self, call: ModelCall) -> None:
        """Keep the newest calls; those that cost nothing go first."""
        if call.usage is not None and len(msgspec.json.encode(call.usage)) > MAX_NOTED_USAGE_BYTES:
            call = msgspec.structs.replace(call, usage=None)
        self.calls.append(call)
        if len(self.calls) > MAX_CALLS:
            free = next((place for place, old in enumerate(self.calls) if old.usage is None), 0)
            del self.calls[free]

    def _left_s(self) -> float:
        return self._context.remaining_seconds()


def _meaning_of_refusal(refusal: Refusal, reading: Reading) -> Meaning:
    meaning = meaning_of(refusal)
    if (
        meaning.code is INVALID_RESPONSE
        and reading.head.status_code < 300
        and not refusal.names
        and not refusal.status
    ):
        meaning = Meaning(code=INVALID_RESPONSE, says="the answer is no chat completion")
    sentence = without_key(refusal.sentence) if meaning.code is LLM_AUTH_FAILED else refusal.sentence
    answered = "" if reading.head.status_code < 300 else f" (answered {reading.head.status_line})"
    says = f"{meaning.says}{answered}{': ' if sentence else ''}{sentence}"
    return Meaning(code=meaning.code, says=says, retryable=meaning.retryable)


def _as_told(meaning: Meaning, headers: Mapping[str, str]) -> Meaning:
    """`x-should-retry` is the service's own word on whether another try may help."""
    told = _SHOULD_RETRY.get(headers.get("x-should-retry", "").strip().lower())
    if told is None:
        return meaning
    retryable = told and (meaning.retryable or not meaning.code.permanent)
    return Meaning(code=meaning.code, says=meaning.says, retryable=retryable)


def _told_by(answer: ModelAnswer) -> dict[str, Value]:
    """What OpenTelemetry's conventions for generative AI have a span tell of an answer."""
    said: dict[str, Value] = {}
    if answer.model:
        said["gen_ai.response.model"] = answer.model
    if answer.finish_reason:
        said["gen_ai.response.finish_reasons"] = str(answer.finish_reason)
    for name, field in (("input", "prompt_tokens"), ("output", "completion_tokens")):
        tokens = (answer.usage or {}).get(field)
        if isinstance(tokens, int):
            said[f"gen_ai.usage.{name}_tokens"] = tokens
    return said
