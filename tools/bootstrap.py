"""Make the environment and start the lab. Standard library only; runs before anything is installed.

    python tools/bootstrap.py env     make .venv and install what the lessons need
    python tools/bootstrap.py dev     the same, and what the tests need
    python tools/bootstrap.py lab     env, then JupyterLab on the first notebook

`make lab` and `make test` call this. A second run finds nothing to do and takes no time: a stamp
in the environment holds the checksum of everything that the installation depended on.

Settings come from the environment: PORT (8888), HOST (localhost), BROWSER=no, TORCH=cpu,
VENV (.venv).
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)
if sys.version_info < OLDEST:
    sys.exit(
        f"vqlab needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}: "
        "install one, or name it, as in `make lab PYTHON=/path/to/python3.11`."
    )

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / (os.environ.get("VENV") or ".venv")
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOG = VENV / "pip.log"
INPUTS = ("pyproject.toml", "constraints.txt", "tools/hatch_build.py", "tools/bootstrap.py")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NO_NETWORK = (
    "Failed to establish a new connection",
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Max retries exceeded",
    "ProxyError",
    "ConnectTimeout",
    "ReadTimeoutError",
    "Connection refused",
)


def say(text: str) -> None:
    print(f"vqlab: {text}", flush=True)


def stop(text: str) -> None:
    sys.exit(f"vqlab: {text}")


def fingerprint() -> str:
    """A checksum of what the installation depends on, the place of the checkout included."""
    digest = hashlib.sha256(f"{ROOT} {os.environ.get('TORCH', '')}".encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_done(kind: str) -> bool:
    stamp = VENV / f".vqlab-{kind}"
    return stamp.is_file() and stamp.read_text() == fingerprint() and PYTHON.exists()


def mark_done(kind: str) -> None:
    (VENV / f".vqlab-{kind}").write_text(fingerprint())


def succeeds(*command: object) -> bool:
    return subprocess.run(list(map(str, command)), capture_output=True).returncode == 0


def make_venv() -> None:
    """Create the environment; one that is half-made or of an old Python is made anew."""
    if VENV.exists():
        probe = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
        if PYTHON.exists() and succeeds(PYTHON, "-c", probe):
            return
        if any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists():
            stop(f"{VENV} is not a Python environment: move it away, or set VENV to another place.")
        say(f"{VENV.name} is incomplete: making it anew")
        shutil.rmtree(VENV)
    say(f"making {VENV.name} with Python {sys.version.split()[0]}")
    try:
        venv.create(VENV, with_pip=True)
    except (subprocess.CalledProcessError, OSError):
        stop(
            f"{sys.executable} could not make an environment in {VENV}: on Debian and Ubuntu "
            f"install python{OLDEST[0]}.{sys.version_info[1]}-venv; also look at the free space."
        )


def pip(*arguments: str) -> bool:
    """Run pip, its output in the log and its current step on the last line of a terminal."""
    command = [PYTHON, "-m", "pip", "install", "--progress-bar", "off"]
    command += ["-c", ROOT / "constraints.txt", *arguments]
    if os.environ.get("TORCH") == "cpu":
        command += ["--extra-index-url", CPU_INDEX]
    with LOG.open("w", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=ROOT,
            env={"PIP_RETRIES": "2", **os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            log.flush()
            if sys.stdout.isatty():
                print("\r" + line.strip()[:78].ljust(78), end="", flush=True)
    if sys.stdout.isatty():
        print("\r" + " " * 78 + "\r", end="", flush=True)
    return process.wait() == 0


def why_pip_failed() -> str:
    """One sentence from pip's log."""
    text = LOG.read_text(encoding="utf-8", errors="replace")
    log = f"(pip's log: {LOG})"
    if any(sign in text for sign in NO_NETWORK):
        return f"no network: pip could not reach the package index; connect and run again {log}."
    if "No space left on device" in text:
        return f"the disk is full: the environment needs several gigabytes {log}."
    errors = [line.partition("ERROR:")[2].strip() for line in text.splitlines() if "ERROR:" in line]
    reason = errors[-1] if errors else "pip gave no reason"
    return f"the installation failed: {reason} {log}."


def environment() -> None:
    """The environment with what the lessons need."""
    if is_done("env"):
        return
    make_venv()
    (VENV / ".vqlab-env").unlink(missing_ok=True)
    say("installing the packages; the first time this takes some minutes")
    if not pip("-e", "."):
        stop(why_pip_failed())
    mark_done("env")
    say("installed")


def development() -> None:
    """The environment with what the tests need as well."""
    environment()
    if is_done("dev"):
        return
    say("installing the test tools")
    if not pip("-e", ".[test]"):
        stop(why_pip_failed())
    if not pip("-e", ".[metrics]"):
        if os.environ.get("VQLAB_CI") == "1":
            stop(why_pip_failed())
        say("pesq could not be built (it needs a C compiler): the tests that use it are skipped")
        if not pip("pystoi"):
            stop(why_pip_failed())
        return  # no stamp: the next run tries again
    mark_done("dev")


def series() -> list[Path]:
    """The notebooks that README.md names: not one that somebody has put beside them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = sorted(set(re.findall(r"notebooks/[0-9]{2}_[a-z0-9_]+\.ipynb", text)))
    return [ROOT / name for name in named if (ROOT / name).is_file()]


def lab() -> None:
    """JupyterLab on the first notebook, the saved players of the series trusted."""
    environment()
    bin_folder = PYTHON.parent
    notebooks = series()
    if notebooks:
        say(f"trusting the {len(notebooks)} notebooks of the series, so that saved players work")
        if not succeeds(PYTHON, "-m", "jupyter", "trust", *notebooks):
            say("that failed; saved players show plain audio controls until a cell is run again")
    # Neither news nor updates nor a list of extensions: no request leaves this machine.
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    settings_file = VENV / "share/jupyter/lab/settings/overrides.json"
    settings_file.parent.mkdir(parents=True, exist_ok=True)
    settings_file.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": quiet}))
    port, host = os.environ.get("PORT") or "8888", os.environ.get("HOST") or "localhost"
    first = next((path.name for path in notebooks if path.name.startswith("00_")), "")
    command = [str(PYTHON), "-m", "jupyterlab"]
    command += [f"--LabApp.default_url=/lab/tree/notebooks/{first}".rstrip("/")]
    command += [f"--ServerApp.port={port}", f"--ServerApp.ip={host}"]
    command += [f"--ServerApp.root_dir={ROOT}"]
    command += ["--LabApp.extension_manager=readonly"]
    if os.environ.get("BROWSER") == "no":
        command += ["--no-browser"]
    if hasattr(os, "getuid") and os.getuid() == 0:  # root in a container: Jupyter asks to be told
        command += ["--allow-root"]
    say(f"starting JupyterLab on port {port}, or the next free one; Ctrl-C twice stops it")
    settings = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    if settings.get("BROWSER") == "no":
        del settings["BROWSER"]  # Python's webbrowser would take it for a program
    os.chdir(ROOT)
    if os.name == "nt":
        sys.exit(subprocess.call(command, env=settings))
    os.execve(command[0], command, settings)


if __name__ == "__main__":
    commands = {"env": environment, "dev": development, "lab": lab}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        stop(f"say one of {', '.join(commands)}, as in `python tools/bootstrap.py lab`.")
    try:
        commands[sys.argv[1]]()
    except KeyboardInterrupt:
        stop("stopped; run the same command again to go on.")
