"""The sampler has second order, the denoiser learns, the tracker writes what it gets, and the hooks are light."""

import csv
import subprocess
import sys

import pytest
import torch

from ddmi_core.api import Layout
from ddmi_core.diffusion import DenoiserConfig
from ddmi_core.diffusion.paths import RectifiedFlow, VariancePreserving
from ddmi_extras import hooks
from ddmi_extras.convnet import PlaneConvNet
from ddmi_extras.csv_tracker import CsvTracker
from ddmi_extras.midpoint import midpoint

MEAN, DEVIATION = 0.7, 0.4
LAYOUT = Layout(axes=("x", "y", "t"), planes=(("x", "y"), ("t",)))


def gaussian(path):
    """The exact denoiser of normal data."""

    def denoise(x, t):
        alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
        gain = alpha * DEVIATION**2 / (alpha**2 * DEVIATION**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)

    return denoise


def error(path, times):
    """Distance to the exact solution of the probability-flow ODE, which keeps the quantile of each state."""
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]

    def marginal(t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        return alpha * MEAN, torch.sqrt((alpha * DEVIATION) ** 2 + sigma**2)

    (first, spread), (last, end) = marginal(times[0]), marginal(times[-1])
    exact = last + end * (x - first) / spread
    return float((midpoint(gaussian(path), path, x, times) - exact).abs().max())


@pytest.mark.parametrize("path", [RectifiedFlow(), VariancePreserving()], ids=["flow", "vp"])
def test_the_sampler_has_at_least_second_order(path):
    grids = [torch.linspace(0.9, 0.1, n + 1, dtype=torch.float64) for n in (32, 64)]
    coarse, fine = (error(path, times) for times in grids)
    assert coarse / fine > 3.4


def test_an_odd_number_of_steps_ends_at_the_data():
    path = RectifiedFlow()
    assert error(path, path.times(63)) < 0.01


def test_progress_is_told_after_each_step():
    path, told = RectifiedFlow(), []
    midpoint(gaussian(path), path, torch.zeros(1, 1), path.times(5), callback=told.append)
    assert [(state.step, state.steps) for state in told] == [(n, 5) for n in range(1, 6)]
    assert midpoint.evaluations(5) == 5


def test_an_untrained_denoiser_predicts_zero_and_learns():
    torch.manual_seed(0)
    network = PlaneConvNet(LAYOUT, 3, 8, DenoiserConfig(kind="unet", width=16))
    maps = [torch.randn(2, 3, 8, 6), torch.randn(2, 3, 1, 5)]
    condition = torch.randn(2, 8)
    outputs = network(maps, condition)
    assert [output.shape for output in outputs] == [m.shape for m in maps]
    assert all(bool((output == 0).all()) for output in outputs)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = sum((output - m).square().mean() for output, m in zip(network(maps, condition), maps, strict=True))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_the_tracker_writes_all_figures_and_appends(tmp_path):
    for step in (1, 2):
        tracker = CsvTracker(tmp_path)
        tracker.record("denoiser", step, {"loss": 0.5 / step, "steps_per_second": 3.0})
        tracker.close()
    with (tmp_path / "figures.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["stage", "step", "name", "value"]
    assert rows[1:4:2] == [["denoiser", "1", "loss", "0.5"], ["denoiser", "2", "loss", "0.25"]]


def test_references_exist():
    from importlib import import_module

    found = {**hooks.ddmi_samplers(), **hooks.ddmi_denoisers(), "csv": hooks.ddmi_trackers()["csv"].reference}
    for reference in found.values():
        module, _, attribute = reference.partition(":")
        assert hasattr(import_module(module), attribute)


def test_the_hooks_import_no_torch():
    code = "import sys, ddmi_extras.hooks as h; h.ddmi_samplers(); h.ddmi_trackers(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
