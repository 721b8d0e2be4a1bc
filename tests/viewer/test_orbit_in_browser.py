"""The page in a real browser, of a domain whose camera is moved: dragging asks for drafts, and rest for the rest."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from chromium import PROGRAM, Browser
from pages import served
from rich.console import Console
from test_browser import DRAWN, PAINTED, middle

import ddmi_core
import smaller
from ddmi_core.registry.registry import domain_named
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve
from ddmi_core.viewer.session import Session
from ddmi_nerf.rendering import panel

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")]

LEAST = (
    "domain.count=8",
    "domain.size=8",
    "domain.views=2",
    "domain.shown=2",
    "domain.held_views=0",
    "autoencoder.training.steps=4",
    "autoencoder.training.checkpoint=4",
    "diffusion.training.steps=4",
    "diffusion.training.checkpoint=4",
    "sampling.count=2",
    "evaluation.samples=2",
    "evaluation.held_out=2",
)
# What `/show` was asked for: whether at rest.
HEARD = """(() => {
  window.heard = []; window.open_ = 0;
  const old = window.fetch;
  window.fetch = async (address, ...others) => {
    const asked = new URL(address, location.href);
    const [rest, azimuth] = ["rest", "azimuth"].map((name) => asked.searchParams.get(name));
    if (asked.pathname === "/show") window.heard.push([rest, azimuth]);
    window.open_ += 1;
    try { return await old(address, ...others); } finally { window.open_ -= 1; }
  };
})()"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder, domain = tmp_path_factory.mktemp("orbit") / "run", domain_named("nerf")
    config = resolve(domain, "tiny", overrides=LEAST)
    with smaller.pictures():
        pipeline.execute(config, domain, folder, resume=False, console=Console(file=StringIO()))
    return Session(ddmi_core.load(folder, device="cpu"), "tiny")


def test_dragging_moves_the_camera_with_drafts_and_ends_at_rest(session, tmp_path, monkeypatch):
    monkeypatch.setattr(panel, "AT_REST", 48)
    monkeypatch.setattr(panel, "THUMBNAIL", 16)
    with Browser(tmp_path) as browser:
        for page in served(session):
            browser.open(page.server.url)
            browser.wait(f"{DRAWN} === 16", 120)
            browser.wait(f"{PAINTED}[0] > 0.99", 120)
            before = browser.js(PAINTED)
            browser.js(HEARD)
            x, y = middle(browser)
            browser.mouse("mousePressed", x, y, button="left", clickCount=1)
            for number in range(12):
                browser.mouse("mouseMoved", x - 8 * number, y + 2 * number, button="left", buttons=1)
                time.sleep(0.03)
            browser.mouse("mouseReleased", x - 88, y + 22, button="left", clickCount=1)
            browser.wait("heard.length && heard.at(-1)[0] === '1'", 60)
            browser.wait(f"JSON.stringify({PAINTED}) !== {str(before).replace(' ', '')!r}", 60)
            heard = browser.js("heard")
            assert "0" in [rest for rest, _ in heard]
            assert float(heard[-1][1]) > 0.7  # from 0.6, dragged to the left
            assert browser.js("document.getElementById('error').hidden")
            assert browser.said == []
            browser.wait("open_ === 0")
            time.sleep(0.5)  # in which the server ends what nobody waits for any more
            browser.open("about:blank")
