"""Each part does what its description says, and the module with the hooks is light."""

import csv
import subprocess
import sys
from pkgutil import resolve_name

import pytest
import torch
from torch import nn

from ddmi_core.api import Layout, Moment
from ddmi_core.diffusion import DenoiserConfig
from ddmi_core.diffusion.paths import RectifiedFlow, VariancePreserving
from ddmi_core.parts import GridSignal
from ddmi_core.registry.records import KINDS
from ddmi_extras import hooks
from ddmi_extras.convnet import PlaneConvNet
from ddmi_extras.cosine import Cosine
from ddmi_extras.csv_tracker import CsvTracker
from ddmi_extras.displacement import Displacement
from ddmi_extras.edges import edges
from ddmi_extras.midpoint import midpoint
from ddmi_extras.moments import Moments
from ddmi_extras.weight_norm import write_norm

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


def test_the_rates_of_the_path_are_its_derivatives_and_its_phase_is_regular():
    path, t = Cosine(), torch.linspace(0.05, 0.95, 7, dtype=torch.float64, requires_grad=True)
    for value, rate in ((path.alpha(t), path.alpha_rate(t)), (path.sigma(t), path.sigma_rate(t))):
        torch.testing.assert_close(torch.autograd.grad(value.sum(), t)[0], rate.detach())
    alpha_slope, sigma_slope = path.phase_rates(t)
    torch.testing.assert_close(path.alpha(t) * sigma_slope - path.sigma(t) * alpha_slope, torch.ones_like(t))


def test_the_path_finds_times_by_their_ratio_of_signal_to_noise():
    path, t = Cosine(), torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    torch.testing.assert_close(path.time_of(path.half_log_snr(t)), t)
    assert path.times(4).tolist() == [1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize("path", [RectifiedFlow(), VariancePreserving(), Cosine()], ids=["flow", "vp", "cosine"])
def test_the_target_gives_the_clean_data_at_all_times(path):
    x0, noise = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    target = Displacement(path)
    found = target.to_data(path.interpolate(x0, noise, t), target.training_target(x0, noise, t), t)
    torch.testing.assert_close(found, x0)


class Values:
    """A renderer whose fields are their values."""

    def native_values(self, fields):
        return fields


def test_the_metric_is_exact_for_a_step():
    truth = torch.zeros(2, 1, 4, 4)
    fields = truth.clone()
    fields[1, :, :, 2:] = 1.0
    found = edges(fields, GridSignal(truth), Values())
    torch.testing.assert_close(found, torch.tensor([0.0, 4 / 12 / 2]))
    torch.testing.assert_close(edges(fields + 3, GridSignal(truth), Values()), found)


def test_features_of_fields_and_of_signals_agree():
    values = torch.stack([torch.full((3, 3), 2.0), torch.arange(9.0).reshape(3, 3)])[None]
    network = Moments()
    expected = torch.tensor([[2.0, 4.0, 0.0, float(torch.arange(9.0).std())]])
    torch.testing.assert_close(network.of_signals(GridSignal(values)), expected)
    torch.testing.assert_close(network.of_fields(values, Values()), expected)


def test_the_callback_writes_the_norm_of_the_weights(tmp_path):
    network = nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 0.0]]))
        network.bias.fill_(4.0)
    for step in (1, 2):
        write_norm(Moment("denoiser", step, 2, {"loss": 1.0}, network, tmp_path))
    assert (tmp_path / "weight-norm.txt").read_text() == "denoiser 1 5\ndenoiser 2 5\n"


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


def test_every_hook_has_a_part_that_exists():
    found = {kind: getattr(hooks, f"ddmi_{kind}")() for kind in KINDS}
    for given in found.values():
        assert given
        for value in given.values():
            reference = value if isinstance(value, str) else value.reference
            assert callable(resolve_name(reference))


def test_the_hooks_import_no_torch():
    code = "import sys, ddmi_extras.hooks as h; h.ddmi_samplers(); h.ddmi_features(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
