"""Which version a document becomes, and which versions may go: by the rules alone."""

from __future__ import annotations

import msgspec

from flowengine.execution.definitions.records import KeptDefinition, VersionRecord, beyond, decide


def record(value: str, number: int = 0, stored: str = "s") -> VersionRecord:
    """A version that says `value`."""
    return VersionRecord(number, value, stored, nodes=1, at=1000)


def kept(*values: str, current: int, last: int | None = None) -> KeptDefinition:
    """Versions 1, 2 and so on that say these."""
    versions = {number: record(value, number) for number, value in enumerate(values, 1)}
    return KeptDefinition(versions[current], len(values) if last is None else last, versions)


def test_a_first_document_is_version_one() -> None:
    """There is nothing yet."""
    decided = decide(KeptDefinition(), record("a"))
    assert (decided.current.number, decided.is_new, decided.writes_content) == (1, True, True)


def test_another_document_gets_the_next_number() -> None:
    """One more than any that was ever given, though that version is gone."""
    assert decide(kept("a", "b", current=2), record("c")).current.number == 3
    assert decide(kept("a", current=1, last=7), record("c")).current.number == 8


def test_the_same_document_changes_nothing() -> None:
    """It is in force already."""
    decided = decide(kept("a", "b", current=2), record("b"))
    assert (decided.current.number, decided.is_new, decided.changes_nothing) == (2, False, True)


def test_an_earlier_document_is_in_force_again_under_its_number() -> None:
    """A way back is an apply like others."""
    decided = decide(kept("a", "b", current=2), record("a"))
    assert (decided.current.number, decided.is_new) == (1, False)
    assert not decided.writes_content
    assert not decided.changes_nothing


def test_another_text_or_plan_of_the_same_document_is_stored_anew() -> None:
    """A comment has changed, or this version compiles it to another plan: the number stays."""
    decided = decide(kept("a", current=1), record("a", stored="other"))
    assert (decided.current.number, decided.is_new) == (1, False)
    assert decided.writes_content
    assert not decided.changes_nothing


def test_versions_go_beyond_the_newest() -> None:
    """The oldest first, and never the one that comes into force."""
    found = kept("a", "b", "c", "d", current=4)
    assert beyond(found, 5, 3) == (1, 2)
    assert beyond(found, 5, 5) == ()
    assert beyond(found, 1, 2) == (2,)


def test_a_stored_record_is_read() -> None:
    """As the first version wrote it: what is added later stands at the end and has a default."""
    stored = b'[2,"a","s",3,1000,"ops","what it does",{"team":"data"}]'
    found = msgspec.json.decode(stored, type=VersionRecord)
    assert found == VersionRecord(2, "a", "s", 3, 1000, "ops", "what it does", {"team": "data"})
    assert msgspec.json.encode(found) == stored
