"""What the timeline makes of events, and where it puts a time: pure scripts, asked in the browser."""

from __future__ import annotations

from typing import Any, Final

from tests.support.rigs.browser import Visits

SPANS: Final = """async (events) => {
  const { attemptLog } = await import("/ui/static/pages/run/history/attempt_log.js");
  const log = attemptLog();
  const at = (seconds) => new Date(seconds * 1000).toISOString();
  for (const [seconds, kind, more] of events) log.take({ id: "", at: at(seconds), kind, ...more });
  return [...log.nodes].map(([id, spans]) => [id, spans.map((each) => [each.kind, each.from / 1000,
    each.to === null ? null : each.to / 1000, each.outcome ?? ""])]);
}"""
FOLDED: Final = """async (asked) => {
  const { timeScale } = await import("/ui/static/pages/run/tabs/timeline/time_scale.js");
  const scale = timeScale({ ...asked, unfolded: new Set(asked.unfolded) });
  const xs = asked.at.map((ms) => Math.round(scale.x(ms)));
  return { folds: scale.folds.map((each) => [each.gap, each.idle]), xs };
}"""

SAID: Final = """async (events) => {
  const { eventWords, isOfKind } = await import("/ui/static/pages/run/words/event_words.js");
  return events.map((event) => [eventWords(event), isOfKind(event, "people")]);
}"""


def _node(kind: str, at: float, **more: Any) -> list[Any]:
    return [at, f"node_{kind}", {"node": "a", "attempt": 1, **more}]


def test_spans_are_made_of_events_in_any_order_of_their_telling(visit: Visits) -> None:
    """Tries and pauses, a start told after its end, a task given back, a `when` that is no run."""
    page = visit("/ui/runs")
    retried = [
        _node("queued", 1),
        _node("started", 2),
        _node("waiting", 3, code="timeout"),
        _node("queued", 5, attempt=2),
        _node("completed", 8, attempt=2),
        _node("started", 6, attempt=2),
    ]
    assert page.evaluate(SPANS, retried) == [
        [
            "a",
            [
                ["queued", 1, 2, ""],
                ["run", 2, 3, "retried"],
                ["backoff", 3, 5, ""],
                ["queued", 5, 6, ""],
                ["run", 6, 8, "completed"],
            ],
        ]
    ]
    returned = [
        _node("queued", 1),
        _node("started", 2),
        _node("returned", 4),
        _node("started", 5),
        _node("failed", 6, code="odd"),
    ]
    assert page.evaluate(SPANS, returned)[0][1] == [
        ["queued", 1, 2, ""],
        ["run", 2, 4, "returned"],
        ["queued", 4, 5, ""],
        ["run", 5, 6, "failed"],
    ]
    skipped = [_node("queued", 1), _node("started", 2), _node("skipped", 3, reason="when")]
    assert page.evaluate(SPANS, skipped)[0][1] == [["moment", 3, 3, "skipped"]]
    by_hand = [_node("queued", 1), _node("started", 2), _node("skipped", 3, reason="operator")]
    assert page.evaluate(SPANS, by_hand)[0][1] == [["queued", 1, 2, ""], ["run", 2, 3, "skipped"]]
    consequence = [_node("failed", 3, attempt=0, code="upstream_failed")]
    assert page.evaluate(SPANS, consequence)[0][1] == [["moment", 3, 3, "failed"]]


def test_idle_minutes_fold_to_a_band(visit: Visits) -> None:
    """A minute in which nothing ran takes 56 px, order is kept, and what is unfolded takes its share."""
    page = visit("/ui/runs")
    busy = [[0, 10_000], [5_000, 40_000], [3_640_000, 3_680_000]]
    asked = {"begin": 0, "end": 3_680_000, "busy": busy, "width": 1056, "fold": True}
    at = [0, 40_000, 1_800_000, 3_640_000, 3_680_000]
    folded = page.evaluate(FOLDED, {**asked, "unfolded": [], "at": at})
    assert folded["folds"] == [[40_000, 3_600_000]]
    assert folded["xs"] == sorted(folded["xs"])
    assert (folded["xs"][0], folded["xs"][-1]) == (0, 1056)
    assert folded["xs"][1] == 400
    unfolded = page.evaluate(FOLDED, {**asked, "unfolded": [40_000], "at": at})
    assert unfolded["folds"] == []
    assert unfolded["xs"][3] - unfolded["xs"][1] > 1000


def test_events_say_who_has_asked_for_them_and_why(visit: Visits) -> None:
    """What somebody asked for is found under what people did; where the API has no keys, nobody is named."""
    page = visit("/ui/runs")
    stopping = {"kind": "execution_stopping", "reason": "cancel"}
    events = [
        {"kind": "execution_started", "run": 1, "by": "ops"},
        {"kind": "execution_started", "run": 2},
        {"kind": "execution_paused", "by": "ops"},
        {**stopping, "by": "ops", "explanation": "the wrong day"},
        {**stopping, "by": "ops"},
        stopping,
        {"kind": "execution_stopping", "reason": "timeout"},
    ]
    assert page.evaluate(SAID, events) == [
        ["The run began: the key ops started it.", True],
        ["Run 2 began.", False],
        ["The run was paused by the key ops: nothing new begins.", True],
        ["The run is being cancelled by the key ops: “the wrong day”", True],
        ["The run is being cancelled by the key ops.", True],
        ["The run is being cancelled.", False],
        ["The run's time is over: it is being stopped.", False],
    ]
