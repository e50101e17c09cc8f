"""Retry a dead letter: trigger the execution of a task that was given up, or send the message again.

A task that was given up has failed its node: its message would be stale. What people want is that the node
runs again, and that is a trigger of its execution, in whose transaction the letter goes. Any other message
has had no effect: it moves back to its queue, where it changes nothing if it is out of date.
"""

from __future__ import annotations

from flowengine.engine.commands.trigger import NewerRunError, Repeated, trigger
from flowengine.engine.ports import CommandStore, Letter, LetterStore
from flowengine.errors import WrongStateError
from flowengine.execution.messages import RunNode
from flowengine.execution.views.operations import RetriedLetterView


def given_up(letter: Letter) -> RunNode | None:
    """The task whose node has failed with this letter; None: no node has."""
    payload = letter.payload
    return payload if letter.reason == "exhausted" and isinstance(payload, RunNode) else None


def retry_letter(store: CommandStore, letters: LetterStore, letter_id: str) -> RetriedLetterView:
    """Do what was given up anew, and remove the letter, in one transaction.

    Raises DeadLetterNotFoundError, ExecutionNotFoundError, WrongStateError (its execution runs, or is
    completed), TooManyExecutionsError, StoreFullError, StoreUnavailableError.
    """
    letter = letters.find(letter_id)
    task = given_up(letter)
    if task is None:
        letters.send_again(letter)
        return RetriedLetterView(id=letter_id, done="sent")
    try:
        begun = trigger(store, task.execution, repeated=Repeated(task.run, letters.removal(letter)))
    except NewerRunError:
        letters.remove(letter_id)
        return RetriedLetterView(id=letter_id, done="overtaken", execution_id=task.execution)
    except WrongStateError as error:
        raise WrongStateError(
            f"{error}: a retry of '{letter_id}' would trigger it, since the node '{task.node}' has failed "
            "with it; retry it once the execution has failed, or delete it"
        ) from error
    return RetriedLetterView(id=letter_id, done="triggered", execution_id=begun.execution_id, run=begun.run)
