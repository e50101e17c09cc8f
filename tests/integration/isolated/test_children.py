"""Calls of isolated handlers in real child processes, through an invoker as a worker has one."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.isolated.children import Children
from flowengine.handlers.loading import load_registry
from flowengine.jsonvalue import JsonValue
from flowengine.observability.node_output import NodeOutput
from flowengine.plugin import Cancellation, Context, HandlerError, HandlerTimeoutError, Later, Registry, Wait
from flowengine.worker.process import ISOLATED_PROGRAM
from tests.support.rigs.handler_runs import RecordedLog
from tests.support.waiting import wait_until

HANDLERS = "tests.e2e.isolated_handlers"
SECRET = "correct-horse-battery"
PASSING = "secret-of-one-execution"
PROGRAM = [sys.executable, "-P", "-m", ISOLATED_PROGRAM, str(os.getpid())]


class Calls:
    """Calls handlers as a worker's threads do."""

    def __init__(self) -> None:
        self.registry: Registry = load_registry((HANDLERS,))
        self.children = Children(PROGRAM, hidden=lambda: (PASSING,), max_result_bytes=1_000_000)
        self.invoker = Invoker(egress="any", settings={}, isolation=self.children)

    def context(self, timeout_s: float = 30.0) -> Context:
        """A context that keeps what its handler says."""
        return Context(
            execution_id="x1",
            run=2,
            node_id="call",
            attempt=3,
            delivery=4,
            deadline=time.monotonic() + timeout_s,
            idempotency_key="x1/call/1",
            correlation_id="correlation-1",
            logger=RecordedLog(),
            http=self.invoker.http,
            async_http=self.invoker.async_http,
            environment=lambda name: None,
            cancellation=Cancellation(),
            output=NodeOutput(1_000_000),
        )

    def wait_of(self, name: str, **config: JsonValue) -> object:
        """What a handler returns that has its node wait."""
        handler = self.registry.get(name)
        assert handler is not None
        return self.invoker.invoke(handler, config, self.context())

    def call(self, name: str, context: Context | None = None, **config: object) -> dict[str, object]:
        """What the handler returns."""
        handler = self.registry.get(name)
        assert handler is not None
        assert not handler.is_async
        output = self.invoker.invoke(handler, msgspec.to_builtins(config), context or self.context())
        return dict(msgspec.json.decode(output.data))  # type: ignore[attr-defined]  # it is encoded

    def failure(self, name: str, context: Context | None = None, **config: object) -> HandlerError:
        """How the handler fails."""
        with pytest.raises(HandlerError) as caught:
            self.call(name, context, **config)
        return caught.value


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    """With a child that is there from the start."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "FLOWENGINE_HANDLERS": HANDLERS,
            "FLOWENGINE_SECRET_HORSE": SECRET,
            "FLOWENGINE_MAX_RESULT_BYTES": "1000000",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "ISOLATED_TEST": "set",
        }.items():
            patch.setenv(name, value)
        made = Calls()
        with closing(made.invoker):
            made.children.warm_up()
            yield made


def _lines(context: Context) -> list[tuple[str, str]]:
    assert isinstance(context.output, NodeOutput)
    taken = context.output.take(last=True)
    lines = [] if taken is None else [msgspec.json.decode(line) for line in taken.lines]
    return [(line[1], line[3]) for line in lines]


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_child_is_kept_for_the_next_call(calls: Calls) -> None:
    """Another process is made only while the first one is at work."""
    first, second = calls.call("isolated_pid", given=[1, {"a": None}]), calls.call("isolated_pid")
    assert first["result"] == second["result"] != os.getpid()
    assert first["given"] == [1, {"a": None}]


def test_handler_may_ask_to_be_called_later(calls: Calls) -> None:
    """That is no failure, and its process goes on."""
    kept = calls.call("isolated_pid")["result"]
    with pytest.raises(Later) as caught:
        calls.call("isolated_later")
    assert caught.value.seconds == 90
    assert calls.call("isolated_pid")["result"] == kept


def test_handler_may_have_its_node_wait_for_signals(calls: Calls) -> None:
    """Its prompt is shown to people, so that no secret is left in it. The process goes on."""
    kept = calls.call("isolated_pid")["result"]
    waits = Wait(("paid", "refused"), "pay ***", 90, "continue")
    assert calls.wait_of("isolated_wait", given=SECRET) == waits
    assert calls.call("isolated_pid")["result"] == kept


def test_context_and_all_that_is_said_cross(calls: Calls) -> None:
    """Secrets are taken out on the way, those of the execution too."""
    context = calls.context()
    got = calls.call("isolated_speak", context, given=f"{SECRET} {PASSING}")
    assert got["result"] == "*** ***"
    assert got["context"] == ["x1", 2, "call", 3, 4]
    assert (got["key"], got["correlation_id"]) == ("x1/call/1", "correlation-1")
    assert 20 < float(str(got["remaining"])) <= 30
    assert got["of_the_environment"] == "set"
    assert isinstance(context.output, NodeOutput)
    taken = context.output.take(last=True)
    assert taken is not None
    assert [msgspec.json.decode(line)[1:4] for line in taken.lines[:4]] == [
        ["log", "info", "speak.logged"],
        ["log", "warning", "from a library"],
        ["stdout", None, "printed by call"],
        ["stderr", None, "complained"],
    ]
    assert taken.step is not None
    assert (taken.step[1:], taken.text) == ((1, 2, "half"), "word ")


def test_failure_on_purpose_crosses_whole(calls: Calls) -> None:
    """With its tries, its calls of models, and what a retry goes by."""
    error = calls.failure("isolated_fail", given=SECRET)
    assert (error.code, error.message, error.status_code) == ("quota", "no quota for ***", 429)
    assert (error.permanent, error.retry_after_s) == (True, 7.0)
    assert [(tried.code, tried.after_s) for tried in error.errors] == [("a", 0.5)]
    assert [(call.model, call.usage) for call in error.calls] == [("m", {"tokens": 3})]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("nan", "unencodable_result"),
        ("object", "unencodable_result"),
        ("large", "result_too_large"),
        ("raise", "handler_error"),
        ("exit", "handler_exited"),
    ],
)
def test_what_goes_wrong_in_a_handler_does_not_end_its_process(calls: Calls, given: str, code: str) -> None:
    """It fails as it would in the worker's own process."""
    before = calls.call("isolated_pid")["result"]
    assert calls.failure("isolated_odd", given=given).code == code
    assert calls.call("isolated_pid")["result"] == before


@pytest.mark.proves("isolated-crash")
@pytest.mark.parametrize(
    ("how", "said"),
    [("segfault", "SIGSEGV"), ("exit", "code 3"), ("killed", "SIGKILL"), ("closed", "has ended")],
)
def test_handler_whose_process_dies_has_crashed(calls: Calls, how: str, said: str) -> None:
    """What it has said before is kept; the next call gets another process."""
    before, context = calls.call("isolated_pid")["result"], calls.context()
    error = calls.failure("isolated_end", context, how=how)
    assert error.code == "handler_crashed"
    assert said in error.message
    assert ("stdout", "last words") in _lines(context)
    after = calls.call("isolated_pid")["result"]
    assert after != before


@pytest.mark.proves("isolated-hangs")
@pytest.mark.parametrize("how", ["keeps all", "sleeps"])
def test_handler_that_hangs_is_killed_at_its_deadline(calls: Calls, how: str, tmp_path: Path) -> None:
    """Also one that lets no other thread run; and what it has started."""
    calls.call("isolated_pid")
    context = calls.context(timeout_s=2.0)
    error = calls.failure("isolated_hang", context, how=how, folder=str(tmp_path))
    assert isinstance(error, HandlerTimeoutError)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    wait_until(lambda: all(map(_is_gone, pids)), within_s=10, what="an end of both processes")


def test_handler_that_asks_is_told_to_stop(calls: Calls) -> None:
    """It may end in order."""
    context = calls.context()
    timer = threading.Timer(0.1, context.cancellation.request)
    timer.start()
    assert calls.call("isolated_ask", context)["result"] == "stopped"


@pytest.mark.proves("isolated-cancelled")
def test_handler_that_does_not_stop_is_killed(calls: Calls) -> None:
    """Long before its deadline."""
    context = calls.context(timeout_s=90.0)
    timer = threading.Timer(0.1, context.cancellation.request)
    timer.start()
    error = calls.failure("isolated_hang", context, how="keeps all")
    assert error.code == "handler_cancelled"


def test_child_that_has_died_meanwhile_is_nobodys_fault(calls: Calls) -> None:
    """An idle one may be ended by the system: the call is made in another."""
    before = calls.call("isolated_pid")["result"]
    os.kill(int(str(before)), 9)
    assert calls.call("isolated_pid")["result"] != before


def test_program_that_does_not_start_fails_the_call() -> None:
    """It is not started again and again."""
    wrong = Children([sys.executable, "-c", "raise SystemExit(5)"], hidden=lambda: (), max_result_bytes=1000)
    made = Calls()
    invoker = Invoker(egress="any", settings={}, isolation=wrong)
    with closing(made.invoker), closing(invoker):
        handler = made.registry.get("isolated_pid")
        assert handler is not None
        context = replace(made.context(), http=invoker.http, async_http=invoker.async_http)
        with pytest.raises(HandlerError, match="code 5") as caught:
            invoker.invoke(handler, {}, context)
        assert caught.value.code == "handler_crashed"
