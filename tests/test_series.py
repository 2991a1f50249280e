"""Every notebook of the series keeps the house's form: order, links, switches, guesses, symbols."""

import re
from pathlib import Path

import pytest
from _series import NOTEBOOKS, NUMBERS, answer, cells, notebook, solutions, sources
from _support import ROOT

from vqlab import lessons
from vqlab.lessons import own_file

SECTIONS = ("What you will hear", "What you will be able to do", "Recap", "Symbols", "Sources")
PACKAGE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "vqlab").rglob("*.py"))

WITH_PIECES = ("01", "02", "03", "05", "06", "09", "10", "12")  # she builds her codec, her prior

each = pytest.mark.parametrize("number", NUMBERS)
RUN_ON_HERS = ("04", "07", "11", "13")  # those in which every other exercise is used, too
IN_FORM = ("00", "04", "07", "08", "11", "13", *WITH_PIECES)
each_in_form = pytest.mark.parametrize("number", IN_FORM)


def text(number):
    return "\n".join(sources(number, "markdown"))


def code(number):
    return "\n".join(sources(number))


@each
def test_it_begins_with_sound_and_ends_with_recap_symbols_and_sources(number):
    headings = re.findall(r"^## (.+)$", text(number), re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)
    assert headings[:2] == list(SECTIONS[:2])


@each
def test_the_first_thing_to_see_is_a_player(number):
    said = [
        "".join(output.get("data", {}).get("text/plain", ""))
        for cell in cells(number)
        for output in cell.get("outputs", [])
    ]
    first = next(text for text in said if text.startswith(("[player:", "[picture:")))
    assert first.startswith("[player:")


@each
def test_the_banner_leads_to_the_notebooks_before_and_after(number):
    banner = sources(number, "markdown")[0]
    beside = [n for n in (int(number) - 1, int(number) + 1) if 0 <= n < len(NUMBERS)]
    for n in beside:
        assert f"]({notebook(f'{n:02}').name})" in banner
    assert "minutes" in banner and banner.startswith(f"# {number} · ")


@each
def test_links_within_the_repository_lead_somewhere(number):
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)", text(number)):
        assert (NOTEBOOKS / target).exists(), target


@each
def test_each_guess_is_asked_before_it_is_revealed(number):
    calls = re.findall(r'lessons\.(guess|reveal)\("([^"]+)"', code(number))
    guesses = [name for call, name in calls if call == "guess"]
    assert guesses == [name for call, name in calls if call == "reveal"] and len(guesses) >= 3
    assert all(calls.index(("guess", name)) < calls.index(("reveal", name)) for name in guesses)
    assert text(number).count("**Predict first.**") >= len(guesses)


@each
def test_what_the_table_of_symbols_calls_by_name_stands_in_the_code(number):
    table = text(number).split("## Symbols")[1].split("## Sources")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    head, *rows = rows
    place = next(i for i, name in enumerate(head) if "code" in name)
    names = [row[place] for row in rows if "`" in row[place]]
    assert names
    here = code(number) + Path(solutions(number).__file__).read_text(encoding="utf-8")
    here += (NOTEBOOKS / "solutions/my_codec.py").read_text(encoding="utf-8")
    for name in names:
        known = here + PACKAGE if re.search("` (in|of) ", name) else here
        for word in re.findall(r"\b[A-Za-z_]\w*", " ".join(re.findall(r"`([^`]+)`", name))):
            assert re.search(rf"\b{word}\b", known), word


@each
def test_one_switch_takes_it_to_real_recordings_and_one_to_more(number):
    lines = code(number).splitlines()
    assert sum(bool(re.match(r"(DATA|FILE|DIGITS, PHOTOS, NOTES) = ", line)) for line in lines) == 1
    assert ("FAST = True" in code(number)) == (code(number).count("FAST") > 1)


@each
def test_a_picture_says_in_words_what_can_be_seen(number):
    assert "plt.show(" not in code(number)
    data = [out.get("data", {}) for cell in cells(number) for out in cell.get("outputs", [])]
    assert not any("image/png" in shown for shown in data)  # a picture without words
    page = "".join("".join(shown.get("text/html", "")) for shown in data)
    pictures = re.findall(r'<img class="vqlab-picture"[^>]*alt="([^"]*)"', page)
    assert pictures and min(map(len, pictures)) > 30


@each
def test_a_section_with_a_widget_has_something_that_stays_in_a_saved_page(number):
    sections = [""]
    for cell in cells(number):
        if cell["cell_type"] == "markdown":
            sections += re.split(r"^## ", cell["source"], flags=re.MULTILINE)[1:]
        elif re.search(r"^(\w+ = )?(widgets\.|interact\()", cell["source"], re.M):
            sections[-1] += "WIDGET"
        sections[-1] += str(cell.get("outputs", ""))
    for section in sections:
        assert "WIDGET" not in section or "[picture:" in section or "[player:" in section


@each
def test_a_cell_is_short_enough_to_be_read_at_once(number):
    for cell in cells(number):
        if cell["cell_type"] == "code" and "bootstrap" not in cell["metadata"].get("tags", []):
            assert len(cell["source"].strip().splitlines()) <= 17, cell["id"]


@each
def test_it_has_three_exercises_or_more_and_names_their_solutions(number):
    checks = re.findall(r'lessons\.check\("([^"]+)"', code(number))
    assert len(set(checks)) >= 3
    for name in checks:
        here = answer(number, name[3:]) is not None
        assert here or name in lessons.pieces()
        solution = Path(solutions(number).__file__).stem if here else "my_codec"
        assert f"(solutions/{solution}.py)" in text(number)


@each_in_form
def test_an_exercise_says_whether_it_is_core_how_important_and_how_long(number):
    asked = re.findall(r"^\*\*Exercise .*", text(number), re.MULTILINE)
    whose = "(core, a piece of your (codec|prior)|core|optional)"
    form = rf"\*\*Exercise \d+\.\d: \w+\*\* · {whose} · ●[●○]{{2}} · \d+ minutes\. "
    assert 3 <= len(asked) <= 5 and all(re.match(form, line) for line in asked), asked


@pytest.mark.parametrize("name", [n for n in lessons.pieces() if n[:2] in WITH_PIECES])
def test_a_piece_is_asked_for_checked_and_then_used(name):
    whole, defines = code(name[:2]), own_file.reference()[1][name].defines
    stub = re.search(rf"^(def|class) {defines}\b.*?\braise NotImplementedError", whole, re.M | re.S)
    check = whole.index(f'lessons.check("{name}", {defines})')
    mine = whole.index(f'{defines} = lessons.mine("{name}", {defines})')
    assert stub and stub.end() < check < mine
    assert re.search(rf"\b{defines}\(", whole[mine + 1 :])


@pytest.mark.parametrize("name", [n for n in lessons.exercise_names() if n[:2] in RUN_ON_HERS])
def test_an_answer_that_is_no_piece_is_used_by_the_cells_below(name):
    wanted = answer(name[:2], name[3:]).__name__
    before, given, after = code(name[:2]).partition(f'{wanted} = lessons.mine("{name}", {wanted})')
    assert f'lessons.check("{name}", {wanted})' in before and given
    assert re.search(rf"\b{wanted}\(", after)


@each_in_form
def test_cells_that_set_up_or_only_draw_are_folded_here_and_in_colab(number):
    for cell in cells(number):
        meta, source = cell["metadata"], cell["source"]
        folded = meta.get("jupyter", {}).get("source_hidden", False)
        assert folded == (meta.get("cellView") == "form")
        assert not folded or source.startswith("# @title ") or "bootstrap" in meta.get("tags", [])
        assert folded or "plots.show(" not in source or "librosa." in source, cell["id"]


@each
def test_it_is_calm(number):
    prose = re.sub(r"\$[^$]*\$|`[^`]*`|!\[", "", text(number))  # not formulas, code, pictures
    assert "!" not in prose
