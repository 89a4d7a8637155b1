"""What a page looks like, and what it says, once its scripts have run: a headless Chromium."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["browser", "pictured"]

TAKES_S = 180
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1440,800"),
    *("--force-prefers-reduced-motion", "--run-all-compositor-stages-before-draw"),
)


def browser() -> str | None:
    """Its program; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def pictured(program: str, url: str, picture: Path, *, patience_ms: int) -> str:
    """The text of the page at ``url``, of which ``picture`` is made when nothing is fetched.

    ``patience_ms`` is time as the page's own clock sees it: it goes by faster than ours, and
    stands still while the page waits for its server.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        done = subprocess.run(
            [
                *(program, *OPTIONS, f"--user-data-dir={profile}", "--dump-dom"),
                *(f"--virtual-time-budget={patience_ms}", f"--screenshot={picture}", url),
            ],
            capture_output=True,
            text=True,
            timeout=TAKES_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    without_code = re.sub(r"<(script|style)\b.*?</\1>", " ", done.stdout, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_code)).split())
