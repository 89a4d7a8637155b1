"""Options at the door: what is read, what is refused, and what an error may show."""

import os
from pathlib import Path

import pytest

from turnspan.errors import SettingsError
from turnspan.settings import Settings


@pytest.mark.parametrize("given", ["", "  ", "a\0b", b"turns", Path("a\0b"), "half\ud800", 5])
def test_a_directory_that_can_be_none_is_refused(given):
    """Before folders are strewn about or an error comes from deep below."""
    with pytest.raises(SettingsError) as raised:
        Settings.read({}, {"directory": given})

    assert raised.value.what == f"directory={given!r} is not a path"


def test_a_variable_that_names_no_directory_is_refused():
    """A NUL cannot be in a real environment, half a character can."""
    with pytest.raises(SettingsError, match="TURNSPAN_DIR="):
        Settings.read({"TURNSPAN_DIR": "a\ud800"}, {})


@pytest.mark.parametrize("given", ["~/turns", Path("~/turns")])
def test_the_home_directory_is_written_out(given):
    """In an argument and in the variable, where no shell did it."""
    home = os.path.expanduser("~/turns")
    by_argument = Settings.read({}, {"directory": given}).directory
    by_variable = Settings.read({"TURNSPAN_DIR": str(given)}, {}).directory

    assert (by_argument, by_variable) == (home, home)


@pytest.mark.parametrize("given", [b"hush", ["hush"], {"hush": 1}, ("hush",)])
def test_a_secret_of_the_wrong_type_is_not_shown(given):
    """Its type is."""
    with pytest.raises(SettingsError) as raised:
        Settings.read({}, {"api_key": given})

    assert "hush" not in str(raised.value)
    assert raised.value.what == f"api_key=a {type(given).__name__} is not a text"
    assert raised.value.__suppress_context__


def test_separators_in_excess_make_no_exporters():
    """A list that ends in a comma is still that list."""
    read = Settings.read({"TURNSPAN_EXPORTERS": " console:, ,file:a,"}, {})

    assert read.exporters == ("console:", "file:a")


def test_a_number_beyond_all_measure_is_refused():
    """No float holds it."""
    with pytest.raises(SettingsError, match="exit_s="):
        Settings.read({}, {"exit_s": 10**400})
