"""The rules for decorators held against one library, by the Python that has it.

    python benchmarks/rules_of_one.py PEER [RULE ...]

Prints one line of JSON: each rule's name, verdict and what was seen. Nothing gets further than
this machine: whoever tries is told that the network is down.
"""

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
TIMEOUT_S = 15.0
LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def main() -> None:
    sys.addaudithook(stay_here)
    sys.path[:1] = [str(HERE.parent / "src"), str(HERE / "peers")]
    peer, *names = sys.argv[1:]
    adapter = importlib.import_module(f"{peer}_adapter")
    from turnspan.testing.decorator_rules import RULES, run

    rules = [rule for rule in RULES if not names or rule.name in names or rule.room in names]
    report = run(adapter.make, rules, timeout_s=TIMEOUT_S)
    told = [(found.rule.name, found.verdict, found.seen) for found in report.findings]
    print(json.dumps({"version": version(adapter.PACKAGES), "findings": told}))


def version(packages):
    if packages:
        return importlib.metadata.version(packages[0])
    import turnspan

    return turnspan.__version__


def stay_here(event, args):
    """An audit hook: the network ends at this machine."""
    asked = None
    if event == "socket.getaddrinfo":
        asked = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        asked = args[1][0]
    if asked and not str(asked).startswith(LOOPBACK):
        raise OSError(f"this is tried offline; {asked} was asked for")


if __name__ == "__main__":
    main()
