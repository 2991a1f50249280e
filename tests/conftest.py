"""What several test files share."""

import os
from pathlib import Path

import pytest
from _lab import chromium
from _support import ROOT, need, script
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("vqlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vqlab")


@pytest.fixture(autouse=True)
def her_file(tmp_path, monkeypatch) -> Path:
    """Where `my_codec.py` is in a test: in a folder of its own, so that nobody's is touched."""
    path = tmp_path / "my_codec.py"
    monkeypatch.setenv("VQLAB_MY_CODEC", str(path))
    return path


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings that VQLAB_DATA names; the test is skipped without it."""
    place = os.environ.get("VQLAB_DATA", "").strip()
    if not place:
        pytest.skip("VQLAB_DATA is not set, so there are no real recordings to test with")
    folder = Path(place).expanduser()
    if not (folder / "SpeechCommands").is_dir():
        pytest.skip(f"VQLAB_DATA={place} has no folder SpeechCommands")
    return folder.resolve()


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The website, built."""
    out = tmp_path_factory.mktemp("website") / "html"
    script("tools", "website").build(ROOT, out)
    return out


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window, as Playwright drives it."""
    playwright = need("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = chromium(running.chromium)
        yield opened
        opened.close()
