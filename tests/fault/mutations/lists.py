"""Rules of lists: what the indexes hold, what shows, what a page costs, what the sweep takes away."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

LISTS: Final = ("tests/unit/engine/test_listing.py",)
ENTRIES: Final = ("tests/integration/store/test_store_listing.py",)
ENCODER: Final = "flowengine/store/committing/encode_changes.py"
SWEEP: Final = "flowengine/store/maintenance/expired_entries.py"

MUTANTS: Final = (
    Mutant(
        "an execution that begins or ends leaves the list of its status",
        ENCODER,
        '            ("ZREM", self._keys.listing(list_of(was)), execution),\n',
        "",
        ENTRIES,
    ),
    Mutant(
        "an execution is in the list of its status",
        ENCODER,
        '            ("ZADD", self._keys.listing(list_of(status)), 0, execution),\n',
        "",
        ENTRIES,
    ),
    Mutant(
        "an execution that is paused or cancelling is in that list and in no other narrow one",
        ENCODER,
        "        self._hold(execution, status)\n\n",
        "\n",
        ("tests/integration/engine/test_stats.py",),
    ),
    Mutant(
        "an execution that ends leaves the list of the paused or the cancelling",
        ENCODER,
        "if was in NARROW_LISTS else []",
        "if False else []",
        ("tests/integration/engine/test_stats.py",),
    ),
    Mutant(
        "what is paused or cancelling does not count as running",
        "flowengine/store/operations/kept_counts.py",
        '    found["running"] = max(0,',
        '    found["running"] += 0 * max(0,',
        ("tests/integration/engine/test_stats.py",),
    ),
    Mutant(
        "what an execution waits for is of its run",
        "flowengine/execution/requests/listing.py",
        "for wait in waits if wait.run == record.run)",
        "for wait in waits)",
        ENTRIES,
    ),
    Mutant(
        "an execution that cannot be read costs a list no other",
        "flowengine/store/lists/listing.py",
        "        except (redis.ResponseError, msgspec.MsgspecError, ValueError) as error:\n",
        "        except redis.ResponseError as error:\n",
        ENTRIES,
    ),
    Mutant(
        "labels that are replaced lose their entries",
        ENCODER,
        '        self.commands.append(("ZREM", self._keys.list_by, *before))\n',
        "",
        ENTRIES,
    ),
    Mutant(
        "what an execution is found by is known when nothing else of it is there",
        "flowengine/store/lists/listing_entries.py",
        "            of_value(execution, ALL, execution, _encode(self).decode()),\n",
        "",
        ENTRIES,
    ),
    Mutant(
        "what begins as it is created does not expire",
        ENCODER,
        'return () if change.begins else ("EXAT", at)',
        'return ("EXAT", at)',
        ("tests/integration/store/test_store_lifetimes.py",),
    ),
    Mutant(
        "a run forgets which node failed first in the one before",
        ENCODER,
        "    commands: list[Command] = []\n    if change.run > 1:\n",
        "    commands: list[Command] = []\n    if False:\n",
        ENTRIES,
    ),
    Mutant(
        "a failure that is tolerated is not to blame",
        "flowengine/execution/records.py",
        'return record.status == "failed" and not record.tolerated\n\n\ndef first_sent',
        'return record.status == "failed"\n\n\ndef first_sent',
        ENTRIES,
    ),
    Mutant(
        "a document begins and expires with its execution",
        "flowengine/store/keys.py",
        "            self.document,\n",
        "",
        ("tests/unit/engine/test_execution_labels.py",),
    ),
    Mutant(
        "what has expired never shows",
        "flowengine/engine/listing.py",
        "            if record is not None and wanted.includes(execution, record)\n",
        "            if record is None or wanted.includes(execution, record)\n",
        LISTS,
    ),
    Mutant(
        "a page looks at a bounded number",
        "flowengine/engine/listing.py",
        "    while len(found) <= limit and looked < MOST_LOOKED_AT:\n",
        "    while len(found) <= limit:\n",
        LISTS,
    ),
    Mutant(
        "a page is read from the index with the fewest candidates",
        "flowengine/store/lists/listing.py",
        "        return sources[min(fit)[1]]\n",
        "        return sources[0]\n",
        LISTS,
    ),
    Mutant(
        "names that many have are not read as a whole",
        "flowengine/store/lists/listing.py",
        "            if not source.is_whole or size <= READ_WHOLE\n",
        "",
        LISTS,
    ),
    Mutant(
        "an index is no proof of what an execution is",
        "flowengine/execution/requests/listing.py",
        "            (not self.statuses or record.status in self.statuses)\n            and self.name",
        "            self.name",
        LISTS,
    ),
    Mutant(
        "the sweep leaves what is there",
        SWEEP,
        "if not name or not next(there)]",
        "if not name or next(there) is not None]",
        ENTRIES,
    ),
    Mutant(
        "the sweep removes all entries of what has expired",
        SWEEP,
        "            if entries:\n",
        "            if False:\n",
        ENTRIES,
    ),
    Mutant(
        "a sweep looks at a bounded number of what has expired",
        SWEEP,
        "        while more and looked < AT_MOST:\n",
        "        while more:\n",
        ENTRIES,
    ),
    Mutant(
        "what stays does not keep the sweep from the rest",
        SWEEP,
        "        self._stay.update(skipped)\n",
        "",
        ENTRIES,
    ),
    Mutant(
        "entries that nothing names are found in time",
        SWEEP,
        "        self._walk((self._keys.list_by, *map(self._keys.listing, _ALL_LISTS)))\n",
        "",
        ENTRIES,
    ),
    Mutant(
        "the walk through the entries goes on where it stopped",
        SWEEP,
        "                self._reached[key] = members[-1]\n",
        "                pass\n",
        ENTRIES,
    ),
)
