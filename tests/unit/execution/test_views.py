"""What callers are shown: times that sort as texts, and counts of every status."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from flowengine.execution.status import NodeStatus
from flowengine.execution.views.executions import (
    CountsView,
    ExecutionView,
    NodeView,
    counts_of,
    moment,
    moment_or_none,
)

SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
"""RFC 3339 in UTC, with milliseconds."""

SECOND = 1_795_525_433_000
"""A full second: 2026-11-24T13:03:53Z."""


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (SECOND, "2026-11-24T13:03:53.000Z"),
        (SECOND + 1, "2026-11-24T13:03:53.001Z"),
        (SECOND + 999, "2026-11-24T13:03:53.999Z"),
        (SECOND + 1000, "2026-11-24T13:03:54.000Z"),
    ],
)
def test_a_time_always_has_milliseconds(milliseconds: int, text: str) -> None:
    """A full second as well: without them it would come after all that follow it, as a text."""
    assert moment(milliseconds) == text
    assert SHAPE.fullmatch(text)


def test_times_sort_as_texts() -> None:
    """Within a second, and over the ends of seconds, minutes, days and years."""
    times = [
        base + offset
        for base in (0, 59_000, 86_399_000, 946_684_799_000, SECOND, 4_102_444_799_000)
        for offset in (0, 1, 9, 10, 99, 100, 500, 998, 999, 1000)
    ]
    texts = [moment(time) for time in times]
    assert texts == sorted(texts)
    assert len(set(texts)) == len(set(times))


def test_a_time_is_read_back_to_the_millisecond() -> None:
    """By every reader of RFC 3339."""
    for milliseconds in (0, 1, 999, SECOND, SECOND + 1, SECOND + 999):
        read = datetime.fromisoformat(moment(milliseconds))
        assert read == datetime.fromtimestamp(milliseconds // 1000, UTC).replace(
            microsecond=milliseconds % 1000 * 1000
        )


def test_a_time_that_has_not_come_is_none() -> None:
    """None and 0 mean that nothing is stored."""
    assert moment_or_none(None) is None
    assert moment_or_none(0) is None
    assert moment_or_none(1) == "1970-01-01T00:00:00.001Z"


def test_views_carry_times_as_they_are() -> None:
    """Encoding a view changes none of its texts."""
    node = NodeView(
        id="a",
        kind="task",
        handler="compute",
        status="running",
        attempt=1,
        dependencies=(),
        queued_at=moment(SECOND),
        started_at=moment(SECOND + 7),
        finished_at=None,
        error=None,
    )
    view = ExecutionView(
        execution_id="x",
        name="n",
        status="running",
        run=1,
        created_at=moment(SECOND),
        started_at=moment(SECOND),
        finished_at=None,
        correlation_id="c",
        labels={},
        counts=counts_of(["running"]),
        nodes=(node,),
    )
    decoded = msgspec.json.decode(msgspec.json.encode(view))
    assert (decoded["created_at"], decoded["finished_at"]) == ("2026-11-24T13:03:53.000Z", None)
    assert decoded["nodes"][0]["started_at"] == "2026-11-24T13:03:53.007Z"


def test_counts_have_every_status() -> None:
    """And their total, whatever the statuses are."""
    assert CountsView.__struct_fields__ == ("total", *get_args(NodeStatus))
    statuses: list[NodeStatus] = []
    for number, status in enumerate(get_args(NodeStatus), start=1):
        statuses += [status] * number
    counts = msgspec.structs.asdict(counts_of(statuses))
    assert counts.pop("total") == sum(range(1, 9)) == len(statuses)
    assert counts == {status: number for number, status in enumerate(get_args(NodeStatus), start=1)}


def test_nothing_is_counted_where_nothing_is() -> None:
    """All zero."""
    assert set(msgspec.structs.asdict(counts_of([])).values()) == {0}
