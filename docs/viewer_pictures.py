"""Takes the pictures of the page of `ddmi view`: `python docs/viewer_pictures.py [NAME ...]`; it requires Chromium.

It serves the weights that ship with the plugins, and needs no run.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests" / "viewer"))

from chromium import Browser  # noqa: E402
from PIL import Image  # noqa: E402

SIZE = (1360, 860)
DRAWN = "[...document.querySelectorAll('.card')].filter((card) => card.querySelector('img, canvas')).length"
IDLE = "document.getElementById('progress').hidden"
ASK = """((text) => {
  const box = document.querySelector("#condition-place input");
  box.value = text;
  for (const kind of ["input", "change"]) box.dispatchEvent(new Event(kind, { bubbles: true }));
})"""
PAGES = {  # plugin, words of the address, number of the chosen sample, dark colours
    "view": ("image", "", 2, False),
    "view-shapes": ("occupancy", "a tall chair with arms", 0, True),
}


def take(plugin: str, text: str, chosen: int, dark: bool) -> bytes:
    """The page with sixteen samples, as PNG."""
    command = [sys.executable, "-m", "ddmi_core", "view", "--plugin", plugin, "--no-open"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as profile,
    ):
        assert server.stdout is not None
        try:
            address = next(word for word in server.stdout.readline().split() if word.startswith("http"))
            with Browser(Path(profile), SIZE, dark) as page:
                page.open(address)
                page.wait(f"{IDLE} && {DRAWN} === 16", 300)
                if text:
                    page.js(f"{ASK}({text!r})")
                    page.wait(f"!{IDLE}", 60)
                page.wait(f"{IDLE} && {DRAWN} === 16", 300)
                page.js(f"document.querySelectorAll('.card')[{chosen}].click()")
                page.js("new Promise((done) => setTimeout(done, 4000))")
                page.wait(IDLE, 300)
                return page.picture()
        finally:
            server.terminate()


def main() -> None:
    """Take all pictures, or those named on the command line."""
    for name in sys.argv[1:] or PAGES:
        whole = Image.open(io.BytesIO(take(*PAGES[name]))).convert("RGB")
        few = whole.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(DOCS / "assets" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
