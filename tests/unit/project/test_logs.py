"""Logs: one form for structlog and the standard library, bound fields, levels, redaction."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina
import structlog

from flowengine.bootstrap import hide_secrets
from flowengine.observability import configure_logs, log_uncaught_errors, set_redactor
from flowengine.observability.log_context import bound_contextvars
from flowengine.settings import Settings

Start = Callable[..., io.StringIO]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def start() -> Iterator[Start]:
    """Configures logs onto a new stream and puts everything back at the end."""
    saved, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def configure(stream: io.StringIO | None = None, **options: Any) -> io.StringIO:
        sink = stream if stream is not None else io.StringIO()
        configure_logs("worker", stream=sink, **options)
        structlog.configure(cache_logger_on_first_use=False)
        return sink

    yield configure
    set_redactor(None)
    structlog.contextvars.clear_contextvars()
    structlog.configure(**saved)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("httpx", "httpcore", "dramatiq"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(sink: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_fields_are_bound_for_the_length_of_a_block(start: Start) -> None:
    """What was bound around it holds again afterwards, and what was not is gone, after an error too."""
    sink = start()
    log = structlog.get_logger()
    with bound_contextvars(execution_id="outer"):
        with contextlib.suppress(ZeroDivisionError), bound_contextvars(execution_id="inner", node_id="n"):
            log.info("node.started")
            raise ZeroDivisionError
        log.info("node.completed")
    log.info("execution.finished")
    found = [(line["event"], line.get("execution_id"), line.get("node_id")) for line in lines(sink)]
    assert found == [
        ("node.started", "inner", "n"),
        ("node.completed", "outer", None),
        ("execution.finished", None, None),
    ]


def test_a_line_is_json_with_service_time_level_and_bound_fields(start: Start) -> None:
    """Away from a terminal each event is one JSON object that names where it belongs."""
    sink = start()
    with structlog.contextvars.bound_contextvars(
        attempt=2, node_id="n", execution_id="e", correlation_id="c"
    ):
        structlog.get_logger().info("node.started", delay_s=1.5)
    (line,) = lines(sink)
    assert line.pop("timestamp").endswith("Z")
    assert list(line.items()) == [
        ("level", "info"),
        ("service", "worker"),
        ("event", "node.started"),
        ("correlation_id", "c"),
        ("execution_id", "e"),
        ("node_id", "n"),
        ("attempt", 2),
        ("delay_s", 1.5),
    ]


def test_standard_library_records_take_the_same_form(start: Start) -> None:
    """Dramatiq's and the server's own lines carry the bound fields, their logger and their arguments."""
    sink = start()
    with structlog.contextvars.bound_contextvars(correlation_id="c"):
        logging.getLogger("dramatiq.worker").warning("Stopped %d", 3)
    (line,) = lines(sink)
    assert (line["event"], line["logger"], line["level"]) == ("Stopped 3", "dramatiq.worker", "warning")
    assert (line["correlation_id"], line["service"]) == ("c", "worker")


def test_request_lines_of_httpx_are_not_logged(start: Start) -> None:
    """Query strings may hold secrets, so URLs are not logged even at debug."""
    sink = start(level="debug")
    logging.getLogger("httpx").info("HTTP Request: GET http://h/?token=canary")
    logging.getLogger("httpcore.http11").debug("send_request_headers canary")
    logging.getLogger("other").debug("shown")
    assert [line["event"] for line in lines(sink)] == ["shown"]


def test_what_is_below_the_level_is_not_written(start: Start) -> None:
    """The level holds for both kinds of loggers."""
    sink = start(level="warning")
    structlog.get_logger().info("node.started")
    logging.getLogger("x").info("quiet")
    structlog.get_logger().warning("node.late")
    assert [line["event"] for line in lines(sink)] == ["node.late"]


def test_an_exception_is_one_line_of_json(start: Start) -> None:
    """A log collector would take each line of a traceback for an event, so it is one field."""
    sink = start()
    for log in (structlog.get_logger(), logging.getLogger("std")):
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("work.failed")
    assert ["ValueError: boom" in line["exception"] for line in lines(sink)] == [True, True]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_bounded_and_moves_no_cursor(start: Start, form: str) -> None:
    """An exception's text may come from anyone who answers a call."""
    sink = start(log_format=form)
    set_redactor(lambda text: text.replace("canary", "***"))
    structlog.get_logger().error("handler.raised", exc_info=ValueError("canary \x1b[2J" + "x" * 100_000))
    assert "\x1b" not in sink.getvalue()
    assert "ValueError: ***" in sink.getvalue()
    assert "characters left out" in sink.getvalue()
    assert len(sink.getvalue()) < 25_000


def test_every_finished_line_passes_the_redactor(start: Start) -> None:
    """Secrets are removed wherever they are: in fields, nested values, tracebacks, foreign records."""
    sink = start()
    set_redactor(lambda text: text.replace("canary", "***"))
    structlog.get_logger().info("a", token="canary", nested={"deep": ["canary"]})
    logging.getLogger("x").error("see %s", "canary")
    try:
        raise ValueError("canary")
    except ValueError:
        structlog.get_logger().exception("b")
    assert "canary" not in sink.getvalue()
    assert sink.getvalue().count("***") >= 4


def test_values_that_json_cannot_carry_are_still_logged(start: Start) -> None:
    """Objects, lone surrogates and endless structures become their repr; the caller never fails."""
    sink = start()
    endless: list[object] = []
    endless.append(endless)
    structlog.get_logger().info("odd", thing=object, text="\ud800", endless=endless, raw=b"\xff")
    (line,) = lines(sink)
    assert "class 'object'" in line["thing"]
    assert line["event"] == "odd"


def test_a_reader_that_went_away_does_not_fail_the_work(start: Start) -> None:
    """A closed stream loses the line, nothing else."""
    sink = start()
    sink.close()
    assert structlog.get_logger().info("node.started") is None


def test_a_terminal_gets_readable_lines_that_no_value_can_forge(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Console lines are no JSON; control characters of a value are escaped; NO_COLOR is honoured."""
    monkeypatch.setenv("NO_COLOR", "1")
    sink = start(Terminal())
    structlog.get_logger().info("node.failed", message="a\nb\x1b[2J")
    (line,) = sink.getvalue().splitlines()
    assert "node.failed" in line
    assert "message=a\\x0ab\\x1b[2J" in line
    assert "\x1b" not in line


def test_a_traceback_does_not_act_on_the_terminal(start: Start) -> None:
    """What an exception quotes is escaped; the traceback keeps its lines."""
    sink = start(log_format="console")
    try:
        raise ValueError("\x1b[2J\x9b\u202e")
    except ValueError:
        structlog.get_logger().error("actor.failed", exc_info=True)
    text = sink.getvalue()
    assert "ValueError: \\x1b[2J\\u009b\\u202e" in text
    assert "\n" in text.strip()
    assert text.replace("\n", "").isprintable()


def test_a_terminal_without_no_color_gets_colours(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours unless NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    sink = start(Terminal())
    structlog.get_logger().info("node.started")
    assert "\x1b[" in sink.getvalue()


def test_the_format_can_be_forced(start: Start) -> None:
    """JSON on a terminal, console in a pipe, without colours there."""
    forced = start(Terminal(), log_format="json")
    structlog.get_logger().info("a")
    piped = start(log_format="console")
    structlog.get_logger().info("b", x=1)
    assert lines(forced)[0]["event"] == "a"
    assert "x=1" in piped.getvalue()
    assert "\x1b" not in piped.getvalue()


def test_warnings_become_log_lines(start: Start) -> None:
    """Python's own warnings do not break the form of the log."""
    sink = start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("careful", stacklevel=1)
        logging.captureWarnings(capture=False)
    assert lines(sink)[0]["logger"] == "py.warnings"


def test_an_error_that_ends_a_thread_is_logged_as_any_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would write its traceback to standard error, with the secrets that it quotes."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    sink = start()
    set_redactor(lambda text: text.replace("canary", "***"))
    log_uncaught_errors()

    def fail() -> None:
        raise ValueError("it is canary")

    for target in (fail, sys.exit):
        thread = threading.Thread(target=target, name="own")
        thread.start()
        thread.join()
    (line,) = lines(sink)
    assert (line["event"], line["thread"]) == ("thread.crashed", "own")
    assert "ValueError: it is ***" in line["exception"]


class Unshown:
    """A value that nobody can show."""

    def __repr__(self) -> str:
        raise KeyError("repr")


def test_a_value_that_cannot_be_shown_does_not_lose_the_line(start: Start) -> None:
    """A handler's own log line is no reason for its node to fail."""
    sink = start()
    structlog.get_logger().info("odd.value", value=Unshown(), half="\udcff")
    (line,) = lines(sink)
    assert (line["event"], line["value"]) == ("odd.value", "(a Unshown that cannot be shown)")


def test_every_process_hides_the_passwords_in_its_settings(start: Start) -> None:
    """The API and the orchestrator are given no secrets, but addresses with passwords."""
    sink = start()
    settings = Settings(redis_url="redis://:pw-canary@host", llm_api_key="key-canary")
    hide_secrets(settings, {"FLOWENGINE_SECRET_A": "secret-canary"})
    structlog.get_logger().info("said", all="redis://:pw-canary@host key-canary secret-canary")
    (line,) = lines(sink)
    assert line["all"] == "redis://:***@host *** ***"


def test_lines_of_libraries_are_in_our_words(start: Start) -> None:
    """A retry of stamina's is an event like ours, without what was called; dramatiq's threads are no news."""
    sink = start()
    failed = False
    with contextlib.suppress(ValueError):
        for attempt in stamina.retry_context(on=ValueError, attempts=2, wait_initial=0, wait_jitter=0):
            with attempt:
                failed = True
                raise ValueError("not yet")
    logging.getLogger("dramatiq.worker.Worker").info("Shutting down...")
    assert failed
    (line,) = lines(sink)
    assert (line["event"], line["attempt"], line["delay_s"]) == ("call.retry_scheduled", 2, 0.0)
    assert "not yet" in line["error"]
    assert line.keys().isdisjoint({"callable", "args", "kwargs"})
