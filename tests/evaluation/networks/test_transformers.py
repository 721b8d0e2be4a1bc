"""CLIP and DINOv2 by the published names, against plain computations, and the CLIP score."""

from __future__ import annotations

import json
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from ddmi_core.errors import DataError, RequestError
from ddmi_core.evaluation.networks import clip, clip_score, clip_score_figures
from ddmi_core.evaluation.networks.description import described
from ddmi_core.evaluation.networks.dinov2 import DinoV2
from ddmi_core.evaluation.networks.file_network import FileNetwork
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings
from feature_networks import NvidiaInception, clip_shapes, dinov2_shapes, random_state, scripted

PARTS = ImageParts(IMAGE, ImageSettings(size=24, multiples=(1.0,)))
SMALL = clip_shapes(width=128, patch=8, side=4, layers=2, narrow=64, context=9, words=12, features=16)
FILE = "open_clip_pytorch_model.bin"
WORDS = ["[UNK]", "a", "red", "blue", "ball", "box", "[S]", "[E]"]


def plain_tower(state, prefix, tokens, heads, mask, quick):
    """Layers of CLIP as in arXiv 2103.00020: pre-norm attention and MLP."""
    for layer in range(2):
        own = {
            key.split(f"resblocks.{layer}.")[1]: value
            for key, value in state.items()
            if f"resblocks.{layer}." in key and key.startswith(prefix)
        }
        normed = F.layer_norm(tokens, tokens.shape[-1:], own["ln_1.weight"], own["ln_1.bias"])
        query, key, value = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in F.linear(normed, own["attn.in_proj_weight"], own["attn.in_proj_bias"]).chunk(3, dim=-1)
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + mask
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        tokens = tokens + F.linear(mixed, own["attn.out_proj.weight"], own["attn.out_proj.bias"])
        normed = F.layer_norm(tokens, tokens.shape[-1:], own["ln_2.weight"], own["ln_2.bias"])
        hidden = F.linear(normed, own["mlp.c_fc.weight"], own["mlp.c_fc.bias"])
        hidden = hidden * torch.sigmoid(1.702 * hidden) if quick else F.gelu(hidden)
        tokens = tokens + F.linear(hidden, own["mlp.c_proj.weight"], own["mlp.c_proj.bias"])
    return tokens


def plain_pictures(state, pictures, quick):
    """Features of the image tower."""
    cells = F.conv2d(pictures, state["visual.conv1.weight"], stride=8).flatten(2).transpose(1, 2)
    tokens = torch.cat([state["visual.class_embedding"].expand(len(cells), 1, -1), cells], dim=1)
    tokens = tokens + state["visual.positional_embedding"]
    tokens = F.layer_norm(tokens, (128,), state["visual.ln_pre.weight"], state["visual.ln_pre.bias"])
    tokens = plain_tower(state, "visual.", tokens, 2, torch.zeros(()), quick)
    found = F.layer_norm(tokens[:, 0], (128,), state["visual.ln_post.weight"], state["visual.ln_post.bias"])
    return found @ state["visual.proj"]


def plain_texts(state, ids, quick):
    """Features of the text tower, at the highest id."""
    tokens = state["token_embedding.weight"][ids] + state["positional_embedding"][: ids.shape[1]]
    mask = torch.full((ids.shape[1], ids.shape[1]), float("-inf")).triu(1)
    tokens = plain_tower(state, "transformer.", tokens, 1, mask, quick)
    tokens = F.layer_norm(tokens, (64,), state["ln_final.weight"], state["ln_final.bias"])
    return tokens[torch.arange(len(ids)), ids.argmax(dim=1)] @ state["text_projection"]


def tokenizer(folder):
    tokenizers = pytest.importorskip("tokenizers")
    ids = {word: number for number, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(import_module("tokenizers.models").WordLevel(ids, unk_token=WORDS[0]))
    made.pre_tokenizer = import_module("tokenizers.pre_tokenizers").Whitespace()
    pair = [(word, ids[word]) for word in WORDS[-2:]]
    made.post_processor = import_module("tokenizers.processors").TemplateProcessing(
        single="[S] $A [E]", special_tokens=pair
    )
    made.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def state():
    pytest.importorskip("transformers")
    return random_state(SMALL)


def stored(folder, state, quick):
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_config.json").write_text(
        json.dumps(
            {"model_cfg": {"quick_gelu": quick, "vision_cfg": {}, "text_cfg": {"heads": 1}}, "preprocess_cfg": {}}
        )
    )
    tokenizer(folder)
    return FileNetwork(described("clip", folder), PARTS)


def pixels(count=3):
    return 2 * torch.rand((count, 3, 24, 24), generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize("quick", [True, False])
def test_clip_of_open_clip_is_a_plain_computation(quick, state, tmp_path):
    network = stored(tmp_path / "clip", state, quick)
    given = network.description.input(pixels())
    assert given.shape == (3, 3, 32, 32)
    found = network.of_pictures(pixels())
    torch.testing.assert_close(found, plain_pictures(state, given, quick), atol=1e-4, rtol=1e-4)
    assert (found - plain_pictures(state, given, not quick)).abs().max() > 1e-3
    texts = ["red ball", "a blue box a blue box a blue box"]  # the second is cut to nine tokens
    ids = torch.tensor([[6, 2, 4, 7, 0, 0, 0, 0, 0], [6, 1, 3, 5, 1, 3, 5, 1, 7]])
    torch.testing.assert_close(network.function.of_texts(texts), plain_texts(state, ids, quick), atol=1e-4, rtol=1e-4)
    assert "transformers" in network.record["versions"]


def test_the_score_is_the_cosine_of_pictures_and_texts(state, tmp_path):
    network = stored(tmp_path / "clip", state, True)
    rows, texts = network.of_pictures(pixels(4)), ["red ball", "blue box"]
    described = network.function.of_texts(texts)
    each = F.cosine_similarity(rows, described.repeat_interleave(2, dim=0), dim=1).clamp(min=0) * 100
    torch.testing.assert_close(clip_score(network, rows, texts), each.reshape(2, 2).mean(dim=1))
    with pytest.raises(RequestError, match="'inception' has no text tower"):
        clip_score(FileNetwork(described_inception(tmp_path), PARTS), rows, texts)


def described_inception(folder):
    return described("inception", scripted(NvidiaInception(), folder / "a.pt"))


def test_the_layout_of_transformers_gives_the_same(state, tmp_path):
    network = stored(tmp_path / "clip", state, True)
    folder = tmp_path / "transformers"
    folder.mkdir()
    model = network.function.model
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(model.config.to_dict(), default=str))
    tokenizer(folder)
    other = FileNetwork(described("clip", folder), PARTS)
    assert torch.equal(other.of_pictures(pixels()), network.of_pictures(pixels()))
    assert torch.equal(other.function.of_texts(["a box"]), network.function.of_texts(["a box"]))


def test_the_published_names_of_clip_fill_the_network():
    models = pytest.importorskip("transformers.models.clip")
    shapes = clip_shapes(width=768, patch=32, side=7, layers=12, narrow=512, context=77, words=49408, features=512)
    given = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    configuration = clip._configuration_of(given, {"quick_gelu": True})
    with torch.device("meta"):
        own = models.CLIPModel(models.CLIPConfig(**configuration)).state_dict()
    assert {name: value.shape for name, value in clip._renamed(given)} == {k: v.shape for k, v in own.items()}
    assert sum(value.numel() for value in given.values()) == 151277313  # of ViT-B/32


def test_what_clip_needs_beside_its_weights_is_asked_for(state, tmp_path):
    torch.save(state, tmp_path / "weights.bin")
    with pytest.raises(
        DataError, match=r"nothing tells whether this network has GELU or QuickGELU. Fix: put the open_"
    ):
        FileNetwork(described("clip", tmp_path / "weights.bin"), PARTS)
    with pytest.raises(DataError, match=r"no weights of CLIP; the folder must hold one of model\.safetensors"):
        described("clip", tmp_path)
    network = stored(tmp_path / "clip", state, True)
    (tmp_path / "clip" / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"tokenizer\.json: no usable tokenizer.*beside its weights"):
        network.function.of_texts(["a box"])
    torch.save({"visual.conv1.weight": torch.zeros(1)}, tmp_path / "half.bin")
    with pytest.raises(DataError, match="not the weights of a CLIP model with a vision transformer"):
        described("clip", tmp_path / "half.bin")


def test_dinov2_is_a_plain_computation():
    state = random_state(dinov2_shapes(channels=128, patch=14, side=3, layers=2))
    own = DinoV2(state).eval()
    own.load_state_dict(state)
    pictures = torch.randn(2, 3, 42, 42, generator=torch.Generator().manual_seed(0))
    cells = F.conv2d(pictures, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    tokens = torch.cat([state["cls_token"].expand(2, 1, -1), cells.flatten(2).transpose(1, 2)], dim=1)
    tokens = tokens + state["pos_embed"]
    for layer in range(2):
        place = f"blocks.{layer}."
        its = {name.removeprefix(place): value for name, value in state.items() if name.startswith(place)}
        normed = F.layer_norm(tokens, (128,), its["norm1.weight"], its["norm1.bias"], eps=1e-6)
        query, key, value = (
            part.unflatten(-1, (2, 64)).transpose(1, 2)
            for part in F.linear(normed, its["attn.qkv.weight"], its["attn.qkv.bias"]).chunk(3, dim=-1)
        )
        mixed = ((query @ key.transpose(-1, -2) / 8).softmax(-1) @ value).transpose(1, 2).flatten(2)
        tokens = tokens + its["ls1.gamma"] * F.linear(mixed, its["attn.proj.weight"], its["attn.proj.bias"])
        normed = F.layer_norm(tokens, (128,), its["norm2.weight"], its["norm2.bias"], eps=1e-6)
        hidden = F.gelu(F.linear(normed, its["mlp.fc1.weight"], its["mlp.fc1.bias"]))
        tokens = tokens + its["ls2.gamma"] * F.linear(hidden, its["mlp.fc2.weight"], its["mlp.fc2.bias"])
    expected = F.layer_norm(tokens, (128,), state["norm.weight"], state["norm.bias"], eps=1e-6)[:, 0]
    with torch.no_grad():
        torch.testing.assert_close(own(pictures), expected, atol=1e-4, rtol=1e-4)


def test_dinov2_resizes_positions_as_its_hub():
    state = random_state(dinov2_shapes(channels=64, patch=14, side=5, layers=1))
    own = DinoV2(state).eval()
    own.load_state_dict(state)
    grid = state["pos_embed"][:, 1:].reshape(1, 5, 5, 64).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, scale_factor=(3.1 / 5, 4.1 / 5), mode="bicubic")
    found = own._positions(3, 4)
    assert torch.equal(found[:, :1], state["pos_embed"][:, :1])
    torch.testing.assert_close(found[:, 1:].transpose(1, 2).reshape(1, 64, 3, 4), expected)
    exact = F.interpolate(grid, size=(3, 4), mode="bicubic")
    assert (expected - exact).abs().max() > 1e-3  # which a resize to the size would not give


def test_dinov2_has_the_published_names_and_gets_normalised_pictures(tmp_path):
    shapes = dinov2_shapes(channels=768, patch=14, side=37, layers=12)
    with torch.device("meta"):
        own = DinoV2({name: torch.empty(shape) for name, shape in shapes.items()}).state_dict()
    assert {name: tuple(value.shape) for name, value in own.items()} == shapes
    assert sum(value.numel() for value in own.values()) == 86580480  # of ViT-B/14
    state = random_state(dinov2_shapes(channels=64, patch=14, side=5, layers=1))
    torch.save(state, tmp_path / "dinov2_vits14_pretrain.pth")
    network = FileNetwork(described("dinov2", tmp_path / "dinov2_vits14_pretrain.pth"), PARTS)
    network.check()
    white = network.description.input(torch.ones(1, 3, 24, 24))
    assert white.shape == (1, 3, 224, 224)
    assert white[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-3)  # white, normalised
    torch.save(random_state(SMALL), tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"not the weights of DINOv2: without patch_embed\.proj\.weight"):
        FileNetwork(described("dinov2", tmp_path / "other.pth"), PARTS)


def test_the_score_of_a_model_is_beside_that_of_samples_without_text_and_of_real_data(state, tmp_path):
    clip_network = stored(tmp_path / "clip", state, True)
    shown = SimpleNamespace(name="captioned")
    domain = SimpleNamespace(domain=shown, pictures=lambda fields: fields, signal_pictures=lambda signal: signal)
    network = FileNetwork(clip_network.description, domain)
    known = {"red ball": pixels(3)[:1], "blue box": pixels(3)[1:2]}
    chance = pixels(3)[2:].expand(2, -1, -1, -1)
    model = SimpleNamespace(
        condition=object(),
        renderer=None,
        sample=lambda n, seed, condition: known[condition],
        sample_parts=lambda n, seed: iter(chance.split(2)),
    )
    held = SimpleNamespace(
        captions=[("red ball", "blue box"), ("blue box",), ()], batch=lambda numbers: pixels(3)[numbers]
    )
    split = SimpleNamespace(held_out=held)
    drawn, real = clip_score_figures(model, [network], split, 5, 0, {"data": "x"})

    def score(shown, text):
        return clip_score(network, network.of_pictures(shown), [text]).item()

    assert (drawn.name, real.name) == ("clip_score", "clip_score_of_real")
    assert drawn.value == pytest.approx(sum(score(known[text], text) for text in known) / 2, rel=1e-5)
    assert real.value == pytest.approx(sum(score(pixels(3)[:1], text) for text in known) / 2, rel=1e-5)
    without = sum(score(chance[:1], text) for text in known) / 2
    assert drawn.protocol["without the text"] == pytest.approx(without, rel=1e-5)
    assert (drawn.protocol["n"], drawn.protocol["data"], drawn.protocol["network"]["file"]) == (2, "x", FILE)
    assert clip_score_figures(model, [], split, 5, 0, {}) == []
    assert clip_score_figures(SimpleNamespace(condition=None), [network], split, 5, 0, {}) == []
