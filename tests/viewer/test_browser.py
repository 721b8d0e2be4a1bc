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


FOCUSED = "document.activeElement.title"


def press(browser: Browser, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        browser("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])


KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "Home": 36, "End": 35, "Tab": 9}


def test_the_gallery_is_one_tab_stop_and_arrows_choose(browser):
    assert browser.js("document.querySelectorAll('.card[tabindex=\"0\"]').length") == 1
    browser.js("document.querySelector('.card[tabindex=\"0\"]').focus()")
    columns = browser.js("getComputedStyle(document.getElementById('gallery')).gridTemplateColumns.split(' ').length")
    for key, number in (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("Home", 0), ("ArrowLeft", 15), ("End", 15)):
        press(browser, key)
        assert browser.js(FOCUSED) == f"sample {number}"
        assert browser.js("document.querySelector('.card[aria-selected=true]').title") == f"sample {number}"
    press(browser, "Tab")
    assert browser.js("document.activeElement.closest('#gallery')") is None
    assert browser.js("document.querySelectorAll('.card[tabindex=\"0\"]').length") == 1


def test_the_address_leads_back_to_the_sample_and_its_view(browser):
    browser.wait(f"{PAINTED}[0] > 0.01")
    browser.js("const s = document.getElementById('seed'); s.value = '12'; s.onchange()")
    browser.wait("location.hash.includes('seed=12')")
    browser.js("document.querySelectorAll('.card')[5].click()")
    for _ in range(3):
        browser.mouse("mouseWheel", *middle(browser), deltaX=0, deltaY=-240)
    browser.wait("/area=|camera=(?!0.6,0.34,1$)/.test(decodeURIComponent(location.hash))")
    address = browser.js("location.href")
    browser.open("about:blank")
    browser.open(address)
    browser.wait(f"{DRAWN} === 16")
    browser.wait("document.querySelector('.card[aria-selected=true]')?.title === 'sample 5'")
    assert browser.js("document.getElementById('seed').value") == "12"
    assert browser.js("location.href") == address


def test_the_picture_is_marked_while_new_samples_come(browser):
    old = "document.getElementById('stage').classList.contains('old')"
    browser.wait(f"!{old}")
    assert "sample 0, seed 0" in browser.js("document.getElementById('canvas').ariaLabel")
    browser.js("document.getElementById('controls').requestSubmit()")
    assert browser.js(old)
    assert browser.js("document.getElementById('stage').ariaBusy") == "true"
    browser.wait(f"!{old}")
    assert browser.js("document.getElementById('stage').ariaBusy") == "false"
    assert f"seed {browser.js('seed.value')}" in browser.js("document.getElementById('canvas').ariaLabel")


def test_any_size_is_taken_and_one_that_is_too_large_is_told(browser):
    browser.js("detail.value = 'other'; detail.onchange()")
    assert browser.js(FOCUSED).endswith("any, up to 2048 cells along an axis")
    browser.js("size.value = '4096'; size.onchange()")
    browser.wait("!document.getElementById('error').hidden")
    assert "up to 2048" in browser.js("document.getElementById('error').firstElementChild.textContent")
    browser.js("detail.value = '0'; detail.onchange(); document.querySelector('#error button').click()")
    assert browser.js("size.hidden")
    browser.wait("document.getElementById('stage').ariaBusy === 'false'")
    browser.said.clear()  # the browser notes answers of status 400


def test_what_is_shown_is_saved_as_a_picture(browser):
    browser.wait(f"{PAINTED}[0] > 0.01")
    browser.js("""new Promise((done) => {
      HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href]; };
      const save = document.getElementById("save"); save.value = "view"; done(save.onchange());
    })""")
    browser.wait("window.saved")
    assert browser.js("saved[0]").endswith("-0-0-shown.png")
    size = (
        "((i) => { i.src = saved[1]; return i.decode().then(() => [i.naturalWidth, i.naturalHeight]); })(new Image())"
    )
    assert browser.js(size) == browser.js("[canvas.width, canvas.height]")


def test_nothing_is_cut_on_a_narrow_screen(browser):
    browser("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=False)
    try:
        browser.wait("innerWidth === 390")
        assert browser.js("document.documentElement.scrollWidth") <= 390
        assert (
            browser.js("""[...document.querySelectorAll("button, input, select")].filter((one) => one.checkVisibility())
          .filter((one) => one.getBoundingClientRect().right > 390 || one.getBoundingClientRect().left < 0).length""")
            == 0
        )
    finally:
        browser("Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False)


def test_a_wrong_seed_is_told_on_the_page_and_a_right_one_clears_it(browser):
    browser.js("const s = document.getElementById('seed'); s.value = 'x'; s.onchange()")
    browser.wait("!document.getElementById('error').hidden")
    told = browser.js("document.getElementById('error').firstElementChild.textContent")
    assert told.startswith("seed 'x' is not a whole number from 0 to")
    browser.js("const again = document.getElementById('seed'); again.value = '3'; again.onchange()")
    browser.wait("document.getElementById('error').hidden")
    browser.said.clear()  # the browser notes answers of status 400
