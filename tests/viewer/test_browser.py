"""The page in a real browser: samples come, are zoomed, mixed and chosen, and nothing is said in the console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import PROGRAM, Browser
from pages import served
from viewed import sheet

from ddmi_core.model.model import Model
from ddmi_core.viewer.session import Session

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")]

DRAWN = "[...document.querySelectorAll('.card')].filter((card) => card.querySelector('img, canvas')).length"
# How much of the stage's canvas is painted, and its mean colour.
PAINTED = """(() => {
  const { data } = document.getElementById("canvas").getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0, sum = 0;
  for (let i = 0; i < data.length; i += 4) { painted += data[i + 3] > 0; sum += data[i] * data[i + 3] / 255; }
  return [4 * painted / data.length, sum / data.length];
})()"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(params=["wave", "block", "sheet"])
def browser(request, models, opened) -> Iterator[Browser]:
    """The page of a domain whose lines or slices are zoomed, or whose meshes are turned, with its samples there."""
    session = Session(viewed_model(request.param, models), request.param)
    for page in served(session):
        opened.said.clear()
        opened.open(page.server.url)
        opened.wait(f"{DRAWN} === 16")
        yield opened
        assert opened.js("document.getElementById('error').hidden")
        assert opened.said == []
        opened.open("about:blank")


def viewed_model(name: str, models: dict[str, Model]) -> Model:
    if name != "sheet":
        return models[name]
    return sheet(models["block"])


def middle(browser: Browser) -> tuple[float, float]:
    box = "document.getElementById('stage').getBoundingClientRect()"
    left, top, width, height = browser.js(f"(({{ x, y, width, height }}) => [x, y, width, height])({box})")
    return left + 0.6 * width, top + 0.5 * height


def test_the_chosen_sample_is_painted_and_changes_with_the_choice(browser):
    browser.wait(f"{PAINTED}[0] > 0.01")
    browser.js("document.querySelectorAll('.card')[3].click()")
    assert browser.js("document.querySelector('.card[aria-selected=true]').title") == "sample 3"
    browser.wait(f"{PAINTED}[0] > 0.01")


def test_the_wheel_looks_closer_and_a_button_shows_all_again(browser):
    browser.wait(f"{PAINTED}[0] > 0.01")
    before = browser.js(PAINTED)
    for _ in range(3):
        browser.mouse("mouseWheel", *middle(browser), deltaX=0, deltaY=-240)
    browser.wait(f"JSON.stringify({PAINTED}) !== {str(before).replace(' ', '')!r}")
    browser.js("document.getElementById('reset').click()")
    browser.wait(f"Math.abs({PAINTED}[0] - {before[0]}) < 0.01")
    browser.wait("document.getElementById('where').textContent === ''")


def test_dragging_the_mixture_to_its_end_shows_the_other_sample(browser):
    browser.js("document.querySelectorAll('.card')[1].click()")
    browser.wait(f"{PAINTED}[0] > 0.01")
    browser.js("new Promise((done) => setTimeout(done, 600))")
    other = browser.js(PAINTED)
    browser.js("const m = document.getElementById('mix'); m.value = 1; m.oninput(); m.onchange()")
    assert browser.js("document.getElementById('mix-shown').textContent") == "100 %"
    browser.wait(f"Math.abs({PAINTED}[1] - {other[1]}) < 1")


def test_a_wrong_seed_is_told_on_the_page_and_a_right_one_clears_it(browser):
    browser.js("const s = document.getElementById('seed'); s.value = 'x'; s.onchange()")
    browser.wait("!document.getElementById('error').hidden")
    told = browser.js("document.getElementById('error').firstElementChild.textContent")
    assert told.startswith("seed 'x' is not a whole number from 0 to")
    browser.js("const again = document.getElementById('seed'); again.value = '3'; again.onchange()")
    browser.wait("document.getElementById('error').hidden")
    browser.said.clear()  # the browser notes answers of status 400
