"""Parts of a wrong type: named with the method, what it returned, and what is right."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pytest
import torch
from PIL import Image

from ddmi_core.api import Split
from ddmi_core.autoencoder.config import AutoencoderConfig
from ddmi_core.errors import PluginError
from ddmi_core.grids.sampler import GridSampler
from ddmi_core.model.build import autoencoder_objectives, build_autoencoder, build_condition
from ddmi_core.model.data import load_data
from ddmi_core.parts.domain_parts import DomainParts, build_parts, implementation
from ddmi_core.runs import rehearsal
from ddmi_core.settings.resolve import resolve
from formula_domains import WAVE, Waves, WaveSettings
from variants import returning, variant

ONE = Image.new("1", (1, 1))
CALLS = {
    "presets": (),
    "sources": (),
    "channels": (),
    "observed": (),
    "conditions": (),
    "encoder": (AutoencoderConfig(),),
    "decoder": (AutoencoderConfig(),),
    "loss": (torch.zeros(1, 2, 1), torch.zeros(1, 2, 1)),
    "likelihood": (),
    "limits": (),
    "perceptual": (),
    "metrics": (),
    "evaluations": (),
    "field_features": (None,),
    "signal_features": (None,),
    "pictures": (None,),
    "signal_pictures": (None,),
    "paper_protocol": (),
    "exporters": (),
    "picture": (None,),
    "pixels": (None,),
    "report_views": (),
    "contact_sheet": (None, None, None, ()),
    "still": (None,),
    "panel": (),
    "simplifier": (100,),
}
WRONG = [
    ("sources", ["formulas"], "a list", "a function (location, settings) -> Split"),
    ("sources", {}, "no entry", "a function (location, settings) -> Split"),
    ("sources", {"formulas": 3}, "an int for 'formulas'", "a function (location, settings) -> Split"),
    ("channels", "v", "a str", "a tuple of names"),
    ("observed", (1,), "an int as entry 0", "a tuple of names"),
    ("conditions", {"pitch": "text"}, "a str for 'pitch'", "functions () -> Condition"),
    ("encoder", None, "None", "a ddmi_core.api.Encoder"),
    ("encoder", torch.nn.Identity, "the class Identity", "a ddmi_core.api.Encoder"),
    ("decoder", (), "a tuple", "a ddmi_core.api.BasisFieldDecoder"),
    ("decoder", torch.nn.Identity(), "an Identity, which has no channels", "a ddmi_core.api.BasisFieldDecoder"),
    ("loss", 0.5, "a float", "a torch.Tensor (B, N)"),
    ("likelihood", "normal", "'normal'", '"gaussian" or "bernoulli"'),
    ("limits", (1.0, -1.0), "(1.0, -1.0)", "the lowest and the highest value, (low, high)"),
    ("limits", None, "None", "the lowest and the highest value, (low, high)"),
    ("perceptual", {1: print}, "the name 1", "functions (PerceptualConfig) -> nn.Module"),
    ("metrics", {"rmse": None}, "None for 'rmse'", "functions (fields, signal, renderer) -> Tensor (B,)"),
    ("evaluations", [], "a list", "functions (model, split, count, seed) -> Sequence[Figure]"),
    ("field_features", None, "None", "a torch.Tensor (B, F)"),
    ("signal_features", [0.1], "a list", "a torch.Tensor (B, F)"),
    ("pictures", [0.1], "a list", "(B, 3, T, H, W), or None"),
    ("signal_pictures", torch.zeros(2, 1, 8, 8), "a torch.Tensor of shape (2, 1, 8, 8)", "(B, 3, T, H, W), or None"),
    ("paper_protocol", "FID", "a str", "a ddmi_core.api.PaperProtocol, or None"),
    ("exporters", {}, "no entry", "a function (artefact, path) -> None"),
    ("picture", torch.zeros(1), "a Tensor", "a PIL.Image.Image, or a sequence of them"),
    ("picture", [ONE, None], "None as entry 1", "a PIL.Image.Image, or a sequence of them"),
    ("picture", [], "no picture", "a PIL.Image.Image, or a sequence of them"),
    ("pixels", [[0]], "a list", "a uint8 array (H, W, C) or (frames, H, W, C), or None"),
    ("pixels", np.zeros((4, 4, 3)), "an array of float64 of shape (4, 4, 3)", "(frames, H, W, C), or None"),
    ("report_views", [32, 64], "an int as entry 0", "pairs of a label and a view"),
    ("contact_sheet", {"seen": ONE}, "an Image for 'seen'", "labels with rows of PIL.Image.Image"),
    ("still", [ONE], "a list", "a PIL.Image.Image"),
    ("panel", None, "None", "a ddmi_core.api.Panel"),
    ("simplifier", None, "None", "a function (artefact) -> artefact"),
]


def built(domain):
    return build_parts(domain, WaveSettings())


@pytest.mark.parametrize(("name", "value", "what", "right"), WRONG)
def test_a_wrong_value_is_named_with_what_is_right(name, value, what, right):
    parts = built(variant(WAVE, **{name: lambda self, *_: value}))
    with pytest.raises(PluginError) as caught:
        getattr(parts, name)(*CALLS[name])
    assert str(caught.value).startswith(f"domain 'wave': Variant{Waves.__name__}.{name} returned {what}. Fix: return ")
    assert str(caught.value).endswith(right)


def test_all_methods_with_a_type_of_their_own_are_checked():
    # They return what only the domain knows, or nothing.
    free = {"read", "restored", "blank", "ground_truth", "original", "rows", "parse_view", "preflight"}
    checked = {name for name, *_ in WRONG} | {"presets"}
    own = {name for name, value in vars(DomainParts).items() if callable(value) or isinstance(value, classmethod)}
    assert {name for name in own if not name.startswith("_")} - free == checked


@pytest.mark.parametrize("name", ["sampler", "renderer"])
@pytest.mark.parametrize("kind", [cached_property, property])
def test_a_wrong_sampler_or_renderer_is_named(name, kind):
    def wrong(self):
        return GridSampler

    for _ in range(2):  # a refused value is not kept
        with pytest.raises(PluginError, match=rf"VariantWaves\.{name} returned the class GridSampler. Fix: return a"):
            getattr(built(variant(WAVE, **{name: kind(wrong)})), name)


def test_a_part_that_is_a_class_attribute_is_checked_where_it_is_defined():
    sampler = GridSampler(WAVE.layout)
    assert built(variant(WAVE, sampler=sampler)).sampler is sampler
    with pytest.raises(TypeError, match=r"VariantWaves\.sampler is an int\. Fix: make it a ddmi_core\.api\.Coordinate"):
        variant(WAVE, sampler=3)


def test_presets_are_checked():
    with pytest.raises(PluginError, match=r"VariantWaves\.presets returned an int for 'quick'\. Fix: return names"):
        resolve(variant(WAVE, presets=classmethod(returning({"quick": 3}))))


@pytest.mark.parametrize("name", ["exporters", "loss", "presets"])
def test_a_value_in_place_of_a_method_is_named(name):
    with pytest.raises(PluginError, match=rf"VariantWaves\.{name} is a dict, not a method\. Fix: def {name}\(self\)"):
        implementation(variant(WAVE, **{name: {}}))


def test_right_values_pass_unchanged_and_cached_parts_stay():
    values = {"exporters": {".txt": print}, "picture": [ONE, ONE], "channels": ("v",), "metrics": {"m": print}}
    parts = built(variant(WAVE, **{name: lambda self, *_, name=name: values[name] for name in values}))
    for name, value in values.items():
        assert getattr(parts, name)(*CALLS[name]) is value
    assert parts.sampler is parts.sampler
    assert Waves.sources.__name__ == "sources"


# What the functions in mappings return


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (([], []), "source 'formulas' returned a tuple. Fix: return a ddmi_core.api.Split"),
        (Split([1], [2]), "source 'formulas', in its Split, returned a list. Fix: return a ddmi_core.api.SignalSet"),
    ],
)
def test_a_source_returns_a_split_of_sets(value, told):
    wave = variant(WAVE, sources=returning({"formulas": lambda location, settings: value}))
    with pytest.raises(PluginError) as caught:
        load_data(built(wave), "")
    assert str(caught.value) == f"domain 'wave': {told}"


def test_conditions_and_perceptual_terms_are_checked():
    wave = variant(WAVE, conditions=returning({"pitch": dict}), perceptual=returning({"mine": lambda options: print}))
    settings = ["diffusion.condition=pitch", "autoencoder.perceptual.kind=mine"]
    config = resolve(wave, overrides=settings)
    parts = build_parts(wave, config.domain)
    with pytest.raises(PluginError, match=r"condition 'pitch' returned a dict\. Fix: return a ddmi_core\.api\.Cond"):
        build_condition(parts, config)
    with pytest.raises(PluginError, match=r"perceptual term 'mine' returned a builtin_function\w+\. Fix: return"):
        autoencoder_objectives(parts, config, build_autoencoder(parts, config), load_data(parts, ""))


@pytest.mark.parametrize(
    ("value", "told"), [(0.5, "it returns a float"), (torch.zeros(2, 3), r"it returns shape \(2, 3\)")]
)
def test_metrics_are_checked_before_training(value, told):
    wave = variant(WAVE, presets=Waves.presets, metrics=returning({"mine": lambda *_: value}))
    config = resolve(wave)
    parts = build_parts(wave, config.domain)
    with pytest.raises(PluginError, match=rf"the metric 'mine' fails.*{told}; it must return a tensor \(B,\)"):
        rehearsal.rehearse(parts, config, load_data(parts, ""), None)
