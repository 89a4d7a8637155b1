"""`python -m turnspan` is `turnspan`."""

import sys

from turnspan.cli import main

if __name__ == "__main__":
    sys.exit(main())
