"""Where a child execution belongs, and its plan as it is stored: a reference to that of another execution."""

from __future__ import annotations

from typing import Final

import msgspec

_BEGINNING: Final = b'["child",'
"""A plan begins with a number."""


class Lineage(msgspec.Struct, frozen=True, array_like=True):
    """What a child execution belongs to. Nothing in it ever changes.

    `root`: the execution at the top. `parent` and `node`: the node that it stands for. `chain`: the
    executions around it whose nodes its templates may read, the one of its document first, its parent last.
    `unseen`: the nodes there that had not ended when it was made. `item`: the key of a map's item.
    """

    root: str
    parent: str
    node: str
    chain: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    item: str | None = None


class Reference(msgspec.Struct, frozen=True, array_like=True, tag="child"):
    """What is stored in the place of a child's plan. `path`: the groups, by their indexes, that lead to it in
    the plan of the first execution of the chain."""

    lineage: Lineage
    path: tuple[int, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reference).decode


def encode_reference(reference: Reference) -> bytes:
    """The reference as it is stored."""
    return _encode(reference)


def decode_reference(data: bytes) -> Reference | None:
    """What `encode_reference` wrote; None for a plan. Raises msgspec.DecodeError."""
    return _decode(data) if data.startswith(_BEGINNING) else None
