"""The compiled plan: what the engine looks up in it, and how it is stored."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.stored_format import FORMAT, READABLE
from flowengine.workflow.plan import Plan, PlanNode, Task, UnknownFormatError, decode_plan, encode_plan

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


def test_a_plan_survives_the_way_to_bytes() -> None:
    """Every field of it."""
    assert decode_plan(encode_plan(PLAN)) == PLAN


def test_a_plan_is_stored_as_it_always_was_in_this_format() -> None:
    """Its version comes first, so that a reader can tell it before all else."""
    assert encode_plan(PLAN) == STORED
    assert decode_plan(STORED) == PLAN
    assert FORMAT == 2


@pytest.mark.parametrize("version", [0, 1, 3, 4, 1000, -1])
def test_a_plan_of_another_version_is_refused(version: int) -> None:
    """Though it could be decoded: its fields may mean something else."""
    assert version not in READABLE
    other = STORED.replace(b"[2,", b"[%d," % version, 1)
    with pytest.raises(UnknownFormatError, match=rf"has format {version}; this version reads \[2\]"):
        decode_plan(other)


def test_a_plan_of_a_later_version_with_another_shape_is_refused() -> None:
    """The refusal names the version and not the field that is odd."""
    for other in (b'[3,{"name":"new","nodes":[]}]', b'[3,["n",[["a",[],["map",1]]]]]'):
        with pytest.raises(UnknownFormatError, match="has format 3"):
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
