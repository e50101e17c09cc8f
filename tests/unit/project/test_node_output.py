"""What a handler says belongs to its node, however it says it, and takes a bounded memory."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from flowengine.observability import configure_logs, set_redactor
from flowengine.observability.node_output import (
    MOST_BYTES,
    MOST_LINES,
    MOST_TEXT_CHARS,
    UNPACED_LINES,
    NodeOutput,
    Taken,
    current_output,
    heard_by,
)
from flowengine.observability.printed_text import PrintedText


@pytest.fixture(autouse=True)
def sink() -> Iterator[io.StringIO]:
    """The process's own log."""
    saved, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs("worker", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    set_redactor(None)
    structlog.configure(**saved)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def output() -> NodeOutput:
    """That of a node which began at the second 1."""
    return NodeOutput(1000)


def taken(output: NodeOutput, *, last: bool = False) -> Taken:
    """What was said."""
    found = output.take(last=last)
    assert found is not None
    return found


def said(output: NodeOutput) -> list[Any]:
    """The lines, without their times."""
    return [json.loads(line)[1:] for line in taken(output, last=True).lines]


def test_log_lines_of_both_kinds_are_kept_and_logged(output: NodeOutput, sink: io.StringIO) -> None:
    """With their fields, and without those that say where they belong; the process's log has them too."""
    with heard_by(output), structlog.contextvars.bound_contextvars(node_id="n", attempt=2):
        structlog.get_logger().info("page.loaded", number=2, odd=object)
        logging.getLogger("library").warning("took %d s", 3)
    structlog.get_logger().info("engine.spoke")
    assert said(output) == [
        ["log", "info", "page.loaded", {"number": 2, "odd": "<class 'object'>"}],
        ["log", "warning", "took 3 s", {}],
    ]
    assert len(sink.getvalue().splitlines()) == 3


def test_a_traceback_is_a_field(output: NodeOutput) -> None:
    """Secrets in it are hidden before it is cut."""
    set_redactor(lambda text: text.replace("canary", "***"))
    with heard_by(output):
        structlog.get_logger().error("handler.raised", exc_info=ValueError("canary" + "x" * 9000))
    ((_, _, _, fields),) = said(output)
    assert "canary" not in fields["exception"]
    assert len(fields["exception"]) < 7000


def test_prints_are_kept_line_by_line(output: NodeOutput) -> None:
    """Whatever pieces they come in; what has no end yet follows at the end of the node."""
    out, errors = io.StringIO(), io.StringIO()
    printed = PrintedText(out, lambda text: text)
    complained = PrintedText(errors, lambda text: text, "stderr")
    with heard_by(output):
        print("one", 2, file=printed)
        print("thr", end="", file=printed)
        print("oops", file=complained)
        print("ee\nfour", end="", file=printed)
    assert said(output) == [
        ["stdout", None, "one 2", {}],
        ["stderr", None, "oops", {}],
        ["stdout", None, "three", {}],
        ["stdout", None, "four", {}],
    ]
    assert out.getvalue() == "one 2\nthree\n"


def test_tasks_and_threads_with_the_context_belong_to_the_node() -> None:
    """Two handlers on one event loop do not mix, and neither does `asyncio.to_thread`."""
    outputs = [NodeOutput(0), NodeOutput(0)]

    async def handle(number: int) -> None:
        with heard_by(outputs[number]):
            structlog.get_logger().info(f"first.of_{number}")
            await asyncio.sleep(0)
            await asyncio.to_thread(structlog.get_logger().info, f"second.of_{number}")

    async def both() -> None:
        await asyncio.gather(handle(0), handle(1))

    asyncio.run(both())
    assert [[line[2] for line in said(output)] for output in outputs] == [
        ["first.of_0", "second.of_0"],
        ["first.of_1", "second.of_1"],
    ]
    assert current_output() is None


def test_what_lies_in_memory_is_bounded(output: NodeOutput) -> None:
    """The newest lines are kept, and how many were dropped is known; a long line is cut."""
    for number in range(MOST_LINES + 5):
        output.printed("stdout", f"{number}\n")
    first = taken(output)
    assert (len(first.lines), first.dropped) == (MOST_LINES, 5)
    assert json.loads(first.lines[0])[3] == "5"
    for _ in range(200):
        output.printed("stdout", "y" * 50_000 + "\n")
        output.logged({"event": "big", "level": "info", **{f"f{n}": "z" * 5000 for n in range(20)}})
    second = taken(output)
    assert sum(map(len, second.lines)) <= MOST_BYTES
    assert max(map(len, second.lines)) < 9000
    assert second.dropped > 0


def test_text_is_joined_and_bounded(output: NodeOutput) -> None:
    """Progress is the newest; of too much text the oldest goes, and that is told."""
    output.emit("Hel")
    output.emit("lo")
    output.progress(1, 3, None)
    output.progress(2, 3, "nearly")
    found = taken(output)
    assert (found.text, found.text_dropped) == ("Hello", False)
    assert found.step is not None
    assert found.step[1:] == (2, 3, "nearly")
    for _ in range(100):
        output.emit("x" * 1000)
    found = taken(output)
    assert len(found.text) <= MOST_TEXT_CHARS
    assert found.text_dropped


def test_what_cannot_be_sent_on_is_refused(output: NodeOutput) -> None:
    """The handler's author learns it where it happens."""
    with pytest.raises(TypeError, match="emit takes text, not bytes"):
        output.emit(b"x")  # type: ignore[arg-type]  # what somebody may do
    with pytest.raises(ValueError, match="finite"):
        output.progress(float("nan"), None, None)


def test_nothing_is_kept_after_the_end(output: NodeOutput) -> None:
    """A thread that was left behind may go on for ever."""
    output.printed("stdout", "before\n")
    taken(output, last=True)
    output.printed("stdout", "after\n")
    output.emit("after")
    assert output.take() is None


def test_threads_lose_no_line(output: NodeOutput) -> None:
    """Lines of several threads of one node are each kept once."""

    def speak(name: int) -> None:
        for number in range(100):
            output.printed(f"{name}", f"{name}.{number}\n")

    threads = [threading.Thread(target=speak, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({json.loads(line)[3] for line in taken(output).lines}) == 400


def test_what_says_much_rests_meanwhile_but_in_no_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours would wait for the interpreter's lock; all in a loop would wait for the rest."""
    rests: list[float] = []
    monkeypatch.setattr("flowengine.observability.node_output.time.sleep", rests.append)
    output = NodeOutput(0)

    def say(lines: int) -> None:
        for _ in range(lines):
            output.logged({"event": "said"})

    async def say_in_a_loop() -> None:
        say(1000)

    say(UNPACED_LINES)
    assert rests == []
    say(400)
    assert len(rests) == 100
    asyncio.run(say_in_a_loop())
    assert len(rests) == 100
