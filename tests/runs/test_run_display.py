"""The live display of a run: every step, what is known of it and nothing else, on narrow and wide terminals."""

from io import StringIO

import pytest
from rich.console import Console

from ddmi_core.progress import tracked
from ddmi_core.runs import pipeline
from ddmi_core.runs.run_display import EVALUATION, PREPARATION, TITLES, RunDisplay
from ddmi_core.steps import AUTOENCODER, DENOISER, LATENTS, REPORT, SAMPLES
from ddmi_core.training.trainer import Report
from whole_runs import DOMAINS, resolve


def display(tmp_path, width=100):
    return RunDisplay(Console(file=StringIO(), width=width, force_terminal=True), tmp_path)


def screen(shown, width=100):
    """The lines of the display, without trailing blanks."""
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(shown._view())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(lines, title):
    return next(line for line in lines if title in line)


def test_every_step_is_named_before_it_begins(tmp_path):
    lines = screen(display(tmp_path))
    titles = [TITLES.get(name, name) for name in (PREPARATION, AUTOENCODER, LATENTS, DENOISER, SAMPLES)]
    assert all(title in line for title, line in zip([*titles, EVALUATION, REPORT], lines, strict=False))
    assert "stage 1 of 2" in lines[1]
    assert "stage 2 of 2" in lines[3]


@pytest.mark.parametrize("width", [60, 100])
def test_a_stage_shows_what_is_known_and_never_a_number_that_is_none(width, tmp_path):
    shown = display(tmp_path, width)
    with shown.stage(AUTOENCODER, 200) as stage:
        shown.stepped(stage, 1, None)
        lines = screen(shown, width)
        assert row(lines, "stage 1 of 2").endswith("1/200 0%")
        assert not any(word in line for line in lines for word in ("nan", "None", "loss", "left"))
        shown.stepped(stage, 50, 75.0)
        shown.trained(stage, Report(50, 200, 0.25, 75.0, 123.0, 4.0, 0.5))
        lines = screen(shown, width)
        assert row(lines, "stage 1 of 2").endswith("50/200 25%, about 75 s left")
        assert "loss 0.2500, 123 signals/s, 4 % waiting for data, 0.5 GiB" in lines
        assert max(map(len, lines)) <= width
    lines = screen(shown, width)
    assert row(lines, "stage 1 of 2").startswith("+")
    assert row(lines, "stage 1 of 2").endswith("0:00")
    assert not any("loss" in line for line in lines)


def test_another_step_shows_its_loops_and_steps_of_an_earlier_start_are_kept(tmp_path):
    shown = display(tmp_path)
    with shown.step(EVALUATION):
        for number in tracked("held-out reconstructions", range(4)):
            if number == 2:
                lines = screen(shown)
    assert "held-out reconstructions 2/4, about 1 s left" in row(lines, EVALUATION)
    assert row(lines, "stage 1 of 2").split() == ["+", *TITLES[AUTOENCODER].split(), "kept"]
    assert row(lines, REPORT).split() == [REPORT]


def test_the_last_picture_is_named_in_the_run_folder(tmp_path):
    shown = display(tmp_path)
    shown.wrote(tmp_path / "samples" / "sample-0000.png")
    assert screen(shown)[-1] == "last picture: samples/sample-0000.png"


def test_a_whole_run_on_a_terminal_ends_with_all_steps_done_and_the_figures_below(tmp_path):
    text = StringIO()
    console = Console(file=text, width=100, force_terminal=True, color_system=None)
    config = resolve(DOMAINS["wave"], "", overrides=("autoencoder.training.steps=20", "diffusion.training.steps=20"))
    pipeline.execute(config, DOMAINS["wave"], tmp_path / "run", resume=False, console=console)
    plain = text.getvalue()
    last = plain[plain.rindex("preparation") - 2 :].splitlines()
    assert all(line.startswith("+") for line in last[:7])
    assert any("reconstruction_" in line for line in last[8:])
    assert "nan" not in plain
