"""The series as a website: whole without a network, with players, formulas and a search."""

import base64
import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest
from _lab import watched
from _support import ROOT, script

from vqlab.codec.packing import Packed, pack


@pytest.fixture
def page(browser, site):
    """Opens a page of the site; the test fails on any message and any request that leaves it."""
    with watched(browser, site.as_uri(), viewport={"width": 1280, "height": 800}) as page:
        yield page


class Elements(HTMLParser):
    """What a page links to, draws in, and can be linked to; and its text without the code."""

    def __init__(self, text):
        super().__init__()
        self.links, self.sources, self.anchors, self.prose = [], [], set(), []
        self.skip = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.anchors.add(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        elif tag == "link":
            self.sources.append(found["href"])
        elif "src" in found:
            self.sources.append(found["src"])
        self.skip += tag in ("script", "style", "pre", "code", "annotation")

    def handle_endtag(self, tag):
        self.skip -= tag in ("script", "style", "pre", "code", "annotation")

    def handle_data(self, data):
        if not self.skip:
            self.prose.append(data)


@pytest.fixture(scope="module")
def pages(site):
    return {path: Elements(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_notebook_has_a_page_and_the_contents_name_it(site, pages):
    names = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
    listed = [
        link for link in pages[site / "index.html"].links if re.search(r"\d\d_\w+.html$", link)
    ]
    assert listed == [f"notebooks/{name}.html" for name in names]


def test_the_first_screen_plays_a_voice_and_leads_to_the_codec(page, site):
    page.goto((site / "index.html").as_uri())
    for selector in (".vq-play", "a.speak"):
        assert page.locator(selector).first.bounding_box()["y"] < 600
    page.locator(".vq-loop").click()  # a slow machine misses a second
    page.locator(".vq-play").click()
    page.wait_for_function(
        "() => document.querySelector('.vqlab-player').vqlabPlayer.state().time > 0.05"
    )
    page.locator(".vq-choice").nth(1).click()
    assert page.locator(".vq-choice").nth(1).inner_text().split()[1] == "bytes"
    assert page.get_by_text("Allison Smith").is_visible()
    page.locator("a.speak").click()
    page.wait_for_url("**/codec.html")


def test_ten_comparisons_are_loaded_when_they_are_opened_and_lead_to_where_they_are_made(
    page, site
):
    page.goto((site / "index.html").as_uri())
    assert page.locator(".ten details").count() == 10
    assert page.locator(".ten .vqlab-player").count() == 0
    for k in range(10):
        row = page.locator(".ten details").nth(k)
        row.locator("summary").click()
        row.locator(".vq-play").wait_for()
        title = row.locator(".vq-title").inner_text()
        target, anchor = urldefrag(row.locator("p > a").last.get_attribute("href"))
        section = (site / target).read_text(encoding="utf-8").split(f'id="{unquote(anchor)}"')[1]
        assert title in html.unescape(section.split("<h2")[0])
    row.locator(".vq-loop").click()  # a slow machine misses a second
    row.locator(".vq-play").click()
    page.wait_for_function(
        "() => document.querySelectorAll('.vqlab-player')[10].vqlabPlayer.state().time > 0.05"
    )


def test_all_links_lead_somewhere(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"(https?|mailto):", link):
                continue
            name, anchor = urldefrag(unquote(link))
            target = (path.parent / name).resolve() if name else path
            missing = not target.is_file() or not target.is_relative_to(site)
            if missing or (anchor and anchor not in pages[target].anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_nothing_is_drawn_in_from_elsewhere(site, pages):
    for path, page in pages.items():
        for source in page.sources:
            if not source.startswith("data:"):
                assert (path.parent / unquote(source)).is_file(), f"{path.name}: {source}"


def test_no_formula_is_left_raw(site, pages):
    for path, page in pages.items():
        if path.parent.name == "notebooks":
            prose = "".join(page.prose)
            assert not re.search(r"\$|\\[a-zA-Z]", prose), path.name
    text = (site / "notebooks/05_the_vq_layer_step_by_step.html").read_text(encoding="utf-8")
    assert text.count("<math") > 50


def test_pages_say_what_they_are_and_forbid_requests_to_others(pages):
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"<title>[^<]+</title>", text) and "default-src 'none'" in text


def test_formulas_are_drawn_with_the_font_beside_the_pages(page, site):
    page.goto((site / "notebooks/05_the_vq_layer_step_by_step.html").as_uri())
    fonts = "() => document.fonts.ready.then(() => [...document.fonts].map((f) => f.status))"
    assert page.evaluate(fonts) == ["loaded"]
    # Drawn, not written out in a line: a fraction is higher than its letters.
    high = (
        "() => document.querySelector('math[display=block] mfrac').getBoundingClientRect().height"
    )
    assert page.evaluate(high) > 24


def test_a_saved_player_plays(page, site):
    page.goto((site / "notebooks/00_start_here.html").as_uri())
    page.locator(".vqlab-player .vq-loop").first.click()  # a slow machine misses one second
    page.locator(".vqlab-player .vq-play").first.click()
    moved = "() => document.querySelector('.vqlab-player').vqlabPlayer.state().time > 0.05"
    page.wait_for_function(moved)
    page.locator(".vqlab-player .vq-choice").nth(1).click()
    state = "() => document.querySelector('.vqlab-player').vqlabPlayer.state().version"
    assert page.evaluate(state) == 1


def test_searching_finds_a_word_and_leads_to_its_section(page, site):
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("griffin momentum")
    first = page.locator("#found li").first
    first.wait_for()
    assert "momentum" in page.locator("#found mark").all_inner_texts()
    first.locator("a").click()
    page.wait_for_url("**/notebooks/03_back_to_sound.html#*")
    assert page.locator("#found").is_hidden()
    anchor = unquote(urldefrag(page.url)[1])
    assert (
        page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", anchor) < 700
    )


def test_searching_is_of_any_case_by_all_words_and_says_when_there_is_nothing(page, site):
    page.goto((site / "index.html").as_uri() + "?q=PERPLEXITY")
    page.locator("#found li").first.wait_for()
    page.locator("input[type=search]").fill("perplexity xylophone")
    page.get_by_text("0 sections", exact=True).wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#found").is_hidden()


@pytest.mark.parametrize("version", [2, 3])
def test_files_of_another_codec_are_not_offered_to_the_page(version):
    live = script("tools", "website_page").live
    files = [Packed(16000, who, 0, 0.0, 640, b"codes", version) for who in (b"us", b"no")]
    data = [base64.b64encode(pack(file)).decode() for file in files]
    player = "".join(f'<div class="vq-version" data-vql="{text}">' for text in data)
    assert live(player, b"us") == player.replace(f' data-vql="{data[1]}"', "")


# Formulas


@pytest.mark.parametrize(
    "tex, parts",
    [
        (r"\operatorname{arg\,min}_k d", ["arg", "min"]),
        (r"\arg\min_k d_k", ["<mi>arg</mi>", "<mi>min</mi>"]),
        (r"\begin{aligned} a &= b \\ &= c \end{aligned}", ["<mtable", "text-align:right"]),
        (r"S^{\mathsf H}", ["\U0001d5a7"]),
        (r"\mathrm{RMS}", [">RMS</mi>"]),
        (r"\lVert x \rVert", ['stretchy="false"']),
        (r"a < b", ["&lt;"]),
    ],
)
def test_a_formula_becomes_mathml(tex, parts):
    made = script("tools", "website_math").formula(tex, block=True)
    assert made.startswith('<math display="block">')
    assert html.escape(tex) in made
    drawn = re.sub("<annotation.*?</annotation>", "", made)
    assert all(part in drawn for part in parts) and "\\" not in drawn


@pytest.mark.parametrize("tex", [r"\nosuchthing{x}", r"a & b"])
def test_a_formula_that_cannot_be_converted_is_an_error_that_names_it(tex):
    with pytest.raises(ValueError, match=re.escape(repr(tex))):
        script("tools", "website_math").formula(tex, block=False)


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="something else"):
        script("tools", "website").build(ROOT, tmp_path)
    assert (tmp_path / "thesis.txt").exists()
