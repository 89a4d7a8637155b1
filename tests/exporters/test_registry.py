"""From URLs and objects to exporters, and what is said of those that are none."""

import sys
import textwrap
from pathlib import Path

import pytest

from turnspan.errors import ExporterError
from turnspan.exporters.console import ConsoleExporter
from turnspan.exporters.file import FileExporter
from turnspan.exporters.memory import MemoryExporter
from turnspan.exporters.registry import build, build_all, known_schemes
from turnspan.settings import Settings

SETTINGS = Settings()


def refusal(target):
    with pytest.raises(ExporterError) as raised:
        build(target, settings=SETTINGS)
    return raised.value


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a distribution with one entry point, `points` to the module's text."""

    def install(name, source, target="theirs"):
        (tmp_path / "theirs.py").write_text(textwrap.dedent(source))
        info = tmp_path / "theirs-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[turnspan.exporters]\n{name} = {target}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "theirs", raising=False)

    return install


@pytest.mark.parametrize(
    "url,kind,name",
    [
        ("memory:", MemoryExporter, "memory"),
        ("MEMORY:", MemoryExporter, "memory"),
        ("console:", ConsoleExporter, "console"),
        ("console:stdout", ConsoleExporter, "console"),
        ("file:/data/turns.jsonl", FileExporter, "file:/data/turns.jsonl"),
        ("file:///data/turns.jsonl", FileExporter, "file:/data/turns.jsonl"),
        ("file://localhost/data/a%20b.jsonl", FileExporter, "file:/data/a b.jsonl"),
        ("file:turns.jsonl", FileExporter, f"file:{Path.cwd()}/turns.jsonl"),
        ("file:~/turns.jsonl", FileExporter, f"file:{Path.home()}/turns.jsonl"),
    ],
)
def test_a_scheme_names_the_module_that_serves_it(url, kind, name):
    """A URL becomes the exporter of the module that is called like its scheme."""
    exporter = build(url, settings=SETTINGS)

    assert (type(exporter), exporter.name) == (kind, name)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/base", "https://turns.example.com"])
def test_http_and_https_are_one_exporter(url):
    """Both schemes belong to the module `http`."""
    pytest.importorskip("turnspan.exporters.http")

    assert type(build(url, settings=SETTINGS)).__name__ == "HttpExporter"


def test_a_transport_may_follow_the_scheme():
    """`otlp+http` belongs to the module `otlp`."""
    pytest.importorskip("turnspan.exporters.otlp")

    exporter = build("otlp+http://127.0.0.1:4318", settings=SETTINGS)

    assert type(exporter).__name__ == "OtlpExporter"


def test_an_exporter_is_taken_as_it_is():
    """An object that keeps the port needs no URL."""
    memory = MemoryExporter()

    assert build(memory, settings=SETTINGS) is memory


def test_another_package_brings_an_exporter_by_entry_point(installed):
    """An installed entry point serves its scheme, with a transport too."""
    installed(
        "carrier",
        """
        from turnspan.exporters.memory import MemoryExporter

        def from_url(url, *, settings):
            return MemoryExporter(name=f"{url} {settings.timeout_s}")
        """,
    )

    assert build("carrier:pigeon", settings=SETTINGS).name == "carrier:pigeon 10.0"
    assert build("carrier+https://loft", settings=SETTINGS).name == "carrier+https://loft 10.0"
    assert "carrier" in known_schemes()


def test_an_entry_point_may_name_the_function_itself(installed):
    """`module:function` serves as well as `module`."""
    installed(
        "carrier",
        """
        from turnspan.exporters.memory import MemoryExporter

        def send(url, *, settings):
            return MemoryExporter(name=url)
        """,
        target="theirs:send",
    )

    assert build("carrier:x", settings=SETTINGS).name == "carrier:x"


def test_a_factory_that_raises_is_reported_with_its_cause_and_without_credentials(installed):
    """The fault of a third party's factory is an ExporterError, chained, that tells no key."""
    installed(
        "carrier",
        """
        def from_url(url, *, settings):
            raise RuntimeError(f"no route to {url}")
        """,
    )

    error = refusal("carrier+https://ada:s3cret@loft/x?token=abc")

    assert "RuntimeError: no route to carrier+https://***@loft/x" in error.what
    assert "s3cret" not in str(error)
    assert type(error.__cause__) is RuntimeError


@pytest.mark.parametrize(
    "source,said",
    [
        ("import not_there_at_all", "needs 'not_there_at_all', which cannot be imported"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("x = 1", "offers no from_url(url, *, settings)"),
        ("def from_url(url, *, settings): return 7", "an object of type int is no exporter"),
        (
            "def from_url(url, *, settings): import not_there_at_all",
            "needs 'not_there_at_all', which cannot be imported",
        ),
        (
            """
            from turnspan.errors import ExporterError

            def from_url(url, *, settings):
                raise ExporterError("no loft", fix="build one")
            """,
            "no loft",
        ),
    ],
)
def test_a_broken_package_is_reported_at_the_door(installed, source, said):
    """Whatever is wrong with a third party's exporter, one ExporterError says it."""
    installed("carrier", source)

    assert said in refusal("carrier:x").what


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    """A built-in exporter whose package is missing says which extra brings it."""
    import turnspan.exporters

    (tmp_path / "pigeon.py").write_text("import not_there_at_all\n")
    monkeypatch.setattr(
        turnspan.exporters, "__path__", [*turnspan.exporters.__path__, str(tmp_path)]
    )

    error = refusal("pigeon+http://127.0.0.1:1")

    assert "'pigeon' needs 'not_there_at_all'" in error.what
    assert error.fix == "pip install 'turnspan[pigeon]'"
    assert "pigeon" in known_schemes()


def test_an_unknown_scheme_lists_the_known_ones():
    """The message names what was given, what there is, and what to do."""
    error = refusal("kafka://ada:s3cret@broker/turns")

    assert error.what.startswith("no exporter is called 'kafka', which 'kafka://broker/turns' ")
    assert all(name in error.what for name in ("console", "file", "memory"))
    assert "tree" not in error.what
    assert "s3cret" not in str(error)


@pytest.mark.parametrize("name", ["registry", "tree", "identity"])
def test_a_module_without_from_url_is_no_scheme(name):
    """What else lives in the package cannot be named by a URL."""
    assert f"no exporter is called {name!r}" in refusal(f"{name}:x").what


@pytest.mark.parametrize(
    "url,said",
    [
        ("", "'' is no URL"),
        ("turns.jsonl", "'turns.jsonl' is no URL"),
        ("/data/turns.jsonl", "file:PATH"),
        ("//host/x", "is no URL"),
        ("_locked_file:x", "is no URL"),
        ("__init__:x", "is no URL"),
        ("localhost:4318", "write http://localhost:4318"),
        ("otlp+grpc://host", "is no URL"),
        ("otlp+grpc://host:4317", "write otlp+http://HOST:4318, for OTLP goes over HTTP"),
        ("http:", "no usable host"),
        ("http:///v1", "no usable host"),
        ("http://ada:s3cret@/v1", "no usable host"),
        ("http://host:port/", "no usable host and port"),
        ("http://host:99999/", "no usable host and port"),
        ("http://host:0/", "no usable host and port"),
        ("http://[::1/", "no usable host and port"),
        ("http://ho st/", "no usable host and port"),
        ("http://host\n.evil/", "no usable host and port"),
        ("http://ada:s3cret/@host:x/", "no usable host and port"),
        ("otlp+http://", "no usable host"),
        ("memory:x", "takes nothing after the colon"),
        ("console:paper", "cannot print to 'paper'"),
        ("file:", "names no file"),
        ("file:%00", "names no file"),
        ("file://host/turns.jsonl", "names the host 'host'"),
        ("file:a.jsonl?rotate=big", "cannot be read"),
        ("file:a.jsonl?rotate", "cannot be read"),
        ("file:a.jsonl?colour=red", "cannot be read"),
        ("file:a.jsonl?rotate=0", "rotate=0 is no size"),
        ("file:a.jsonl?keep=3", "without rotate none is closed"),
        ("file:a.jsonl?rotate=1MiB&keep=0", "keep=0 keeps nothing"),
    ],
)
def test_a_malformed_url_is_refused_at_the_door(url, said):
    """One clear error says what is wrong, with the fix and without a password."""
    error = refusal(url)

    assert said in str(error)
    assert error.fix
    assert "s3cret" not in str(error)


class NamelessExporter(MemoryExporter):
    """An exporter whose name cannot be read."""

    @property
    def name(self):
        raise RuntimeError("no name")


@pytest.mark.parametrize(
    "target,said",
    [
        (MemoryExporter, "MemoryExporter is a class, not an exporter"),
        (7, "an object of type int is no exporter"),
        (None, "an object of type NoneType is no exporter"),
        (Path("turns.jsonl"), "is no exporter"),
        (NamelessExporter(), "the name of a NamelessExporter cannot be read: RuntimeError"),
        (MemoryExporter(name=""), "the name of a MemoryExporter is no text"),
    ],
)
def test_an_object_that_is_no_exporter_is_refused(target, said):
    """What lacks the port is told apart from what has it, without running its code."""
    assert said in refusal(target).what


def test_exporters_are_built_in_their_order():
    """Several targets become as many exporters."""
    memory = MemoryExporter()

    built = build_all(["console:", memory, "file:/data/x"], settings=SETTINGS)

    assert [exporter.name for exporter in built] == ["console", "memory", "file:/data/x"]


@pytest.mark.parametrize(
    "targets",
    [["memory:", "memory:"], [MemoryExporter(), "memory:"], ["file:/a/b", "file:/a/c/../b"]],
)
def test_two_exporters_of_one_name_are_refused(targets):
    """The journal remembers by name what was sent, so that a name must be one exporter's."""
    with pytest.raises(ExporterError, match="two exporters are called"):
        build_all(targets, settings=SETTINGS)


def test_two_names_make_two_exporters_of_one_kind():
    """Exporters of one kind live beside one another under names of their own."""
    built = build_all([MemoryExporter(), MemoryExporter(name="second")], settings=SETTINGS)

    assert [exporter.name for exporter in built] == ["memory", "second"]


@pytest.mark.parametrize(
    "targets,said",
    [
        ("memory:", "exporters is 'memory:', not a list"),
        (MemoryExporter(), "exporters is a MemoryExporter, not a list"),
    ],
)
def test_one_exporter_is_no_list_of_exporters(targets, said):
    """A forgotten pair of brackets is told, not read as letters."""
    with pytest.raises(ExporterError) as raised:
        build_all(targets, settings=SETTINGS)

    assert raised.value.what == said
    assert "brackets" in raised.value.fix


def test_durability_on_disk_reaches_the_file(tmp_path):
    """With `durability="disk"` the file exporter waits for the disk."""
    plain = build(f"file:{tmp_path}/a", settings=SETTINGS)
    durable = build(f"file:{tmp_path}/a", settings=Settings(durability="disk"))

    assert (plain._fsync, durable._fsync) == (False, True)


@pytest.mark.parametrize("name", ["half\ud800", "nul\0", "\udcff"])
def test_a_name_no_file_can_be_called_by_is_refused_at_the_door(name):
    """Cursors and dead letters are kept in files of that name."""
    with pytest.raises(ExporterError) as raised:
        build(MemoryExporter(name=name), settings=SETTINGS)

    assert ascii(name) in raised.value.what
    assert str(raised.value).isascii()
