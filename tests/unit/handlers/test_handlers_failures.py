"""Failures as text that can be stored: whatever the exception is made of, one run is all that it takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from io import StringIO
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from flowengine.handlers.invoking.failures import MAX_MESSAGE_CHARS, failure_of
from flowengine.jsonvalue import encode
from flowengine.observability import configure_logs
from flowengine.plugin import AttemptError, Context, HandlerError, handler
from tests.support.rigs.handler_runs import Runs, described, running


def odd(value: object) -> Any:
    """What a type checker would refuse, and users pass all the same."""
    return value


class ExitsError(ValueError):
    """Its text ends the process."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class Bare(BaseException):
    """No Exception."""


class UnbuiltError(HandlerError):
    """A subclass that forgets its parent."""

    def __init__(self) -> None:
        """Sets nothing."""


class RaisingError(HandlerError):
    """A code that is worked out, badly."""

    @property
    def code(self) -> str:
        raise KeyError("code")

    @code.setter
    def code(self, code: str) -> None:
        """Takes any."""


class Shouted(str):
    """Text whose methods are its own."""

    def __format__(self, spec: str) -> str:
        raise SystemExit(4)

    def __getitem__(self, key: object) -> str:
        raise SystemExit(5)

    def __len__(self) -> int:
        raise SystemExit(6)


class SpeaksError(Exception):
    """Its text is not quite text."""

    def __str__(self) -> str:
        return Shouted("spoken")


class HalfBuiltError(HandlerError):
    """Its author forgot `super().__init__`."""

    def __init__(self) -> None:
        self.code, self.message = "half", "built"


class ClasslessError(Exception):
    """`isinstance` asks for its class, and gets an error."""

    @property  # type: ignore[misc]  # that is the point
    def __class__(self) -> type:
        raise ValueError("no class")


class Undecided:
    """Neither true nor false."""

    def __bool__(self) -> bool:
        raise ExitsError("x")


def cyclic() -> list[object]:
    """A list that holds itself."""
    found: list[object] = ["cycle"]
    found.append(found)
    return found


def caused_by_itself() -> ValueError:
    """An exception in a ring of causes."""
    first, second = ValueError("ring"), KeyError("other")
    first.__cause__, second.__cause__ = second, first
    return first


def noted(*notes: object) -> ValueError:
    """An exception with notes that `add_note` would refuse."""
    error = ValueError("noted")
    error.__notes__ = odd(list(notes))
    return error


def odd_syntax_error() -> SyntaxError:
    """A compiler's error about no file."""
    error = SyntaxError("odd")
    error.filename, error.lineno = odd(404), odd(b"x")
    return error


CASES: dict[str, tuple[Callable[[], BaseException], str, str]] = {
    "half a character": (lambda: ValueError("bad \udcff name"), "handler_error", "bad \\udcff name"),
    "no code": (lambda: HandlerError(odd(None), "m"), "handler_error", "m (its code is NoneType, not text)"),
    "empty code": (lambda: HandlerError("", "m"), "handler_error", "m (its code is empty)"),
    "number": (lambda: HandlerError("c", odd(404)), "handler_error", "c 404 (its message is int, not text)"),
    "bytes": (lambda: HandlerError(odd(b"c"), odd(b"m")), "handler_error", "b'c' b'm' (its code is bytes"),
    "half in a code": (lambda: HandlerError("c\ud800", "m\udcff"), "c\\ud800", "m\\udcff"),
    "text of its own": (lambda: HandlerError(Shouted("c"), Shouted("m")), "c", "m"),
    "unbuilt": (UnbuiltError, "handler_error", "UnbuiltError"),
    "half built": (HalfBuiltError, "half", "built"),
    "odd calls": (lambda: HandlerError("c", "m", calls=odd(Undecided())), "c", "m"),
    "odd call": (lambda: HandlerError("c", "m", calls=odd([Undecided()])), "c", "m"),
    "raising": (lambda: RaisingError("c", "m"), "handler_error", "cannot be described"),
    "classless": (ClasslessError, "handler_error", "cannot be described"),
    "exits": (lambda: ExitsError("x"), "handler_error", "ExitsError: (its message cannot be shown)"),
    "exits inside": (lambda: HandlerError("c", odd(ExitsError("x"))), "handler_error", "(ExitsError)"),
    "exit with one": (lambda: SystemExit(ExitsError("x")), "handler_exited", "its message cannot be shown"),
    "speaks": (SpeaksError, "handler_error", "SpeaksError: spoken"),
    "bare": (lambda: Bare("b"), "handler_error", "Bare: b"),
    "generator's": (lambda: GeneratorExit("g"), "handler_error", "GeneratorExit: g"),
    "huge": (lambda: ValueError("x" * 5_000_000), "handler_error", "..."),
    "huge on purpose": (lambda: HandlerError("c", "x" * 5_000_000), "c", "..."),
    "cycle": (lambda: ValueError(cyclic()), "handler_error", "['cycle', [...]]"),
    "ring": (caused_by_itself, "handler_error", "ring"),
    "notes": (lambda: noted(1, "\udcff", ExitsError("x")), "handler_error", "noted"),
    "group": (
        lambda: ExceptionGroup("several", [HandlerError("quota", "none left"), ValueError("bad \udcff")]),
        "handler_error",
        "several (2 sub-exceptions); HandlerError: none left; ValueError: bad \\udcff",
    ),
    "bare group": (
        lambda: BaseExceptionGroup("several", [SystemExit(3)] * 10_000),
        "handler_error",
        "BaseExceptionGroup: several (10000 sub-exceptions); SystemExit: 3; SystemExit: 3; SystemExit: 3",
    ),
    "syntax": (odd_syntax_error, "handler_error", "SyntaxError: odd"),
    "tries": (lambda: HandlerError("c", "m", errors=odd([404, None])), "c", "m"),
    "odd tries": (
        lambda: HandlerError(
            "c", "m", errors=(AttemptError(code=odd(None), message="\udcff", after_s=float("nan")),)
        ),
        "c",
        "m",
    ),
    "no tries": (lambda: HandlerError("c", "m", errors=odd(404)), "c", "m"),
    "http": (lambda: httpx.ConnectError("no \udcff"), "connection_failed", "no \\udcff"),
}


class Which(msgspec.Struct):
    """Which of the cases."""

    case: str


@handler("fail")
def fail(config: Which, context: Context) -> object:
    """Raises it."""
    raise CASES[config.case][0]()


@handler("fail_async")
async def fail_async(config: Which, context: Context) -> object:
    """Raises it on the event loop."""
    raise CASES[config.case][0]()


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """An invoker for all cases: none may harm the next."""
    with running() as made:
        yield made


@pytest.mark.proves("failure-of-anything")
@pytest.mark.parametrize("function", [fail, fail_async])
@pytest.mark.parametrize("case", CASES)
def test_any_exception_becomes_a_failure_that_can_be_stored(
    runs: Runs, case: str, function: Callable[..., object]
) -> None:
    """A text that could not be stored made the node run three times, and end as if its worker had died."""
    _, code, part = CASES[case]
    with pytest.raises(HandlerError) as caught:
        runs.run_handler(described(function), {"case": case})
    found = caught.value
    assert (found.code, part in found.message) == (code, True), found.message
    assert len(found.message) < 40_000
    assert all(isinstance(tried, AttemptError) for tried in found.errors)
    assert encode([found.code, found.message, found.errors, found.calls])
    if found.code == "handler_error":
        assert len(found.message) <= MAX_MESSAGE_CHARS


def test_a_failure_on_purpose_that_can_be_stored_comes_back_as_it_is() -> None:
    """Its type, its tries and its traceback stay."""
    error = HandlerError("c", "m \u00fc", errors=(AttemptError(code="a", message="b", after_s=1.5),))
    assert failure_of(error) is error


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Where the real log goes."""
    saved, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    sink = StringIO()
    configure_logs("worker", log_format="json", stream=sink)
    structlog.configure(cache_logger_on_first_use=False)
    yield sink
    structlog.configure(**saved)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("case", CASES)
def test_any_exception_can_be_logged(case: str, log: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its traceback, or else its description: one line, and the handler's failure is not lost."""
    with running() as runs:
        monkeypatch.setattr(runs, "log", structlog.get_logger())
        with pytest.raises(HandlerError) as caught:
            runs.run_handler(described(fail), {"case": case})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    expected = ["handler.raised"] if caught.value.code == "handler_error" else []
    assert [line["event"] for line in lines] == expected


def test_an_exception_without_a_traceback_that_can_be_made_is_logged(log: StringIO) -> None:
    """An error while a line was written ended the thread of all async nodes, and nothing said so."""
    structlog.get_logger().error("node.crashed", exc_info=ClasslessError("x"))
    line = json.loads(log.getvalue())
    assert line["exception"] == "ClasslessError: (its traceback cannot be shown)"


class Unreadable(msgspec.Struct):
    """A config whose own check exits."""

    a: int

    def __post_init__(self) -> None:
        raise SystemExit(3)


@handler("unreadable")
def unreadable(config: Unreadable, context: Context) -> object:
    """Is never reached."""
    return None


class Awaits:
    """A result that raises when it is looked at."""

    def __getattribute__(self, name: str) -> object:
        raise SystemExit(3)


@handler("awaits")
def awaits(config: msgspec.Struct, context: Context) -> Awaitable[object] | Awaits:
    """Returns it."""
    return Awaits()


@pytest.mark.parametrize(("function", "code"), [(unreadable, "invalid_config"), (awaits, "handler_exited")])
def test_code_around_a_handler_may_exit_too(runs: Runs, function: Callable[..., object], code: str) -> None:
    """The check of its config, and what asks its result whether it is awaitable."""
    with pytest.raises(HandlerError) as caught:
        runs.run_handler(described(function), {"a": 1})
    assert caught.value.code == code
