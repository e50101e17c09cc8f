"""Calling handlers: typed config, sync and async, deadlines, and whatever users' code may raise."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from collections.abc import Awaitable, Iterator
from contextvars import ContextVar

import msgspec
import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.plugin import AttemptError, Context, HandlerError, HandlerTimeoutError, handler
from tests.support.rigs.handler_runs import Runs, described, running
from tests.support.waiting import wait_until

HANGING = threading.Event()
RELEASED = threading.Event()
BOUND: ContextVar[str] = ContextVar("BOUND", default="nothing")


class Item(msgspec.Struct):
    """A part of a config."""

    size: int


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """A config of the handlers below."""

    what: str = ""
    items: list[Item] = []

    def __post_init__(self) -> None:
        if self.what == "refused":
            raise ValueError("`what` must not be refused")


class UnprintableError(Exception):
    """An exception whose message cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no")


RAISED: dict[str, BaseException] = {
    "value": ValueError("bad value"),
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "unprintable": UnprintableError(),
    "long": ValueError("x" * 100_000),
    "own": HandlerError("quota", "no quota left", errors=(AttemptError(code="a", message="b"),)),
    "timeout": TimeoutError("a timeout of the handler's own"),
}


@handler("act")
def act(config: Config, context: Context) -> dict[str, str]:
    """Raise what the config names."""
    if config.what in RAISED:
        raise RAISED[config.what]
    return {"result": threading.current_thread().name}


@handler("act_async")
async def act_async(config: Config, context: Context) -> dict[str, str]:
    """The same on the event loop, and ways not to end."""
    if config.what in RAISED:
        raise RAISED[config.what]
    if config.what == "hang":
        HANGING.set()
        await asyncio.Event().wait()
    if config.what == "block":
        RELEASED.wait(20)
    if config.what == "cancel":
        raise asyncio.CancelledError
    if config.what == "exit task":
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await asyncio.sleep(0.05)
    return {"result": threading.current_thread().name, "bound": BOUND.get()}


@handler("wrapped")
def wrapped(config: Config, context: Context) -> Awaitable[dict[str, str]]:
    """A plain function that returns an awaitable, as decorators make them."""
    assert isinstance(config, Config)
    return act_async_function(config, context)


async def act_async_function(config: Config, context: Context) -> dict[str, str]:
    """What `wrapped` hands over."""
    await asyncio.sleep(0)
    return {"result": config.what}


@pytest.fixture
def runs() -> Iterator[Runs]:
    """An invoker of the test's own."""
    with running() as made:
        yield made


def failure(
    runs: Runs, function: object, config: dict[str, JsonValue], timeout_s: float = 5.0
) -> HandlerError:
    """What a handler fails with."""
    with pytest.raises(HandlerError) as caught:
        runs.run_handler(described(function), config, timeout_s=timeout_s)
    return caught.value


def test_sync_handlers_run_in_the_calling_thread(runs: Runs) -> None:
    """Threads belong to the worker, not to the invoker."""
    assert runs.run_handler(described(act), {}) == {"result": threading.current_thread().name}


def test_async_handlers_run_on_one_loop_with_the_callers_context_variables(runs: Runs) -> None:
    """Log fields bound by the caller are there in an async handler too."""
    token = BOUND.set("x1")
    try:
        output = runs.run_handler(described(act_async), {})
    finally:
        BOUND.reset(token)
    assert output == {"result": "flowengine-async", "bound": "x1"}


def test_a_function_that_returns_an_awaitable_works_too(runs: Runs) -> None:
    """Decorated async functions often look synchronous."""
    assert runs.run_handler(described(wrapped), {"what": "done"}) == {"result": "done"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"what": 1}, r"^config\.what: Expected `str`, got `int`$"),
        ({"items": [{"size": 1}, {"size": "2"}]}, r"^config\.items\[1\]\.size: Expected `int`"),
        ({"wat": 1}, r"^config: Object contains unknown field `wat`$"),
        ({"what": "refused"}, r"^config: `what` must not be refused$"),
    ],
)
def test_a_config_that_does_not_fit_names_the_field(
    runs: Runs, config: dict[str, JsonValue], message: str
) -> None:
    """A template may render to what the schema refuses; that fails the node, clearly."""
    found = failure(runs, act, config)
    assert found.code == "invalid_config"
    assert re.search(message, found.message)


@pytest.mark.parametrize("function", [act, act_async])
@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("value", "handler_error", "ValueError: bad value"),
        ("exit", "handler_exited", "the handler tried to end its process (SystemExit: 3)"),
        ("interrupt", "handler_exited", "the handler tried to end its process (KeyboardInterrupt)"),
        ("unprintable", "handler_error", "UnprintableError: (its message cannot be shown)"),
        ("own", "quota", "no quota left"),
        ("timeout", "handler_error", "TimeoutError: a timeout of the handler's own"),
    ],
)
def test_whatever_a_handler_raises_fails_its_node_only(
    runs: Runs, function: object, what: str, code: str, message: str
) -> None:
    """Any exception, sys.exit included, becomes a HandlerError and leaves the next handler alone."""
    found = failure(runs, function, {"what": what})
    assert found.code == code
    text, _, place = found.message.partition(" (test_handlers_invocation.py:")
    assert text == message
    assert bool(place) == (code == "handler_error"), "an unexpected error names the line that raised it"
    assert "result" in runs.run_handler(described(act_async), {})


@pytest.mark.parametrize(("what", "logged"), [("value", ["handler.raised"]), ("own", [])])
def test_an_unexpected_exception_is_logged_with_its_traceback(
    runs: Runs, what: str, logged: list[str]
) -> None:
    """The author finds a defect in the worker's log; a failure on purpose is not logged there."""
    failure(runs, act, {"what": what})
    assert [event for event, _ in runs.log.events] == logged
    assert [fields["exc_info"] for _, fields in runs.log.events] == [RAISED[what]][: len(logged)]


def test_the_line_named_is_the_users_and_not_a_librarys(runs: Runs) -> None:
    """An error deep inside json is shown with the line of the handler that called it."""

    @handler("parse")
    def parse(config: Config, context: Context) -> object:
        return msgspec.json.decode(json.dumps(json.loads("{")))

    assert re.search(r" \(test_handlers_invocation\.py:\d+\)$", failure(runs, parse, {}).message)


def test_a_huge_error_message_is_cut(runs: Runs) -> None:
    """An error is stored and shown; it must not be larger than a result. The place stays, and the mark
    tells where a secret may have been cut."""
    message = failure(runs, act, {"what": "long"}).message
    assert len(message) == 2000
    assert re.search(r"\.\.\. \(test_handlers_invocation\.py:\d+\)$", message)


def test_an_async_handler_is_cancelled_at_its_deadline(runs: Runs) -> None:
    """The node fails at its deadline, although the handler does not end."""
    started = time.monotonic()
    found = failure(runs, act_async, {"what": "hang"}, timeout_s=0.1)
    assert isinstance(found, HandlerTimeoutError)
    assert "act_async" in found.message
    assert time.monotonic() - started < 10


@pytest.mark.proves("event-loop-blocked")
def test_a_blocked_event_loop_is_noticed(runs: Runs) -> None:
    """Not one that is merely left by a handler that hangs, nor one that turns again."""
    assert runs.invoker.loop_silent_s() == 0.0
    RELEASED.clear()
    assert isinstance(failure(runs, act_async, {"what": "block"}, timeout_s=0.1), HandlerTimeoutError)
    wait_until(lambda: runs.invoker.loop_silent_s() > 0.05, what="a silence")
    RELEASED.set()
    wait_until(lambda: runs.invoker.loop_silent_s() == 0.0, what="an answer")
    assert runs.run_handler(described(act_async), {})["result"] == "flowengine-async"


def test_an_async_handler_that_cancels_itself_fails(runs: Runs) -> None:
    """A cancellation is an outcome too: the node must not hang."""
    assert failure(runs, act_async, {"what": "cancel"}).code == "handler_cancelled"


def test_the_loop_survives_a_task_that_exits(runs: Runs) -> None:
    """sys.exit in a task that a handler left behind breaks asyncio's loop; it is started again."""
    output = runs.run_handler(described(act_async), {"what": "exit task"})
    assert output["result"] == "flowengine-async"


def test_closing_cancels_what_runs_and_refuses_what_comes() -> None:
    """A process that stops does not wait for a handler that hangs."""
    with running() as runs:
        HANGING.clear()
        caught: list[HandlerError] = []
        thread = threading.Thread(
            target=lambda: caught.append(failure(runs, act_async, {"what": "hang"}, timeout_s=30))
        )
        thread.start()
        assert HANGING.wait(30)
        runs.invoker.close()
        thread.join(30)
    assert [found.code for found in caught] == ["handler_cancelled"]


# -- an execution that is stopped


def test_an_async_handler_is_cancelled_when_it_is_asked_to_stop(runs: Runs) -> None:
    """It need not look: it is cancelled where it waits, long before its deadline."""
    context = runs.context(timeout_s=60)
    caught: list[HandlerError] = []

    def invoke() -> None:
        try:
            runs.invoker.invoke(described(act_async), {"what": "hang"}, context)
        except HandlerError as error:
            caught.append(error)

    thread = threading.Thread(target=invoke)
    thread.start()
    context.cancellation.request()
    thread.join(30)
    assert [error.code for error in caught] == ["handler_cancelled"]


def test_a_handler_may_ask_whether_it_is_to_stop(runs: Runs) -> None:
    """So it can clean up, and return or raise."""
    context = runs.context()
    assert not context.cancelled()
    context.cancellation.request()
    assert context.cancelled()
    heard: list[bool] = []
    context.cancellation.on_request(lambda: heard.append(True))
    assert heard == [True]


def test_a_stop_that_meets_the_first_step_of_an_async_handler_is_no_defect_of_it(runs: Runs) -> None:
    """It comes from another thread than the handler's: whatever that has done, it ends as cancelled."""
    described_handler, ended = described(act_async), list[tuple[object, BaseException | None]]()
    for _ in range(300):
        context = runs.context(timeout_s=60)
        runs.invoker.begin(described_handler, {"what": "hang"}, context, ended.append)
        context.cancellation.request()
    wait_until(lambda: len(ended) == 300, within_s=30, what="their ends")
    assert {getattr(error, "code", error) for _, error in ended} == {"handler_cancelled"}
    assert not runs.log.events
