"""The soak's clients: each submits a workflow, triggers it, waits for its end and judges the results.

Some documents are applied and started as definitions. Some executions are cancelled at a random moment, and
triggered again once they have ended. Some are paused and go on, or an operator completes one of their nodes,
with what that gives. Some that have completed run again, whole or from a node, in place or as new executions.

A client does what a careful user does: asks again when it got no answer, and takes "already started"
for an answer when it asked before. What was accepted (201, then 202) must end, and be right.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import httpx
import msgspec

from tests.fault.soak_chains import follower_of
from tests.fault.soak_workload import Workload, draw

POLL_S: Final = 0.5
AGAIN_S: Final = 0.2
REQUEST_S: Final = 10.0
ENDED: Final = ("completed", "failed", "cancelled")
CANCELLED_OF_TEN: Final = 2
CANCELLED_WITHIN_S: Final = 1.0
STEERED_OF_TEN: Final = 3
APPLIED_OF_TEN: Final = 3
RERUN_OF_TEN: Final = 3
RUNS_AT_MOST: Final = 5


class LostError(AssertionError):
    """An execution that was accepted is gone, stuck, or not what it should be."""


class Span(msgspec.Struct, frozen=True):
    """One run of an execution, by the server's clock: seconds since the epoch."""

    started: float
    finished: float


class Ended(msgspec.Struct, frozen=True):
    """How a run ended."""

    status: str
    span: Span


class Tally:
    """What all clients have seen. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.accepted: list[str] = []
        self.finished = 0
        self.nodes = 0
        self.retriggered = 0
        self.cancelled = 0
        self.paused = 0
        self.overruled = 0
        self.rerun = 0
        self.forked = 0
        self.left: set[tuple[str, str]] = set()
        """Nodes of executions that were cancelled before they had completed: these run again."""
        self.unanswered = 0
        self.spans: list[Span] = []
        self.wrong: list[str] = []

    def accept(self, execution: str) -> None:
        """An execution was created and started."""
        with self._lock:
            self.accepted.append(execution)

    def finish(self, workload: Workload, spans: Sequence[Span]) -> None:
        """One ended, and is right."""
        with self._lock:
            self.finished += 1
            self.nodes += len(workload.steps)
            self.retriggered += len(spans) - 1
            self.spans += spans

    def cancel(self, execution: str, left: Iterable[str]) -> None:
        """One ended as cancelled, and these of its nodes had not completed."""
        with self._lock:
            self.cancelled += 1
            self.left |= {(execution, node) for node in left}

    def steer(self, *, paused: bool, overruled: bool) -> None:
        """One was paused, or a node of it was completed by hand."""
        with self._lock:
            self.paused += paused
            self.overruled += overruled

    def run_again(self, *, as_new: bool) -> None:
        """One that had completed runs again, and is right once more."""
        with self._lock:
            self.rerun += not as_new
            self.forked += as_new

    def begin_again(self, execution: str, nodes: Iterable[str]) -> None:
        """One may have been begun again by a word: these nodes of it may run again."""
        with self._lock:
            self.left |= {(execution, node) for node in nodes}

    def complain(self, complaint: str) -> None:
        """Something is wrong."""
        with self._lock:
            self.wrong.append(complaint)

    def no_answer(self) -> None:
        """A request got no answer, or a 5xx one, and was sent again."""
        with self._lock:
            self.unanswered += 1

    def longest_stall(self) -> float:
        """The longest time, in seconds, in which some execution ran and none finished."""
        longest = 0.0
        by_end = sorted(self.spans, key=lambda span: span.finished)
        earliest = float("inf")
        begins: list[float] = []
        for span in reversed(by_end):
            earliest = min(earliest, span.started)
            begins.append(earliest)
        last = 0.0
        for span, running_since in zip(by_end, reversed(begins), strict=True):
            longest = max(longest, span.finished - max(last, running_since))
            last = span.finished
        return longest


class Client(threading.Thread):
    """Runs one execution after another until told to stop; then finishes the last one."""

    def __init__(
        self, number: int, api_urls: Sequence[str], service_url: str, seed: int, tally: Tally
    ) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.no_more = threading.Event()
        self.give_up = threading.Event()
        self._api_urls = api_urls
        self._turn = number
        self._service_url = service_url
        self._rng = random.Random(f"{seed}-{number}")
        self._tally = tally
        self._is_followed = False

    def run(self) -> None:
        """Until `no_more`, or `give_up` in the middle of one."""
        with httpx.Client(timeout=REQUEST_S, trust_env=False) as http:
            while not self.no_more.is_set():
                workload = draw(self._rng)
                try:
                    self._one(http, workload)
                except LostError as error:
                    self._tally.complain(f"{workload.shape}: {error}")
                except Exception as error:  # noqa: BLE001 - a thread's error belongs into the report
                    self._tally.complain(f"{workload.shape}: {error!r}")

    def _one(self, http: httpx.Client, workload: Workload) -> None:
        document = workload.document(self._service_url)
        applies = self._rng.randrange(10) < APPLIED_OF_TEN
        begun = self._apply_and_start(http, document) if applies else self._post_and_start(http, document)
        if begun is None:
            return
        execution, run = begun
        self._tally.accept(execution)
        cancels = self._rng.randrange(10) < CANCELLED_OF_TEN and self._cancel(http, execution)
        if self._rng.randrange(10) < STEERED_OF_TEN and self._steer(http, execution, workload, run):
            self._tally.finish(workload, [self._end_of_more_runs(http, execution, workload)])
            return
        ended = self._ended(http, execution, workload, run, cancels=cancels)
        spans = [ended.span]
        while ended.status != "completed" and run < RUNS_AT_MOST:
            again = self._trigger(http, execution)
            if again != run + 1:
                raise LostError(f"{execution}: triggered again after run {run}, in run {again}")
            run = again
            # A cancel that got no answer may still be on its way.
            ended = self._ended(http, execution, workload, run, cancels=cancels)
            spans.append(ended.span)
        if ended.status != "completed":
            raise LostError(f"{execution} is {ended.status} after {run} runs")
        self._tally.finish(workload, spans)
        if self._rng.randrange(10) < RERUN_OF_TEN and not cancels and workload.is_seen_through:
            self._rerun(http, execution, workload, run)

    def _post_and_start(self, http: httpx.Client, document: dict[str, Any]) -> tuple[str, int] | None:
        """The execution and the run that was started; None when giving up."""
        answer = self._ask(lambda api: http.post(f"{api}/workflow", json=document), 201)
        if answer is None:
            return None
        execution: str = answer.json()["execution_id"]
        run = self._trigger(http, execution)
        return None if run is None else (execution, run)

    def _apply_and_start(self, http: httpx.Client, document: dict[str, Any]) -> tuple[str, int] | None:
        """The same by a definition of this client's own, of which each document is another version."""
        named = {**document, "name": self.name}
        path = f"definitions/{self.name}"
        if not self._is_followed and not self._apply_follower(http):
            return None
        applied = self._ask(lambda api: http.put(f"{api}/{path}", json=named), 201, refused=200)
        if applied is None:
            return None
        version = applied.json()["version"]
        key = {"Idempotency-Key": f"{self._rng.getrandbits(64):x}"}
        trigger = f"{path}/trigger?version={version}"
        answer = self._ask(lambda api: http.post(f"{api}/{trigger}", headers=key), 202)
        if answer is None:
            return None
        started = answer.json()
        if (started["name"], started["version"]) != (self.name, version):
            raise LostError(f"version {version} of {self.name} was started as {started}")
        return started["execution_id"], 1

    def _apply_follower(self, http: httpx.Client) -> bool:
        """What every end of the definition starts, there before the first of them."""
        document = follower_of(self.name)
        path = f"definitions/{document['name']}"
        self._is_followed = (
            self._ask(lambda api: http.put(f"{api}/{path}", json=document), 201, refused=200) is not None
        )
        return self._is_followed

    def _rerun(self, http: httpx.Client, execution: str, workload: Workload, run: int) -> None:
        """Run it again from one of its nodes, or whole, and wait for what comes of that.

        A question that got no answer may have been heard. In place it cannot be heard twice; as a new
        execution it can, and nobody knows the id of the one that was made first.
        """
        step = self._rng.choice(workload.steps)
        mode = {"mode": "all"} if self._rng.random() < 0.5 else {"mode": "from", "from": [step.id]}
        as_new = self._rng.random() < 0.5
        body = {**mode, "as": "new" if as_new else "same", "expect": {"run": run}}
        url = f"workflows/{execution}/rerun"
        answer = self._ask(lambda api: http.post(f"{api}/{url}", json=body), 202, repeated=409)
        if answer is None:
            return
        again = answer.json()["execution_id"] if as_new else execution
        self._tally.begin_again(again, [step.id for step in workload.steps])
        self._end_of_more_runs(http, again, workload)
        self._tally.run_again(as_new=as_new)

    def _cancel(self, http: httpx.Client, execution: str) -> bool:
        """Cancel it at some moment; whether it may have been heard. 409: it has ended."""
        time.sleep(self._rng.uniform(0, CANCELLED_WITHIN_S))
        unanswered = self._tally.unanswered
        answer = self._ask(lambda api: http.post(f"{api}/workflows/{execution}/cancel"), 202, refused=409)
        return answer is None or answer.status_code == 202 or self._tally.unanswered > unanswered

    def _steer(self, http: httpx.Client, execution: str, workload: Workload, run: int) -> bool:
        """Pause it at some moment, complete a node of it, let it go on. 409: it has ended, or the node.

        Whether it may have begun another run: the word for the node came after the end, or comes still.
        """
        unanswered = self._tally.unanswered
        path = f"workflows/{execution}"
        time.sleep(self._rng.uniform(0, CANCELLED_WITHIN_S))
        pauses = self._rng.random() < 0.5
        paused = self._ask(lambda api: http.post(f"{api}/{path}/pause"), 202, refused=409) if pauses else None
        step = self._rng.choice([step for step in workload.steps if step.id not in workload.failing])
        body = {"result": workload.output(step), "run": run, "reason": "soaked"}
        ended = self._ask(
            lambda api: http.post(f"{api}/{path}/nodes/{step.id}/complete", json=body), 202, refused=409
        )
        if pauses:
            time.sleep(self._rng.uniform(0, CANCELLED_WITHIN_S))
            self._resume(http, execution)
        self._tally.steer(
            paused=paused is not None and paused.status_code == 202,
            overruled=ended is not None and ended.status_code == 202,
        )
        more = ended is None or ended.json().get("run", run) != run or self._tally.unanswered > unanswered
        if more:
            self._tally.begin_again(execution, [step.id for step in workload.steps])
        return more

    def _end_of_more_runs(self, http: httpx.Client, execution: str, workload: Workload) -> Span:
        """Once all nodes have completed, where a word has begun a run: nobody knows before which that is."""
        status: dict[str, Any] = {}
        while status.get("status") != "completed":
            if status.get("status") in ENDED:
                self._ask(lambda api: http.post(f"{api}/workflow/trigger/{execution}"), 202, refused=409)
            if status:
                time.sleep(POLL_S)
            answer = self._ask(lambda api: http.get(f"{api}/workflows/{execution}"), 200)
            if answer is None:
                raise LostError(f"{execution} has not completed: {_shortened(status)}")
            status = answer.json()
            self._send_signals(http, execution, workload, status)
            if status["status"] == "paused":
                self._resume(http, execution)
        outcome = self._ask(lambda api: http.get(f"{api}/workflows/{execution}/results"), 200)
        wrong = workload.mistakes(outcome.json()["results"], outcome.json()["errors"], 2) if outcome else []
        if wrong:
            raise LostError(f"{execution}, after a word: " + "; ".join(wrong))
        return _span(status)

    def _send_signals(
        self, http: httpx.Client, execution: str, workload: Workload, status: dict[str, Any]
    ) -> None:
        """Send each node that waits for a signal its own. One that is sent twice is kept for nobody."""
        for node in status["nodes"]:
            if node["status"] == "waiting" and node["waiting_for"]["kind"] == "signal":
                name, value = node["id"], workload.values[node["id"]]
                self._ask(
                    lambda api, name=name, value=value: http.post(  # type: ignore[misc]
                        f"{api}/workflows/{execution}/signals/{name}", json=value
                    ),
                    202,
                    refused=409,
                )

    def _resume(self, http: httpx.Client, execution: str) -> None:
        self._ask(lambda api: http.post(f"{api}/workflows/{execution}/resume"), 202, refused=409)

    def _trigger(self, http: httpx.Client, execution: str) -> int | None:
        """The run that was started; None when giving up.

        409 to a repeated question: an earlier one was heard. Asked so late that the run has failed
        meanwhile, the question starts the next run: the answer says which.
        """
        answer = self._ask(lambda api: http.post(f"{api}/workflow/trigger/{execution}"), 202, repeated=409)
        if answer is not None and answer.status_code == 409:
            answer = self._ask(lambda api: http.get(f"{api}/workflows/{execution}"), 200)
        return None if answer is None else int(answer.json()["run"])

    def _ask(
        self,
        request: Callable[[str], httpx.Response],
        expected: int,
        *,
        repeated: int | None = None,
        refused: int | None = None,
    ) -> httpx.Response | None:
        """The answer of that status, however often it takes, of the APIs in turn; None when giving up.

        `repeated`: a status that a second question may get, `refused`: one that the first may get too.
        """
        asked = 0
        while not self.give_up.is_set() and (expected != 201 or not self.no_more.is_set()):
            asked += 1
            try:
                answer = request(self._api_urls[self._turn % len(self._api_urls)])
            except httpx.TransportError:
                answer = None
            if answer is not None and (
                answer.status_code in (expected, refused) or (answer.status_code == repeated and asked > 1)
            ):
                return answer
            if answer is not None and answer.status_code < 500:
                raise LostError(f"{answer.request.url.path}: {answer.status_code} {answer.text}")
            self._tally.no_answer()
            self._turn += 1
            time.sleep(AGAIN_S)
        return None

    def _ended(
        self, http: httpx.Client, execution: str, workload: Workload, run: int, *, cancels: bool
    ) -> Ended:
        """How that run ended, once it has and is right. `cancels`: it may have been cancelled."""
        status: dict[str, Any] = {}
        while status.get("status") not in ENDED or status["run"] != run:
            if status:
                time.sleep(POLL_S)
            answer = self._ask(lambda api: http.get(f"{api}/workflows/{execution}"), 200)
            if answer is None:
                raise LostError(f"{execution} has not ended: {_shortened(status)}")
            status = answer.json()
            self._send_signals(http, execution, workload, status)
            if status["status"] == "paused":
                self._resume(http, execution)  # a pause that got no answer has come late
        outcome = self._ask(lambda api: http.get(f"{api}/workflows/{execution}/results"), 200)
        if outcome is None:
            raise LostError(f"{execution}: no results to be had")
        found = outcome.json()
        if cancels and status["status"] == "cancelled":
            wrong = workload.mistakes_when_cancelled(found["results"], found["errors"], run)
            statuses = {node["id"]: node["status"] for node in status["nodes"]}
            wrong += [f"{n} is {s}" for n, s in statuses.items() if s not in (*ENDED, "skipped")]
            self._tally.cancel(execution, [n for n, s in statuses.items() if s != "completed"])
        else:
            wrong = workload.mistakes(found["results"], found["errors"], run)
            wrong += [] if cancels else workload.mistakes_of_hooks(found)
            right = "failed" if run == 1 and workload.failing else "completed"
            if status["status"] != right:
                wrong.append(f"is {status['status']}, should be {right}")
        if wrong:
            raise LostError(f"{execution}, run {run}: " + "; ".join(wrong))
        return Ended(status["status"], _span(status))


def _span(status: dict[str, Any]) -> Span:
    """Of a run that has ended; one that was cancelled in its line has never begun."""
    return Span(_seconds(status["started_at"] or status["finished_at"]), _seconds(status["finished_at"]))


def _seconds(time_text: str) -> float:
    return datetime.fromisoformat(time_text).timestamp()


def _shortened(status: dict[str, Any]) -> dict[str, Any]:
    """The status document without the nodes that have completed."""
    nodes = [node for node in status.get("nodes", ()) if node["status"] not in ("completed", "pending")]
    return {**status, "nodes": nodes}
