"""Where a child execution belongs, and its plan as it is stored: a reference to that of another execution, or
one of its own."""

from __future__ import annotations

from typing import Final

import msgspec

_BEGINNING: Final = b'["c'
"""A plan begins with a number."""


class HeldItem(msgspec.Struct, frozen=True, array_like=True):
    """The item of a map of a group that a child is of, or a child around it: where it is stored, and what
    templates call it."""

    execution: str
    node: str
    index: int
    key: str
    name: str


class HeldIteration(msgspec.Struct, frozen=True, array_like=True):
    """The iteration of a group that a child is of, or a child around it: its number, and the node under whose
    key it is stored what the iteration before has given."""

    execution: str
    node: str
    number: int


class Lineage(msgspec.Struct, frozen=True, array_like=True):
    """What a child execution belongs to. Nothing in it ever changes.

    `root`: the execution at the top. `parent` and `node`: the node that it stands for. `chain`: the
    executions around it whose nodes its templates may read, the one of its document first, its parent last;
    none: it has a document of its own. `unseen`: the nodes there that had not ended when it was made. `item`:
    the index of the item that it is of, where its node is a map. `depth`: how many executions it stands in.
    `fresh`: a rerun has reset a node around it, so that its nodes are given nothing that was kept. `items`:
    the items that its templates may read, the outermost first, its own last. `iteration`: that of the nearest
    group around which repeats. `lines`: those in which what is around it holds a place: nothing in it waits
    for one there. `sole`: it is an item of a map, or an iteration, whose node runs in it
    alone, under the same id.
    """

    root: str
    parent: str
    node: str
    chain: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    item: int | None = None
    depth: int = 1
    fresh: bool = False
    items: tuple[HeldItem, ...] = ()
    iteration: HeldIteration | None = None
    lines: tuple[str, ...] = ()
    sole: bool = False

    @property
    def is_called(self) -> bool:
        """Whether it is an execution of a definition."""
        return not self.chain


class Reference(msgspec.Struct, frozen=True, array_like=True, tag="child"):
    """What is stored in the place of a child's plan. `path`: the groups, by their indexes, that lead to it in
    the plan of the first execution of the chain."""

    lineage: Lineage
    path: tuple[int, ...]


class CalledPlan(msgspec.Struct, frozen=True, array_like=True, tag="called"):
    """The same of a child that has a plan of its own, which is encoded as stored plans are."""

    lineage: Lineage
    plan: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reference | CalledPlan).decode


def encode_reference(reference: Reference | CalledPlan) -> bytes:
    """The reference as it is stored."""
    return _encode(reference)


def decode_reference(data: bytes) -> Reference | CalledPlan | None:
    """What `encode_reference` wrote; None for a plan. Raises msgspec.DecodeError."""
    return _decode(data) if data.startswith(_BEGINNING) else None
