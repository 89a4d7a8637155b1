"""A table that is printed line by line, as the figures come in."""

from collections.abc import Sequence
from statistics import median

FORM = "{:<34}{:>10}{:>10}{:>9}{:>17}{:>10}  {}"


class Table:
    """Each line: ours, what it stands beside, the figure between them, its target, a verdict."""

    def __init__(self, title: str, ours: str, beside: str, figure: str = "ratio") -> None:
        print(f"\n{title}\n")
        print(FORM.format("", ours, beside, figure, "lowest-highest", "target", "").rstrip())

    def line(
        self,
        what: str,
        figures: Sequence[float],
        target: float | None = None,
        *,
        at_least: float | None = None,
        ours: float | None = None,
        beside: float | None = None,
    ) -> None:
        """Judge the median of ``figures``: at most ``target``, or ``at_least`` so much, is a pass.

        Without either there is no verdict.
        """
        figure = median(figures)
        spread = f"{_shown(min(figures))}-{_shown(max(figures))}"
        shown = [_shown(number) for number in (ours, beside, figure)]
        judged = ("", "")
        if target is not None:
            judged = (f"<= {target:g}", _verdict(figure <= target))
        elif at_least is not None:
            judged = (f">= {at_least:g}", _verdict(figure >= at_least))
        print(FORM.format(what, *shown, spread, *judged).rstrip(), flush=True)


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.1f}"


def _verdict(is_met: bool) -> str:  # noqa: FBT001  # it is what is said
    return "pass" if is_met else "MISS"
