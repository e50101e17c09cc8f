"""The compiled plan: what the engine looks up in it, and how it is stored."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.stored_format import FORMAT, READABLE
from flowengine.workflow.plan import Plan, PlanNode, Task, UnknownFormatError, decode_plan, encode_plan
from flowengine.workflow.policy import PLAIN, ExecutionPolicy, Policy, Retry

PLAN = Plan(
    "two steps",
    (
        PlanNode("last", (1, 2), Task("add", msgspec.Raw(b'{"a":1}'), (1,), 1500, "worker", "data")),
        PlanNode("first", (), Task("get", msgspec.Raw(b"{}"), (), 300_000, "slow")),
        PlanNode("second", (1,), Task("get", msgspec.Raw(b"{}"), (), 300_000, "slow")),
    ),
)
STORED = (
    b'[2,["two steps",['
    b'["last",[1,2],["task","add",{"a":1},[1],1500,"worker","data"]],'
    b'["first",[],["task","get",{},[],300000,"slow",null]],'
    b'["second",[1],["task","get",{},[],300000,"slow",null]]]]]'
)
"""The same plan as it is stored in format 2. Never change it: later versions must read it."""

OF_FORMAT_1 = b'["two steps",[["last","add",{"a":1},[1],[1],1500,"worker","data"]]]'
"""A plan as it was stored before plans had a version."""


def test_relations_of_nodes_are_told_by_index() -> None:
    """A join has several parents; every other node that has one is its only child."""
    assert PLAN.index == {"last": 0, "first": 1, "second": 2}
    assert PLAN.children == ((), (0, 2), (0,))
    assert PLAN.joins_below == ((), (0,), (0,))
    assert PLAN.only_children == ((), (2,), ())
    assert PLAN.roots == (1,)
    assert [node.is_join for node in PLAN.nodes] == [True, False, False]


def test_those_step_back_that_become_ready_together_with_many() -> None:
    """All but the first 16 of the nodes that depend on the same nodes."""
    task = Task("noop", msgspec.Raw(b"{}"), (), 1000, "worker")
    shapes = [(), (), *[(0,)] * 20, *[(0, 1)] * 17, *[(at,) for at in range(2, 22)]]
    plan = Plan("wide", tuple([PlanNode(f"n{at}", parents, task) for at, parents in enumerate(shapes)]))
    assert plan.crowd == {*range(2 + 16, 2 + 20), 22 + 16}
    assert PLAN.crowd == frozenset()


def test_a_plan_survives_the_way_to_bytes() -> None:
    """Every field of it."""
    assert decode_plan(encode_plan(PLAN)) == PLAN


def test_a_plan_is_stored_as_it_always_was_in_this_format() -> None:
    """Its version comes first, so that a reader can tell it before all else."""
    assert encode_plan(PLAN) == STORED
    assert decode_plan(STORED) == PLAN
    assert FORMAT == 3
    assert {2, 3} == READABLE


POLICIES = Plan(
    PLAN.name,
    PLAN.nodes,
    {
        0: Policy(
            trigger_rule="none_failed",
            when="{{ first.a }}",
            tolerates=("http_404",),
            retry=Retry(5, 250, 1.5, 4000, 0.25, 60_000, ("all",), ("timeout",)),
            sees=(1, 2),
        ),
        2: Policy(tolerates=True),
    },
)
STORED_POLICIES = (
    b'[3,["two steps",['
    b'["last",[1,2],["task","add",{"a":1},[1],1500,"worker","data"]],'
    b'["first",[],["task","get",{},[],300000,"slow",null]],'
    b'["second",[1],["task","get",{},[],300000,"slow",null]]],'
    b'{"0":{"trigger_rule":"none_failed","when":"{{ first.a }}","tolerates":["http_404"],'
    b'"retry":{"max_attempts":5,"delay_ms":250,"multiplier":1.5,"max_delay_ms":4000,"jitter":0.25,'
    b'"max_ms":60000,"only":["all"],"exclude":["timeout"]},"sees":[1,2]},"2":{"tolerates":true}}]]'
)
"""A plan with policies as format 3 stores it. Never change it: later versions must read it."""


def test_a_plan_with_policies_is_stored_in_format_3() -> None:
    """Processes of format 2 refuse it instead of running its nodes as if they had none."""
    assert encode_plan(POLICIES) == STORED_POLICIES
    assert decode_plan(STORED_POLICIES) == POLICIES


def test_a_plan_that_says_something_of_the_whole_is_stored_in_format_3() -> None:
    """Processes of format 2 would not stop what it stops."""
    for overall in (ExecutionPolicy(timeout_ms=5), ExecutionPolicy(stops_on_failure=True)):
        plan = msgspec.structs.replace(PLAN, overall=overall)
        assert encode_plan(plan).startswith(b"[3,")
        assert decode_plan(encode_plan(plan)) == plan


def test_a_plan_without_policies_may_also_come_in_format_3() -> None:
    """Then it is the same plan."""
    for stored in (STORED.replace(b"[2,", b"[3,", 1), STORED.replace(b"[2,", b"[3,", 1)[:-2] + b",{}]]"):
        assert decode_plan(stored) == PLAN


def test_nodes_without_threads_stand_behind_what_older_versions_read() -> None:
    """A plan that has none is stored as before; a version that does not know of them reads the same plan."""
    waiting = msgspec.structs.replace(PLAN, waiting=frozenset({2, 0}))
    assert encode_plan(waiting) == STORED[:-1] + b",[0,2]]"
    assert decode_plan(encode_plan(waiting)) == waiting
    assert msgspec.json.decode(encode_plan(waiting), type=OlderStored).plan == PLAN


class OlderStored(msgspec.Struct, array_like=True):
    """What versions before read."""

    format: int
    plan: Plan


def test_only_what_a_node_says_is_stored() -> None:
    """Defaults are not, so that a later version may have others."""
    for policy, stored in ((PLAIN, b"{}"), (Policy(retry=Retry()), b'{"retry":{}}')):
        assert msgspec.json.encode(policy) == stored
        assert msgspec.json.decode(stored, type=Policy) == policy


def test_a_node_without_a_policy_has_the_plain_one() -> None:
    """It runs when all that it depends on has completed, is tried once, and nothing is tolerated."""
    assert [POLICIES.policy(position) for position in (1, 2)] == [PLAIN, Policy(tolerates=True)]
    assert Policy("all_success", None, False, None, ()) == PLAIN


def test_parents_come_before_their_children() -> None:
    """Whatever the order of the document."""
    assert PLAN.parents_first == (1, 2, 0)


def _with(**policies: Policy) -> Plan:
    """a and b above `join`, `next` below it, `last` below that and b."""
    names = {"last": ("next", "b"), "next": ("join",), "join": ("a", "b"), "a": (), "b": ()}
    index = {name: position for position, name in enumerate(names)}
    nodes = [
        PlanNode(
            name, tuple(index[one] for one in above), Task("get", msgspec.Raw(b"{}"), (), 1000, "worker")
        )
        for name, above in names.items()
    ]
    return Plan("p", tuple(nodes), {index[name]: policy for name, policy in policies.items()})


def test_it_is_known_below_which_nodes_an_early_failure_must_be_settled() -> None:
    """Those above a rule that waits for ends, through all that would fail with them."""
    rule = Policy(trigger_rule="all_done")
    assert _with().settles == (False,) * 5
    assert _with(last=rule).settles == (False, True, True, True, True)
    assert _with(next=rule).settles == (False, False, True, True, True)
    assert _with(join=rule).settles == (False, False, False, True, True)


def test_it_is_known_which_nodes_may_begin_before_all_above_them_has_ended() -> None:
    """Those at or below a `one_success`."""
    rule = Policy(trigger_rule="one_success")
    assert _with(join=Policy(trigger_rule="all_done")).begins_early == (False,) * 5
    assert _with(join=rule).begins_early == (True, True, True, False, False)
    assert _with(last=rule).begins_early == (True, False, False, False, False)


@pytest.mark.parametrize("version", [0, 1, 4, 1000, -1])
def test_a_plan_of_another_version_is_refused(version: int) -> None:
    """Though it could be decoded: its fields may mean something else."""
    assert version not in READABLE
    other = STORED.replace(b"[2,", b"[%d," % version, 1)
    with pytest.raises(UnknownFormatError, match=rf"has format {version}; this version reads \[2, 3\]"):
        decode_plan(other)


def test_a_plan_of_a_later_version_with_another_shape_is_refused() -> None:
    """The refusal names the version and not the field that is odd."""
    for other in (b'[4,{"name":"new","nodes":[]}]', b'[4,["n",[["a",[],["map",1]]]]]'):
        with pytest.raises(UnknownFormatError, match="has format 4"):
            decode_plan(other)


@pytest.mark.parametrize("data", [OF_FORMAT_1, b'["name",[[]]]', b'["name",[]]'])
def test_a_plan_of_format_1_is_refused(data: bytes) -> None:
    """It has no version: its name comes first."""
    with pytest.raises(UnknownFormatError, match="a stored plan has no format version"):
        decode_plan(data)


@pytest.mark.parametrize("data", [b"{}", b"[]", b"null", b"2", b'"2"', b"[2]", b"[2.5,[]]"])
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    """By the same error, since nothing tells of what version it is."""
    with pytest.raises(UnknownFormatError):
        decode_plan(data)


@pytest.mark.parametrize("data", [b"", b"[2,", b"\xff", b'[2,["a",[]'])
def test_damaged_bytes_are_an_error(data: bytes) -> None:
    """Of the decoder: no version has written them."""
    with pytest.raises(msgspec.DecodeError):
        decode_plan(data)
