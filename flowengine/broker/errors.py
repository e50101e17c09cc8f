"""What the broker refuses, and its failures in the words that Dramatiq understands."""

from __future__ import annotations

from dramatiq.errors import ConnectionClosed, DecodeError, QueueJoinTimeout, QueueNotFound

from flowengine.errors import FlowEngineError


class DelayRefusedError(FlowEngineError):
    """A message with a delay was sent: this broker keeps nothing for later."""

    code = "delay_refused"


class NoMessageError(FlowEngineError):
    """The receipt was asked for by a thread that processes no engine message."""

    code = "no_message"


# Dramatiq leaves its errors' constructors untyped: they are called here, and nowhere else.


def connection_closed(error: Exception) -> ConnectionClosed:
    """Redis cannot be reached; Dramatiq tries again later."""
    return ConnectionClosed(error)  # type: ignore[no-untyped-call]  # untyped in dramatiq


def undecodable(data: bytes, error: Exception) -> DecodeError:
    """The bytes are not a message."""
    return DecodeError("failed to decode a message", data, error)  # type: ignore[no-untyped-call]  # untyped in dramatiq


def queue_not_found(queue: str) -> QueueNotFound:
    """The queue was never declared."""
    return QueueNotFound(queue)  # type: ignore[no-untyped-call]  # untyped in dramatiq


def join_timed_out(queue: str, timeout_ms: int | None) -> QueueJoinTimeout:
    """The queue did not become empty in time."""
    message = f"queue {queue!r} was not empty after {timeout_ms} ms"
    return QueueJoinTimeout(message)  # type: ignore[no-untyped-call]  # untyped in dramatiq
