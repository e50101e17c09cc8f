"""The soak's workflows, and what they must come to, computed without the engine.

Every node's value is the sum of its parents' values and a number of its own, whatever handler
computes it; so one function knows all right answers. Shapes: chains, fan-outs, diamonds, naps of
about 100 ms, HTTP calls, nodes that put off their calls and wait for signals, maps, groups, nodes that wait
their turn, and branches that fail in the first run and are triggered again. Some have outputs and hooks; some
wait as a whole for their turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal[
    "compute",
    "sum",
    "nap",
    "later",
    "http",
    "flaky",
    "loop",
    "put_off",
    "signal",
    "map",
    "group",
    "limited",
    "paced",
    "late",
    "turn_group",
]
"""`later` naps as `nap` does, but holds no thread; nor does `http`. `put_off` asks to be called later. Of the
`limited` few nap at once, of the `paced` few begin in a second, over all executions. Of the `late` few nap at
once under a key that is made when they are due; of the groups `turn_group` few are open under such a key, and
few of their last nodes nap under another one."""

NAP_S: Final = 0.1
LATER_S: Final = 0.5
TIMEOUT_S: Final = 30
SIGNAL_TIMEOUT_S: Final = 3600
PATH: Final = "/soak"
HOOKED_OF_TEN: Final = 3
QUEUED_OF_TEN: Final = 2
LIMITS: Final = {"soak": 3, "late": 2, "group": 3, "in": 1}
"""How many run at once, by how their keys begin."""
PER_SECOND: Final = 40
RUNNING_AT_ONCE: Final = 4


class Step(msgspec.Struct, frozen=True):
    """One node: its parents, the number that it adds, and how it is computed."""

    id: str
    kind: Kind
    parents: tuple[str, ...] = ()
    plus: int = 0


HANDLERS: Final[Mapping[Kind, str]] = {
    "compute": "compute",
    "http": "call_external_service",
    "later": "soak_later",
    "loop": "compute",
    "signal": "signal",
}

HOOKS: Final[Mapping[str, Step]] = {
    "on_failure": Step("tell", "sum", plus=2),
    "finally": Step("tidy", "nap", plus=1),
}
"""What runs after the others, by the list of the document."""


class Workload(msgspec.Struct, frozen=True):
    """One workflow of the soak. Steps come in an order in which parents come first."""

    shape: str
    steps: tuple[Step, ...]
    hooked: bool = False
    """Whether it has outputs, and hooks of both kinds."""
    queued: bool = False
    """Whether few of its kind run at once."""

    @property
    def values(self) -> dict[str, int]:
        """The right value of every node, once all have completed."""
        found: dict[str, int] = {}
        for step in self.steps:
            found[step.id] = sum(found[parent] for parent in step.parents) + step.plus
        return found

    @property
    def failing(self) -> set[str]:
        """The nodes that fail in the first run: the flaky ones, and all below them."""
        found: set[str] = set()
        for step in self.steps:
            if step.kind == "flaky" or found & set(step.parents):
                found.add(step.id)
        return found

    @property
    def is_seen_through(self) -> bool:
        """Whether it ends without a word from outside, and calls in the name of its own execution alone."""
        return not {"signal", "group", "turn_group"} & {step.kind for step in self.steps}

    def document(self, url: str) -> dict[str, Any]:
        """The workflow; HTTP nodes call `url`, which must echo its query."""
        kinds = {step.id: step.kind for step in self.steps}
        nodes = [_node(step, kinds, url) for step in self.steps]
        document: dict[str, Any] = {"name": f"soak: {self.shape}", "nodes": nodes}
        if self.queued:
            document["concurrency"] = {"key": "soak", "limit": RUNNING_AT_ONCE, "shared": True}
        if not self.hooked:
            return document
        last = f"{{{{ {_reference(self.steps[-1].id, kinds)} }}}}"
        hooks = {where: [_node(hook, kinds, url)] for where, hook in HOOKS.items()}
        return {**document, "outputs": {"last": last}, **hooks}

    def output(self, step: Step) -> dict[str, Any]:
        """What this node gives, as an operator may give it in its place."""
        value = self.values[step.id]
        match step.kind:
            case "http":
                return {"data": {"query": {"n": str(value)}}}
            case "map":
                return {"result": [value]}
            case "group" | "turn_group":
                return {"result": {"n": value}}
        return {"result": value}

    def mistakes_of_hooks(self, found: Mapping[str, Any]) -> list[str]:
        """What is not right in the outputs and hooks of a run that nobody has cancelled."""
        if not self.hooked:
            return []
        failed = found["status"] == "failed"
        right = {
            hook.id: {"result": hook.plus} for where, hook in HOOKS.items() if failed or where == "finally"
        }
        outputs = None if failed else {"last": self.values[self.steps[-1].id]}
        wrong = [] if found["hooks"]["results"] == right else [f"hooks gave {found['hooks']}"]
        return wrong + ([] if found["outputs"] == outputs else [f"outputs are {found['outputs']}"])

    def mistakes_when_cancelled(
        self, results: Mapping[str, Any], errors: Mapping[str, Any], run: int
    ) -> list[str]:
        """What is not right in the results and errors of that run, which was cancelled somewhere."""
        failing = self.failing if run == 1 else set()
        wrong = [f"unexpected error of {name}: {errors[name]}" for name in errors if name not in failing]
        found = {step.id: _value(step, results) for step in self.steps if step.id in results}
        return wrong + [
            f"{name} is {value!r}, should be {self.values[name]}"
            for name, value in found.items()
            if value != self.values[name]
        ]

    def mistakes(self, results: Mapping[str, Any], errors: Mapping[str, Any], run: int) -> list[str]:
        """What is not right in the results and errors after that run."""
        failing = self.failing if run == 1 else set()
        wrong = [f"unexpected error of {name}: {errors[name]}" for name in errors if name not in failing]
        wrong += [f"{name} should have failed in run 1" for name in failing - set(errors)]
        for step in self.steps:
            if step.id not in failing and (found := _value(step, results)) != (right := self.values[step.id]):
                wrong.append(f"{step.id} is {found!r}, should be {right}")
        wrong += [f"unexpected result of {name}" for name in set(results) - {s.id for s in self.steps}]
        return wrong


def _value(step: Step, results: Mapping[str, Any]) -> object:
    try:
        output = results[step.id]
        match step.kind:
            case "http":
                return int(output["data"]["query"]["n"])
            case "map":
                return sum(output["result"])
            case "group" | "turn_group":
                return output["result"]["n"]
        return output["result"]
    except (KeyError, TypeError, ValueError):
        return results.get(step.id)


def _node(step: Step, kinds: Mapping[str, Kind], url: str) -> dict[str, Any]:
    reads = [f"{{{{ {_reference(parent, kinds)} }}}}" for parent in step.parents]
    config: dict[str, Any]
    match step.kind:
        case "compute":
            config = {"operation": "add", "a": reads[0] if reads else 0, "b": step.plus}
        case "loop":
            before = _reference(step.parents[0], kinds) if step.parents else "0"
            terms = f"{{{{ [{step.plus - 3}, 1, 2][iteration - 1] }}}}"
            config = {"operation": "add", "a": f"{{{{ previous | default({before}) }}}}", "b": terms}
        case "http":
            terms = " + ".join([*(_reference(parent, kinds) for parent in step.parents), str(step.plus)])
            config = {"url": f"{url}?n={{{{ {terms} }}}}"}
        case "signal":
            config = {"prompt": "soaked"}
        case "map":
            config = {"values": ["{{ item }}"], "plus": 0}
        case "group":
            return _group(step, reads)
        case "turn_group":
            return _turn_group(step, reads, kinds)
        case _:
            config = {"values": reads, "plus": step.plus}
            config |= {"nap_s": NAP_S} if step.kind in ("nap", "later", "limited", "late") else {}
            config |= {"key": "soak"} if step.kind == "limited" else {}
            config |= {"key": _late_key(step, kinds)} if step.kind == "late" else {}
            config |= {"failing_runs": 1} if step.kind == "flaky" else {}
            config |= {"later_s": LATER_S, "since": "{{ now() }}"} if step.kind == "put_off" else {}
    until = "{{ iteration == 3 }}"
    more: dict[str, Any] = {}
    match step.kind:
        case "loop":
            more["repeat"] = {"until": until, "delay_seconds": 0.1 * (step.plus % 2)}
        case "map":
            terms = ", ".join(
                [*(_reference(parent, kinds) for parent in step.parents), str(step.plus), "0", "0"]
            )
            more["map"] = {"items": f"{{{{ [{terms}] }}}}", "max_concurrent": step.plus % 3}
        case "limited":
            more["concurrency"] = {"key": "soak", "limit": LIMITS["soak"]}
        case "late":
            more["concurrency"] = {"key": _late_key(step, kinds), "limit": LIMITS["late"]}
        case "paced":
            more["rate_limit"] = {"key": "soak", "limit": PER_SECOND, "per_seconds": 1}
    return {
        "id": step.id,
        **more,
        "handler": HANDLERS.get(step.kind, "soak_sum"),
        "config": config,
        "dependencies": list(step.parents),
        "timeout_seconds": SIGNAL_TIMEOUT_S if step.kind == "signal" else TIMEOUT_S,
    }


def _group(step: Step, reads: list[str]) -> dict[str, Any]:
    """Two nodes, one after the other, in an execution of their own."""
    first, last = f"{step.id}_first", f"{step.id}_last"
    return {
        "id": step.id,
        "dependencies": list(step.parents),
        "nodes": [
            {"id": first, "handler": "soak_sum", "config": {"values": reads, "plus": step.plus}},
            {
                "id": last,
                "handler": "soak_later",
                "config": {"values": [f"{{{{ {first}.result }}}}"], "plus": 0, "nap_s": NAP_S},
                "dependencies": [first],
            },
        ],
        "outputs": {"n": f"{{{{ {last}.result }}}}"},
    }


def _late_key(step: Step, kinds: Mapping[str, Kind], of: str = "late") -> str:
    """One of two keys, by what the first of its parents gives."""
    return f"{of}-{{{{ {_reference(step.parents[0], kinds)} % 2 }}}}"


def _turn_group(step: Step, reads: list[str], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The same, of which few are open at once, and few of their last nodes run."""
    group = _group(step, reads)
    first, last = group["nodes"]
    key, inner = _late_key(step, kinds, "group"), f"in-{{{{ {first['id']}.result % 2 }}}}"
    first["config"] |= {"key": key, "nap_s": NAP_S / 2}
    # Who is in the group has a place by that, and needs no other one under the same key.
    first["concurrency"] = {"key": key, "limit": LIMITS["group"]}
    last["config"]["key"] = inner
    last["concurrency"] = {"key": inner, "limit": LIMITS["in"]}
    end = {
        "id": f"{step.id}_end",
        "handler": "soak_sum",
        "config": {"values": [f"{{{{ {last['id']}.result }}}}"], "plus": 0, "key": key},
        "dependencies": [last["id"]],
    }
    outputs = {"n": f"{{{{ {end['id']}.result }}}}"}
    group["nodes"].append(end)
    return {**group, "outputs": outputs, "concurrency": {"key": key, "limit": LIMITS["group"]}}


def _reference(parent: str, kinds: Mapping[str, Kind]) -> str:
    match kinds[parent]:
        case "http":
            return f"({parent}.data.query.n | int)"
        case "map":
            return f"({parent}.result | sum)"
        case "group" | "turn_group":
            return f"{parent}.result.n"
    return f"{parent}.result"


def _chain(rng: random.Random) -> Iterable[Step]:
    yield Step("n0", "compute", (), rng.randrange(100))
    for at in range(1, rng.randint(4, 16)):
        kind: Kind = rng.choice(("compute", "sum", "loop"))
        yield Step(f"n{at}", kind, (f"n{at - 1}",), rng.randrange(100))


def _fan_out(rng: random.Random) -> Iterable[Step]:
    yield Step("start", "compute", (), rng.randrange(100))
    leaves = [f"leaf{at}" for at in range(rng.randint(6, 30))]
    for leaf in leaves:
        yield Step(leaf, rng.choice(("compute", "sum", "later")), ("start",), rng.randrange(100))
    yield Step("join", "sum", tuple(leaves), 1)


def _diamonds(rng: random.Random) -> Iterable[Step]:
    yield Step("top0", "sum", (), rng.randrange(100))
    for at in range(rng.randint(1, 4)):
        yield Step(f"left{at}", "compute", (f"top{at}",), rng.randrange(100))
        yield Step(f"right{at}", "sum", (f"top{at}",), rng.randrange(100))
        yield Step(f"top{at + 1}", "sum", (f"left{at}", f"right{at}"), rng.randrange(100))


def _naps(rng: random.Random) -> Iterable[Step]:
    lanes = range(rng.randint(2, 4))
    for depth in range(3):
        for lane in lanes:
            parents = (f"nap{depth - 1}_{lane}",) if depth else ()
            yield Step(f"nap{depth}_{lane}", rng.choice(("nap", "later")), parents, rng.randrange(100))
    yield Step("join", "sum", tuple(f"nap2_{lane}" for lane in lanes), 1)


def _calls(rng: random.Random) -> Iterable[Step]:
    yield Step("start", "sum", (), rng.randrange(100))
    calls = [f"call{at}" for at in range(rng.randint(2, 5))]
    for call in calls:
        yield Step(call, "http", ("start",), rng.randrange(100))
    yield Step("join", "sum", tuple(calls), 1)
    yield Step("last", "http", ("join",), rng.randrange(100))


def _failing(rng: random.Random) -> Iterable[Step]:
    yield Step("start", "compute", (), rng.randrange(100))
    yield Step("good", "http", ("start",), rng.randrange(100))
    yield Step("bad", "flaky", ("start",), rng.randrange(100))
    yield Step("side", "later", ("good",), rng.randrange(100))
    for at in range(rng.randint(1, 5)):
        yield Step(f"below{at}", "sum", ("bad",) if at % 2 else ("bad", "good"), rng.randrange(100))
    yield Step("end", "sum", ("side", "below0"), 1)


def _waits(rng: random.Random) -> Iterable[Step]:
    yield Step("start", "compute", (), rng.randrange(100))
    for lane in range(rng.randint(1, 3)):
        yield Step(f"later{lane}", "put_off", ("start",), rng.randrange(100))
        yield Step(f"hears{lane}", "signal", (f"later{lane}",), rng.randrange(100))
    yield Step("join", "sum", tuple(f"hears{at}" for at in range(lane + 1)), 1)


def _maps(rng: random.Random) -> Iterable[Step]:
    yield Step("start", "sum", (), rng.randrange(100))
    parent = "start"
    for at in range(rng.randint(1, 3)):
        kind: Kind = rng.choice(("map", "group"))
        yield Step(f"many{at}", kind, (parent,), rng.randrange(100))
        yield Step(f"sum{at}", "sum", (f"many{at}",), rng.randrange(100))
        parent = f"sum{at}"
    yield Step("beside", "group", ("start",), rng.randrange(100))
    yield Step("join", "map", (parent, "beside"), 1)


def _turns(rng: random.Random) -> Iterable[Step]:
    yield Step("start", "sum", (), rng.randrange(100))
    leaves = [f"leaf{at}" for at in range(rng.randint(2, 6))]
    for leaf in leaves:
        kind: Kind = rng.choice(("limited", "paced", "late", "turn_group"))
        yield Step(leaf, kind, ("start",), rng.randrange(100))
    yield Step("join", "sum", tuple(leaves), 1)


SHAPES: Final[Mapping[str, Callable[[random.Random], Iterable[Step]]]] = {
    "chain": _chain,
    "fan-out": _fan_out,
    "diamonds": _diamonds,
    "naps": _naps,
    "calls": _calls,
    "failing": _failing,
    "waits": _waits,
    "maps": _maps,
    "turns": _turns,
}


def draw(rng: random.Random) -> Workload:
    """A workflow of any shape."""
    shape = rng.choice(list(SHAPES))
    return Workload(
        shape,
        tuple(SHAPES[shape](rng)),
        hooked=rng.randrange(10) < HOOKED_OF_TEN,
        queued=rng.randrange(10) < QUEUED_OF_TEN,
    )
