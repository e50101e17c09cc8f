"""Files that are polled: what counts as a change, and when it is told."""

from __future__ import annotations

import os
from pathlib import Path

from flowengine.cli.authoring.watched_files import WatchedFiles


def watching(folder: Path) -> WatchedFiles:
    """All files of a folder."""
    return WatchedFiles(lambda: list(folder.iterdir()))


def test_change_is_told_once_it_has_settled(tmp_path: Path) -> None:
    """Not at the first look that sees it, and only once."""
    files = watching(tmp_path)
    files.take_as_known()
    (tmp_path / "a").write_text("1")
    assert files.changed() is None
    (tmp_path / "a").write_text("12")
    (tmp_path / "b").write_text("1")
    assert files.changed() is None
    assert files.changed() == frozenset({tmp_path / "a", tmp_path / "b"})
    assert files.changed() is None


def test_what_is_there_at_the_start_is_told(tmp_path: Path) -> None:
    """Unless it is taken as known."""
    (tmp_path / "a").write_text("1")
    files = watching(tmp_path)
    assert [files.changed(), files.changed()] == [None, {tmp_path / "a"}]
    known = watching(tmp_path)
    assert known.take_as_known() == {tmp_path / "a"}
    assert [known.changed(), known.changed()] == [None, None]


def test_file_that_goes_and_one_that_is_replaced_are_changes(tmp_path: Path) -> None:
    """Also a replacement of the same size and time, as some editors save."""
    for name in ("gone", "replaced"):
        (tmp_path / name).write_text("1")
    files = watching(tmp_path)
    files.take_as_known()
    (tmp_path / "gone").unlink()
    before = (tmp_path / "replaced").stat()
    (tmp_path / "new").write_text("2")
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "new").rename(tmp_path / "replaced")
    assert [files.changed(), files.changed()] == [None, {tmp_path / "gone", tmp_path / "replaced"}]


def test_file_that_comes_and_goes_between_two_looks_is_no_change(tmp_path: Path) -> None:
    """It was seen, and is as it was told before."""
    files = watching(tmp_path)
    files.take_as_known()
    (tmp_path / "a").write_text("1")
    assert files.changed() is None
    (tmp_path / "a").unlink()
    assert [files.changed(), files.changed()] == [None, None]
