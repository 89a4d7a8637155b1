"""Where a journal lives."""

import stat

import pytest

from turnspan.errors import JournalError, SettingsError
from turnspan.journal import Directory
from turnspan.journal.directory import file_name
from turnspan.journal.owner import Owner
from turnspan.journal.segment import Header, segment_name, split_name


def test_a_new_directory_is_private_and_ignored_by_git(directory):
    """Everything recorded is its owner's business alone."""
    directory.prepare()

    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.journal.stat().st_mode) == 0o700
    assert (directory.path / ".gitignore").read_text() == "*\n"


def test_a_file_in_place_of_the_directory_is_the_callers_mistake(tmp_path):
    """It is said at the door, with what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="is a file where a directory is meant"):
        Directory(tmp_path / "file").prepare()


def test_a_path_below_a_file_is_an_os_error(tmp_path):
    """What cannot be made is for the runtime to answer, with a ring."""
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match="file"):
        Directory(tmp_path / "file" / "spool").prepare()


def test_a_directory_to_read_must_hold_a_journal(tmp_path):
    """A command that was given the wrong path says so."""
    with pytest.raises(JournalError, match="holds no journal"):
        Directory.existing(tmp_path)


def test_exporter_names_become_safe_and_different_file_names():
    """Two names that look alike once slugged do not share cursors."""
    first, second = file_name("https://a/b"), file_name("https://a?b")

    assert first != second
    assert set(first + second) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_an_owner_is_read_back_from_its_name():
    """The name in a file is the whole identity."""
    owner = Owner.here()

    assert Owner.parse(str(owner)) == owner
    assert owner.is_of_this_host
    assert not Owner("elsewhere", "abc", 1, 2, "ff").is_of_this_host
    assert Owner.parse("notes") is None


def test_a_header_is_read_back():
    """What one process writes of itself another can read."""
    header = Header("o", 3, 7, "svc", {"k": 1}, ("file:/x", "https://y"), "0.1")

    assert Header.decode(header.encode()) == header
    assert header.encode().startswith(b'{"record":"segment",')
    assert Header.decode(b'{"record":"segment","own') is None
    assert split_name(segment_name("o", 3)) == ("o", 3)
