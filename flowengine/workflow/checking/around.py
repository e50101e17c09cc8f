"""What is around the nodes of a group: the nodes of the lists outside, as its templates may read them."""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.workflow.checking.templates.output_fields import DeclaredOutput
from flowengine.workflow.maps.policy import names_of
from flowengine.workflow.stages import Stage


class OuterNode(msgspec.Struct, frozen=True):
    """A node outside of a group. `up`: how many lists outside. `readable`: it is upstream of the group, or
    otherwise readable there; `certain`: it has completed whenever the group runs. `of_items`: of a map, the
    field of an item's output that `X.result` lists."""

    name: str
    up: int
    readable: bool = False
    certain: bool = False
    output: DeclaredOutput | None = None
    of_items: str | None = None

    @property
    def primary(self) -> str | None:
        """The field of its output that `X.result` means, or of the outputs of its items."""
        return self.of_items or (None if self.output is None else self.output.primary)


class Around(msgspec.Struct, frozen=True):
    """What is around one list of nodes. `group`: the id of the group that the list belongs to. `stage`: the
    list of the document that this stands in, of the nodes of a group. `items`: what the items of the maps are
    called that the groups around are of. `repeats`: a group around repeats. `sole`: the list is one node of
    the same id, an item of a map or an iteration."""

    nodes: tuple[OuterNode, ...] = ()
    group: str = ""
    stage: Stage | None = None
    items: tuple[str, ...] = ()
    repeats: bool = False
    sole: bool = False

    @property
    def item_names(self) -> frozenset[str]:
        """The names of these items, of their indexes and their keys."""
        return frozenset([name for item in self.items for name in names_of(item)])


NOTHING_AROUND: Final = Around()
