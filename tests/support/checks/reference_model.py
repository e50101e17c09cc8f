"""A small model of what an execution must do, written without a look at the engine's own rules.

Statuses only: no counters, no transactions, no messages. Graphs are given as parents by node id.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from tests.support.checks.map_model import ItemOutcome, MapModel, MapSays

Graph: TypeAlias = Mapping[str, Sequence[str]]
Status: TypeAlias = Literal[
    "pending", "queued", "open", "waiting", "completed", "failed", "skipped", "cancelled"
]
Outcome: TypeAlias = Literal["completed", "failed", "ended", "skipped", "cancelled", "later", "expanded"]
"""What a worker reports. `ended`: an `end` that says failed. `later`: its handler asks for another call.
`expanded`: the items of a map are known."""
Cause: TypeAlias = Literal["cancel", "end", "node_failure", "timeout", "hooks_timeout"]
HOOKS: Final = ("on_failure", "finally")

LEFT: Final = ("pending", "queued", "open", "waiting")
"""Nodes that have not ended."""

MODULUS = 1_000_003


def expected_values(graph: Graph) -> dict[str, int]:
    """What each node's handler returns when it runs: one more than the sum of its parents' values."""
    values: dict[str, int] = {}

    def value(node: str) -> int:
        if node not in values:
            values[node] = (1 + sum(value(parent) for parent in graph[node])) % MODULUS
        return values[node]

    for node in parents_first(graph):
        value(node)
    return values


def final_statuses(graph: Graph, fails: Callable[[str], bool]) -> dict[str, Status]:
    """How every node ends, when the nodes that `fails` names fail if they run."""
    ended: dict[str, Status] = {}
    for node in parents_first(graph):
        runs = all(ended[parent] == "completed" for parent in graph[node])
        ended[node] = "completed" if runs and not fails(node) else "failed"
    return ended


class Says(NamedTuple):
    """What a node says about when it runs, and about its failures. `when`: what its condition gives; `again`:
    what that for another try gives. `waits`: what it waits for once it has run. It repeats so many `times`,
    with a pause between two iterations if it is `delayed`; `collects`: it gives what all of them gave.
    `limit`: so many nodes with its `key` run at once. `rate`: so many starts in so many milliseconds, of
    which key. `each`: it is a map."""

    rule: str = "all_success"
    when: bool | None = None
    tolerates: bool = False
    tries: int = 1
    again: bool | None = None
    waits: Literal["", "wait", "signal", "approval", "callback"] = ""
    times: int = 1
    delayed: bool = False
    collects: bool = False
    limit: int | None = None
    key: str | None = None
    rate: tuple[int, int, str | None] | None = None
    each: MapSays | None = None


PLAIN = Says()


class Stop(NamedTuple):
    """Why an execution is being stopped, or was, and how it ends."""

    cause: Cause
    verdict: str


def verdict(rule: str, fates: Sequence[str]) -> str | None:
    """LANGUAGE section 3's table: run, fail, skip, or None while that is open.

    Fates of the dependencies: completed, tolerated, failed, failing (failed at once, while something above it
    has not ended), skipped, or left.
    """
    c, t = fates.count("completed"), fates.count("tolerated")
    f, s = fates.count("failed"), fates.count("skipped")
    n = len(fates)
    if rule == "all_success" and f + fates.count("failing"):
        return "fail"
    if rule == "one_success" and c:
        return "run"
    if c + t + f + s < n:
        return None
    runs = {
        "all_success": f == 0 and s == 0,
        "none_failed": f == 0,
        "none_failed_min_one_success": f == 0 and c + t >= 1,
        "all_done_min_one_success": c + t >= 1,
        "one_success": False,
        "all_done": True,
        "one_failed": f >= 1,
        "all_failed": f == n,
    }
    fails = {
        "none_failed": f >= 1,
        "none_failed_min_one_success": f >= 1,
        "all_done_min_one_success": c + t == 0 and f >= 1,
        "one_success": c == 0 and f + t >= 1,
    }
    return "run" if runs[rule] else "fail" if fails.get(rule) else "skip"


class _Before(NamedTuple):
    """Where a node stood before it was put in flight."""

    status: Status
    attempt: int
    tried: int
    later: bool


class Model:
    """One execution, moved by what is reported of it.

    `stages`: the nodes that are no main ones, by their stage. Nothing enters a stage but `advance`.
    """

    def __init__(
        self,
        graph: Graph,
        says: Mapping[str, Says] | None = None,
        *,
        ends: Collection[str] = (),
        stops_on_failure: bool = False,
        stages: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.graph = graph
        self.stages = stages or {}
        self.stage = "main"
        self.fixed: str | None = None
        """The verdict, from the first hook on."""
        self.ended_by: Stop | None = None
        """The stop that the main nodes were ended by, once another stage has begun."""
        self.says = says or {}
        self.ends = ends
        self.stops_on_failure = stops_on_failure
        self.run = 0
        self.started = False
        self.stop: Stop | None = None
        self.status: dict[str, Status] = dict.fromkeys(graph, "pending")
        self.attempt: dict[str, int] = dict.fromkeys(graph, 0)
        self.dispatch: dict[str, int] = dict.fromkeys(graph, 0)
        """How often its task was sent: more often than it has attempts, where its handler puts off calls."""
        self.later: set[str] = set()
        """Nodes whose handlers have put off their calls."""
        self.timed: set[str] = set()
        """Nodes that wait for what they say, and end when its time is over."""
        self.called: dict[str, Outcome] = {}
        """How nodes will end whose tasks are on their way, as a callback has said."""
        self.kept: Counter[str] = Counter()
        """Signals that no node has taken, by the node that waits for them."""
        self._before: dict[str, _Before] = {}
        self.tried: dict[str, int] = dict.fromkeys(graph, 0)
        self.iterated: dict[str, int] = dict.fromkeys(graph, 0)
        """How many of its iterations a node has ended, before its last one."""
        self.repeating: set[str] = set()
        """Nodes that have ended one of theirs in this run."""
        self.tolerated: set[str] = set()
        self.ended_early: set[str] = set()
        self.ended_ahead: set[str] = set()
        """Nodes that an operator has ended before they were dispatched."""
        self.maps: dict[str, MapModel] = {}
        """Those whose items are known."""
        self.paused = False

    def of(self, node: str) -> Says:
        """What a node says."""
        return self.says.get(node, PLAIN)

    @property
    def execution_status(self) -> str:
        """What the execution as a whole is."""
        if self.run == 0:
            return "pending" if self.stop is None else "cancelled"
        if any(self.status[node] in LEFT for node in self.nodes()) or self.next_stage() is not None:
            return self.status_until_it_ends
        return self.verdict

    @property
    def verdict(self) -> str:
        """How it ends, if all nodes of its stage have ended so."""
        if self.fixed is not None:
            return self.fixed
        if self.stop is not None:
            return self.stop.verdict
        failed = {node for node in self.nodes() if self.status[node] == "failed"}
        return "failed" if failed - self.tolerated else "completed"

    def nodes(self, stage: str | None = None) -> list[str]:
        """The nodes of a stage: that which it is in, if not told."""
        asked = stage or self.stage
        if asked != "main":
            return list(self.stages.get(asked, ()))
        others = {node for listed in self.stages.values() for node in listed}
        return [node for node in self.graph if node not in others]

    def next_stage(self) -> str | None:
        """What follows once all nodes of its stage have ended; None: it ends."""
        if self.stage in HOOKS and self.stop is not None:
            return None
        if self.stage == "main" and self.verdict == "completed" and self.nodes("outputs"):
            return "outputs"
        if self.stage not in HOOKS and self.verdict == "failed" and self.nodes("on_failure"):
            return "on_failure"
        return "finally" if self.stage != "finally" and self.nodes("finally") else None

    def advance(self) -> bool:
        """Begin what follows, if all nodes of the stage have ended; whether something did."""
        following = self.next_stage()
        if self.run == 0 or following is None or any(self.status[node] in LEFT for node in self.nodes()):
            return False
        self.fixed = self.verdict if following in HOOKS else None
        self.ended_by, self.stop = self.stop or self.ended_by, None
        self.stage = following
        self._decide()
        return True

    @property
    def status_until_it_ends(self) -> str:
        """What an execution is that was triggered, while something is left of it."""
        if self.paused:
            return "paused"
        stops = (self.stop, self.ended_by)
        return "cancelling" if any(s is not None and s.cause == "cancel" for s in stops) else "running"

    @property
    def may_trigger(self) -> bool:
        """Whether a trigger is accepted."""
        return self.execution_status in ("pending", "failed", "cancelled")

    def trigger(self) -> None:
        """Start, or run again what failed or was stopped, each `end`, and all that is below these."""
        if self.run == 0:
            self.begin_again(self.graph)
            return
        reset = self.reset_by_trigger()
        hooks = {node for listed in self.stages.values() for node in listed}
        stopped = {node for node in reset if self.status[node] in ("failed", "cancelled")} - hooks
        self.begin_again(reset, {node for node in stopped if reset.isdisjoint(self.graph[node])})

    def reset_by_trigger(self, untaken: Collection[str] = ()) -> set[str]:
        """What a trigger runs again. `untaken`: what has not ended, and begins again in a new execution."""
        reset: set[str] = {node for listed in self.stages.values() for node in listed}
        for node in parents_first(self.graph):
            above = [parent for parent in self.graph[node] if parent in reset]
            stays = (
                self.of(node).rule == "one_success"
                and self.status[node] == "completed"
                and any(self.status[p] == "completed" for p in self.graph[node] if p not in reset)
            )
            if self._is_to_repeat(node) or node in untaken or (above and not stays):
                reset.add(node)
        return reset

    def fork(self, reset: Collection[str], skipped: Collection[str] = ()) -> Model:
        """A new execution of this one: these begin there from their start or are skipped, the rest is as
        here."""
        made = copy.deepcopy(self)
        made.run = 1
        made.kept.clear()
        made.attempt |= dict.fromkeys(reset, 0)
        made.dispatch |= dict.fromkeys(reset, 0)
        made.begin_again(reset, anew=reset)
        for node in skipped:
            made.status[node] = "skipped"
            made.ended_ahead.add(node)
        return made

    def begin_again(
        self,
        reset: Collection[str],
        going_on: Collection[str] = (),
        *,
        anew: Collection[str] = (),
        items: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        """A run begins in which these nodes are pending; some of them go on with the iteration that they had
        come to. `anew`: maps that keep no item. `items`: those of maps that run again, of all."""
        self._begin_maps_again(reset, anew, items or {})
        self.run += 1
        self.started = self.paused = False
        self.stop = None
        self.stage, self.fixed, self.ended_by = "main", None, None
        for node in reset:
            self.status[node] = "pending"
            self.tried[node] = 0
            self.iterated[node] = self.iterated[node] if node in going_on else 0
            self.called.pop(node, None)
        self.later -= set(reset)
        self.timed -= set(reset)
        self.repeating -= set(reset)
        self.tolerated -= set(reset)
        self.ended_early -= set(reset)
        self.ended_ahead -= set(reset)

    def keeps_items(self, node: str, reset: Collection[str], *, named: bool = False) -> bool:
        """Whether a map that begins again keeps its items: nothing above it begins again. `named`: some of
        them are asked for."""
        ended = named or self.status[node] in ("failed", "cancelled")
        if node not in self.nodes("main"):
            return False
        return node in self.maps and ended and set(reset).isdisjoint(self.graph[node])

    def _begin_maps_again(
        self, reset: Collection[str], anew: Collection[str], items: Mapping[str, Collection[int]]
    ) -> None:
        for node in [node for node in self.maps if node in reset]:
            if node in anew or not self.keeps_items(node, reset, named=node in items):
                del self.maps[node]
            elif node in items:
                self.maps[node].choose(items[node])
            else:
                self.maps[node].keep()

    def _is_to_repeat(self, node: str) -> bool:
        if self.status[node] == "failed":
            return node not in self.tolerated
        return self.status[node] == "cancelled" or node in self.ended_early or node in self.ends

    def start(self) -> None:
        """The message that starts the run has been dealt with."""
        self.started = True
        self._decide()

    def _is_tried_again(self, node: str, asked: bool) -> bool:
        said = self.of(node)
        return self.tried[node] < said.tries and not (asked and said.again is False)

    def report(self, node: str, dispatch: int, outcome: Outcome, *, asked: bool = True) -> bool:
        """A worker's outcome, or a timer's, which asks no condition; True when it counts.

        It counts during a stop too, and nothing follows from it then: no other node, no other try.
        """
        if self.status[node] != "queued" or self.dispatch[node] != dispatch:
            return False
        if outcome == "expanded":
            self._open_map(node)
            return True
        said = self.called.pop(node, None)
        if said is not None and outcome in ("completed", "failed", "later"):
            self._end_by_callback(node, said)
            return True
        waits = outcome == "later" or (outcome == "completed" and self.of(node).waits)
        if waits and self.stop is not None:
            self.status[node] = "cancelled"
        elif waits:
            self.status[node] = "waiting"
            (self.later if outcome == "later" else self.timed).add(node)
        elif outcome in ("completed", "skipped", "cancelled"):
            assert outcome != "cancelled" or self.stop is not None, "a worker stops for a stop only"
            self.status[node] = outcome
            if outcome == "completed" and self.iterated[node] + 1 < self.of(node).times:
                self._iterate(node)
        elif outcome == "failed" and self.stop is None and self._is_tried_again(node, asked):
            self.status[node] = "waiting"
        else:
            self._fail(node)
        if self.status[node] not in LEFT:
            self._stop_after(node, outcome)
        self._decide()
        return True

    def _open_map(self, node: str) -> None:
        """Its items are known. One without any has completed."""
        said = self.of(node).each
        assert said is not None, "it is a map"
        self.maps.setdefault(node, MapModel(said)).open()
        self.status[node] = "open"
        if not said.items:
            self.end_map(node)

    def report_item(
        self, node: str, dispatch: int, index: int, number: int, outcome: ItemOutcome, *, asked: bool = True
    ) -> None:
        """A worker's outcome of an item, or a timer's. What follows from it is another step."""
        if self.status[node] == "open" and self.dispatch[node] == dispatch:
            said = self.of(node)
            again = self.stop is None and number < said.tries and not (asked and said.again is False)
            self.maps[node].report(index, number, outcome, again=again)

    def item_time_over(self, node: str, dispatch: int, index: int, number: int) -> None:
        """The pause of an item is over."""
        open_now = self.status[node] == "open" and self.dispatch[node] == dispatch
        if open_now and self.stop is None and not self.paused:
            self.maps[node].time_over(index, number)

    def end_map(self, node: str) -> None:
        """Somebody has seen that it ends."""
        assert self.maps[node].ends, f"{node} does not end yet"
        if self.maps[node].completes:
            self.status[node] = "completed"
        else:
            self._fail(node)
            self._stop_after(node, "failed")
        self._decide()

    def call_back(self, node: str, outcome: Outcome, *, early: bool) -> None:
        """The callback has come for which the node waits, or will: `early`, if its task is on its way."""
        if early:
            self.called[node] = outcome
        else:
            self._end_by_callback(node, outcome)

    def _end_by_callback(self, node: str, outcome: Outcome) -> None:
        """It is not tried again."""
        self.timed.discard(node)
        self.later.discard(node)
        if outcome == "failed":
            self._fail(node)
        else:
            assert outcome == "completed", "a callback completes a node, or fails it"
            self.status[node] = outcome
        self._stop_after(node, outcome)
        self._decide()

    def _iterate(self, node: str) -> None:
        """One iteration of several has ended. During a stop the node ends with it."""
        self.iterated[node] += 1
        self.tried[node] = 0
        self.repeating.add(node)
        self.status[node] = "cancelled" if self.stop is not None else "waiting"
        if self.stop is None and not self.paused and not self.of(node).delayed:
            self._queue(node)

    def time_over(self, node: str, dispatch: int) -> None:
        """The pause after an attempt is over, or the time that a node waits for."""
        held = self.stop is not None or self.paused
        if held or self.status[node] != "waiting" or self.dispatch[node] != dispatch:
            return
        if node not in self.timed:
            self._queue(node)
            return
        self.timed.discard(node)
        if self.of(node).waits == "wait":
            self.status[node] = "completed"
        else:
            self._fail(node)
            self._stop_after(node, "failed")
        self._decide()

    def send(self, node: str) -> None:
        """A caller sends the signal that this node waits for, or will."""
        self.kept[node] += 1

    def may_take(self) -> list[str]:
        """The nodes that a look at signals completes."""
        found = [n for n in self.nodes() if n in self.timed and self.status[n] == "waiting" and self.kept[n]]
        return [] if self.stop is not None else [n for n in found if self.of(n).waits == "signal"]

    def take(self, node: str) -> None:
        """A node takes its signal."""
        self.kept[node] -= 1
        self.timed.discard(node)
        self.status[node] = "completed"
        self._decide()

    def pause(self) -> None:
        """A caller holds it: nothing is put in flight."""
        self.paused = True

    def resume(self) -> None:
        """It goes on with all that is ready."""
        self.paused = False
        self.start()

    def overrule(self, node: str, outcome: Outcome) -> None:
        """An operator ends a node that has not ended, or a person decides: it is not tried again."""
        self.timed.discard(node)
        if self.status[node] == "pending":
            self.ended_ahead.add(node)
        if outcome == "failed":
            self._fail(node)
        else:
            assert outcome in ("completed", "skipped")
            self.status[node] = outcome
        self._stop_after(node, outcome)
        self._decide()

    def cancel(self) -> None:
        """A caller stops it. One that was never triggered has ended with that."""
        self._mark("cancel", "cancelled")
        if self.run == 0:
            self.status = dict.fromkeys(self.graph, "cancelled")

    def time_out(self) -> None:
        """The time of the run is over."""
        self._mark("timeout", "failed")

    def time_out_hooks(self) -> None:
        """The time of all hooks is over."""
        self._mark("hooks_timeout", "failed")

    def _stop_after(self, node: str, outcome: Outcome) -> None:
        """The end of this node stops the execution: that of an `end`, or a failure in one that says so."""
        if self.stage != "main":
            return
        if node in self.ends and outcome in ("completed", "ended"):
            self._mark("end", "completed" if outcome == "completed" else "failed")
        elif self.stops_on_failure and self.status[node] == "failed" and node not in self.tolerated:
            self._mark("node_failure", "failed")

    def _mark(self, cause: Cause, verdict: str) -> None:
        """The first stop counts; but the verdict of an `end` comes before that of failures and timeouts.

        Hooks are stopped by their own time, and by a cancel if no cancel came before them.
        """
        if (cause == "hooks_timeout") != (self.stage in HOOKS) and not (
            self.stage in HOOKS and cause == "cancel" and self.fixed != "cancelled"
        ):
            return
        if self.stop is None or (cause == "end" and self.stop.cause in ("node_failure", "timeout")):
            if self.stop is None and cause not in ("end", "node_failure"):
                self.paused = False
            self.stop = Stop(cause, verdict)

    def take_back(self, nodes: Collection[str]) -> None:
        """These had not been decided when the execution was marked or held, or when an operator came first,
        and are not decided any more."""
        for node in nodes:
            if self.status[node] == "queued":
                self.dispatch[node] -= 1
                self.status[node], self.attempt[node], self.tried[node], later = self._before[node]
                self.later |= {node} if later else set()
            else:
                has_begun = self.tried[node] or node in self.repeating
                self.status[node] = "waiting" if has_begun else "pending"

    def stop_nodes(self, running: Collection[str], only: Collection[str] | None = None) -> None:
        """A step of the stop ends what has not ended, but for what workers are to stop: `running`.

        `only`: these, so far.
        """
        assert self.stop is not None
        for node in self.nodes() if only is None else only:
            status = self.status[node]
            if status == "pending" and self.stop.cause == "end":
                self.status[node] = "skipped"
                self.ended_early.add(node)
            elif status in LEFT and not (status in ("queued", "open") and node in running):
                self.status[node] = "cancelled"

    def fate(self, node: str) -> str:
        """How a node counts for those that depend on it."""
        status = self.status[node]
        if status not in LEFT and node in self.ended_ahead and not self._has_all_above(node):
            return "failing" if status == "failed" and node not in self.tolerated else "left"
        if status == "failed":
            if node in self.tolerated:
                return "tolerated"
            return "failed" if self._is_settled(node) else "failing"
        return status if status in ("completed", "skipped") else "left"

    def _is_settled(self, node: str) -> bool:
        """Whether a node that has failed is one that ran, or all that it depends on has ended."""
        return self.tried[node] > 0 or node in self.repeating or self._has_all_above(node)

    def _has_all_above(self, node: str) -> bool:
        return all(self.fate(parent) not in ("left", "failing") for parent in self.graph[node])

    def _decide(self) -> None:
        """All that follows, until nothing more does, or the execution is being stopped."""
        moved = True
        while moved:
            moved = False
            for node in self.nodes():
                parents = self.graph[node]
                if self.status[node] != "pending" or self.stop is not None:
                    continue
                found = verdict(self.of(node).rule, [self.fate(parent) for parent in parents])
                if found == "run" and self.paused:
                    continue
                moved |= found is not None
                if found == "run":
                    self._queue(node)
                elif found == "skip":
                    self.status[node] = "skipped"
                elif found == "fail":
                    self.status[node] = "failed"
                    self._stop_after(node, "failed")

    def _queue(self, node: str) -> None:
        later = node in self.later
        self._before[node] = _Before(self.status[node], self.attempt[node], self.tried[node], later)
        self.status[node] = "queued"
        self.dispatch[node] += 1
        self.attempt[node] += not later
        self.tried[node] += not later
        self.later.discard(node)

    def _fail(self, node: str) -> None:
        self.status[node] = "failed"
        if self.of(node).tolerates:
            self.tolerated.add(node)


def run_to_the_end(model: Model, failing: Collection[str]) -> None:
    """Let every node of the model run; these fail each time."""
    model.start()
    while model.execution_status == "running":
        model.advance()
        for node, status in list(model.status.items()):
            if status == "queued":
                outcome: Outcome = "failed" if node in failing else "completed"
                outcome = "skipped" if model.of(node).when is False else outcome
                model.report(node, model.dispatch[node], outcome)
            elif status == "waiting":
                model.time_over(node, model.dispatch[node])


def parents_first(graph: Graph) -> list[str]:
    """Its nodes, each after those that it depends on."""
    done: dict[str, None] = {}
    left = list(graph)
    while left:
        ready = [node for node in left if all(parent in done for parent in graph[node])]
        assert ready, "the graph has a cycle"
        done |= dict.fromkeys(ready)
        left = [node for node in left if node not in done]
    return list(done)
