"""Executions that follow one another, under everything that can happen to them, compared with a small model.

Definitions follow each other as random versions of them say, which change and are deleted meanwhile; one
runs another in a node, one cannot begin with what it is given. Executions are started, cancelled, run again
in place and as new ones, and deleted; messages come in any order, and again; processes die or fail at any
command. After each step every invariant holds, and each end has started what the model says: what is in
force when somebody looks at it, once, and nothing that an end before it has started.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from flowengine.broker.streams.wire import ACTOR
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import FlowEngineError
from flowengine.execution.messages import StartFollowers
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, HandlerError
from flowengine.store import keys
from flowengine.store.connection.sessions import connect
from tests.integration.chains.chain_rig import NODES, ChainRig
from tests.property.machine_book import Crash, crashes, struck
from tests.property.test_lines import EXAMPLES, PHASES
from tests.support.checks.invariants import Stored, check_everything, check_moment
from tests.support.rigs.harness import Entry, Harness, OrchestratorProcess, silence
from tests.support.servers.valkey import Valkey

NAMES: Final = ("a", "b", "c", "d")
TOP: Final = "top"
"""Runs `a` in a node."""
ENDS: Final = ("completed", "failed", "cancelled")
MOST: Final = 12
STEPS: Final = 40

statuses = st.lists(st.sampled_from(ENDS), min_size=1, max_size=3, unique=True)
places = st.integers(0, 10_000)


class Says(NamedTuple):
    """What a definition says: which ends of which others it follows; whether it takes what it is given."""

    after: Mapping[str, tuple[str, ...]]
    takes: bool


class Start(NamedTuple):
    """What an end has started, or could not (`refused`): the ends that count like it, and its run."""

    statuses: frozenset[str]
    run: int
    refused: bool


@st.composite
def sayings(draw: st.DrawFn, name: str) -> Says:
    """It follows some of those before it, so that there is no circle."""
    before = NAMES[: NAMES.index(name)]
    after = {other: tuple(draw(statuses)) for other in before if draw(st.integers(0, 2))}
    return Says(after, draw(st.sampled_from([True, True, True, False])))


class ChainMachine(RuleBasedStateMachine):
    """Definitions that follow one another, and their executions."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._quiet = silence()
        self._quiet.__enter__()
        with connect(self.url) as client:
            client.flushall()
        self.rig = ChainRig(self.url)
        self.harness: Harness = self.rig.harness
        self.harness.second_orchestrator()
        self.harness.script = self._script
        self.says: dict[str, Says] = {}
        self.starts: defaultdict[tuple[str, str], list[Start]] = defaultdict(list)
        """By the execution that has ended and the name of what follows."""
        self.known: set[str] = set()
        """What any end has started."""
        self.past: list[Entry] = []
        self.fails = False

    def _script(self, context: Context) -> None:
        if self.fails:
            raise HandlerError("boom", "failed on purpose")

    @initialize(data=st.data())
    def create(self, data: st.DataObject) -> None:
        """The first versions."""
        for name in NAMES:
            self._apply(name, data.draw(sayings(name)))
        self.rig.apply(TOP, nodes=[{"id": "n", "handler": "workflow", "config": {"name": NAMES[0]}}])

    # -- what may happen

    @rule(name=st.sampled_from([*NAMES[:2], TOP]), crash=crashes(30))
    def start(self, name: str, crash: Crash) -> None:
        """Another execution of a definition."""
        if len(self.executions()) < MOST:
            self._ask(lambda: self.rig.start(name), crash)

    @rule(data=st.data(), name=st.sampled_from(NAMES), crash=crashes(20))
    def apply(self, data: st.DataObject, name: str, crash: Crash) -> None:
        """Another version says something else."""
        said = data.draw(sayings(name))
        before = self._version(name)
        with struck(self.harness.api, crash), contextlib.suppress(FlowEngineError):
            self._apply(name, said)
        if self._version(name) != before:
            self.says[name] = said

    @rule(name=st.sampled_from(NAMES[1:]))
    def remove(self, name: str) -> None:
        """A definition is deleted."""
        self._ask(lambda: self.harness.api.executions.definitions.delete(name), None)
        if self._version(name) is None:
            self.says.pop(name, None)

    @rule(at=places, crash=crashes(8))
    def cancel(self, at: int, crash: Crash) -> None:
        """Any execution."""
        self._about(at, self.harness.cancel, crash)

    @rule(at=places, crash=crashes(20), anew=st.sampled_from(["trigger", "again", "new"]))
    def rerun(self, at: int, crash: Crash, anew: str) -> None:
        """Any execution runs again what has failed, or all, or does so as a new one."""
        executions, everything = self.harness.api.executions, RerunAsked(Wanted("all"))
        ways: dict[str, Callable[[str], object]] = {
            "trigger": self.harness.trigger,
            "again": lambda execution: executions.rerun(execution, everything),
            "new": lambda execution: executions.fork(execution, everything),
        }
        if anew != "new" or len(self.executions()) < MOST:
            self._about(at, ways[anew], crash)

    @rule(at=places, crash=crashes(8), force=st.booleans())
    def delete(self, at: int, crash: Crash, force: bool) -> None:
        """Any execution."""
        self._about(at, lambda execution: self.harness.delete(execution, force=force), crash)

    @rule(at=places)
    def fire(self, at: int) -> None:
        """All timers of ends are due."""
        for member in self.harness.client.zrange("fe:timers:followers", 0, -1):
            self.harness.client.zadd("fe:timers:followers", {member: 1})
        self.harness.fire_timers()

    @rule(data=st.data(), most=st.integers(1, 8), crash=crashes(60), fails=st.booleans())
    def deliver(self, data: st.DataObject, most: int, crash: Crash, fails: bool) -> None:
        """Some of what waits is dealt with; a process may be struck over the last of it."""
        self.fails = fails
        for left in range(most, 0, -1):
            waiting = [*self.harness.waiting("orchestrator"), *self.harness.tasks()]
            if not waiting:
                return
            entry = data.draw(st.sampled_from(waiting))
            process = data.draw(st.sampled_from(self.harness.orchestrators))
            self._deal_with(entry, process, crash if left == 1 else None)

    @rule(fails=st.booleans())
    def end_all(self, fails: bool) -> None:
        """All that runs ends, and nobody looks at the ends."""
        self.fails = fails
        for _ in range(200):
            waiting = [*self.harness.waiting("orchestrator"), *self.harness.tasks()]
            waiting = [entry for entry in waiting if entry.actor != "start_followers"]
            if not waiting:
                break
            self._deal_with(waiting[0], self.harness.orchestrators[0], None)

    @rule(data=st.data(), process=st.integers(0, 1), crash=crashes(60))
    def tell(self, data: st.DataObject, process: int, crash: Crash) -> None:
        """Somebody looks at an end: one that waits for that, or once more at one of the past."""
        if ends := self._ends():
            self._deal_with(data.draw(st.sampled_from(ends)), self.harness.orchestrators[process], crash)

    @rule(
        data=st.data(),
        meanwhile=st.sampled_from(["tell", "tell", "rerun", "delete"]),
        skipped=st.integers(0, 2),
    )
    def tell_at_once(self, data: st.DataObject, meanwhile: str, skipped: int) -> None:
        """Between the reads and the writes of one who looks at an end, another does, or it runs again, or is
        deleted."""
        if not (ends := self._ends()):
            return
        entry = data.draw(st.sampled_from(ends))
        first, second = self.harness.orchestrators
        ended, execution = self._ended(entry), _end_of(entry).execution
        before: set[str] | None = None

        def happens() -> None:
            nonlocal before
            before = set(self._followed(check_moment(self.harness.client)))
            with contextlib.suppress(FlowEngineError):
                if meanwhile == "tell":
                    self.harness.deliver(second, entry)
                elif meanwhile == "rerun":
                    self.harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
                else:
                    self.harness.delete(execution)

        first.state.between, first.state.skipped = happens, skipped
        self.harness.deliver(first, entry)
        whole = meanwhile == "tell" or first.state.hooked
        first.state.between, first.state.skipped = None, 0
        if before is not None and ended[1] and not self._ended(entry)[1] and meanwhile != "tell":
            started = set(self._followed(check_moment(self.harness.client))) - before
            assert not started, f"{execution} has started {started} when its end was overtaken"
        self._note(ended, whole=whole)

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """A message of the past comes once more."""
        if self.past:
            entry = data.draw(st.sampled_from(self.past))
            stream = self.harness.stream("orchestrator")
            self.harness.client.xadd(stream, {ACTOR: entry.actor.encode(), b"p3": entry.payload})

    # -- what must hold

    @invariant()
    def holds(self) -> None:
        """Nothing has been started but by a look at an end, and everything that is stored is right."""
        followed = self._followed(check_moment(self.harness.client))
        new = {made: end for made, end in followed.items() if made not in self.known}
        assert not new, f"nobody has looked at an end, and these have started: {new}"

    def teardown(self) -> None:
        """All goes on to its end; then each end has started all that it was to."""
        try:
            for process in (self.harness.api, *self.harness.orchestrators, *self.harness.workers):
                process.reborn()
            self.fails = False
            for _ in range(2_000):
                waiting = [*self.harness.waiting("orchestrator"), *self.harness.tasks()]
                if not waiting:
                    break
                self._deal_with(waiting[0], self.harness.orchestrators[0], None)
            self.harness.drain()
            self.holds()
            check_everything(self.harness.client)
            assert not self.harness.client.zrange("fe:timers:followers", 0, -1)
        finally:
            self.harness.client.flushall()
            self.harness.close()
            self._quiet.__exit__(None, None, None)

    # -- the model

    def _expected(self, execution: str, name: str, status: str, run: int) -> dict[str, Start]:
        """What this end of an execution of a definition is to bring about, by the name of what follows."""
        found: dict[str, Start] = {}
        for follower, said in self.says.items():
            fits = frozenset(said.after.get(name, ()))
            before = self.starts[execution, follower]
            decided = any(
                one.run == run if one.refused else one.run == run or status in one.statuses for one in before
            )
            if status in fits and not decided:
                found[follower] = Start(fits, run, refused=not said.takes)
        return found

    def _ended(self, entry: Entry) -> tuple[str, dict[str, Start]]:
        """Of which execution a message tells, and what is to follow its end now."""
        message = _end_of(entry)
        control = self.harness.client.hgetall(f"fe:x:{message.execution}:control")
        status, run = control.get(b"status", b"").decode(), int(control.get(b"run", 0))
        if status not in ENDS or run != message.run or b"version" not in control:
            return message.execution, {}
        return message.execution, self._expected(message.execution, control[b"name"].decode(), status, run)

    def _note(self, ended: tuple[str, dict[str, Start]], *, whole: bool) -> None:
        """Somebody has looked at an end. Not `whole`: perhaps not to the end of it."""
        execution, expected = ended
        stored = check_moment(self.harness.client)
        followed = self._followed(stored)
        new = {made: end for made, end in followed.items() if made not in self.known}
        names = sorted(name for _, name in new.values())
        wanted = {name for name, start in expected.items() if not start.refused}
        assert {above for above, _ in new.values()} <= {execution}
        assert len(set(names)) == len(names), f"{execution} has started {names}"
        assert set(names) <= wanted, f"{execution} has started {names}, not {wanted}"
        assert set(names) == wanted or not whole, f"{execution} has started {names}, not {wanted}"
        refused = self._refused(stored, execution)
        for name, start in expected.items():
            if name in names or (start.refused and (name, start.run) in refused):
                self.starts[execution, name].append(start)
            else:
                assert not (start.refused and whole), f"{execution} does not say that {name} was refused"
        self.known |= set(new)

    def _refused(self, stored: list[Stored], execution: str) -> set[tuple[str, int]]:
        """What an execution says that could not start, and by which of its ends."""
        for one in stored:
            if one.id == execution:
                kept = msgspec.json.decode(one.control.get("followers", "[]"))
                return {(each["name"], each["run"]) for each in kept if "execution" not in each}
        return set()

    def _followed(self, stored: list[Stored]) -> dict[str, tuple[str, str]]:
        """What ends have started, each with the execution that has ended and its own name. A rerun as a new
        execution tells of the end that its origin follows."""
        return {
            one.id: (msgspec.json.decode(one.control["followed"])["execution"], one.control["name"])
            for one in stored
            if "followed" in one.control and "origin" not in one.control
        }

    # -- helpers

    def _deal_with(self, entry: Entry, process: OrchestratorProcess, crash: Crash) -> None:
        """A message is delivered, and the model hears of it if it tells of an end."""
        if entry.queue != "orchestrator":
            with struck(self.harness.workers[0], crash):
                self.harness.deliver(self.harness.workers[0], entry)
            return
        self.past.append(entry)
        tells = entry.actor == "start_followers"
        ended = self._ended(entry) if tells else None
        with struck(process, crash):
            delivered = self.harness.deliver(process, entry)
        assert delivered or crash is not None
        if ended is not None:
            self._note(ended, whole=delivered)

    def _ends(self) -> list[Entry]:
        """The messages that tell of ends which others are to follow, if there are such: those that wait and
        those of the past; or else of any."""
        waiting = [one for one in self.harness.waiting("orchestrator") if one.actor == "start_followers"]
        ends = waiting + [one for one in self.past if one.actor == "start_followers" and one not in waiting]
        return [one for one in ends if self._ended(one)[1]] or ends

    def executions(self) -> list[str]:
        """The ids of all that there are."""
        found = self.harness.client.keys("fe:x:*:control")
        return sorted(key.decode().split(":")[2] for key in found)

    def _about(self, at: int, act: Callable[[str], object], crash: Crash) -> None:
        if there := self.executions():
            self._ask(lambda: act(there[at % len(there)]), crash)

    def _ask(self, ask: Callable[[], object], crash: Crash) -> None:
        with struck(self.harness.api, crash), contextlib.suppress(FlowEngineError):
            ask()

    def _apply(self, name: str, said: Says) -> None:
        given: JsonValue = {} if said.takes else {"n": "{{ trigger.workflow }}"}
        after: list[JsonValue] = [
            {"workflow": other, "status": [*ends], "inputs": given} for other, ends in said.after.items()
        ]
        self.rig.apply(name, *after, inputs={"n": {"type": "integer", "default": 1}}, nodes=NODES)
        self.says[name] = said

    def _version(self, name: str) -> bytes | None:
        found: bytes | None = self.harness.client.hget(f"fe:definition:{name}", keys.CURRENT)
        return found


def _end_of(entry: Entry) -> StartFollowers:
    return msgspec.json.decode(entry.payload, type=StartFollowers)


@pytest.mark.proves("chain-once", "chain-cut", "chain-again", "chain-overtaken", "chain-versions")
@pytest.mark.slow
@pytest.mark.timeout(max(120, EXAMPLES * 3))
def test_each_end_starts_once_what_is_in_force(valkey: Valkey) -> None:
    """Whatever happens, in whatever order."""
    ChainMachine.url = valkey.url
    checked = settings(
        max_examples=max(1, EXAMPLES * 3 // 10),
        stateful_step_count=STEPS,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(ChainMachine, settings=checked)
