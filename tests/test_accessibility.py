"""No serious finding of axe on the site: on a phone, in both themes."""

import pytest
from _lab import watched
from _support import need

OPTIONS = {"resultTypes": ["violations"], "preload": False}  # preloading would ask for the styles


def speak(page):
    page.get_by_role("button", name="stop").click()
    page.get_by_text("stop: ").wait_for()


def compare(page):
    row = page.locator(".ten details").first
    row.locator("summary").click()
    row.locator(".vq-play").wait_for()


@pytest.mark.parametrize(
    "name, use",
    [("codec", speak), ("index", compare), ("notebooks/00_start_here", lambda page: None)],
)
def test_axe_finds_nothing_serious(browser, site, name, use):
    axe = need("axe_playwright_python.sync_playwright").Axe()
    with watched(browser, site.as_uri(), viewport={"width": 360, "height": 740}) as page:
        page.goto((site / f"{name}.html").as_uri())
        use(page)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found = axe.run(page, options=OPTIONS).response["violations"]
            serious = [
                (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == [], theme
