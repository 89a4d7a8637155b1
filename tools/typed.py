"""Demand that every public name of a package is typed, as a user's type checker sees it.

    python tools/typed.py PACKAGE

Asks basedpyright's --verifytypes, which leaves 0 as exit status at any score once a package
passes its own checks, so the score is read from its report.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def main(package: str) -> int:
    """Print the score and what is untyped; 0 where the score is 100 %."""
    found = report(package)["typeCompleteness"]
    unknown = [s for s in found["symbols"] if s["isExported"] and not s["isTypeKnown"]]
    counts = found["exportedSymbolCounts"]
    total = sum(counts.values())
    for symbol in unknown:
        print(f"{symbol['name']}: {'; '.join(why(symbol)) or 'its type is not known'}")
    print(f"{package}: {counts['withKnownType']} of {total} public symbols typed")
    if not total:
        print(f"{package}: nothing was found to check; is it installed, with a py.typed?")
    return int(bool(unknown) or not total)


def report(package: str) -> Any:
    """What basedpyright has to say. It finds packages through the `python` on PATH only."""
    bin_ = Path(sys.executable).parent
    path = os.pathsep.join([str(bin_), os.environ.get("PATH", os.defpath)])
    asked = ["--verifytypes", package, "--ignoreexternal", "--outputjson"]
    done = subprocess.run(
        [str(bin_ / "basedpyright"), *asked],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(f"basedpyright answered no report:\n{done.stdout}{done.stderr}")


def why(symbol: Any) -> list[str]:
    """The reasons that the report gives for one symbol."""
    return [" ".join(d["message"].split()) for d in symbol.get("diagnostics", ())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
