"""What handlers say, on its way to the store: with the outcome of a node, and twice a second while it runs.

Secrets are taken out here, as from results. A node that says nothing costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from flowengine.engine.ports import Redactor, RunningStore
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.history.spoken import TEXT_CHARS, Live, Progress, Said, Text
from flowengine.observability.node_output import Taken

CUT: Final = "..."
"""Behind a text, it says that the text was cut: the redactor hides a secret then that has only begun."""
TAIL_CHARS: Final = 4000


class Outputs:
    """Collects what the nodes of one worker process say."""

    def __init__(self, store: RunningStore, secrets: Redactor) -> None:
        self._store = store
        self._secrets = secrets

    def gather(self, hand: TaskInHand) -> None:
        """Take what a handler has said that has ended, while the secrets of its execution are known."""
        with hand.speaking:
            self._take(hand, last=True)

    def last_of(self, hands: Sequence[TaskInHand]) -> list[Said]:
        """What is left to be written of nodes that have ended. It stays in hand until `is_said`."""
        for hand in hands:
            # Who writes down what it has said keeps it in `unsaid` until then.
            if hand.unsaid or hand.held_text or not hand.output.is_over:
                self.gather(hand)
        return [said for hand in hands for said in hand.unsaid]

    def is_said(self, hands: Sequence[TaskInHand]) -> None:
        """It has been written."""
        for hand in hands:
            hand.unsaid.clear()

    def flush(self, hands: Sequence[TaskInHand]) -> None:
        """Write what nodes have said that still run: one round trip for all, none if they were silent.

        Raises StoreUnavailableError: then it is written the next time.
        """
        mine = [hand for hand in hands if not hand.taken and hand.speaking.acquire(blocking=False)]
        try:
            for hand in mine:
                self._take(hand)
            said = [each for hand in mine for each in hand.unsaid]
            if said or self._store.has_said_too_much:
                self._store.say(said)
            self.is_said(mine)
        finally:
            for hand in mine:
                hand.speaking.release()

    def _take(self, hand: TaskInHand, *, last: bool = False) -> None:
        taken = hand.output.take(last=last)
        if taken is None and not (last and hand.held_text):
            return
        task = hand.task
        hand.unsaid.append(
            Said(
                execution=task.execution,
                node=task.node,
                run=task.run,
                attempt=task.attempt,
                delivery=hand.delivery,
                lines=() if taken is None else self._redacted(taken.lines),
                dropped=0 if taken is None else taken.dropped,
                live=tuple(self._live(hand, taken, last=last)),
            )
        )

    def _redacted(self, lines: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The lines without secrets. Of one batch, most often, none has any: that is asked once."""
        together = b"[%b]" % b",".join(lines)
        if self._secrets.redact_json(together) == together:
            return lines
        return tuple(self._secrets.redact_json(line) for line in lines)

    def _live(self, hand: TaskInHand, taken: Taken | None, *, last: bool) -> Iterator[Live]:
        task = hand.task
        if taken is not None and taken.step is not None:
            step = taken.step
            message = None if step.message is None else self._secrets.redact(step.message)
            yield Progress(task.node, task.run, task.attempt, step.at, step.done, step.total, message)
        text = self._speakable(hand, "" if taken is None else taken.text, last=last)
        cut = taken is not None and taken.text_dropped
        at = hand.output.now() if taken is None else taken.text_at
        for begin in range(0, len(text), TEXT_CHARS):
            piece = text[begin : begin + TEXT_CHARS]
            yield Text(task.node, task.run, task.attempt, at, piece, cut and begin == 0)

    def _speakable(self, hand: TaskInHand, text: str, *, last: bool) -> str:
        """The text without secrets. One that may have begun at its end is held until the rest is there."""
        text = hand.held_text + text
        hand.held_text = ""
        if not text:
            return ""
        shown = self._secrets.redact(text)
        tail = text[-TAIL_CHARS:]
        ended = self._secrets.redact(tail + CUT)
        if ended == self._secrets.redact(tail) + CUT:
            return shown
        if last:
            return self._secrets.redact(text[: -len(tail)]) + ended.removesuffix(CUT)
        hand.held_text = text
        return ""
