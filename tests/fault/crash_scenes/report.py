"""The reference workflow of the crash points, and the table of what was tried."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from flowengine.workflow.stages import OUTPUTS_NODE, Stages
from tests.support.checks.reference_model import Graph, Says
from tests.support.faults import WAYS, Way

GRAPH: Final[Graph] = {
    "start": (),
    "left": ("start",),
    "right": ("start",),
    "join": ("left", "right"),
    "failing": ("start",),
    "below": ("failing",),
    "dying": ("join",),
}
WAITING: Final = ("left", "failing", "below", "dying")
"""Of the reference workflow, the nodes of handlers that need no thread."""
RULED: Final[Graph] = {
    "start": (),
    "failing": ("start",),
    "branch": ("start",),
    "in_branch": ("branch",),
    "join": ("in_branch", "start"),
    "below": ("failing", "join"),
    "cleanup": ("below",),
    "either": ("failing", "join"),
    "instead": ("failing",),
    "dying": ("join",),
    "soft": ("start",),
    "after": ("soft",),
}
SAYS: Final[Mapping[str, Says]] = {
    "branch": Says(when=False),
    "join": Says("none_failed_min_one_success", when=True, tries=2),
    "cleanup": Says("all_done"),
    "either": Says("one_success"),
    "instead": Says("one_failed"),
    "soft": Says(tolerates=True),
    "dying": Says(tries=3),
}
RERUN: Final[Graph] = {
    "a": (),
    "b": (),
    "kept": (),
    "left_out": ("a", "b"),
    "below": ("left_out",),
    "join": ("left_out", "kept"),
}
STOPPED: Final[Graph] = {
    "done": (),
    "runs": (),
    "waits": (),
    "stopper": (),
    "queued": ("done",),
    "below": ("runs", "queued"),
    "beside": ("queued", "waits"),
    "last": ("below", "beside"),
    "tidy": (),
}
"""When it is stopped, each of its nodes stands as it is called; what follows is pending. `tidy` is a hook."""
STOPPED_STAGES: Final = Stages(finally_=1)
HOOKED: Final[Graph] = {
    "start": (),
    "failing": ("start",),
    OUTPUTS_NODE: (),
    "tell": (),
    "soft": (),
    "dying": (),
    "both": ("soft", "dying"),
}
HOOKED_STAGES: Final = Stages(outputs=1, on_failure=1, finally_=3)
HOOKS_OF: Final[Mapping[str, Sequence[str]]] = {
    "outputs": (OUTPUTS_NODE,),
    "on_failure": ("tell",),
    "finally": ("soft", "dying", "both"),
}
STEERED: Final[Graph] = {
    "held": (),
    "waits": (),
    "runs": (),
    "ahead": ("runs", "held"),
    "last": ("ahead", "waits"),
    "gone": ("held",),
    "below": ("gone",),
}
"""Operators end `waits`, which waits, `runs`, which runs, `ahead` before what it depends on, and `gone`."""
STOPPED_SAYS: Final[Mapping[str, Says]] = {"waits": Says(tries=2)}
RUNS: Final = "runs"
WAITS: Final = "waits"
STOPPER: Final = "stopper"
SOFT: Final = "soft"
"""Fails in both runs, which is tolerated."""
FAILING: Final = "failing"
DYING: Final = "dying"
COUNTED_PASSES: Final = 3
"""The least of so many counts is a pass's number of commands: a pause adds some, and no try may get there."""

SERVICES: Final = ("api", "orchestrator", "worker")


class Tried(msgspec.Struct, frozen=True):
    """One point, and what went wrong (None: nothing)."""

    way: Way
    at: int
    struck: str
    wrong: str | None

    @property
    def service(self) -> str:
        """Whose command was struck."""
        return self.struck.split(":")[0].split("-")[0]


def table(title: str, tried: Sequence[Tried]) -> str:
    """How many points of each service were tried in each way."""
    counted = Counter((each.service, each.way) for each in tried)
    failures = sum(each.wrong is not None for each in tried)
    lines = [
        f"{title}: {len(tried)} passes, {failures} failures",
        f"{'':14}" + "".join(f"{way:>13}" for way in WAYS),
        *(f"{service:14}" + "".join(f"{counted[service, way]:13}" for way in WAYS) for service in SERVICES),
    ]
    return "\n".join(lines)


def failures(tried: Sequence[Tried]) -> list[str]:
    """What went wrong, and where."""
    wrong = [each for each in tried if each.wrong is not None]
    return [f"{each.way} at {each.at} ({each.struck}): {each.wrong}" for each in wrong]


def told(error: AssertionError) -> str:
    """What an assertion says; of one that says nothing, where it stands."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return str(error) or f"{last.filename}:{last.lineno}: {last.line}"
