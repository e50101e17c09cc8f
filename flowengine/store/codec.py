"""Stored bytes as records, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec

from flowengine.engine.ports import Begun
from flowengine.execution.chains.records import Followed
from flowengine.execution.delivery.records import Delivery
from flowengine.execution.limits.lines import InLine
from flowengine.execution.limits.starts import EXPECTED_AT, HELD, Starts
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import (
    UNTOUCHED,
    Attempt,
    Closing,
    Control,
    Counts,
    ExecutionRecord,
    NodeRecord,
    Origin,
    Stop,
)
from flowengine.execution.requests.idempotency import KeptCreation, KeptTrigger
from flowengine.execution.signals import KeptSignal, KeptSignals, Sent
from flowengine.execution.status import ExecutionStatus

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(NodeRecord)
_attempt_decoder = msgspec.json.Decoder(Attempt)
_stop_decoder = msgspec.json.Decoder(Stop)
_closing_decoder = msgspec.json.Decoder(Closing)
_creation_decoder = msgspec.json.Decoder(KeptCreation)
_trigger_decoder = msgspec.json.Decoder(KeptTrigger)
_delivery_decoder = msgspec.json.Decoder(Delivery)
_queue_decoder = msgspec.json.Decoder(tuple[KeptSignal, ...])
_sent_decoder = msgspec.json.Decoder(Sent)
_line_decoder = msgspec.json.Decoder(InLine)
_origin_decoder = msgspec.json.Decoder(Origin)
_followed_decoder = msgspec.json.Decoder(Followed)
_labels_decoder = msgspec.json.Decoder(dict[str, str])
_prepared_decoder = msgspec.json.Decoder(Prepared)
_allowed_decoder = msgspec.json.Decoder(tuple[str, ...])

CONTROL_FIELDS: Final = ("status", "run", "stop", "closing")
"""What says of `fe:x:ID:control` whether something may be done."""

DECISION_FIELDS: Final = (
    *CONTROL_FIELDS,
    "started_at",
    "doomed",
    "notifies",
    "line",
    "schedule",
    "version",
    "started_by",
)
"""What decisions read of it."""

EXECUTION_FIELDS: Final = (
    *CONTROL_FIELDS,
    "total",
    "created_at",
    "started_at",
    "finished_at",
    "correlation_id",
    "name",
    "token",
    "labels",
    "doomed",
    "notifies",
    "started_by",
    "line",
    "version",
    "origin",
    "allowed",
    "schedule",
    "scheduled_at",
    "begun_by",
    "followed",
    "links",
    "followers",
)

COUNTS_FIELDS: Final = ("unfinished", "failed", "bytes")


def encode_record(record: NodeRecord) -> bytes:
    """A node's record as JSON."""
    return _encoder.encode(record)


def decode_record(data: bytes | None) -> NodeRecord:
    """The record of stored bytes; a node never written is pending, never attempted."""
    return UNTOUCHED if data is None else _decoder.decode(data)


def decode_prepared(data: bytes | None) -> Prepared | None:
    """What an execution of a definition begins with, of stored bytes, if there are any."""
    return None if data is None else _prepared_decoder.decode(data)


def decode_attempt(data: bytes) -> Attempt:
    """A kept attempt of stored bytes."""
    return _attempt_decoder.decode(data)


def parse_control(values: Sequence[bytes | None]) -> Control | None:
    """The reply of an HMGET of CONTROL_FIELDS or DECISION_FIELDS; None when there is no such execution."""
    status, run, stop, closing = values[:4]
    if status is None:
        return None
    found = (
        cast(ExecutionStatus, status.decode()),
        int(run or 0),
        None if stop is None else _stop_decoder.decode(stop),
        None if closing is None else _closing_decoder.decode(closing),
    )
    if len(values) == len(CONTROL_FIELDS):
        return Control(*found)
    started, doomed, notifies, line, schedule, version, by = values[4:]
    return Control(
        *found,
        int(started) if started else None,
        doomed is not None,
        notifies is not None,
        None if line is None else _line_decoder.decode(line),
        None if schedule is None else schedule.decode(),
        None if version is None else int(version),
        None if by is None else by.decode(),
    )


def _parse_stop(value: bytes | None) -> Stop | None:
    return None if value is None else _stop_decoder.decode(value)


def _parse_closing(value: bytes | None) -> Closing | None:
    return None if value is None else _closing_decoder.decode(value)


def parse_counts(values: Sequence[bytes | None]) -> Counts:
    """The reply of an HMGET of COUNTS_FIELDS."""
    unfinished, failed, size = values
    return Counts(int(unfinished or 0), int(failed or 0), int(size or 0))


def parse_execution(values: Sequence[bytes | None]) -> ExecutionRecord | None:
    """The reply of an HMGET of EXECUTION_FIELDS; None when there is no such execution."""
    if values[0] is None:
        return None
    _, run, stop, closing, total, created, started, finished, correlation, name, token, labels = values[:12]
    return ExecutionRecord(
        status=cast(ExecutionStatus, values[0].decode()),
        run=int(run or 0),
        total=int(total or 0),
        created_at=int(created or 0),
        started_at=int(started or 0),
        finished_at=int(finished or 0),
        correlation_id=(correlation or b"").decode(),
        name=(name or b"").decode(),
        token=(token or b"").decode(),
        stop=_parse_stop(stop),
        closing=_parse_closing(closing),
        labels={} if labels is None else _labels_decoder.decode(labels),
        doomed=values[12] is not None,
        notifies=values[13] is not None,
        started_by=None if values[14] is None else values[14].decode(),
        line=None if values[15] is None else _line_decoder.decode(values[15]),
        version=None if values[16] is None else int(values[16]),
        origin=None if values[17] is None else _origin_decoder.decode(values[17]),
        allowed=() if values[18] is None else _allowed_decoder.decode(values[18]),
        schedule=None if values[19] is None else values[19].decode(),
        scheduled_at=None if values[20] is None else int(values[20]),
        begun_by=None if values[21] is None else values[21].decode(),
        followed=None if values[22] is None else _followed_decoder.decode(values[22]),
        links=int(values[23] or 0),
        noted=values[24],
    )


def parse_starts(pairs: Sequence[bytes]) -> Starts:
    """The newest starts of a line: members and their times."""
    found = [(member.decode(errors="replace"), int(float(at))) for member, at in _pairs(pairs)]
    times = tuple([at for member, at in found if member != HELD])
    held = max([at for member, at in found if member == HELD], default=0)
    return Starts(times, held, tuple([member for member, at in found if at >= EXPECTED_AT]))


def _pairs(values: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(values[::2], values[1::2], strict=True)


def parse_kept_creation(value: bytes | None) -> KeptCreation | None:
    """What is kept of a request that has created an execution."""
    return None if value is None else _creation_decoder.decode(value)


def parse_kept_trigger(value: bytes | None) -> KeptTrigger | None:
    """What is kept of a request that has begun a run."""
    return None if value is None else _trigger_decoder.decode(value)


def encode_delivery(delivery: Delivery) -> bytes:
    """A delivery as JSON."""
    return _encoder.encode(delivery)


def decode_delivery(data: bytes | None) -> Delivery | None:
    """The delivery of stored bytes, if there are any."""
    return None if data is None else _delivery_decoder.decode(data)


def parse_signals(names: Sequence[str], values: Sequence[bytes | None]) -> KeptSignals:
    """The reply of an HMGET of the numbers of signals, and of the queues of these names."""
    last, size, *queues = values
    kept = {name: _queue_decoder.decode(queue) for name, queue in zip(names, queues, strict=True) if queue}
    return KeptSignals(int(last or 0), int(size or 0), kept)


def parse_sent(value: bytes | None) -> Sent | None:
    """What a kept signal carries, if it is there."""
    return None if value is None else _sent_decoder.decode(value)


def format_begun(begun: Begun) -> str:
    """The value in `started`."""
    return f"{begun.delivery}:{begun.at}:{begun.place}"


def parse_begun(value: bytes) -> Begun:
    """What `format_begun` has written."""
    delivery, at, place = value.decode().split(":", 2)
    return Begun(int(delivery), int(at), place)
