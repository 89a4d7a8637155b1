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


@pytest.mark.parametrize("name, meant", [("exporter", "exporters"), ("sampel", "sample")])
def test_a_misspelt_option_is_told_with_what_it_may_mean(name, meant):
    """Where nothing is close, all of them are named."""
    with pytest.raises(SettingsError) as misspelt:
        Settings.read({}, {name: 1})
    with pytest.raises(SettingsError) as unknown:
        Settings.read({}, {"verbosity": 1})

    assert misspelt.value.fix == f"did you mean {meant}?"
    assert unknown.value.fix.startswith("one of: api_key, baggage_keys, ")


def test_a_size_that_cannot_be_read_is_told_with_one_that_can():
    """A variable takes units, an argument is a number."""
    with pytest.raises(SettingsError) as by_variable:
        Settings.read({"TURNSPAN_MAX_VALUE_BYTES": "64MB"}, {})
    with pytest.raises(SettingsError) as by_argument:
        Settings.read({}, {"max_value_bytes": "64MiB"})

    assert by_variable.value.fix == (
        "unset TURNSPAN_MAX_VALUE_BYTES, "
        "or set it to a whole number above 0 (bytes), or a size such as 64MiB"
    )
    assert by_argument.value.fix == (
        "give a whole number above 0 (bytes), or leave it out for 1048576"
    )


def test_seconds_are_called_seconds():
    """Whoever writes `1s` learns what is wrong with it."""
    with pytest.raises(SettingsError, match=r"a number above 0 \(seconds\)"):
        Settings.read({"TURNSPAN_BATCH_DELAY_S": "1s"}, {})


def test_a_mapping_is_no_list_of_its_keys():
    """`content` by field is a matter of the policy, and is not taken for something else."""
    with pytest.raises(SettingsError) as raised:
        Settings.read({}, {"content": {"input": "none"}})

    assert raised.value.what == (
        "content={'input': 'none'} is not true, false, shape, none, or a list of field=level"
    )
