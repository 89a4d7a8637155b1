"""Nobody called `configure`: the first captured call does, from the environment."""

import json

AGENT = """
    import logging, sys, threading
    import turnspan

    @turnspan.agent
    def ask(question):
        return question.upper()

    threads = [threading.active_count()]
    print(ask("one"), ask("two"))
    threads.append(threading.active_count())
"""


def test_the_first_call_configures_from_the_environment(run, tmp_path):
    """Exporters and directory are those of the variables, and nothing is said."""
    env = {"TURNSPAN_EXPORTERS": "file:turns.jsonl", "TURNSPAN_EXIT_S": "60"}
    done = run(AGENT, TURNSPAN_DIR="here", **env)
    turns = [json.loads(line) for line in (tmp_path / "turns.jsonl").read_text().splitlines()]

    assert (done.stdout, done.stderr) == ("ONE TWO\n", "")
    assert [turn["input"]["content"] for turn in turns] == ["one", "two"]
    assert {path.name for path in tmp_path.iterdir()} == {"program.py", "turns.jsonl", "here"}


def test_without_variables_the_journal_is_the_destination(run, tmp_path):
    """Turns are in `.turnspan`, which keeps itself out of version control."""
    run(AGENT)

    assert {path.name for path in tmp_path.iterdir()} == {"program.py", ".turnspan"}
    assert (tmp_path / ".turnspan" / ".gitignore").read_text() == "*\n"


def test_an_unreadable_variable_never_reaches_the_caller(run, tmp_path):
    """Recording is off, one error is logged with variable and fix, and health says why."""
    program = (
        AGENT
        + """
    print(turnspan.health().problem)
    """
    )
    done = run(program, TURNSPAN_SPANS="sometimes", TURNSPAN_DIR="here")

    problem = (
        "TURNSPAN_SPANS='sometimes' cannot be read as one of auto, own, live, adopt\n"
        "  fix: unset TURNSPAN_SPANS, or set it to one of auto, own, live, adopt\n"
    )
    assert done.stdout == f"ONE TWO\n{problem}"
    assert done.stderr == f"turnspan records nothing: {problem}"
    assert {path.name for path in tmp_path.iterdir()} == {"program.py"}


def test_a_misspelt_variable_is_said(run, tmp_path):
    """One that was to hide something would else hide nothing, and nobody would know."""
    done = run(AGENT, TURNSPAN_CONTNET="false", TURNSPAN_DIR="here")

    assert done.stdout == "ONE TWO\n"
    assert done.stderr == (
        "turnspan: TURNSPAN_CONTNET is no variable of turnspan: did you mean TURNSPAN_CONTENT?\n"
    )


def test_an_unknown_exporter_in_the_variable_never_reaches_the_caller(run, tmp_path):
    """As with any other mistake in the environment."""
    done = run(AGENT, TURNSPAN_EXPORTERS="gopher://turns.example")

    assert done.stdout == "ONE TWO\n"
    assert done.stderr.count("turnspan records nothing: no exporter is called 'gopher'") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"program.py"}


def test_disabled_makes_every_decorator_a_plain_call(run, tmp_path):
    """No directory, no thread, no turn; handles are false and harmless."""
    program = """
    import threading
    import turnspan

    @turnspan.tool
    def look_up(word):
        turnspan.current_step().set_metadata(found=True)
        return bool(turnspan.current_turn())

    @turnspan.agent
    def ask(question):
        with turnspan.turn(agent="inner") as turn:
            return look_up(question) or bool(turn)

    answer, health = ask("anyone?"), turnspan.health()
    print(answer, health.recorded, health.problem, turnspan.flush(), threading.active_count())
    """
    done = run(program, TURNSPAN_DISABLED="true", TURNSPAN_EXPORTERS="file:turns.jsonl")
    report = "FlushReport(delivered=0, refused=0, unsent=0, timed_out=False)"

    assert done.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"program.py"}
    assert done.stdout == f"False 0 None {report} 1\n"


def test_an_argument_switches_on_what_the_variable_switched_off(run, tmp_path):
    """`disabled=` wins over TURNSPAN_DISABLED."""
    program = """
    import turnspan

    turnspan.configure(exporters=["file:turns.jsonl"], disabled=False)
    with turnspan.turn(agent="a", input="hello"):
        pass
    """
    run(program, TURNSPAN_DISABLED="true", TURNSPAN_EXIT_S="60")

    assert (tmp_path / "turns.jsonl").read_text().count("\n") == 1


def test_there_is_no_thread_before_the_first_turn(run, tmp_path):
    """Import, decoration and `configure` start none; an exporter has one from then on."""
    program = """
    import threading
    import turnspan

    threads = [threading.active_count()]

    @turnspan.agent
    def ask(question):
        return question

    threads.append(threading.active_count())
    turnspan.configure(exporters=["file:turns.jsonl"])
    threads.append(threading.active_count())
    ask("go")
    names = sorted(t.name for t in threading.enumerate() if t is not threading.main_thread())
    turnspan.close()
    threads.append(threading.active_count())
    print(threads, names)
    """
    done = run(program)

    assert done.stdout.startswith("[1, 1, 1, 1] ['turnspan")


def test_configured_every_name_that_is_called_while_recording_has_been_loaded(run):
    """A signal handler that is the first to ask for one must not come into its import."""
    done = run(
        """
        import sys
        import turnspan

        turnspan.configure(directory=None)
        homes = {*turnspan._HOMES.values(), "turnspan.capture.handles"}
        print(sorted(homes - sys.modules.keys()))
        """
    )

    # Decorators run as modules are read; reading is no part of recording.
    assert done.stdout == "['turnspan.capture.decorators', 'turnspan.readers.reading']\n"
