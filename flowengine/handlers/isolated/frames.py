"""What a worker and a child process of its own say to each other, and how that goes over a socket.

Nothing is pickled: what a handler has broken in its process must not run code in the worker. A frame is its
length, in four bytes, and a struct as MessagePack. What belongs to a job bears its number, so that what an
earlier one says late is known for what it is.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from flowengine.plugin.errors import AttemptError, ModelCall

SEND_WITHIN_S: Final = 5.0
"""A child that takes no more of a job for so long is stuck."""

FRAME_MARGIN: Final = 1024 * 1024
"""So much larger than the largest result may a frame of a child be."""

_LENGTH: Final = struct.Struct("!I")
_CHUNK: Final = 256 * 1024


class Job(msgspec.Struct, frozen=True, tag=True):
    """A handler to be called. `config` is JSON. `now_ms`: the time since the epoch. `hidden`: texts that are
    secret in this execution."""

    number: int
    handler: str
    config: bytes
    execution_id: str
    run: int
    node_id: str
    attempt: int
    delivery: int
    remaining_s: float
    idempotency_key: str
    correlation_id: str
    tries_once: bool
    now_ms: int
    hidden: tuple[str, ...] = ()
    traceparent: str | None = None
    callback_url: str | None = None


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """The job's execution is being stopped."""

    number: int


ToChild: TypeAlias = Job | Cancel


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The child has imported its handlers, and takes a job."""


class Began(msgspec.Struct, frozen=True, tag=True):
    """The handler is about to be called: what happens from now on is its doing."""

    number: int


class Spoke(msgspec.Struct, frozen=True, tag=True):
    """What the handler has said. `lines`: each a `Line` as JSON. `step`: when, done, total, message."""

    number: int
    lines: tuple[bytes, ...] = ()
    dropped: int = 0
    step: tuple[int, float, float | None, str | None] | None = None
    text: str = ""
    text_at: int = 0
    text_dropped: bool = False


class Returned(msgspec.Struct, frozen=True, tag=True):
    """The handler has returned this, as JSON without secrets."""

    number: int
    output: bytes


class Raised(msgspec.Struct, frozen=True, tag=True):
    """The handler has failed. The fields are those of HandlerError; `timed_out`: of HandlerTimeoutError."""

    number: int
    code: str
    message: str
    errors: tuple[AttemptError, ...] = ()
    calls: tuple[ModelCall, ...] = ()
    status_code: int | None = None
    permanent: bool = False
    retry_after_s: float | None = None
    timed_out: bool = False


class Delayed(msgspec.Struct, frozen=True, tag=True):
    """The handler asks to be called again after so many seconds."""

    number: int
    seconds: float


class Asked(msgspec.Struct, frozen=True, tag=True):
    """The handler has its node wait for a signal. The fields are those of Wait."""

    number: int
    signal: str | tuple[str, ...] | None
    prompt: str | None
    timeout_seconds: float | None
    on_timeout: Literal["fail", "continue"]


FromChild: TypeAlias = Ready | Began | Spoke | Returned | Raised | Delayed | Asked

FrameT = TypeVar("FrameT")


class BrokenFrameError(Exception):
    """What was received is no frame."""


class Wire(Generic[FrameT]):
    """One end of the socket. One thread receives; any thread may send, if it has the others wait.

    `received`: the frames that the other end sends, none of which is larger than `at_most` bytes.
    """

    def __init__(self, sock: socket.socket, received: object, *, at_most: int = 2**32 - 1) -> None:
        self._socket = sock
        self._decoder = msgspec.msgpack.Decoder(received)
        self._at_most = at_most
        self._begun = bytearray()
        # The kernel keeps the time: a time limit of Python's would make the socket non-blocking for all.
        limit = struct.pack("ll", int(SEND_WITHIN_S), 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def send(self, frame: ToChild | FromChild) -> None:
        """Raises OSError if the other end is gone, or takes nothing for SEND_WITHIN_S."""
        data = msgspec.msgpack.encode(frame)
        self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self, until: float | None = None) -> FrameT | None:
        """The next frame; None if the other end is gone.

        `until`: for so long it is waited for, on the clock of `time.monotonic`. Raises TimeoutError,
        BrokenFrameError.
        """
        while (frame := self._next()) is None:
            if until is not None:
                self._wait(until)
            try:
                data = self._socket.recv(_CHUNK)
            except OSError:
                return None
            if not data:
                return None
            self._begun += data
        return frame

    def close(self) -> None:
        """The other end finds this one gone."""
        self._socket.close()

    def _wait(self, until: float) -> None:
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
        except ValueError:  # it is closed
            return
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError

    def _next(self) -> FrameT | None:
        if len(self._begun) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._begun)
        if length > self._at_most:
            raise BrokenFrameError(f"a frame of {length} bytes")
        end = _LENGTH.size + length
        if len(self._begun) < end:
            return None
        data = bytes(self._begun[_LENGTH.size : end])
        del self._begun[:end]
        try:
            frame: FrameT = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenFrameError(str(error)) from error
        return frame
