"""`python -m vqlab`: the command line; see vqlab.cli."""

import sys


def main() -> int:
    """Run one command; returns its exit status, 130 after ctrl-C, also while it starts."""
    try:
        from .cli import main as command

        return command()
    except KeyboardInterrupt:
        print("vqlab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
