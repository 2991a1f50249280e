"""The command line: `options` reads what was typed, `commands` does it."""

from .options import main
