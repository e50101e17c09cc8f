"""The soak's limits, by an independent count: who was at work at once under each key, as handlers say.

A handler whose config names a key notes in a file when its work begins and when it is over. So of each key at
most so many pieces of work may overlap as may run at once. Left out is what may rightly overlap: a call that
was made more than once (its worker was thought to be dead), and calls in executions that were stopped, or in
which an operator ended a node: their places are free before their handlers have returned.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE: Final = "SOAK_TURNS"
"""The variable that names the file."""
FREED: Final = ("execution_stopping", "node_overruled", "node_cancelled")


@contextlib.contextmanager
def noted(key: str, execution: str, run: int, node: str) -> Iterator[None]:
    """Note the begin and the end of a piece of work under a key; without a key nothing."""
    if not key:
        yield
        return
    said = {"key": key, "execution": execution, "run": run, "node": node}
    _write({**said, "begins": True, "at": time.time()})
    yield
    _write({**said, "begins": False, "at": time.time()})


def _write(said: Mapping[str, object]) -> None:
    # One write of a short line at the end of a file is whole, even while others write.
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps(said).encode() + b"\n")
    finally:
        os.close(file)


class Work(NamedTuple):
    """A piece of work that nobody has done twice."""

    execution: str
    run: str
    node: str
    begun: float
    ended: float


class Turns:
    """What was at work, by key. `file`: what handlers have noted. `freed`: executions that are left out."""

    def __init__(self, file: Path, freed: frozenset[str]) -> None:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self._by_key: defaultdict[str, list[Work]] = defaultdict(list)
        calls: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for said in map(json.loads, lines):
            calls[said["key"], said["execution"], str(said["run"]), said["node"]].append(said)
        for (key, execution, run, node), notes in calls.items():
            if execution not in freed and [note["begins"] for note in notes] == [True, False]:
                self._by_key[key].append(Work(execution, run, node, notes[0]["at"], notes[1]["at"]))

    @property
    def counted(self) -> int:
        """How many pieces of work were."""
        return sum(map(len, self._by_key.values()))

    def mistakes(self, limits: Mapping[str, int]) -> Iterator[str]:
        """Where more were at work than may, by how a key begins."""
        for key in sorted(self._by_key):
            limit = limits[key.partition("-")[0]]
            for found in _overlaps(self._whole(key)):
                if len(found) > limit:
                    yield f"under the key {key} {found} were at work at once, {limit} may be"
                    break

    def _whole(self, key: str) -> list[Work]:
        """The work of a key. A group is at work from the begin of its first node to the end of its last."""
        whole: dict[tuple[str, str, str], Work] = {}
        for work in self._by_key[key]:
            is_group = key.startswith("group-")
            name = (work.execution, work.run, "" if is_group else work.node)
            known = whole.get(name, work)
            begun, ended = min(known.begun, work.begun), max(known.ended, work.ended)
            whole[name] = Work(work.execution, work.run, known.node, begun, ended)
        return list(whole.values())


def _overlaps(whole: list[Work]) -> Iterator[list[Work]]:
    """What was at work at the begin of each."""
    for one in whole:
        yield [each for each in whole if each.begun <= one.begun < each.ended]
