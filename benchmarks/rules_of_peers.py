"""Which rules for decorators turnspan and its peers keep: a table in Markdown.

    python benchmarks/rules_of_peers.py [--make] [--seen] [PEER ...]

A peer is an adapter in `benchmarks/peers/` and a Python that has the library: the one that
`TURNSPAN_PEER_NAME` names, or `.venv-peers/NAME`, which `--make` makes (it installs from the
package index that pip is set up for). Peers that are not installed are left out, and named.
`--seen` adds what was seen where a rule is broken.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import VENVS, Environments

from turnspan.testing.decorator_rules import RULES

HERE = Path(__file__).parent
COMMON = ("attrs", "cloudpickle", "msgspec", "pydantic")  # what rules ask for, too
PEERS = Environments(HERE / "peers", VENVS, COMMON)
LONGEST_S = 1800
SIGNS = {"passed": "✓", "failed": "✗", "not applicable": "–"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--make", action="store_true", help="make the environments first")
    parser.add_argument("--seen", action="store_true", help="say what was seen")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS.known())}")
    asked = parser.parse_args()
    peers = asked.peers or PEERS.known()
    if unknown := set(peers) - set(PEERS.known()):
        parser.error(f"no adapter for {', '.join(sorted(unknown))}")
    if asked.make:
        for peer in peers:
            PEERS.make(peer)
    missing = [peer for peer in peers if PEERS.python_of(peer) is None]
    columns = {peer: tried(peer) for peer in peers if peer not in missing}
    table(columns)
    if missing:
        print(f"\nNot installed here: {', '.join(missing)}.")
    if asked.seen:
        seen(columns)


def tried(peer):
    """The version of ``peer``, and of each rule its verdict and what was seen."""
    print(f"trying {peer}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="turnspan-rules-") as scratch:
        done = subprocess.run(
            [PEERS.python_of(peer), str(HERE / "rules_of_one.py"), peer],
            cwd=scratch,
            env={"PATH": os.environ["PATH"], "HOME": scratch, "TMPDIR": scratch, "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{peer} could not be tried:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    found["findings"] = {name: (verdict, said) for name, verdict, said in found["findings"]}
    return found


def table(columns):
    names = [f"{peer} {found['version']}" for peer, found in columns.items()]
    print(f"| rule ({dt.datetime.now(dt.UTC):%Y-%m-%d}) | {' | '.join(names)} |")
    print(f"|---|{'---|' * len(names)}")
    for rule in RULES:
        signs = [SIGNS[found["findings"][rule.name][0]] for found in columns.values()]
        print(f"| {rule.sentence.rstrip('.')} | {' | '.join(signs)} |")
    broken = [sum(verdict == "failed" for verdict, _ in found["findings"].values())
              for found in columns.values()]  # fmt: skip
    print(f"| **broken, of {len(RULES)}** | {' | '.join(map(str, broken))} |")


def seen(columns):
    for peer, found in columns.items():
        print(f"\n## {peer} {found['version']}\n")
        for name, (verdict, said) in found["findings"].items():
            if verdict != "passed":
                print(f"- {SIGNS[verdict]} `{name}`: {said}")


if __name__ == "__main__":
    main()
