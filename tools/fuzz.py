"""Give the package damaged and forged input, and see that each is taken or refused in a sentence.

    python tools/fuzz.py                              all kinds, 60 s each
    python tools/fuzz.py --seconds 20 --seed 3 vql archive --out docs/results/fuzz.md
    python tools/fuzz.py --races 100                  two processes at once, so many times

Seconds are of the processor. Each kind runs in a process of its own, which may take no more than
`MOST` bytes beyond what it has when it begins. Whatever is neither taken nor refused with one line
(another exception, no memory, a crash) is a finding: its input is kept in `--keep`, and the exit
status is 1. The same seed gives the same inputs, as long as the kind's seeds are the same.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from fuzz_kinds import KINDS, Take
from fuzz_races import races

MOST = 2 << 30
LONGEST = 400  # characters of a sentence, without the path of what was read


def outcome(take: Take, value: Any, folder: Path) -> str:
    """ "taken", "refused", or what went wrong."""
    try:
        take(value)
        return "taken"
    except (ValueError, OSError) as error:
        text = str(error).replace(f"{folder}{os.sep}", "")
        if text.strip() and "\n" not in text.strip() and len(text) <= LONGEST:
            return "refused"
        return f"{type(error).__name__}: no sentence: {text[:300]!r}"
    except BaseException as error:  # a finding, whatever it is
        return f"{type(error).__name__}: {str(error)[:300]}"


def child(kind: str, seconds: float, seed: int, keep: Path) -> dict[str, Any]:
    """Give inputs of one kind for so many seconds; the numbers of the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        make, take = KINDS[kind](Path(name))
        chance = random.Random(f"{kind} {seed}")
        outcome(take, make(random.Random(0)), Path(name))  # what is imported late
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MOST
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        counts = {"taken": 0, "refused": 0}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        slowest, found = 0.0, {}
        end = time.process_time() + seconds
        while (start := time.process_time()) < end:
            value = make(chance)
            start = time.process_time()
            said = outcome(take, value, Path(name))
            slowest = max(slowest, time.process_time() - start)
            counts[said if said in counts else "taken"] += said in counts
            if said not in counts and said not in found:
                keep.mkdir(parents=True, exist_ok=True)
                file = keep / f"{kind}-{seed}-{len(found)}"
                file.write_bytes(value if isinstance(value, bytes) else repr(value).encode())
                found[said] = str(file)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return counts | {"found": found, "slowest": slowest, "grown": grown}


def tried(kind: str, seconds: float, seed: int, keep: Path) -> dict[str, Any]:
    """`child` in a process of its own; a crash is a finding as well."""
    command = [sys.executable, __file__, "--child", kind, "--seconds", str(seconds)]
    command += ["--seed", str(seed), "--keep", str(keep)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    end = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
    return {"taken": 0, "refused": 0, "found": {end[0]: ""}, "slowest": 0.0, "grown": 0.0}


def table(results: dict[str, dict[str, Any]], seconds: float, seed: int) -> str:
    lines = [
        f"`python tools/fuzz.py --seconds {seconds:g} --seed {seed}`: {seconds:g} s of one "
        f"processor a kind, at most {MOST >> 30} GiB more memory than at the start.",
        "",
        "| input | tried | taken | refused in a sentence | else | slowest, s | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, got in results.items():
        taken, refused, found = got["taken"], got["refused"], len(got["found"])
        lines.append(
            f"| {kind} | {taken + refused + found:,} | {taken:,} | {refused:,} | {found} | "
            f"{got['slowest']:.2f} | {got['grown']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="where findings go")
    parser.add_argument("--out", type=Path, help="a file for the table")
    parser.add_argument("--races", type=int, metavar="TIMES")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    if options.child:
        print(json.dumps(child(options.child, options.seconds, options.seed, options.keep)))
        return 0
    text, failed = "", False
    if options.races:
        with tempfile.TemporaryDirectory() as name:
            for what, whole in races(options.races, Path(name)).items():
                text += f"{what} at once: whole {whole} of {options.races} times.\n"
                failed |= whole < options.races
    if options.kinds or not options.races:
        results = {}
        for kind in options.kinds or KINDS:
            results[kind] = tried(kind, options.seconds, options.seed, options.keep)
            for said, file in results[kind]["found"].items():
                print(f"{kind}: {said} {file}", file=sys.stderr)
            failed |= bool(results[kind]["found"])
        text += table(results, options.seconds, options.seed)
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
