"""A line of a table is judged by its median."""


def test_a_line_passes_at_its_target_and_misses_above_it(program, capsys):
    """The verdict is the median's; a line without a target has none."""
    table = program("table").Table("A title", "ours", "theirs")
    capsys.readouterr()

    table.line("at its target", [0.1, 0.35, 9.0], 0.35, ours=1.0, beside=20.0)
    table.line("above it", [0.36], 0.35)
    table.line("shown only", [2.0])
    table.line("enough", [3.5, 3.6, 1.0], at_least=3.5)
    table.line("not enough", [3.4], at_least=3.5)

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["at", "its", "target", "1.00", "20.0", "0.35", "0.10-9.00", "<=", "0.35", "pass"],
        ["above", "it", "0.36", "0.36-0.36", "<=", "0.35", "MISS"],
        ["shown", "only", "2.00", "2.00-2.00"],
        ["enough", "3.50", "1.00-3.60", ">=", "3.5", "pass"],
        ["not", "enough", "3.40", "3.40-3.40", ">=", "3.5", "MISS"],
    ]
