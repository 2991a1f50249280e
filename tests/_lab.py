"""A real JupyterLab for the tests in a browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from _support import ROOT

FOLDERS = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
)


@contextmanager
def jupyterlab(home: Path, notebooks: Path) -> Iterator[str]:
    """The address of a JupyterLab that shows ``notebooks`` and keeps its own files in ``home``.

    Its pages have ``window.jupyterapp``, through which a test can run its commands.
    """
    environment = dict(os.environ, HOME=str(home), PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    environment |= {name: str(home / name.lower()) for name in FOLDERS}
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += ["--LabApp.news_url=None", "--LabApp.expose_app_in_browser=True"]
    log = home / "log.txt"
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={notebooks}"],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(20)
