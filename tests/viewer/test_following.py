"""`ddmi view` of a run that is not finished: what it says of one in progress, a stopped and a finished one."""

from __future__ import annotations

import io
import json
import shutil
from http.client import HTTPConnection
from threading import Thread

import pytest
from attrs import asdict, evolve
from chromium import PROGRAM, Browser
from pages import Page
from PIL import Image
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.cli.main import app
from ddmi_core.errors import CheckpointError, RequestError
from ddmi_core.model.folder_lock import STALE, Writer, locked
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.process_identity import this_process
from ddmi_core.training.log import Log
from ddmi_core.viewer.following import POINTS, Following
from ddmi_core.viewer.server import Server
from ddmi_core.viewer.session import Session


def contents(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def half(runs, tmp_path, registered) -> RunFolder:
    """A run in the middle of stage 2, with a picture of each stage."""
    folder = RunFolder(shutil.copytree(runs["wave"], tmp_path / "half"))
    shutil.rmtree(folder.denoiser)
    folder.report.unlink()
    Log(folder.log).rewind("denoiser", 30)
    folder.previews.mkdir()
    for stage, step, colour in (("autoencoder", 40, "red"), ("denoiser", 20, "green"), ("denoiser", 30, "blue")):
        Image.new("RGB", (96, 48), colour).save(folder.preview(stage, step))
    return folder


def lock_of(folder, **changes):
    """A lock of a process like this one."""
    (folder.path / ".lock-0").write_text(json.dumps(asdict(evolve(this_process(), **changes))))


def test_a_run_in_progress_tells_stage_share_loss_and_time_left(half):
    now = half.log.stat().st_mtime + 10
    with locked(half.path):
        before = contents(half.path)
        state = Following(half, lambda: now).state()
        assert contents(half.path) == before
    first, second = state["stages"]
    assert (state["state"], state["command"]) == ("running", "")
    assert state["sentence"] == "The run is in progress: stage 2 of 2: denoiser, 50 % done."
    assert (first["done"], first["share"], first["preview"]) == (True, 1.0, 40)
    assert (second["done"], second["step"], second["steps"], second["preview"]) == (False, 30, 60, 30)
    assert second["alt"] == "samples after 30 steps"
    assert "<polyline" in second["curve"]
    loss = [record["loss"] for record in Log(half.log).records() if record["stage"] == "denoiser"][-1]
    assert state["facts"].startswith(f"step 30 of 60, 50.0%, loss {loss:.4f}, about ")
    assert "left in this stage" in state["facts"]
    assert state["facts"].endswith("last record 10 s ago")


def test_a_stopped_run_says_so_and_how_to_continue_it(half):
    for stopped in (lambda: None, lambda: lock_of(half, start="1")):
        stopped()
        state = Following(half).state()
        assert state["state"] == "stopped"
        assert state["sentence"].startswith("No process works on this run. It stopped in stage 2 of 2: denoiser")
        assert state["command"] == f"ddmi run --plugin wave --out {half.path} --resume"
        assert "left" not in state["facts"]
    lock_of(half)
    assert Following(half).state()["state"] == "running"


def test_a_process_of_another_machine_has_stopped_after_a_while_without_a_sign_of_life(half):
    lock_of(half, host="another")
    now = 0.0
    writer = Writer(half.path, lambda: now)
    assert writer.alive()
    now = STALE - 1
    assert writer.alive()
    now = STALE + 1
    assert not writer.alive()
    (half.path / ".lock-0").touch()
    assert writer.alive()


def test_the_steps_of_a_run_are_named_from_its_start_to_its_end(half, runs):
    half.log.unlink()
    lock_of(half)
    shutil.rmtree(half.autoencoder)
    following = Following(half)
    assert (
        following.state()["sentence"] == "The run is in progress: stage 1 of 2: autoencoder, before its first record."
    )
    shutil.copytree(runs["wave"] / "autoencoder", half.autoencoder)
    shutil.rmtree(half.latents)
    assert "latents, the encoding of the training signals" in following.state()["sentence"]
    assert not following.finished
    shutil.copytree(runs["wave"] / "denoiser", half.denoiser)
    assert following.finished
    assert following.state()["state"] == "finished"


def test_a_long_log_gives_a_curve_of_few_points(half):
    half.log.unlink()
    half.log.write_text(
        "".join(json.dumps({"stage": "denoiser", "step": n, "loss": 1 + n % 7}) + "\n" for n in range(1, 5000))
    )
    curve = Following(half).state()["stages"][1]["curve"]
    assert POINTS // 2 < curve.partition('points="')[2].partition('"')[0].count(" ") <= POINTS


@pytest.mark.parametrize(("stage", "step"), [("denoiser", "31"), ("../x", "30"), ("denoiser", "-30"), ("", "")])
def test_only_pictures_of_the_run_are_given(half, stage, step):
    with pytest.raises(RequestError, match="there is no picture of stage"):
        Following(half).picture(stage, step)


@pytest.fixture
def followed(half):
    """A page that follows the run."""
    with Server(0) as server:
        server.following = Following(half)
        server.begin = lambda: Session(ddmi_core.load(half.path, device="cpu"), "half")
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield Page(server)
        server.shutdown()


def test_the_page_follows_the_run_and_becomes_that_of_the_model(followed, half, runs):
    status, _, page = followed.get("/")
    assert status == 200
    assert b"follow.js" in page
    status, _, data = followed.get("/state")
    assert (status, json.loads(data)["state"]) == (200, "stopped")
    status, headers, data = followed.get("/preview?stage=denoiser&step=30")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(data)).getpixel((0, 0)) == (0, 0, 255)
    assert "there is no picture" in followed.told("/preview?stage=denoiser&step=x")
    assert followed.get("/about")[0] == 404
    assert followed.send("POST", "/samples", b"{}")[0] == 404
    connection = HTTPConnection("127.0.0.1", followed.port)
    connection.request("GET", "/state")
    assert connection.getresponse().status == 403  # without the token
    connection.close()

    shutil.copytree(runs["wave"] / "denoiser", half.denoiser)
    assert json.loads(followed.get("/state")[2])["state"] == "finished"
    assert b"app.js" in followed.get("/")[2]
    assert json.loads(followed.get("/about")[2])["title"] == "half"


def test_a_folder_that_is_no_run_and_a_damaged_one_end_with_a_sentence(tmp_path, half):
    result = CliRunner().invoke(app, ["view", str(tmp_path), "--no-open"])
    assert result.exit_code != 0
    assert "is not a run: it has no run.toml" in result.output
    half.toml.write_text("nothing = 1\n")
    with pytest.raises(CheckpointError, match="does not describe a run"):
        Following(half)


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_the_page_shows_the_state_refreshes_it_and_ends_at_the_model(followed, half, runs, width, dark, tmp_path):
    lock_of(half)
    with Browser(tmp_path / "profile", (width, 800), dark) as browser:
        browser.open(followed.server.url)
        browser.wait("document.querySelectorAll('.preview img[src^=blob]').length === 2")
        assert "50 % done" in browser.js("document.querySelector('[role=status]').textContent")
        assert browser.js("[...document.images].every((image) => image.alt)")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        assert browser.js("document.getElementById('resume').hidden")
        browser.js("document.getElementById('title').dataset.kept = 1")
        lock_of(half, start="1")
        browser.wait("!document.getElementById('resume').hidden")
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        assert "--resume" in browser.js("document.querySelector('#resume pre').textContent")
        assert browser.js("document.getElementById('title').dataset.kept") == "1"  # the page was not loaded again
        (tmp_path / "page.png").write_bytes(browser.picture())
        shutil.copytree(runs["wave"] / "denoiser", half.denoiser)
        browser.wait("document.querySelectorAll('.card').length === 16", 60)
        assert browser.said == []
