"""What becomes of a node's own failure: whether it is tried again and when, and whether it is tolerated."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.execution.changes import Write
from flowengine.execution.messages import NextTry
from flowengine.execution.records import Attempt, NodeError, NodeRecord
from flowengine.execution.reports import Failed
from flowengine.execution.rules.dispatching import Run, dispatch_again
from flowengine.execution.rules.failing import Pause, is_among, is_answered, is_permanent, next_try, tolerates
from flowengine.workflow.policy import Policy, Retry
from tests.support.checks.reference_model import Graph
from tests.unit.execution.rule_cases import BROKEN, FAILED, NOW, callback, events, of_kind, sent
from tests.unit.rules.world import World

HOUR = 3_600_000
ONE: Graph = {"a": ()}


def failed(
    code: str = "boom",
    status: int | None = None,
    *,
    permanent: bool = False,
    retry_after_ms: int | None = None,
) -> Failed:
    """A failure."""
    error = NodeError(code, "on purpose", status_code=msgspec.UNSET if status is None else status)
    return Failed(error, permanent, retry_after_ms)


def tried(
    retry: Retry | None,
    what: Failed | None = None,
    *,
    number: int = 1,
    since: int = NOW,
    dispatch: int = 1,
) -> int | str | None:
    """The pause in milliseconds after try `number`; what it fails with if that is another error, None for the
    end."""
    record = NodeRecord(status="queued", attempt=number, dispatch=dispatch, tried=number, since=since)
    found = next_try(Policy(retry=retry), record, callback(dispatch=dispatch), what or failed(), NOW)
    if isinstance(found, Pause):
        return found.until - NOW
    return None if found is None else found.message


# -- how often


def test_without_a_retry_a_node_has_one_try() -> None:
    """Whatever it fails with."""
    assert tried(None) is None
    assert tried(None, failed("timeout", retry_after_ms=5)) is None


@pytest.mark.parametrize("most", [1, 2, 3, 1000])
def test_max_attempts_counts_all_tries(most: int) -> None:
    """One means one; after the last there is none."""
    retry = Retry(max_attempts=most)
    assert [tried(retry, number=number) is None for number in (most - 1, most, most + 1) if number] == [
        number >= most for number in (most - 1, most, most + 1) if number
    ]


def test_a_node_is_tried_again_until_its_tries_are_used_up() -> None:
    """Then it has failed, with what is below it; each try is an attempt with a dispatch of its own."""
    world = World({"a": (), "b": ("a",)}, {"a": Policy(retry=Retry(max_attempts=3))})
    world.trigger()
    for number in (1, 2):
        world.fail("a")
        assert world.status_of("a") == "waiting"
        assert world.records["a"].tried == number
        world.pass_pauses()
        assert (world.tasks["a"].attempt, world.tasks["a"].dispatch) == (number + 1, number + 1)
    world.fail("a")
    assert world.statuses == {"a": "failed", "b": "failed"}
    assert world.status == "failed"


def test_a_node_that_succeeds_at_another_try_has_completed() -> None:
    """Nothing of the failure is left in its record."""
    world = World({"a": (), "b": ("a",)}, {"a": Policy(retry=Retry())})
    world.trigger()
    world.fail("a")
    world.pass_pauses()
    world.complete("a", "b")
    assert (world.status, world.records["a"].error, world.records["a"].until) == ("completed", None, None)


def test_a_retry_that_succeeds_after_a_sibling_has_failed_the_execution() -> None:
    """Both are told; the verdict is that of the sibling."""
    world = World({"a": (), "b": (), "c": ("a",)}, {"a": Policy(retry=Retry())})
    world.trigger()
    world.fail("a")
    world.fail("b")
    assert world.status == "running"
    world.pass_pauses()
    world.complete("a", "c")
    assert (world.status, world.status_of("c")) == ("failed", "completed")


def test_a_second_trigger_has_all_its_tries_anew() -> None:
    """Attempts go on, tries begin with one."""
    world = World(ONE, {"a": Policy(retry=Retry(max_attempts=2))})
    for run in (1, 2):
        world.trigger()
        world.fail("a")
        assert (world.records["a"].attempt, world.records["a"].tried) == (2 * run - 1, 1)
        world.pass_pauses()
        world.fail("a")
        assert (world.records["a"].attempt, world.status) == (2 * run, "failed")


def test_a_waiting_node_keeps_what_was_reported_of_its_try() -> None:
    """Its error, its times and when it goes on; its timer is that of the dispatch that failed."""
    world = World(ONE, {"a": Policy(retry=Retry(delay_ms=5000))})
    world.trigger()
    decision = world.report("a", FAILED)
    record = world.records["a"]
    assert (record.status, record.error, record.until) == ("waiting", BROKEN, world.now + 5000)
    assert record.finished_at == world.now
    timer = NextTry(execution="x", run=1, node="a", dispatch=1)
    assert world.timers["a"] == (timer, world.now + 5000)
    assert decision.continues
    assert [(event.kind, event.detail) for event in events(decision.changes)] == [("node_waiting", "boom")]


# -- what is tried again


@pytest.mark.parametrize(
    ("what", "again"),
    [
        (failed("boom"), True),
        (failed("timeout"), True),
        (failed("handler_error"), True),
        (failed("invalid_config"), False),
        (failed("template_undefined"), False),
        (failed("egress_refused"), False),
        (failed("worker_lost"), False),
        (failed("when_not_boolean"), False),
        (failed("assertion_failed"), False),
        (failed("boom", permanent=True), False),
        (failed("http_client_error", 404), False),
        (failed("http_client_error", 400), False),
        (failed("http_client_error", 408), True),
        (failed("http_client_error", 409), True),
        (failed("http_client_error", 425), True),
        (failed("http_client_error", 429), True),
        (failed("http_server_error", 500), True),
        (failed("http_server_error", 503), True),
        (failed("boom", 404), False),
        (failed("boom", 429, permanent=True), False),
        (failed("boom", 503, permanent=True), False),
    ],
)
def test_what_is_permanent_is_not_tried_again(what: Failed, again: bool) -> None:
    """The status of an answer decides before the code, and before what the handler says."""
    assert is_permanent(what) != again
    assert (tried(Retry(), what) is not None) == again


@pytest.mark.parametrize(
    ("only", "exclude", "what", "again"),
    [
        (("boom",), (), failed("boom"), True),
        (("boom",), (), failed("bang"), False),
        (("boom", "bang"), (), failed("bang"), True),
        (("invalid_config",), (), failed("invalid_config"), True),
        (("boom",), (), failed("boom", permanent=True), True),
        (("all",), (), failed("invalid_config"), True),
        (("all",), (), failed("x", 404, permanent=True), True),
        (("all",), ("x",), failed("x"), False),
        (("all",), ("http_4xx",), failed("x", 404), False),
        ((), ("boom",), failed("boom"), False),
        ((), ("bang",), failed("boom"), True),
        ((), ("bang",), failed("invalid_config"), False),
        (("http_5xx",), ("http_501",), failed("x", 500), True),
        (("http_5xx",), ("http_501",), failed("x", 501), False),
        (("http_5xx",), (), failed("x", 499), False),
        (("http_429",), (), failed("http_client_error", 429), True),
        (("timeout",), (), failed("request_timeout"), True),
    ],
)
def test_only_and_except_choose(
    only: tuple[str, ...], exclude: tuple[str, ...], what: Failed, again: bool
) -> None:
    """`except` is the stronger; `only` may name what is permanent."""
    assert (tried(Retry(only=only, exclude=exclude), what) is not None) == again


# -- when


def test_pauses_grow_up_to_the_longest() -> None:
    """By the multiplier, from the first delay."""
    retry = Retry(max_attempts=10, delay_ms=100, multiplier=3, max_delay_ms=2000)
    assert [tried(retry, number=number) for number in range(1, 6)] == [100, 300, 900, 2000, 2000]


def test_the_pauses_that_documents_need_not_name() -> None:
    """1, 2, 4 seconds and so on, at most a minute; three tries, no jitter, a day in all."""
    retry = Retry(max_attempts=1000)
    assert [tried(retry, number=number) for number in (1, 2, 6, 7, 8, 999)] == [
        1000, 2000, 32_000, 60_000, 60_000, 60_000,
    ]  # fmt: skip
    assert (Retry().max_attempts, Retry().jitter, Retry().max_ms) == (3, 0, 24 * HOUR)


@pytest.mark.parametrize(
    ("retry", "pause"),
    [
        (Retry(delay_ms=0), 0),
        (Retry(delay_ms=5000, max_delay_ms=100), 100),
        (Retry(delay_ms=5000, max_delay_ms=0), 0),
        (Retry(delay_ms=70, multiplier=1), 70),
        (Retry(delay_ms=1, multiplier=1.5), 1),
    ],
)
def test_odd_pauses(retry: Retry, pause: int) -> None:
    """None, shorter than the first, always the same, a millisecond."""
    assert tried(retry) == pause


def test_a_growing_pause_never_overflows() -> None:
    """A thousand tries by a hundred each."""
    retry = Retry(
        max_attempts=1000, delay_ms=1, multiplier=100, max_delay_ms=30 * 24 * HOUR, max_ms=30 * 24 * HOUR
    )
    assert tried(retry, number=999) == 30 * 24 * HOUR


@pytest.mark.parametrize("jitter", [0.1, 0.5, 1.0])
def test_jitter_spreads_pauses_around_what_they_would_be(jitter: float) -> None:
    """Both ways, no further than its share, and not the same for all."""
    retry = Retry(delay_ms=10_000, jitter=jitter)
    pauses = [tried(retry, dispatch=dispatch) for dispatch in range(1, 200)]
    found = [pause for pause in pauses if isinstance(pause, int)]
    assert len(found) == len(pauses)
    low, high = 10_000 * (1 - jitter), 10_000 * (1 + jitter)
    assert low <= min(found) < 10_000 - 5000 * jitter
    assert 10_000 + 5000 * jitter < max(found) <= high
    assert len(set(found)) > 100


def test_the_same_failure_gives_the_same_pause() -> None:
    """A rule draws no number: a transaction that is decided anew decides the same."""
    retry = Retry(jitter=1.0)
    assert tried(retry, dispatch=7) == tried(retry, dispatch=7)


@pytest.mark.parametrize(
    ("asked", "pause"), [(None, 1000), (0, 1000), (999, 1000), (1001, 1001), (90_000, 90_000)]
)
def test_a_service_is_waited_for_as_long_as_it_asks(asked: int | None, pause: int) -> None:
    """Beyond `max_delay_seconds`; it does not shorten a pause."""
    assert tried(Retry(), failed(retry_after_ms=asked)) == pause


# -- what `retry.when` gives

NO_ANSWER = NodeError("when_not_boolean", "no answer")


@pytest.mark.proves("retry-condition")
@pytest.mark.parametrize(
    ("again", "found"), [(None, 1000), (True, 1000), (False, None), (NO_ANSWER, "no answer")]
)
def test_a_condition_decides_about_what_would_be_tried_again(
    again: bool | NodeError | None, found: object
) -> None:
    """Where nobody has asked it, as of a lost worker, the codes alone decide."""
    assert tried(Retry(when="{{ ... }}"), replace(failed(), again=again)) == found


@pytest.mark.parametrize("again", [True, NO_ANSWER])
@pytest.mark.parametrize(
    ("retry", "what", "number"),
    [
        (Retry(), failed(), 3),
        (Retry(), failed(permanent=True), 1),
        (Retry(exclude=("boom",)), failed(), 1),
        (Retry(only=("timeout",)), failed(), 1),
    ],
)
def test_a_condition_adds_no_try(retry: Retry, what: Failed, number: int, again: bool | NodeError) -> None:
    """Nor does one without an answer hide the error of what is not tried again anyway."""
    assert tried(retry, replace(what, again=again), number=number) is None


def test_a_condition_without_an_answer_fails_the_node_with_why() -> None:
    """Its own error takes the place of the try's, for `on_error` too."""
    policy = Policy(retry=Retry(), tolerates=("when_not_boolean",))
    world = World({"a": (), "b": ("a",)}, {"a": policy})
    world.trigger()
    world.report("a", replace(failed(), again=NO_ANSWER))
    assert world.records["a"].error == NO_ANSWER
    assert world.records["a"].tolerated
    assert world.status_of("b") == "queued"


# -- for how long in all


def test_no_try_begins_later_than_max_seconds_after_the_first() -> None:
    """To the millisecond; then the node fails at once, and says why."""
    retry = Retry(max_attempts=10, delay_ms=4000, max_ms=10_000)
    assert tried(retry, since=NOW - 6000) == 4000
    assert tried(retry, since=NOW - 6001) == (
        "on purpose; not tried again: that takes a pause of 4 s, and retry.max_seconds leaves 3.999 s"
    )
    assert tried(retry, since=NOW - 20_000) == (
        "on purpose; not tried again: that takes a pause of 4 s, and retry.max_seconds leaves 0 s"
    )


def test_a_service_that_asks_for_more_time_than_there_is_fails_the_node() -> None:
    """At once, with its own message and the reason."""
    policy = Policy(retry=Retry(max_ms=60_000))
    world = World({"a": (), "b": ("a",)}, {"a": policy})
    world.trigger()
    world.report("a", failed("http_client_error", 429, retry_after_ms=61_000))
    error = world.records["a"].error
    assert world.statuses == {"a": "failed", "b": "failed"}
    assert error is not None
    assert (error.code, error.status_code) == ("http_client_error", 429)
    assert error.message == (
        "on purpose; not tried again: that takes a pause of 61 s, and retry.max_seconds leaves 59.999 s"
    )


def test_max_seconds_counts_from_the_first_try_of_the_run() -> None:
    """Over all its pauses; a second run has all of it again."""
    world = World(ONE, {"a": Policy(retry=Retry(max_attempts=9, delay_ms=6000, multiplier=1, max_ms=10_000))})
    for _ in range(2):
        world.trigger()
        began = world.now
        world.fail("a")
        assert (world.status_of("a"), world.records["a"].since) == ("waiting", began)
        world.pass_pauses()
        assert world.records["a"].since == began
        world.fail("a")
        assert world.status == "failed"


def test_what_would_not_be_tried_again_anyway_says_nothing_of_time() -> None:
    """Its tries are used up, or it is permanent."""
    retry = Retry(max_attempts=2, max_ms=0)
    assert tried(retry, number=2) is None
    assert tried(retry, failed(permanent=True)) is None


# -- the task of another try


def test_a_condition_is_asked_before_the_first_try_only() -> None:
    """A try that follows is of a node that has been decided; a run that follows decides anew."""
    world = World(ONE, {"a": Policy(when="{{ 1 == 1 }}", retry=Retry(max_attempts=2))})
    for _ in range(2):
        world.trigger()
        asked = [world.tasks["a"].when]
        world.fail("a")
        world.pass_pauses()
        asked.append(world.tasks["a"].when)
        assert asked == ["{{ 1 == 1 }}", None]
        world.fail("a")


def test_a_node_with_a_retry_is_tried_once_by_its_handler() -> None:
    """Only one of the two tries again."""
    for retry, once in ((Retry(max_attempts=1), True), (None, False)):
        world = World(ONE, {"a": Policy(retry=retry)})
        world.trigger()
        assert world.tasks["a"].tries_once == once


def test_another_try_sees_what_the_first_one_saw() -> None:
    """Of a node that began before all above it had ended."""
    policy = Policy(trigger_rule="one_success", retry=Retry())
    world = World({"a": (), "b": (), "j": ("a", "b")}, {"j": policy})
    world.trigger()
    world.complete("b", "a")
    world.fail("j")
    world.pass_pauses()
    assert (world.tasks["j"].unseen, [read.node for read in world.tasks["j"].reads]) == (("a",), ["b"])


def test_a_message_that_is_sent_again_is_the_same_try() -> None:
    """Nobody has tried: its number and its time stay, and a condition is still to be asked."""
    retry = Retry(max_attempts=2)
    world = World(ONE, {"a": Policy(when="{{ 1 == 1 }}", retry=retry)})
    world.trigger()
    before = world.records["a"]
    (again,) = sent(dispatch_again(world.plan, 0, before, Run("x", 1, "c"), NOW + HOUR))
    assert (again.record.tried, again.record.since) == (1, before.since)
    assert (again.task.attempt, again.task.when) == (1, "{{ 1 == 1 }}")


# -- what is tolerated


@pytest.mark.parametrize(
    ("tolerated", "what", "goes_on"),
    [
        (False, failed(), False),
        (True, failed(), True),
        (("boom",), failed("boom"), True),
        (("bang",), failed("boom"), False),
        (("http_404",), failed("http_client_error", 404), True),
        (("http_404",), failed("http_client_error", 403), False),
        (("http_404",), failed("http_client_error"), False),
        (("http_404",), failed("http_404"), True),
        (("http_4xx",), failed("http_client_error", 499), True),
        (("http_4xx",), failed("http_server_error", 500), False),
        (("http_5xx",), failed("http_server_error", 500), True),
        (("http_5xx",), failed("http_server_error", 599), True),
        (("http_5xx",), failed("http_client_error", 404), False),
        (("timeout",), failed("timeout"), True),
        (("timeout",), failed("request_timeout"), True),
        (("request_timeout",), failed("timeout"), False),
        (("timeout",), failed("http_client_error", 408), False),
        (("a", "b", "boom"), failed("boom"), True),
    ],
)
def test_a_failure_is_tolerated_by_its_code_or_its_status(
    tolerated: bool | tuple[str, ...], what: Failed, goes_on: bool
) -> None:
    """`timeout` means a node's and a request's."""
    assert tolerates(Policy(tolerates=tolerated), what.error) == goes_on
    if isinstance(tolerated, tuple):
        assert is_among(what.error, tolerated) == goes_on


def test_a_failure_is_tolerated_once_its_tries_are_used_up() -> None:
    """Not before."""
    world = World({"a": (), "b": ("a",)}, {"a": Policy(tolerates=True, retry=Retry(max_attempts=2))})
    world.trigger()
    world.fail("a")
    assert world.statuses == {"a": "waiting", "b": "pending"}
    world.pass_pauses()
    world.fail("a")
    assert world.statuses == {"a": "tolerated", "b": "queued"}


# -- whether it is known what became of what was asked


@pytest.mark.parametrize(
    ("what", "answered"),
    [
        (failed("boom"), True),
        (failed("invalid_config"), True),
        (failed("http_client_error", 404), True),
        (failed("http_server_error", 500), True),
        (failed("http_client_error", 409), True),
        (failed("timeout"), False),
        (failed("request_timeout"), False),
        (failed("connection_failed"), False),
        (failed("worker_lost"), False),
        *[(failed("any", status), False) for status in (408, 425, 429, 502, 503, 504)],
    ],
)
def test_a_failure_whose_outcome_is_unknown_keeps_the_idempotency_key(what: Failed, answered: bool) -> None:
    """The service may have done it all the same, and can tell by the key; so it is told the same time."""
    assert is_answered(what.error) == answered
    world = World(ONE, {"a": Policy(retry=Retry(only=("all",)))})
    world.trigger()
    moment = world.tasks["a"].moment
    world.report("a", what)
    assert world.records["a"].answered == answered
    world.pass_pauses()
    assert world.tasks["a"].answered == answered
    assert (world.tasks["a"].moment == moment) is not answered
    world.fail("a")
    assert world.records["a"].answered == answered + 1


def test_each_attempt_is_kept_before_another_follows() -> None:
    """With its times, its delivery and its error."""
    world = World(ONE, {"a": Policy(retry=Retry())})
    world.trigger()
    decision = world.report("a", FAILED)
    (write,) = of_kind(decision.changes, Write)
    assert isinstance(write, Write)
    assert write.kept == Attempt(world.now - 1, world.now, world.now, 1, BROKEN)
