"""Reads one HTTP answer as it comes: a stream of chunks, one completion, or what says why there is none.

What the body is, not its Content-Type, decides how it is read: services send streams that nobody asked for,
completions where a stream was asked for, and pages of HTML with status 200.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Final

import httpx
import msgspec

from flowengine.execution.error_codes import CONNECTION_FAILED, INVALID_RESPONSE, RESPONSE_TOO_LARGE
from flowengine.handlers.http.answer import READ_ON_LOOP_BYTES, Answer, count_marks
from flowengine.handlers.http.body_decoder import MAX_BODY_BYTES
from flowengine.handlers.http.exchange import TryFailedError
from flowengine.handlers.http.network import network_deadline
from flowengine.handlers.http.reading.charsets import text_of_bytes
from flowengine.handlers.llm.answers.event_stream import (
    BadEventError,
    EventStream,
    EventTooLargeError,
    begins_like_events,
)
from flowengine.handlers.llm.answers.model_answer import ModelAnswer
from flowengine.handlers.llm.answers.provider_error import is_error, refusal_in, refusal_in_text
from flowengine.handlers.llm.answers.tolerant_json import read_tolerant
from flowengine.handlers.llm.failure_table import Refusal
from flowengine.jsonvalue import NotJsonError

# A streamed token takes 200 to 400 bytes, so that a long answer takes far more than it holds.
MAX_STREAM_BYTES: Final = 64 * 1024 * 1024
MAX_STREAM_PIECES: Final = 500_000
_AFTER_THE_END_SECONDS: Final = 5.0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What came. Exactly one of `answer` and `refusal` is there; `head` has no body."""

    head: Answer
    answer: ModelAnswer | None = None
    refusal: Refusal | None = None


class AnswerReader:
    """Reads the answers of one node's calls. `deadline` is the node's; `max_bytes` bounds the text."""

    def __init__(self, *, deadline: float, max_bytes: int) -> None:
        self._deadline = deadline
        self._max_bytes = max_bytes

    async def __call__(self, response: httpx.Response) -> Reading:
        """The whole answer. Raises TryFailedError, and httpx's errors for a connection that fails."""
        head = Answer(
            status_code=response.status_code,
            headers=dict(response.headers),
            body=b"",
            pairs=tuple((name.lower(), value) for name, value in response.headers.multi_items()),
        )
        start, pieces = await _start_of(response.aiter_bytes())
        if response.is_success and begins_like_events(start):
            return Reading(head=head, answer=await self._streamed(start, pieces))
        body = bytearray(start)
        async for piece in pieces:
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise TryFailedError(RESPONSE_TOO_LARGE, f"the answer is larger than {MAX_BODY_BYTES} bytes")
        if len(body) > READ_ON_LOOP_BYTES:
            return await asyncio.to_thread(self._whole, head, bytes(body))
        return self._whole(head, bytes(body))

    async def _streamed(self, start: bytes, pieces: AsyncIterator[bytes]) -> ModelAnswer:
        answer, events = ModelAnswer(), EventStream(self._max_bytes)
        with ExitStack() as ending:
            try:
                self._take(events, start, answer)
                async for piece in pieces:
                    self._take(events, piece, answer)
                    if events.done or answer.error is not None:
                        return answer
                    if answer.finish_reason is not None:
                        # Only the usage is still to come, and the answer is not lost without it.
                        soon = min(self._deadline, time.monotonic() + _AFTER_THE_END_SECONDS)
                        ending.enter_context(network_deadline.until(soon))
                for document in events.rest():
                    answer.add(document)
            except httpx.TransportError:
                if answer.finish_reason is None:
                    raise
            except BadEventError as error:
                if answer.finish_reason is None:
                    raise TryFailedError(
                        INVALID_RESPONSE, f"an event of the answer is no JSON: {error}"
                    ) from error
        if not (events.done or answer.finish_reason or answer.error):
            raise TryFailedError(
                CONNECTION_FAILED, "the answer's stream ended before the answer did", retryable=True
            )
        return answer

    def _take(self, events: EventStream, piece: bytes, answer: ModelAnswer) -> None:
        try:
            for document in events.documents(piece):
                answer.add(document)
                if answer.error is not None:
                    return
        except EventTooLargeError as error:
            raise TryFailedError(RESPONSE_TOO_LARGE, str(error)) from error
        if answer.size > self._max_bytes:
            raise TryFailedError(
                RESPONSE_TOO_LARGE,
                f"the answer's text is over {self._max_bytes} bytes, and no result may be larger "
                "(FLOWENGINE_MAX_RESULT_BYTES)",
            )

    def _whole(self, head: Answer, body: bytes) -> Reading:
        """A body that is one document."""
        success = 200 <= head.status_code < 300
        status = None if success else head.status_code
        marks = count_marks(body)
        if success and marks > self._max_bytes:
            raise TryFailedError(
                RESPONSE_TOO_LARGE,
                f"the answer holds more than {self._max_bytes} brackets, commas and quotes, and no result "
                "may (FLOWENGINE_MAX_RESULT_BYTES): ask for less",
            )
        found = ModelAnswer()
        try:
            document = read_tolerant(body) if marks <= self._max_bytes else None
        except NotJsonError:
            refusal = refusal_in_text(text_of_bytes(body, head.content_type).text, status)
        else:
            if success and not is_error(document) and isinstance(document, dict):
                found.add(document)
                if found.has_choice:
                    return Reading(head=head, answer=found)
            refusal = refusal_in(document, status)
        return Reading(head=head, refusal=refusal)


async def _start_of(pieces: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The beginning of a body, as much as tells what it is, and what follows. Blank bytes before it are
    dropped: some services send them to keep the connection open."""
    start = b""
    async for piece in pieces:
        start = (start + piece).lstrip()
        if start and begins_like_events(start) is not None:
            break
    return start, pieces
