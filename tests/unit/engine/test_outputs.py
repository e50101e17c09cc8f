"""What handlers say on its way to the store: without secrets, once, and nothing where nothing was said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from flowengine.engine.held import Held
from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.outputs import Outputs
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.history.spoken import Progress, Said, Text, entries_of
from flowengine.handlers.secrets.redaction import Secrets
from tests.unit.engine.tasks import task

SECRET = "canary-8f14e45f"


class Store:
    """As much of a RunningStore as it takes to listen."""

    has_said_too_much = False

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.calls = 0
        self.down = False

    def say(self, said: Sequence[Said]) -> None:
        """One round trip."""
        self.calls += 1
        if self.down:
            raise StoreUnavailableError("away")
        self.said += said


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def outputs(store: Store) -> Outputs:
    secrets = Secrets({"FLOWENGINE_SECRET_CANARY": SECRET})
    return Outputs(cast("RunningStore", store), secrets)


def hand(node: str = "a") -> TaskInHand:
    """A delivery that runs."""
    return TaskInHand(Held(task(node), 1, "1-0/me", cast("Any", None), 0), Start(True, {}, None, 1000))


def texts(store: Store) -> list[str]:
    """The pieces of text that were written."""
    return [live.text for said in store.said for live in said.live if isinstance(live, Text)]


def test_silent_nodes_cost_nothing(store: Store, outputs: Outputs) -> None:
    """No round trip while they run, and none at their end."""
    hands = [hand("a"), hand("b")]
    outputs.flush(hands)
    assert outputs.last_of(hands) == []
    assert store.calls == 0


def test_all_that_speak_are_written_together(store: Store, outputs: Outputs) -> None:
    """One round trip for any number of nodes; each line once."""
    hands = [hand("a"), hand("b"), hand("c")]
    for each in hands[:2]:
        each.output.printed("stdout", "line\n")
        each.output.progress(1, 2, f"with {SECRET}")
    outputs.flush(hands)
    outputs.flush(hands)
    assert store.calls == 1
    assert [(said.node, len(said.lines)) for said in store.said] == [("a", 1), ("b", 1)]
    (progress,) = store.said[0].live
    assert isinstance(progress, Progress)
    assert (progress.done, progress.total, progress.message) == (1, 2, "with ***")


@pytest.mark.proves("secret-in-lines")
def test_secrets_are_taken_out_of_lines(store: Store, outputs: Outputs) -> None:
    """Also where they begin in front of a cut."""
    speaker = hand()
    speaker.output.printed("stdout", f"it is {SECRET}\n")
    speaker.output.printed("stdout", "x" * 5990 + SECRET + "\n")
    speaker.output.logged({"event": "odd", "level": "info", "token": SECRET, SECRET: 1})
    outputs.flush([speaker])
    written = b"".join(store.said[0].lines)
    assert b"canary" not in written
    assert written.count(b"***") == 4


@pytest.mark.proves("secret-in-lines")
@pytest.mark.parametrize("pieces", [(SECRET,), ("cana", "ry-8f1", "4e45f"), ("canary-8f14e45", "f")])
def test_a_secret_that_is_sent_on_in_pieces_is_hidden(
    store: Store, outputs: Outputs, pieces: Sequence[str]
) -> None:
    """What may be the beginning of one waits until the rest is there."""
    speaker = hand()
    speaker.output.emit("it is ")
    for piece in pieces:
        speaker.output.emit(piece)
        outputs.flush([speaker])
    speaker.output.emit(".")
    outputs.flush([speaker])
    assert "".join(texts(store)) == "it is ***."


def test_a_secret_that_has_only_begun_at_the_end_is_hidden(store: Store, outputs: Outputs) -> None:
    """What is left of it never comes."""
    speaker = hand()
    speaker.output.emit("it is canary-8f")
    outputs.flush([speaker])
    store.said += outputs.last_of([speaker])
    assert "".join(texts(store)) == "it is ***"


def test_what_could_not_be_written_is_written_the_next_time(store: Store, outputs: Outputs) -> None:
    """In its order, before what was said since."""
    speaker = hand()
    speaker.output.printed("stdout", "one\n")
    store.down = True
    with contextlib.suppress(StoreUnavailableError):
        outputs.flush([speaker])
    store.down = False
    speaker.output.printed("stdout", "two\n")
    last = outputs.last_of([speaker])
    assert [b"one" in last[0].lines[0], b"two" in last[1].lines[0]] == [True, True]
    assert outputs.last_of([speaker]) == last
    outputs.is_said([speaker])
    assert outputs.last_of([speaker]) == []


def test_long_text_is_written_in_pieces(store: Store, outputs: Outputs) -> None:
    """So that the number of pieces bounds what is kept."""
    speaker = hand()
    speaker.output.emit("x" * 1200)
    outputs.flush([speaker])
    assert [len(text) for text in texts(store)] == [500, 500, 200]


def pieces_of(lines: Sequence[bytes]) -> Iterator[int]:
    """How many lines each entry holds."""
    said = Said(execution="x", node="a", run=1, attempt=1, delivery=1, lines=tuple(lines))
    return (len(held) for _, held in entries_of(said))


def test_entries_hold_so_much_and_no_more() -> None:
    """A hundred lines or 32 KiB, and one line at least."""
    assert list(pieces_of([b"1"] * 250)) == [100, 100, 50]
    assert list(pieces_of([b"1" * 20_000] * 3)) == [1, 1, 1]
    assert list(pieces_of([])) == []
