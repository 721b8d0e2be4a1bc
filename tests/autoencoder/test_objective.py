"""The objectives of stage 1, on both formula domains: what their terms are, and what they train."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve

from ddmi_core.api import Queries
from ddmi_core.autoencoder.config import AdversarialConfig, PerceptualConfig
from ddmi_core.autoencoder.losses import as_patch, weighted_mean
from ddmi_core.errors import ConfigError
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.parts.point_domain import PointSampler
from ddmi_core.training.objective import StepContext, generator_for
from plane_layouts import perturbed
from variants import returning, variant

CPU = torch.device("cpu")


def context(step: int, indices=(0, 3, 5, 6)) -> StepContext:
    return StepContext(step, indices, generator_for(0, "test", step), CPU)


def objectives(domain, config, **changes):
    config = evolve(config, autoencoder=evolve(config.autoencoder, **changes))
    model = build_autoencoder(build_parts(domain, config.domain), config)
    split = load_data(build_parts(domain, config.domain), "")
    return autoencoder_objectives(build_parts(domain, config.domain), config, model, split)


def parts_of(losses) -> dict[str, torch.Tensor]:
    return dict(losses.parts)


def adversarial(start: int = 5, weight: float = 0.5) -> AdversarialConfig:
    return AdversarialConfig(start=start, weight=weight, width=4)


@pytest.mark.parametrize(("step", "share"), [(0, 0.1), (4, 0.5), (9, 1.0), (500, 1.0)])
def test_the_kl_weight_grows_linearly_to_its_final_value(formula_domain, formula_config, step, share):
    options = {"kl": 0.3, "kl_anneal": 10, "perceptual": PerceptualConfig(kind="none")}
    main = objectives(formula_domain, formula_config, **options)["autoencoder"]
    losses = main(context(step))
    parts = parts_of(losses)
    torch.testing.assert_close(losses.total, parts["reconstruction"] + share * 0.3 * parts["kl"])


@pytest.mark.parametrize(("step", "share"), [(0, 1 / 30), (14, 0.5), (29, 1.0), (39, 1.0)])
def test_a_kl_anneal_below_one_is_a_share_of_the_training(formula_domain, formula_config, step, share):
    training = evolve(formula_config.autoencoder.training, steps=40)
    options = {"kl": 0.3, "kl_anneal": 0.75, "perceptual": PerceptualConfig(kind="none"), "training": training}
    losses = objectives(formula_domain, formula_config, **options)["autoencoder"](context(step))
    torch.testing.assert_close(losses.total, losses.parts[0][1] + share * 0.3 * parts_of(losses)["kl"])


@pytest.mark.parametrize("length", [0, 1])
def test_without_annealing_or_with_one_step_of_it_the_kl_has_its_final_weight_at_once(
    formula_domain, formula_config, length
):
    options = {"kl": 0.3, "kl_anneal": length, "perceptual": PerceptualConfig(kind="none")}
    losses = objectives(formula_domain, formula_config, **options)["autoencoder"](context(0))
    torch.testing.assert_close(losses.total, losses.parts[0][1] + 0.3 * parts_of(losses)["kl"])


def test_kl_is_a_mean_over_latent_elements(formula_domain, formula_config):
    main = objectives(formula_domain, formula_config)["autoencoder"]
    signal = main.signals.batch((0, 3), None)
    posterior = main.trained.encode(signal)
    elements = sum(plane[0].numel() for plane in posterior.mean)
    stated = parts_of(main(StepContext(0, (0, 3), _never_flips(), CPU)))["kl"]
    torch.testing.assert_close(stated, posterior.kl().mean() / elements)


def test_equal_generators_give_equal_losses_and_other_steps_other_ones(formula_domain, formula_config):
    main = objectives(formula_domain, formula_config)["autoencoder"]
    assert main(context(3)).total == main(context(3)).total
    assert main(context(3)).total != main(context(4)).total


@pytest.mark.parametrize(("step", "weight"), [(0, 2.0 * 0.25**0.1), (4, 1.0), (9, 0.5), (70, 0.5)])
def test_the_weight_changes_geometrically_from_its_start_to_its_end(formula_domain, formula_config, step, weight):
    options = {"kl": 0.0, "kl_anneal": 10, "spectral": 0.5, "spectral_start": 2.0}
    losses = objectives(formula_domain, formula_config, perceptual=PerceptualConfig(kind="none"), **options)[
        "autoencoder"
    ](context(step))
    parts = parts_of(losses)
    torch.testing.assert_close(losses.total, parts["reconstruction"] + weight * parts["spectral"])


def test_without_a_start_the_weight_is_constant(formula_domain, formula_config):
    options = {"kl": 0.0, "kl_anneal": 10, "spectral": 0.5, "perceptual": PerceptualConfig(kind="none")}
    losses = objectives(formula_domain, formula_config, **options)["autoencoder"](context(0))
    torch.testing.assert_close(losses.total, losses.parts[0][1] + 0.5 * parts_of(losses)["spectral"])


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_the_perceptual_term_has_its_weight(formula_domain, formula_config, weight):
    options = {"kl": 0.0, "perceptual": PerceptualConfig(weight=weight)}
    losses = objectives(formula_domain, formula_config, **options)["autoencoder"](context(0))
    parts = parts_of(losses)
    assert ("perceptual" in parts) == (weight > 0)
    torch.testing.assert_close(losses.total, parts["reconstruction"] + weight * parts.get("perceptual", 0.0))


class DrawnTerm(torch.nn.Module):
    """A term with weights of its own that are drawn at random."""

    def __init__(self, options: PerceptualConfig) -> None:
        super().__init__()
        self.weights = torch.nn.Linear(2, 2).weight


def test_a_perceptual_term_is_built_from_the_seed_of_the_run_alone(formula_domain, formula_config):
    domain = variant(formula_domain, perceptual=returning({"drawn": DrawnTerm}))
    options = PerceptualConfig(kind="drawn")
    built = []
    for seed in (0, 0, 1):
        torch.rand(3)
        before = torch.get_rng_state()
        config = evolve(formula_config, seed=seed)
        built.append(objectives(domain, config, perceptual=options)["autoencoder"].perceptual.weights)
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(built[0], built[1])
    assert not torch.equal(built[0], built[2])


def test_an_unknown_perceptual_term_is_named_with_the_offered_ones(formula_domain, formula_config):
    with pytest.raises(ConfigError, match=r"autoencoder.perceptual.kind.*'multiscal'.*did you mean 'multiscale'"):
        objectives(formula_domain, formula_config, perceptual=PerceptualConfig(kind="multiscal"))


def test_equivariance_has_its_weight_and_needs_no_patch(formula_domain, formula_config):
    plain = PerceptualConfig(kind="none")
    main = objectives(formula_domain, formula_config, kl=0.0, equivariance=0.4, perceptual=plain)["autoencoder"]
    main.sampler.scattered = True
    losses = main(context(2))
    parts = parts_of(losses)
    assert parts["equivariance"] > 0
    torch.testing.assert_close(losses.total, parts["reconstruction"] + 0.4 * parts["equivariance"])


def test_scattered_queries_take_the_pointwise_loss_alone(formula_domain, formula_config):
    both = objectives(formula_domain, formula_config, adversarial=adversarial(1))
    both["autoencoder"].sampler.scattered = True
    assert list(parts_of(both["autoencoder"](context(9)))) == ["reconstruction", "kl"]
    losses = both["discriminator"](context(9))
    losses.total.backward()
    assert losses.total == 0


@pytest.mark.parametrize("axes", [(), (1,)])
def test_a_patch_beside_scattered_points_carries_the_terms_on_patches(formula_domain, formula_config, axes):
    shape = (4,) * len(formula_domain.layout.axes)
    options = {"kl": 0.0, "equivariance": 0.3, "adversarial": evolve(adversarial(1), axes=axes), "patch": shape}
    both = objectives(formula_domain, formula_config, **options)
    main = both["autoencoder"]
    main.sampler.scattered = True
    _, queries, block = main.draw(context(9))
    assert queries.patch == ()
    assert block.patch == shape
    parts = parts_of(main(context(9)))
    assert list(parts) == ["reconstruction", "kl", "equivariance", "perceptual", "adversarial"]
    assert both["discriminator"](context(9)).total > 0
    # The points and the reconstruction are those of a training without such terms.
    plain = objectives(formula_domain, formula_config)["autoencoder"]
    plain.sampler.scattered = True
    assert torch.equal(plain.draw(context(9))[1].coords, queries.coords)


class Planar(torch.nn.Module):
    """A term on lines that keeps what it gets."""

    axes = 1

    def forward(self, values: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self.got = values.shape
        return (values - targets).abs().mean()


def test_a_term_of_fewer_axes_gets_a_slice_of_the_patch(formula_domain, formula_config):
    main = objectives(formula_domain, formula_config)["autoencoder"]
    main.perceptual = Planar()
    assert "perceptual" in parts_of(main(context(0)))
    _, queries, _ = main.draw(context(0))
    assert main.perceptual.got == (4, queries.targets.shape[2], queries.patch[-1])


@pytest.mark.parametrize("beside", [False, True])
def test_a_patch_that_is_too_small_for_a_term_names_the_setting_of_its_size(formula_domain, formula_config, beside):
    axes = len(formula_domain.layout.axes)
    main = objectives(formula_domain, formula_config, points=4**axes, patch=(4,) * axes if beside else ())[
        "autoencoder"
    ]
    main.perceptual = Planar()
    main.perceptual.smallest = 4
    assert "perceptual" in parts_of(main(context(0)))
    main.perceptual.smallest = 9
    fix = (
        rf"autoencoder\.patch to \[{'4, ' * (axes - 1)}9\]"
        if beside
        else rf"autoencoder\.points to at least {9**axes},"
    )
    with pytest.raises(ConfigError, match=rf"kind = 'multiscale' needs patches of 9 cells .* have 4\. Fix: set {fix}"):
        main(context(0))


def test_a_patch_is_refused_if_the_sampler_has_none(formula_domain, formula_config):
    main = objectives(formula_domain, formula_config, patch=(4,))["autoencoder"]
    main.sampler = PointSampler()
    main.sampler.sample = lambda signal, n, generator: None
    with pytest.raises(ConfigError, match=r"autoencoder\.patch=\[4\] cannot act: .*autoencoder\.patch=\[\]"):
        main.draw(context(0))


def test_without_balance_adversarial_terms_have_their_weights(formula_domain, formula_config):
    options = evolve(adversarial(5, weight=0.3), adaptive=False, features=0.7)
    both = objectives(formula_domain, formula_config, adversarial=options)
    perturbed(both["discriminator"])
    main = both["autoencoder"]
    losses = main(context(5))
    parts = parts_of(losses)
    added = 0.3 * parts["adversarial"] + 0.7 * parts["features"]
    torch.testing.assert_close(losses.total, objective_before(main).total + added)
    assert parts["features"] > 0


def test_the_adversarial_term_joins_at_its_start(formula_domain, formula_config):
    both = objectives(formula_domain, formula_config, adversarial=adversarial(start=5))
    assert both["discriminator"].start == 5
    assert "adversarial" not in parts_of(both["autoencoder"](context(4)))
    assert "adversarial" in parts_of(both["autoencoder"](context(5)))


def test_the_discriminator_has_a_rate_of_its_own(formula_domain, formula_config):
    training = evolve(formula_config.autoencoder.training, rate=4e-3)
    options = {"training": training, "adversarial": evolve(adversarial(1), rate=1e-3)}
    both = objectives(formula_domain, formula_config, **options)
    assert both["discriminator"].rate == pytest.approx(0.25)
    assert both["autoencoder"].rate == 1.0
    assert both["discriminator"].size == both["autoencoder"].size


def test_a_perceptual_term_is_not_trained(formula_domain, formula_config):
    domain = variant(formula_domain, perceptual=returning({"drawn": DrawnTerm}))
    main = objectives(domain, formula_config, perceptual=PerceptualConfig(kind="drawn"))["autoencoder"]
    assert not any(weight.requires_grad for weight in main.perceptual.parameters())


def test_without_a_start_there_is_no_discriminator(formula_domain, formula_config):
    assert list(objectives(formula_domain, formula_config)) == ["autoencoder"]


def test_each_objective_trains_its_own_weights_alone(formula_domain, formula_config):
    both = objectives(formula_domain, formula_config, adversarial=adversarial(start=1))
    generator, discriminator = both["autoencoder"], both["discriminator"]
    own, other = list(generator.parameters()), list(discriminator.parameters())
    assert not {id(p) for p in own} & {id(p) for p in other}
    generator(context(5)).total.backward()
    assert all(p.grad is None for p in other)
    assert any(p.grad is not None and p.grad.any() for p in own)
    generator.zero_grad(set_to_none=True)
    discriminator(context(5)).total.backward()
    assert all(p.grad is None for p in own)
    assert all(p.grad is not None for p in other)


def test_the_adversarial_gradient_at_the_last_layer_is_the_weight_times_the_other_losses_gradient(
    formula_domain, formula_config
):
    both = objectives(formula_domain, formula_config, adversarial=adversarial(start=5, weight=0.5))
    perturbed(both["discriminator"])
    main = both["autoencoder"]
    head = main.trained.readout.head.weight
    (without,) = torch.autograd.grad(objective_before(main).total, head)
    (with_it,) = torch.autograd.grad(main(context(5)).total, head)
    added = (with_it - without).norm()
    assert (added / without.norm()).item() == pytest.approx(0.5, rel=0.02)


def test_the_adversarial_term_is_minus_the_mean_logit_so_its_descent_makes_rendered_patches_look_real(
    formula_domain, formula_config
):
    both = objectives(formula_domain, formula_config, adversarial=adversarial(start=5))
    main, discriminator = both["autoencoder"], perturbed(both["discriminator"])

    def mean_logit() -> torch.Tensor:
        generator = generator_for(0, "test", 5)
        signal = main.signals.batch((0, 3, 5, 6), generator)
        queries = main.sampler.sample(signal, main.config.points, generator)
        field = main.trained.decode(main.trained.encode(signal).sample(generator))
        patch = as_patch(main.renderer.observe(field, queries), queries.patch)
        return discriminator.trained([(patch, patch[:, :0])])[0][-1].mean()

    before, term = mean_logit(), parts_of(main(context(5)))["adversarial"]
    torch.testing.assert_close(term, -before)
    weights = list(main.parameters())
    # The whole objective, less everything but its adversarial term: the sign with which the term enters the sum.
    share = main(context(5)).total - objective_before(main).total
    gradients = torch.autograd.grad(share, weights, allow_unused=True)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight -= 1e-3 * gradient / (1e-6 + gradient.norm())
    assert mean_logit() > before


def objective_before(main):
    """The losses of step 5, as if the discriminator had not joined."""
    discriminator, main.discriminator = main.discriminator, []
    try:
        return main(context(5))
    finally:
        main.discriminator = discriminator


def test_the_discriminator_learns_to_tell_rendered_from_real(formula_domain, formula_config):
    discriminator = objectives(formula_domain, formula_config, adversarial=adversarial(start=1))["discriminator"]
    optimiser = torch.optim.Adam(discriminator.trained.parameters(), lr=5e-3)
    losses = []
    for step in range(40):
        loss = discriminator(context(step)).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_some_steps_lower_the_loss_with_every_term_on(formula_domain, formula_config):
    main = objectives(formula_domain, formula_config, equivariance=0.1)["autoencoder"]
    optimiser = torch.optim.Adam(main.parameters(), lr=5e-3)

    def held() -> float:
        with torch.no_grad():
            return sum(float(main(context(1000 + step)).total) for step in range(4))

    before = held()
    for step in range(40):
        loss = main(context(step)).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert held() < 0.8 * before


class Weighted:
    """A sampler whose weights are zero in the first half of the queries, with the targets that are given there."""

    def __init__(self, sampler, fill: float, weight: float = 1.0) -> None:
        self.sampler, self.fill, self.weight = sampler, fill, weight

    def sample(self, signal, n, generator) -> Queries:
        queries = self.sampler.sample(signal, n, generator)
        weights = self.weight * (torch.arange(queries.coords.shape[1]) >= queries.coords.shape[1] // 2).float()[None]
        targets = torch.where(weights[..., None] > 0, queries.targets, self.fill)
        return evolve(queries, targets=targets, weights=weights)


@pytest.mark.parametrize("patch", [True, False])
def test_queries_of_weight_zero_have_no_influence(formula_domain, formula_config, patch):
    """Whatever their targets: on all terms, on gradients, and on those of the discriminator."""
    options = {"perceptual": PerceptualConfig(weight=0.7), "equivariance": 0.3, "adversarial": adversarial(1)}
    both = objectives(formula_domain, formula_config, **options)
    main, plain = both["autoencoder"], both["autoencoder"].sampler
    plain.scattered = not patch
    found = []
    for fill, weight in ((0.0, 1.0), (1e4, 1.0), (-3.0, 5.0)):
        main.sampler = Weighted(plain, fill, weight)
        losses, other = main(context(3)), both["discriminator"](context(3))
        assert ("adversarial" in parts_of(losses)) == patch
        gradients = torch.autograd.grad(losses.total, list(main.parameters()), allow_unused=True)
        found.append([losses.total, other.total, *(g for g in gradients if g is not None)])
    for more in found[1:]:
        torch.testing.assert_close(more, found[0])


def test_the_loss_is_the_mean_over_the_sum_of_the_weights():
    errors = torch.rand(2, 6, generator=torch.Generator().manual_seed(0))
    half = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    torch.testing.assert_close(weighted_mean(errors, half), errors[:, :3].mean())
    torch.testing.assert_close(weighted_mean(errors, half.bool()), errors[:, :3].mean())
    uneven = torch.tensor([[3.0], [1.0]])
    torch.testing.assert_close(weighted_mean(errors, uneven), (3 * errors[0].mean() + errors[1].mean()) / 4)
    assert torch.equal(weighted_mean(errors, torch.ones(1, 1)), errors.mean())
    assert weighted_mean(errors.requires_grad_(), torch.zeros(1, 6)) == 0


def test_draws_move_with_their_shapes_to_the_device(formula_domain, formula_config):
    main = objectives(formula_domain, formula_config)["autoencoder"]
    signal, queries, block = main.draw(StepContext(0, (0, 1), generator_for(0), torch.device("meta")))
    assert block is queries
    assert signal.values.is_meta
    assert isinstance(queries, Queries)
    assert queries.coords.is_meta
    assert len(queries.patch) == len(formula_domain.layout.axes)


def _never_flips() -> torch.Generator:
    """A generator whose first draw augments nothing."""
    for seed in range(100):
        if torch.rand((), generator=torch.Generator().manual_seed(seed)) >= 0.5:
            return torch.Generator().manual_seed(seed)
    raise AssertionError
