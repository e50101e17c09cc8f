"""The pass of the crash points over nodes that wait."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from flowengine.engine.commands.answering.call_back import Carried
from flowengine.errors import CallbackGoneError, WrongStateError
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.plugin import Context, Later
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph
from tests.support.faults import Gate
from tests.support.group_plans import group, plan_from
from tests.support.rigs.harness import plan_of

WAITING: Final[Graph] = {
    "start": (),
    "held": ("start",),
    "put_off": ("start",),
    "early": ("start",),
    "hears": ("start",),
    "called": ("start",),
    "asks": ("hears", "early"),
    "last": ("held", "put_off", "asks", "called"),
}
WAITS: Final = {
    "held": WaitPolicy("wait"),
    "early": WaitPolicy("signal", names=("early",)),
    "hears": WaitPolicy("signal", names=("paid",)),
    "asks": WaitPolicy("approval"),
    "called": WaitPolicy("callback", url="http://flow.test"),
}


class Waited(Reference):
    """One run, in which a node waits for a time, the handler of another puts off its first call, two wait for
    signals, of which one comes early, one asks a person, and one waits for a callback."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self._put_off = False
        self._urls: set[str] = set()

    def _script(self, context: Context) -> None:
        if context.callback_url is not None:
            self._urls.add(context.callback_url)
        if context.node_id == "put_off" and not self._put_off:
            self._put_off = True
            raise Later(60.0)

    def run(self) -> None:
        """The run, and all waits to their ends."""
        harness = self.harness
        execution = self._api(lambda: harness.create(plan_of(WAITING, waits=WAITS)))
        self._trigger(execution)
        self._api(lambda: harness.signal(execution, "early"))
        self._settle()
        self._api(lambda: harness.signal(execution, "paid"))
        self._settle()
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(WrongStateError):
            answer = Answer(approved=True)
            self._api(lambda: harness.api.executions.decide(execution, "asks", answer))
        self._api(self._call_back)
        self._to_the_end()
        view = self._api(lambda: harness.api.executions.status(execution))
        assert {node.status for node in view.nodes} == {"completed"}
        assert {node.id: node.attempt for node in view.nodes} == dict.fromkeys(WAITING, 1)
        check_everything(harness.client)

    def _call_back(self) -> None:
        """All tries had one URL. A service that calls again may learn that it was heard."""
        (url,) = self._urls
        with contextlib.suppress(CallbackGoneError):
            self.harness.api.executions.call_back(url.rpartition("/")[2], Carried(b"7"))

    def _settle(self) -> None:
        """Deal with all messages, and with no timer."""
        harness = self.harness
        while waiting := [*harness.waiting("orchestrator"), *harness.tasks()]:
            for entry in waiting:
                process = harness.workers[0] if entry.actor == "run_node" else harness.orchestrators[0]
                harness.deliver(process, entry)


class GroupSignalled(Waited):
    """One run of a group of two iterations, each of which waits for a signal: one comes before it begins, the
    other while it waits. Both are sent to the execution at the top."""

    def run(self) -> None:
        """Each iteration takes one. A client that sends the first one again may have it kept twice, so that
        both iterations are over before it sends the second."""
        harness = self.harness
        hears = {"id": "hears", "handler": "signal", "config": {"name": "paid"}}
        loop = group("loop", hears, repeat={"until": "{{ iteration == 2 }}", "collect": True})
        execution = self._api(lambda: self._create(plan_from(nodes=[loop])))
        self._trigger(execution)
        self._api(lambda: harness.signal(execution, "paid"))
        self._settle()
        with contextlib.suppress(WrongStateError):
            self._api(lambda: harness.signal(execution, "paid"))
        self._to_the_end()
        found = self._api(lambda: harness.api.executions.results(execution)).results
        assert msgspec.json.decode(found["loop"])["result"] == [{"hears": 1}, {"hears": 1}], harness.errors
        assert len(check_everything(harness.client)) == len(("root", "first", "second"))
