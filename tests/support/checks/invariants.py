"""What must hold of an execution at any moment between two transactions, whatever has failed.

Reads keys as they are, by their names and types, and judges them without the store's code. Raises
AssertionError listing every breach. See DESIGN.md, sections 2 and 3.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Final, Protocol

import msgspec
import pytest
import redis

from flowengine.execution.events import BY_REPEAT, WAITS_FOR, Event, decode_events, fold
from flowengine.execution.history.spoken import decode_lines, encoded_lines, weight_of
from flowengine.execution.records import UNTOUCHED, Closing, ItemRecord, NodeRecord, Stop, awaits_judgement
from flowengine.execution.rules.maps.progress import window_of
from flowengine.workflow.children.lineage import CalledPlan, Reference, decode_reference
from flowengine.workflow.plan import Plan, decode_plan
from flowengine.workflow.stages import OUTPUTS_NODE, Stage
from tests.support.checks.chains import check_chains
from tests.support.checks.definitions import check_definitions
from tests.support.checks.reference_model import verdict
from tests.support.checks.schedules import check_schedules
from tests.support.checks.snapshot import Client, Snapshot

TIMERS: Final = b"fe:timers:deadline"
RETRIES: Final = b"fe:timers:retry"
WAITS: Final = b"fe:timers:wait"
ALL_TIMERS: Final = (
    TIMERS,
    RETRIES,
    WAITS,
    b"fe:timers:timeout",
    b"fe:timers:stop",
    b"fe:timers:hooks",
    b"fe:timers:delivery",
    b"fe:timers:map",
)
UNFINISHED: Final = ("pending", "queued", "open", "waiting")
STAGES: Final[tuple[Stage, ...]] = ("main", "outputs", "on_failure", "finally")
CONTROL_LEAD_S: Final = 60
SAID: Final = ("logs", "logged", "live")
"""What nodes say is written beside the transactions. It expires by itself, long after a run's end."""
SAID_FOR_S: Final = 86_400
ENDED: Final = ("completed", "failed", "cancelled")
BESIDES: Final = (
    "execution_stopping",
    "execution_paused",
    "execution_resumed",
    "stage_started",
    "execution_rerun",
    "signal_received",
    "execution_queued",
    "execution_admitted",
)
"""What may happen between the start of a run and its end."""
OPEN: Final = ("running", "paused", "cancelling")
OTHERWISE: Final = 1_000_000
"""What a parent that ended without completing adds to a join's counter."""
COUNTED_RESULT_BYTES: Final = 4096
DEAD: Final = b":dead"
LATER: Final = b":later"
PAYLOADS: Final = (b"p2", b"p3")

_TYPES: Final = {
    re.compile(
        rb"fe:x:[^:]+:(control|counts|deps|started|inputs|logged|runs|deliveries|signals|node:.+)"
    ): b"hash",
    re.compile(rb"fe:x:[^:]+:(map|ended|try):.+"): b"hash",
    re.compile(rb"fe:x:[^:]+:(items|todo):.+"): b"list",
    re.compile(rb"fe:x:[^:]+:(plan|document|fork|collected:.+)"): b"string",
    re.compile(rb"fe:cached:[0-9a-f]{64}"): b"string",
    re.compile(rb"fe:once:[89a-f][0-9a-f]{15}"): b"string",
    re.compile(rb"fe:x:[^:]+:children"): b"zset",
    re.compile(rb"fe:nested(@[0-9a-f]{27})?"): b"zset",
    re.compile(rb"fe:list:(pending|running|paused|cancelling|completed|failed|cancelled|by)"): b"zset",
    re.compile(rb"fe:x:[^:]+:(events|logs|live)"): b"stream",
    re.compile(rb"fe:index:(pending|running|completed|failed|cancelled)"): b"zset",
    re.compile(
        rb"fe:timers:((deadline|retry|wait|map|timeout|stop|hooks|delivery|starts|schedule|followers)(@[0-9a-f]{27})?|odd)"
    ): b"zset",
    re.compile(rb"fe:q:[^:@]+(@[0-9a-f]{27})?(:dead|:later)?"): b"stream",
    re.compile(rb"fe:q:[^:@]+(:async)?(:crowd|:high|:low)?(@[0-9a-f]{27})?"): b"stream",
    re.compile(rb"fe:q:[^:@]+:handler:[^@]+(@[0-9a-f]{27})?"): b"stream",
    re.compile(rb"fe:handlers:[^@]+(@[0-9a-f]{27})?"): b"zset",
    re.compile(rb"fe:own"): b"zset",
    re.compile(rb"fe:(stopping|deleting|bulks|delivering)"): b"zset",
    re.compile(rb"fe:bulk:[0-9a-f]{27}"): b"hash",
    re.compile(rb"fe:line:[xsmnqr]:.+"): b"list",
    re.compile(rb"fe:starts:[qr]:.+"): b"zset",
    re.compile(rb"fe:lines(@[0-9a-f]{27})?"): b"zset",
    re.compile(rb"fe:limits(@[0-9a-f]{27})?"): b"hash",
    re.compile(rb"fe:(definition:|version:[1-9][0-9]*:).+"): b"hash",
    re.compile(rb"fe:(definitions|schedules|links)"): b"zset",
    re.compile(rb"fe:schedule:[^:]+:.+"): b"string",
    re.compile(rb"fe:outcomes:[^:]+:.+"): b"stream",
    re.compile(rb"fe:keys"): b"hash",
    re.compile(rb"fe:audit"): b"stream",
    re.compile(rb"fe:session:[0-9a-f]{64}"): b"string",
    re.compile(rb"fe:changes"): b"stream",
    re.compile(rb"fe:(moved:.+|sweep(@[0-9a-f]{27})?|health|format)"): b"string",
    re.compile(rb"fe:ended:\d+"): b"hash",
    re.compile(rb"fe:process:fe\d+-.+"): b"string",
    re.compile(rb"fe:janitor:[^:@]+(:async)?(:crowd)?(@[0-9a-f]{27})?"): b"string",
}
_CONTROL: Final = re.compile(rb"fe:x:.*:control")
_TRY: Final = re.compile(rb"fe:x:[^:]+:try:.*")
_PASSING: Final = re.compile(rb"fe:(sweep|health|moved:|janitor:|process:|session:|ended:|bulk:|starts:).*")

_LEGAL: Final = {
    ("pending", "node_queued"): "queued",
    ("pending", "node_opened"): "open",
    ("queued", "node_opened"): "open",
    ("waiting", "node_opened"): "open",
    ("open", "node_completed"): "completed",
    ("open", "node_failed"): "failed",
    ("open", "node_skipped"): "skipped",
    ("open", "node_waiting"): "waiting",
    ("open", "node_cancelled"): "cancelled",
    ("queued", "node_completed"): "completed",
    ("queued", "node_failed"): "failed",
    ("queued", "node_queued"): "queued",
    ("open", "node_queued"): "queued",
    ("pending", "node_failed"): "failed",
    ("pending", "node_skipped"): "skipped",
    ("pending", "node_completed"): "completed",
    ("waiting", "node_completed"): "completed",
    ("waiting", "node_failed"): "failed",
    ("waiting", "node_skipped"): "skipped",
    ("queued", "node_skipped"): "skipped",
    ("queued", "node_waiting"): "waiting",
    ("waiting", "node_waiting"): "waiting",
    ("queued", "node_iterated"): "waiting",
    ("waiting", "node_queued"): "queued",
    ("pending", "node_in_line"): "waiting",
    ("waiting", "node_in_line"): "waiting",
    ("queued", "node_in_line"): "waiting",
    ("completed", "node_reset"): "pending",
    ("skipped", "node_reset"): "pending",
    ("failed", "node_reset"): "pending",
    ("pending", "node_reset"): "pending",
    ("cancelled", "node_reset"): "pending",
    ("pending", "node_cancelled"): "cancelled",
    ("queued", "node_cancelled"): "cancelled",
    ("waiting", "node_cancelled"): "cancelled",
}


class StoredMap(msgspec.Struct):
    """What is stored of the items of a map, besides its node's record."""

    sent: int
    failures: set[int]
    ended: dict[int, ItemRecord]
    items: int


class Stored(msgspec.Struct, dict=True):
    """Everything that is stored of one execution."""

    id: str
    control: dict[str, str]
    counts: dict[str, str]
    plan: Plan
    deps: dict[str, int]
    started: dict[str, str]
    nodes: dict[str, NodeRecord]
    results: dict[str, bytes]
    events: list[Event]
    ttls: dict[str, int]
    listed: bool
    maps: dict[str, StoredMap] = {}
    previous: dict[str, bytes] = {}
    """What the last iterations of nodes have given, where that is kept."""
    responses: dict[str, bytes] = {}
    """What the handlers of nodes have given that wait for callbacks."""
    collected: dict[str, bytes] = {}
    cut: bool = False
    """Whether the oldest events have been dropped."""
    root_status: str | None = None
    """Of a child, the status of the execution at the top; empty: it is not there."""

    @property
    def status(self) -> str:
        """The execution's status."""
        return self.control["status"]

    @property
    def waits(self) -> bool:
        """Whether it was triggered and waits for its turn."""
        return self.status == "pending" and self.control["run"] != "0"

    @property
    def is_being_made(self) -> bool:
        """Whether it is a fork that has not begun: it has copies, and no events."""
        return "origin" in self.control and self.control["run"] == "0"

    @property
    def place(self) -> tuple[str, str] | None:
        """The line in which it stands, and the member that it is there."""
        if "line" not in self.control or not (self.waits or self.status in OPEN):
            return None
        return msgspec.json.decode(self.control["line"])["line"], f"{self.id}|{self.control['run']}"

    @property
    def turns(self) -> dict[tuple[str, str], bool]:
        """The lines in which it and its nodes stand, with the members that they are there, and whether they
        wait for nothing else."""
        found = {} if self.place is None else {self.place: self.waits}
        for name, record in self.nodes.items():
            if record.turn is not None:
                member = f"{self.id}|{record.run}|{name}|{record.turn.ticket}"
                free = record.status == "waiting" and record.pace is None
                found[record.turn.line, member] = free and not self.is_stopped
            if record.pace is not None and record.status == "waiting":
                member = f"{self.id}|{record.run}|{name}|{record.pace.ticket}"
                found[record.pace.line, member] = not self.is_stopped
        return found

    @property
    def is_stopped(self) -> bool:
        """Whether it bears the mark of a stop, of this run."""
        return "stop" in self.control

    @cached_property
    def closing(self) -> Closing | None:
        """What is stored of the stages after the main nodes."""
        found = self.control.get("closing")
        return None if found is None else msgspec.json.decode(found, type=Closing)

    @property
    def stage(self) -> Stage:
        """The stage whose nodes run, or ran last."""
        return "main" if self.closing is None else self.closing.stage

    @cached_property
    def names(self) -> list[str]:
        """The nodes of that stage."""
        return self.plan.names(self.stage)

    def was_stopped(self, node: str) -> bool:
        """Whether the stage of a node is being stopped, or was."""
        if node in self.names:
            return self.is_stopped or (self.stage == "outputs" and self.closing_stop is not None)
        return self.closing_stop is not None

    def was_overruled(self, node: str) -> bool:
        """Whether an operator has ended the node, in the run that it is in."""
        return node in self._overruled

    @cached_property
    def _overruled(self) -> set[str]:
        found: set[str] = set()
        for event in self.events:
            if event.node is not None and event.kind == "node_overruled":
                found.add(event.node)
            elif event.node is not None and event.kind == "node_reset":
                found.discard(event.node)
        return found

    @property
    def closing_stop(self) -> Stop | None:
        """The stop that the main nodes were ended by, where others have followed."""
        return None if self.closing is None else self.closing.ended_by

    def record(self, node: str) -> NodeRecord:
        """A node's record."""
        return self.nodes.get(node, UNTOUCHED)

    def fate(self, node: str) -> str:
        """How a node counts for those that depend on it, as `reference_model.verdict` names it."""
        record = self.record(node)
        if record.status == "failed":
            if not record.tolerated:
                return "failing" if record.unsettled else "failed"
            return "left" if record.unsettled else "tolerated"
        if record.unsettled:
            return "left"
        return record.status if record.status in ("completed", "skipped", "cancelled") else "left"


def read(found: Snapshot, execution: str) -> Stored:
    """Everything that is stored of one execution."""
    prefix = f"fe:x:{execution}:"
    names = [key.decode().removeprefix(prefix) for key in found.starting_with(prefix)]
    nodes, results, previous, responses = {}, {}, {}, {}
    for name in names:
        if not name.startswith("node:"):
            continue
        hashed = found.hgetall(prefix + name)
        odd = {field for field in hashed if not field.startswith(b"try:")} - {
            b"state",
            b"result",
            b"previous",
            b"response",
            b"call",
        }
        assert not odd, f"odd fields in {name}: {sorted(hashed)}"
        nodes[name[5:]] = msgspec.json.decode(hashed[b"state"], type=NodeRecord)
        if b"result" in hashed:
            results[name[5:]] = hashed[b"result"]
        if b"previous" in hashed:
            previous[name[5:]] = hashed[b"previous"]
        if b"response" in hashed:
            responses[name[5:]] = hashed[b"response"]
    # How an item stands between its tries expires by itself, whatever becomes of the execution.
    ttls = {name: found.ttl(prefix + name) for name in names if not name.startswith("try:")}
    plan = _plan_of(found, execution)
    control = _text(found.hgetall(prefix + "control"))
    return Stored(
        id=execution,
        control=control,
        counts=_text(found.hgetall(prefix + "counts")),
        plan=plan,
        deps={node: int(count) for node, count in _text(found.hgetall(prefix + "deps")).items()},
        started=_text(found.hgetall(prefix + "started")),
        nodes=nodes,
        results=results,
        events=[
            event
            for _, fields in found.xrange(prefix + "events")
            for encoded in fields.values()
            for event in decode_events(encoded)
        ],
        ttls=ttls,
        cut="events" in names and _is_cut(found, prefix + "events"),
        listed=any(found.zscore("fe:list:by", entry) is not None for entry in _found_by(execution, control)),
        maps={name[4:]: _read_map(found, prefix, name[4:]) for name in names if name.startswith("map:")},
        previous=previous,
        responses=responses,
        collected={
            name.removeprefix("collected:"): found.get(prefix + name) or b""
            for name in names
            if name.startswith("collected:")
        },
        root_status=None
        if plan.lineage is None
        else found.fetch_field(f"fe:x:{plan.lineage.root}:control", "status") or "",
    )


def _read_map(found: Snapshot, prefix: str, node: str) -> StoredMap:
    fields = _text(found.hgetall(f"{prefix}map:{node}"))
    sent = int(fields.pop("sent"))
    ended = {
        int(index): msgspec.json.decode(value, type=ItemRecord)
        for index, value in found.hgetall(f"{prefix}ended:{node}").items()
    }
    failures = {int(field.removeprefix("f:")) for field in fields}
    return StoredMap(sent, failures, ended, len(found.lrange(f"{prefix}items:{node}")))


def _plan_of(found: Snapshot, execution: str) -> Plan:
    """The plan of an execution: a child has that of a group."""
    stored = found.fetch(f"fe:x:{execution}:plan")
    assert stored is not None, f"the plan of {execution} is gone"
    reference = decode_reference(stored)
    if isinstance(reference, CalledPlan):
        return decode_plan(bytes(reference.plan)).within(Reference(reference.lineage, ()))
    if reference is None:
        return decode_plan(stored)
    return _plan_of(found, reference.lineage.chain[0]).group_at(reference.path).within(reference)


def _is_cut(found: Snapshot, stream: str) -> bool:
    facts = found.xinfo_stream(stream)
    return bool(facts["entries-added"] > facts["length"])


def check(client: Client, execution: str, *, settled: bool = True) -> Stored:
    """Assert every invariant of one execution, running or ended; returns what was read.

    With `settled`, nothing may be left over of an ended one: without, late messages of it may still
    wait, and a worker that began too late may not have been told yet.
    """
    return _check(Snapshot(client, only=execution), execution, settled=settled)


def _check(found: Snapshot, execution: str, *, settled: bool = True) -> Stored:
    stored = read(found, execution)
    kept_later = not settled and _is_to_be_kept(found, stored)
    breaches = [
        *_numbers(stored),
        *_counters(stored),
        *_records(stored),
        *_iterations(stored),
        *_callbacks(stored),
        *(() if stored.cut or stored.is_being_made else (*_histories(stored), *_runs(stored))),
        *_fork(found, stored),
        *_stages(stored),
        *_maps(stored),
        *(() if kept_later else _lifetimes(stored, settled=settled)),
        *_lines(found, stored),
        *_index(found, stored),
        *_lists(found, stored),
        *(() if stored.is_being_made else _blamed(stored)),
        *(() if kept_later else _children(found, stored)),
    ]
    if stored.root_status in OPEN and stored.status in ENDED:
        pass  # the message of its end may wait for its parent
    elif stored.status in ENDED and settled:
        breaches += _leftovers(found, stored)
    elif stored.status in OPEN and stored.status != "paused":
        breaches += _stuck(found, stored)
    assert not breaches, f"execution {execution} ({stored.status}):\n  " + "\n  ".join(breaches)
    return stored


def _queues(found: Snapshot) -> list[bytes]:
    """The streams of all queues, no matter who made them."""
    return sorted(key for key in found.starting_with("fe:q:") if not key.endswith((DEAD, LATER)))


def check_drained(client: Client) -> None:
    """Assert that nothing is left in queues, pending lists and timers."""
    _check_drained(Snapshot(client, only=""))


def _check_drained(found: Snapshot) -> None:
    breaches = [f"timers: {found.zrange(timers, 0, 5)}" for timers in ALL_TIMERS if found.exists(timers)]
    for queue in _queues(found):
        key = queue.decode()
        if found.xlen(key):
            breaches.append(f"{key} holds {found.xlen(key)} messages: {found.xrange(key, count=3)}")
        pending = [group["pending"] for group in found.xinfo_groups(key)]
        if any(pending):
            breaches.append(f"{key} has pending entries: {pending}")
    assert not breaches, "\n".join(breaches)


def is_quiet(client: Client) -> bool:
    """Whether every execution that was started has ended, and nothing is left of them to deal with."""
    if client.zcard("fe:index:running") or client.zcard("fe:nested"):
        return False
    try:
        check_drained(client)
    except AssertionError:
        return False
    return True


def check_keys(client: Client) -> None:
    """Assert that every key on the server is of a known name and type, and that none stays by mistake."""
    _check_keys(Snapshot(client))


def _check_keys(found: Snapshot) -> None:
    breaches = []
    for key in found.keys:
        kind = found.type(key)
        expected = next((kind for name, kind in _TYPES.items() if name.fullmatch(key)), None)
        # One that has expired since has no type.
        if expected is None or kind.encode() not in (expected, b"none"):
            breaches.append(f"{key.decode(errors='replace')} is a {kind}")
    tries = [key for key in found.keys if _TRY.fullmatch(key)]
    breaches += [f"{key.decode()} never expires" for key in tries if found.ttl(key) == -1]
    passing = [key for key in found.keys if _PASSING.fullmatch(key)]
    breaches += [f"{key.decode()} never expires" for key in passing if found.ttl(key) == -1]
    assert not breaches, "keys of no known kind:\n  " + "\n  ".join(breaches[:10])


def _check_dead_letters(found: Snapshot, expected: int) -> None:
    """Assert that so many messages have been buried, of all queues together."""
    buried = [
        (key.decode(), fields)
        for key in found.starting_with("fe:q:")
        if key.endswith(DEAD)
        for _, fields in found.xrange(key)
    ]
    assert len(buried) == expected, f"{len(buried)} dead letters, {expected} expected: {buried[:3]}"


def check_everything(client: Client, *, dead_letters: int = 0) -> list[Stored]:
    """Assert every invariant of every execution there is; returns what was read.

    `dead_letters`: how many messages were rightly buried.
    """
    found = Snapshot(client)
    _check_keys(found)
    check_definitions(found)
    check_schedules(found)
    check_chains(found)
    _check_dead_letters(found, dead_letters)
    belonging = found.starting_with("fe:x:")
    executions = [key.decode().split(":")[2] for key in belonging if _CONTROL.fullmatch(key)]
    checked = [_check(found, execution) for execution in executions]
    known = set(executions)
    entries = {entry for stored in checked for entry in _found_by(stored.id, stored.control)}
    stale = {member.decode() for member in found.zrange("fe:list:by", 0, -1)} - entries
    assert not stale, f"entries of nothing that is there: {sorted(stale)[:5]}"
    odd = [
        key for key in belonging if key.decode().split(":")[2] not in known and _TRY.fullmatch(key) is None
    ]
    assert not odd, f"keys of executions that do not exist: {odd[:5]}"
    doomed = {stored.id for stored in checked if stored.status in OPEN and "doomed" in stored.control}
    deleting = {member.decode() for member in found.zrange("fe:deleting", 0, -1)}
    assert deleting == doomed, f"to be deleted are {sorted(deleting)}, doomed and not ended {sorted(doomed)}"
    _check_kept_requests(found, known)
    _check_lines(found, checked)
    if all(stored.status not in OPEN and not stored.waits for stored in checked):
        _check_drained(found)
    return checked


def check_moment(client: Client) -> list[Stored]:
    """Assert what holds of all executions together at any moment, whatever is still to come: each is right,
    and so are the lines in which they stand."""
    found = Snapshot(client)
    belonging = found.starting_with("fe:x:")
    executions = [key.decode().split(":")[2] for key in belonging if _CONTROL.fullmatch(key)]
    checked = [_check(found, execution, settled=False) for execution in executions]
    _check_lines(found, checked)
    return checked


def _check_kept_requests(found: Snapshot, known: Collection[str]) -> None:
    """Assert that what is kept of a request is kept as long as the execution that it has created."""
    for name in found.starting_with("fe:once:"):
        execution = msgspec.json.decode(found.get(name) or b"")[1]
        assert execution in known, f"{name!r} is of '{execution}', which is not there"
        assert execution[11:27] == name.decode().removeprefix("fe:once:")
        lifetimes = {found.expiretime(key) for key in (name, f"fe:x:{execution}:control")}
        assert len(lifetimes) == 1, f"{name!r} and the control of '{execution}' end at {lifetimes}"


def _check_lines(found: Snapshot, checked: Sequence[Stored]) -> None:
    """Assert that who stands in a line is who says so, that no more run than may, and that a free place is
    taken, or a message tells of it."""
    standing: dict[str, dict[str, bool]] = defaultdict(dict)
    for stored in checked:
        for (line, member), waits in stored.turns.items():
            standing[line][member] = waits
    limits = _text(found.hgetall("fe:limits"))
    listed = {line.decode() for line in found.zrange("fe:lines", 0, -1)}
    lines = {key.decode().removeprefix("fe:line:") for key in found.starting_with("fe:line:")}
    assert lines <= listed, f"lines that are in no index: {lines - listed}"
    assert lines == set(standing), f"lines {lines}, stood in are {set(standing)}"
    told = b"".join(_payload(fields) for queue in _queues(found) for _, fields in found.xrange(queue))
    for line, stand in standing.items():
        members = [member.decode() for member in found.lrange(f"fe:line:{line}")]
        assert sorted(members) == sorted(stand), f"in {line} are {members}, there should be {sorted(stand)}"
        first = members[: int(limits[line])]
        waiting = [member for member in first if stand[member]]
        moved = msgspec.json.encode(line)[1:-1] in told
        if line.startswith(("q:", "r:")):
            due = found.zscore("fe:timers:starts", line) is not None
            assert moved or due or not any(stand.values()), f"in {line} nothing lets {members} start"
            continue
        assert moved or not waiting, f"in {line} nothing lets {waiting} run"


def _numbers(stored: Stored) -> Iterable[str]:
    if stored.control["run"] == "0":
        return
    counted = Counter(stored.record(name).status for name in stored.names)
    unfinished, failed = int(stored.counts["unfinished"]), int(stored.counts["failed"])
    if unfinished != sum(counted[status] for status in UNFINISHED):
        yield f"unfinished is {unfinished}, the nodes say {dict(counted)}"
    untolerated = _failed(stored, stored.names)
    if failed != untolerated:
        yield f"failed is {failed}, the nodes say {dict(counted)}"
    results = [*stored.results.values(), *_item_results(stored)]
    counted_bytes = sum(len(result) for result in results if len(result) >= COUNTED_RESULT_BYTES)
    counted_bytes += sum(
        record.counted
        for name, record in stored.nodes.items()
        if name not in stored.results and name not in stored.maps
    )
    if int(stored.counts.get("bytes", "0")) != counted_bytes:
        yield f"bytes is {stored.counts.get('bytes')}, the large results together are {counted_bytes}"
    if int(stored.control["total"]) != len(stored.plan.main):
        yield f"total is {stored.control['total']} of {len(stored.plan.main)}"
    # What is cancelled while it waits for its turn ends no node.
    if stored.status in ENDED and unfinished and stored.control["started_at"] != "0":
        yield f"{stored.status}, but the nodes say {dict(counted)}"
    if stored.status != _right_verdict(stored, untolerated):
        yield f"{stored.status}, but the nodes say {dict(counted)} and control {stored.control}"


def _item_results(stored: Stored) -> Iterable[bytes]:
    for found in stored.maps.values():
        yield from (bytes(record.result) for record in found.ended.values())


def _maps(stored: Stored) -> Iterable[str]:
    """No more items run at a time than may, and an open map is not at its end."""
    for node, found in stored.maps.items():
        record = stored.record(node)
        if record.map is None:
            yield f"items of {node}, which is no map: {record}"
            continue
        ended, waits = len(found.ended) - record.map.kept, stored.plan.index[node] in stored.plan.waiting
        window = record.map.at_once or window_of(record.map, waits=waits)
        to_run = record.map.total - record.map.kept - record.map.out
        if not 0 <= ended <= found.sent <= to_run:
            yield f"{node} has sent {found.sent} items, {ended} have ended, of {record.map}"
        if found.sent - ended > window:
            yield f"{node} has {found.sent - ended} items in flight, {window} may be"
        if found.items != record.map.total:
            yield f"{node} has {found.items} items, its record says {record.map.total}"
        failed = {index for index, item in found.ended.items() if item.status == "failed"}
        if failed - found.failures:
            yield f"{node} does not know of the failures of {failed - found.failures}"
        by_itself = record.status == "completed" or (
            record.error is not None
            and (record.error.code == "map_failed" or record.error.message.startswith("map.max_seconds"))
        )
        counted = (record.map.completed, record.map.failed)
        if (
            by_itself
            and node not in stored.results
            and counted != (len(found.ended) - len(failed), len(failed))
        ):
            yield f"{node} counts {counted} items, {len(found.ended)} have ended, {len(failed)} have failed"
        # Tasks that nobody takes do not keep a map from ending whose time is over.
        untaken = record.error is not None and record.error.code == "timeout" and record.map.children is None
        if by_itself and not untaken and node not in stored.results and ended < found.sent:
            yield f"{node} has ended before its items: {ended} of {found.sent}"


def _right_verdict(stored: Stored, untolerated: int) -> str:
    """The status that an execution which has ended should have; of another one, its own."""
    if stored.status not in ENDED:
        return stored.status
    if stored.closing is not None and stored.stage != "outputs":
        return stored.closing.verdict
    if stored.is_stopped:
        return str(msgspec.json.decode(stored.control["stop"])["verdict"])
    return "failed" if untolerated else "completed"


def _failed(stored: Stored, names: Iterable[str]) -> int:
    records = [stored.record(name) for name in names]
    return sum(record.status == "failed" and not record.tolerated for record in records)


def _stages(stored: Stored) -> Iterable[str]:
    """Each stage begins when the one before has ended, and the verdict stands from the first hook on."""
    reached = STAGES.index(stored.stage)
    for number, stage in enumerate(STAGES):
        statuses = {name: stored.record(name).status for name in stored.plan.names(stage)}
        if number > reached and any(status != "pending" for status in statuses.values()):
            yield f"'{stage}' has begun in '{stored.stage}': {statuses}"
    main = [stored.record(name).status for name in stored.plan.names("main")]
    if stored.closing is None:
        return
    if any(status in UNFINISHED for status in main):
        yield f"in '{stored.stage}', but the main nodes are {main}"
    if not stored.names:
        yield f"'{stored.stage}' has no node"
    before = [*stored.plan.names("main"), *stored.plan.names("outputs")]
    ended_by = stored.closing.ended_by
    right = "failed" if _failed(stored, before) else "completed"
    if ended_by is not None and not (ended_by.cause == "end" and _failed(stored, [OUTPUTS_NODE])):
        right = ended_by.verdict
    if stored.stage != "outputs" and stored.closing.verdict != right:
        yield f"the verdict is {stored.closing.verdict}, the nodes before say {right}"


def _counters(stored: Stored) -> Iterable[str]:
    if stored.control["run"] == "0":
        return
    for node in stored.plan.nodes:
        if stored.was_stopped(node.id):
            continue
        parents = [stored.fate(stored.plan.nodes[p].id) for p in node.parents]
        left = sum(fate in ("left", "failing") for fate in parents)
        left += OTHERWISE * sum(fate in ("failed", "tolerated", "skipped") for fate in parents)
        counter = stored.deps.get(node.id)
        if counter is not None and len(node.parents) < 2:
            yield f"{node.id} has a counter, but {len(node.parents)} parents"
        elif counter is not None and counter != left:
            yield f"counter of {node.id} is {counter}, by its parents it is {left}: {parents}"
        elif counter is None and len(node.parents) > 1 and _waits(stored, node.id):
            yield f"{node.id} has no counter"


def _waits(stored: Stored, node: str) -> bool:
    return node in stored.names and stored.record(node).status == "pending"


def _records(stored: Stored) -> Iterable[str]:
    run = int(stored.control["run"])
    for node in stored.plan.nodes:
        record = stored.record(node.id)
        if record.in_line and record.status not in ("waiting", "queued", "open"):
            yield f"{node.id} is {record.status} and stands in a line: {record.turn}, {record.pace}"
        parents = [stored.fate(stored.plan.nodes[p].id) for p in node.parents]
        yield from _decision(stored, node.id, parents)
        if record.status == "failed" and record.error is None:
            yield f"{node.id} failed for no reason"
        gives = record.status == "failed" and stored.plan.policy(stored.plan.index[node.id]).gives_outputs
        has_items = record.status == "completed" and record.map is not None
        if (node.id in stored.results) != (record.status == "completed") and not gives and not has_items:
            yield f"{node.id} is {record.status}, result: {stored.results.get(node.id)!r}"
        # What a fork has taken over may have been ended by an operator in its origin, before it had begun.
        taken_over = "origin" in stored.control and record.attempt == record.dispatch == 0
        began = record.status in ("queued", "open") or (
            record.status == "completed" and not stored.was_overruled(node.id) and not taken_over
        )
        if began and not 1 <= record.attempt <= record.dispatch:
            yield f"{node.id} is {record.status}, attempt {record.attempt}, dispatch {record.dispatch}"
        if record.status in ("pending", "queued", "open") and node.id in stored.nodes and record.run != run:
            yield f"{node.id} is {record.status} of run {record.run} in run {run}"
    unknown = set(stored.nodes) - {node.id for node in stored.plan.nodes}
    if unknown:
        yield f"records of no node: {unknown}"


def _fork(found: Snapshot, stored: Stored) -> Iterable[str]:
    """What a fork is to do is known until it begins; meanwhile a message tells of it. It copies what has
    ended, and children of nobody."""
    if "origin" not in stored.control:
        if "fork" in stored.ttls:
            yield "there is something to copy, and nobody to copy it of"
        return
    if ("fork" in stored.ttls) != stored.is_being_made:
        yield f"in run {stored.control['run']}, and what is to be copied is known: {'fork' in stored.ttls}"
    if not stored.is_being_made:
        return
    told = b"".join(_payload(fields) for queue in _queues(found) for _, fields in found.xrange(queue))
    if stored.status == "pending" and stored.id.encode() not in told:
        yield "a fork that has not begun, and no message will let it"
    if stored.events or stored.started:
        yield f"it has not begun, and there are events: {stored.events}, {stored.started}"
    odd = [
        name
        for name, record in stored.nodes.items()
        if record.status not in ("completed", "failed", "skipped") or record.child or record.run != 1
    ]
    if odd:
        yield f"copies of what has not ended, or stands for something: {odd}"


def _iterations(stored: Stored) -> Iterable[str]:
    """What is kept of the iterations of a node that has not completed is what its record says of them."""
    for node in stored.plan.nodes:
        repeat, record = stored.plan.policy(stored.plan.index[node.id]).repeat, stored.record(node.id)
        repeated, collected = record.repeated, stored.collected.get(node.id)
        previous = stored.previous.get(node.id)
        if repeat is None and (repeated or collected or previous):
            yield f"{node.id} does not repeat, and is {record}, {previous!r}, {collected!r}"
        if repeat is None:
            continue
        ended = 0 if repeated is None or record.status == "completed" else repeated.ended
        if repeated is not None and not repeated.ended <= repeated.number <= repeated.ended + 1:
            yield f"{node.id} is at iteration {repeated.number}, {repeated.ended} have ended"
        if (previous is not None) != (repeat.reads_previous and ended > 0):
            yield f"{node.id} has ended {ended} iterations, kept of the last is {previous!r}"
        listed = msgspec.json.decode(b"[" + (collected or b",")[1:] + b"]")
        if len(listed) != (ended if repeat.collects else 0) or (collected is None) != (not listed):
            yield f"{node.id} has ended {ended} iterations, collected is {collected!r}"


def _callbacks(stored: Stored) -> Iterable[str]:
    """What a handler has given is stored apart while its node waits for a callback, and a callback in the
    record until the node's task is over."""
    for name in stored.names:
        record = stored.record(name)
        waits = record.waits is not None and record.waits.kind == "callback"
        judged = awaits_judgement(record)
        if (waits or judged) != (name in stored.responses) or (waits and record.status != "waiting"):
            yield f"{name} is {record}, kept of its handler is {stored.responses.get(name)!r}"
        if record.called is not None and record.status != "queued" and not record.in_line:
            yield f"{name} is {record.status} and holds a callback"


def _decision(stored: Stored, node: str, parents: Sequence[str]) -> Iterable[str]:
    """What was decided about a node is what its rule says of how the nodes that it depends on have ended."""
    record = stored.record(node)
    rule = stored.plan.policy(stored.plan.index[node]).trigger_rule
    inherited = record.error is not None and record.error.code == "upstream_failed"
    found = verdict(rule, parents)
    if stored.was_overruled(node):
        right = record.status in ("completed", "failed", "skipped")
    elif inherited:
        right = record.status == "failed" and not record.tolerated and found == "fail"
    elif record.status == "cancelled" or record.skipped == "ended_early":
        right = stored.was_stopped(node)
    elif record.skipped == "operator":
        right = True
    elif record.status == "skipped" and record.skipped != "when":
        right = found == "skip"
    else:
        right = record.status == "pending" or found == "run"
    if not right:
        yield f"{node} is {record.status} under {rule}, its parents are {parents}"


def _histories(stored: Stored) -> Iterable[str]:
    """Each node's path is legal: one outcome an attempt, none after a newer one began."""
    paths: dict[str, list[Event]] = defaultdict(list)
    started: dict[str, set[int]] = defaultdict(set)
    for event in stored.events:
        if event.kind in ("node_started", "node_returned") and event.node is not None:
            started[event.node].add(event.dispatch)
        elif event.node is not None and event.kind not in ("node_overruled", "callback_received"):
            paths[event.node].append(event)
    anew = _first_run(stored) > 1
    for node, path in paths.items():
        status, attempt, dispatch = ("pending", 0, 0) if not anew else fold(path[:1])[node]
        same = False
        # Events that began anew first tell where each node stood.
        for event in path[1:] if anew else path:
            # What is opened without a task is sent nowhere, and has a dispatch of its own.
            opened = event.kind == "node_opened" and status != "queued"
            queued = event.kind == "node_queued" or opened
            tries = queued and status in ("pending", "waiting") and not same
            if event.kind == "node_in_line":
                # A task that has made the keys of limits is the first of its try.
                same = same or status == "queued"
            else:
                later = (f"{WAITS_FOR}later", BY_REPEAT)
                same = event.kind == "node_waiting" and event.detail in later
            expected = (attempt + tries, dispatch + queued)
            following = _LEGAL.get((status, event.kind))
            if following is None or (event.attempt, event.dispatch) != expected:
                shown = [(e.kind, e.attempt, e.dispatch) for e in path]
                yield f"{node} goes from {status} ({attempt}, {dispatch}) by {event}: {shown}"
                break
            status, attempt, dispatch = following, event.attempt, event.dispatch
    folded = fold(stored.events)
    for node, record in stored.nodes.items():
        is_stored = (record.status, record.attempt, record.dispatch)
        if folded.get(node, ("pending", 0, 0)) != is_stored:
            yield f"events fold {node} to {folded.get(node)}, stored is {is_stored}"
    for node, dispatches in started.items():
        if max(dispatches) > stored.record(node).dispatch:
            yield f"{node} has started in {dispatches}, its last dispatch is {stored.record(node).dispatch}"
    for node in set(folded) - set(stored.nodes):
        yield f"events tell of {node}, nothing is stored of it"


def _first_run(stored: Stored) -> int:
    """The run with which the events begin."""
    first = stored.events[0] if stored.events else None
    return int(first.detail or 1) if first is not None and first.kind == "execution_started" else 1


def _runs(stored: Stored) -> Iterable[str]:
    told = [event for event in stored.events if event.kind not in BESIDES]
    if not told and stored.control["run"] == "1" and (stored.status in OPEN or stored.waits):
        # Its events begin with its first dispatch.
        return
    if not stored.events and stored.control["run"] == "0":
        return
    marks = [(e.kind, e.detail) for e in stored.events if e.node is None]
    run = int(stored.control["run"])
    started = [detail for kind, detail in marks if kind == "execution_started"]
    before = _first_run(stored) - 1
    if started != [str(number) for number in range(before + 1, run + 1)]:
        yield f"run {run}, started: {started}"
    ends = [detail for kind, detail in marks if kind == "execution_finished"]
    kinds = [kind for kind, _ in marks if kind not in BESIDES]
    if stored.closing is not None and ("stage_started", stored.stage) not in marks:
        yield f"in '{stored.stage}', but no event tells of it: {marks}"
    if kinds != (["execution_started", "execution_finished"] * run)[: len(kinds)]:
        yield f"starts and ends do not alternate: {marks}"
    ended = stored.status in ENDED
    if len(ends) != run - before - (not ended and run > 0) or (ended and ends[-1] != stored.status):
        yield f"status {stored.status} in run {run}, ended as {ends}"


def _lifetimes(stored: Stored, *, settled: bool) -> Iterable[str]:
    if stored.status in OPEN or stored.waits or stored.root_status in OPEN:
        mortal = [name for name, ttl in stored.ttls.items() if ttl >= 0 and name not in SAID]
        mortal += [name for name in SAID if -1 < stored.ttls.get(name, -1) < SAID_FOR_S]
        if mortal:
            yield f"running, but these expire: {mortal}"
        return
    immortal = [name for name, ttl in stored.ttls.items() if ttl == -1 and (settled or name != "started")]
    if immortal:
        yield f"{stored.status}, but these never expire: {immortal}"
    least = stored.ttls["control"] + CONTROL_LEAD_S - 2
    kept = {name: ttl for name, ttl in stored.ttls.items() if name not in ("control", "live")}
    early = [name for name, ttl in kept.items() if -1 < ttl < least]
    if early and not immortal:
        yield f"these expire before control: {early}"


def _is_to_be_kept(found: Snapshot, stored: Stored) -> bool:
    """Whether a message waits that makes a child live as long as its root, or removes it with that."""
    lineage = stored.plan.lineage
    if lineage is None:
        return False
    return any(
        fields.get(b"a") in (b"keep_children", b"delete_execution")
        and {lineage.root.encode(), stored.id.encode()} & set(_payload(fields).split(b'"'))
        for queue in _queues(found)
        for _, fields in found.xrange(queue)
    )


def _lines(found: Snapshot, stored: Stored) -> Iterable[str]:
    """What is counted of the lines that nodes have said is what is kept, and within its bounds."""
    weights: Counter[str] = Counter()
    size = 0
    for _, fields in found.xrange(f"fe:x:{stored.id}:logs"):
        lines = decode_lines(fields[b"l"])
        encoded = encoded_lines(lines)
        weights[f"w:{lines.node}"] += weight_of(encoded)
        size += sum(map(len, encoded))
    logged = _text(found.hgetall(f"fe:x:{stored.id}:logged"))
    counted = {name: int(value) for name, value in logged.items() if name.startswith("w:") and int(value)}
    if counted != weights or int(logged.get("b", "0")) != size:
        yield f"lines are counted as {logged}, there are {dict(weights)}, {size} bytes"


def _found_by(execution: str, control: Mapping[str, str]) -> set[str]:
    """What it is to be found by, in `fe:list:by`, and what says all of this."""
    labels = msgspec.json.decode(control.get("labels", "{}"))
    shown = control["correlation_id"].partition("\x1f")[0]  # a trace may stand behind it
    values: list[tuple[str, ...]] = [("n", control["name"]), ("c", shown)]
    values += [("l", *each) for each in labels.items()]
    version = int(control["version"]) if "version" in control else None
    origin = msgspec.json.decode(control["origin"])[0] if "origin" in control else None
    if version is not None:
        values.append(("v", control["name"], str(version)))
    if origin is not None:
        values.append(("r", origin))
    said = (control["name"], control["correlation_id"], labels, version, origin)
    values.append(("a", execution, msgspec.json.encode(said).decode()))
    return {"\t".join((*value, execution)) for value in values}


def _lists(found: Snapshot, stored: Stored) -> Iterable[str]:
    """It is in the list of its status and in no other, and is found by what its control says.

    An earlier version made no entries: those of its executions are in a list once they begin or end.
    """
    statuses = ("pending", *OPEN, *ENDED)
    lists = {each for each in statuses if found.zscore(f"fe:list:{each}", stored.id) is not None}
    right = {"running", stored.status} if stored.status in OPEN else {stored.status}
    right = right if stored.root_status is None else set()
    if lists != right and (stored.listed or lists - right):
        yield f"in the lists {lists}, is {stored.status}"
    by = _found_by(stored.id, stored.control)
    missing = {each for each in by if found.zscore("fe:list:by", each) is None}
    if missing and stored.listed:
        yield f"not found by {sorted(missing)}"


def _blamed(stored: Stored) -> Iterable[str]:
    """The first node that failed is known, if one has."""
    failed = {
        name for name, record in stored.nodes.items() if record.status == "failed" and not record.tolerated
    }
    first = stored.counts.get("first")
    if not stored.listed and first is None:
        return  # an earlier version did not write it down
    if (first is None) != (not failed) or (first is not None and first not in failed):
        yield f"the first that failed is {first}, failed are {failed}"


def _index(found: Snapshot, stored: Stored) -> Iterable[str]:
    if stored.root_status is not None:
        indexes = [key for key in found.keys if key.startswith(b"fe:nested")]
        is_there = any(found.zscore(key, stored.id) is not None for key in indexes)
        if is_there != (stored.status in OPEN):
            yield f"a child that is {stored.status}, and its place in fe:nested says otherwise"
        return
    listed = [
        status
        for status in ("pending", "running", *ENDED)
        if found.zscore(f"fe:index:{status}", stored.id) is not None
    ]
    if listed != ["running" if stored.status in OPEN else stored.status]:
        yield f"listed as {listed}, is {stored.status}"


def _leftovers(found: Snapshot, stored: Stored) -> Iterable[str]:
    if stored.started:
        yield f"left in started: {stored.started}"
    timers = _timers(found, stored)
    if timers:
        yield f"left in timers: {timers}"
    for queue in _queues(found):
        for _, fields in found.xrange(queue):
            if stored.id.encode() in _payload(fields):
                yield f"left in {queue.decode()}: {fields}"


def _children(found: Snapshot, stored: Stored) -> Iterable[str]:
    """A child is known to its root and not without it; an open node stands for one, and has a message or a
    child that is at work."""
    lineage = stored.plan.lineage
    if lineage is not None:
        if not stored.root_status:
            yield f"its root {lineage.root} is not there"
        if stored.root_status in ENDED and stored.status in OPEN:
            yield f"it is {stored.status}, and its root {stored.root_status}"
    for name, record in stored.nodes.items():
        if record.status == "open" and record.child is None and record.map is None:
            yield f"{name} is open, and stands for nothing"
        if record.status == "open" and stored.status in ENDED:
            yield f"{name} is open in an execution that is {stored.status}"


def _is_at_work(found: Snapshot, stored: Stored) -> bool:
    """Whether a node stands for a child that has not ended, or of whose end a message tells."""
    children = [r.child.execution for r in stored.nodes.values() if r.status == "open" and r.child]
    return any(found.fetch_field(f"fe:x:{each}:control", "status") in OPEN for each in children)


def _stuck(found: Snapshot, stored: Stored) -> Iterable[str]:
    """A running execution always has a message that moves it on."""
    if _is_at_work(found, stored):
        return
    messages = [
        _payload(fields)
        for queue in _queues(found)
        for _, fields in found.xrange(queue)
        if stored.id.encode() in _payload(fields)
    ]
    timers = _timers(found, stored)
    if not messages and not timers and not any(stored.turns.values()):
        yield "running, but no message and no timer will ever move it"


def _payload(fields: dict[bytes, bytes]) -> bytes:
    """The payload of an engine message, of whatever version."""
    return b"".join(fields.get(name, b"") for name in PAYLOADS)


def _timers(found: Snapshot, stored: Stored) -> list[bytes]:
    return [
        member
        for timers in ALL_TIMERS
        for member in found.zrange(timers, 0, -1)
        if member.startswith(stored.id.encode())
    ]


def _text(hashed: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in hashed.items()}


class CheckEverything(Protocol):
    """`check_invariants()`."""

    def __call__(self, *, dead_letters: int = 0) -> list[Stored]:
        """Assert every invariant of everything on the session's server; returns what was read."""


@pytest.fixture
def check_invariants(redis_client: redis.Redis) -> CheckEverything:
    """Asserts every invariant of everything on the session's server: `check_invariants()`."""
    return partial(check_everything, redis_client)
