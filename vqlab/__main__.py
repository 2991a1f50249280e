"""`python -m vqlab`: the command line; see vqlab.cli."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
