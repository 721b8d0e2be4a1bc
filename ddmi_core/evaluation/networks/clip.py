"""CLIP (arXiv 2103.00020): both towers from one file, and the CLIP score of samples for texts (arXiv 2104.08718)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddmi_core.errors import DataError, RequestError, first_line
from ddmi_core.evaluation.networks.input import PICTURES, Input
from ddmi_core.network_files import TORCHSCRIPT, file_format, load_into, load_state, load_torchscript

FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CONFIG, OPEN_CONFIG, TOKENIZER = "config.json", "open_clip_config.json", "tokenizer.json"
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HEAD = 64  # channels of a head, unless the configuration says otherwise
_SIZES = ("input_resolution", "context_length", "vocab_size")  # numbers among the weights of OpenAI's archives


def clip_file(path: Path) -> Path:
    """The file of the weights: the path itself, or the first of `FILES` in a folder.

    Raises:
        DataError: if there is none.
    """
    if not path.is_dir():
        return path
    found = next((path / name for name in FILES if (path / name).is_file()), None)
    if found is None:
        raise DataError(f"{path}: no weights of CLIP; the folder must hold one of {', '.join(FILES)}")
    return found


class Clip(nn.Module):
    """Pictures `(B, 3, S, S)` to the features `(B, P)` of the image tower, before normalisation.

    Weights are those of OpenAI's archives, of open_clip, or of the transformers layout; the network is that of
    transformers. The tokenizer is `tokenizer.json` beside the weights.

    Args:
        path: of the weights.

    Raises:
        DataError: if the file holds other weights, or nothing tells which GELU the network has.
        RequestError: if transformers is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        if find_spec("transformers") is None:
            raise RequestError(f"{path}: CLIP requires an extra. Fix: pip install 'ddmi[text]'")
        clip = import_module("transformers.models.clip")
        if in_transformers_layout(path):
            state = {name: value for name, value in load_state(path).items() if not name.endswith("position_ids")}
            config = clip.CLIPConfig.from_dict(_json(path.parent / CONFIG))
        else:
            given = _weights(path)
            state, config = dict(_renamed(given)), clip.CLIPConfig(**_configuration(given, path))
        weights = {name: value.float() for name, value in state.items()}
        self.model: Any = load_into(clip.CLIPModel(config), weights, path)
        self.path, self.longest = path, int(config.text_config.max_position_embeddings)

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures."""
        found: Tensor = self.model.visual_projection(self.model.vision_model(pixel_values=pictures).pooler_output)
        return found

    @torch.no_grad()
    def of_texts(self, texts: Sequence[str]) -> Tensor:
        """Features `(len(texts), P)` of the text tower, before normalisation.

        Raises:
            DataError: if there is no tokenizer beside the weights.
        """
        rows = [torch.tensor(entry.ids) for entry in self._tokenizer().encode_batch(list(texts))]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(next(self.parameters()).device)
        found: Tensor = self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output)
        return found

    def _tokenizer(self) -> Any:
        place = self.path.parent / TOKENIZER
        try:
            found = import_module("tokenizers").Tokenizer.from_file(str(place))
        except Exception as error:  # the package raises bare exceptions
            raise DataError(
                f"{place}: no usable tokenizer: {first_line(error)}. Fix: put the tokenizer.json of the model beside "
                "its weights"
            ) from error
        found.enable_truncation(self.longest)
        found.no_padding()
        return found


@torch.no_grad()
def text_similarity(tower: Clip, rows: Tensor, texts: Sequence[str]) -> Tensor:
    """`100 max(cos, 0)` of image and text features (CLIPScore, arXiv 2104.08718, without its factor 2.5): `(N,)`.

    Args:
        tower: whose image features the rows are.
        rows: `(N * K, P)`, of K pictures for each text; the result is their mean.
        texts: N texts.
    """
    described = F.normalize(tower.of_texts(texts).cpu(), dim=1)
    seen = F.normalize(rows, dim=1).unflatten(0, (len(texts), -1))  # type: ignore[no-untyped-call]
    found: Tensor = 100 * torch.einsum("nkp,np->nk", seen, described).clamp(min=0).mean(dim=1)
    return found


def clip_input(path: Path) -> Input:
    """What the image tower takes: its size, and the mean and deviation of OpenAI unless a file beside it names others.

    Args:
        path: of the weights.
    """
    given: Mapping[str, Any] = {}
    if in_transformers_layout(path):
        size = int(_json(path.parent / CONFIG).get("vision_config", {}).get("image_size", 224))
    else:
        state = _weights(path)
        size = isqrt(len(state["visual.positional_embedding"]) - 1) * state["visual.conv1.weight"].shape[-1]
        if (path.parent / OPEN_CONFIG).is_file():
            given = _json(path.parent / OPEN_CONFIG).get("preprocess_cfg", {})
    return Input(
        takes=PICTURES,
        range=(0, 1),
        size=size,
        filter="bicubic",
        crop=True,
        mean=tuple(given.get("mean", MEAN)),
        deviation=tuple(given.get("std", DEVIATION)),
    )


def in_transformers_layout(path: Path) -> bool:
    """Whether weights have a configuration of transformers beside them, and not their name in open_clip."""
    return not path.name.startswith("open_clip") and (path.parent / CONFIG).is_file()


def _weights(path: Path) -> Mapping[str, Tensor]:
    """Weights by the names of OpenAI and open_clip."""
    found = load_torchscript(path).state_dict() if file_format(path) == TORCHSCRIPT else load_state(path)
    found = {name: value for name, value in found.items() if name not in _SIZES}
    needed = ("visual.conv1.weight", "visual.positional_embedding", "visual.proj", "text_projection", "ln_final.weight")
    if missing := [name for name in needed if name not in found]:
        raise DataError(f"{path}: not the weights of a CLIP model with a vision transformer: without {missing[0]}")
    return found


def _configuration(state: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Arguments of `CLIPConfig` from shapes, and from the configuration of open_clip if it is there."""
    own = _json(path.parent / OPEN_CONFIG)["model_cfg"] if (path.parent / OPEN_CONFIG).is_file() else None
    if own is None and file_format(path) != TORCHSCRIPT:
        raise DataError(
            f"{path}: nothing tells whether this network has GELU or QuickGELU. Fix: put the {OPEN_CONFIG} of the "
            "model beside it, or give the archive of OpenAI, or a folder in the layout of transformers"
        )
    return _configuration_of(state, {"quick_gelu": True} if own is None else own)


def _configuration_of(state: Mapping[str, Tensor], own: Mapping[str, Any]) -> dict[str, Any]:
    vision, text = (own.get(key, {}) for key in ("vision_cfg", "text_cfg"))
    act = "quick_gelu" if own.get("quick_gelu") else "gelu"
    width, _, patch, _ = state["visual.conv1.weight"].shape
    narrow = len(state["ln_final.weight"])
    return {
        "projection_dim": state["text_projection"].shape[1],
        "vision_config": {
            "hidden_size": width,
            "patch_size": patch,
            "image_size": patch * isqrt(len(state["visual.positional_embedding"]) - 1),
            "num_attention_heads": width // vision.get("head_width", HEAD),
            "hidden_act": act,
            **_depth(state, "visual.transformer.resblocks"),
        },
        "text_config": {
            "hidden_size": narrow,
            "vocab_size": len(state["token_embedding.weight"]),
            "max_position_embeddings": len(state["positional_embedding"]),
            "num_attention_heads": text.get("heads", narrow // HEAD),
            "hidden_act": act,
            "eos_token_id": 2,  # for transformers: the end of a text is its highest id
            **_depth(state, "transformer.resblocks"),
        },
    }


def _depth(state: Mapping[str, Tensor], prefix: str) -> dict[str, int]:
    layers = {name.removeprefix(prefix).split(".")[1] for name in state if name.startswith(f"{prefix}.")}
    return {
        "num_hidden_layers": len(layers),
        "intermediate_size": len(state[f"{prefix}.0.mlp.c_fc.weight"]),
    }


_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_REST = {
    "logit_scale": "logit_scale",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}


def _renamed(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Weights by the names of transformers."""
    for name, value in state.items():
        if name in ("visual.proj", "text_projection"):
            tower = "visual" if name.startswith("visual") else "text"
            yield f"{tower}_projection.weight", value.T.contiguous()
        elif "transformer.resblocks." in name:
            tower = "vision_model" if name.startswith("visual.") else "text_model"
            number, rest = name.split("resblocks.")[1].split(".", 1)
            inner, kind = rest.rsplit(".", 1)
            place = f"{tower}.encoder.layers.{number}"
            if inner == "attn" and kind.startswith("in_proj_"):
                for part, rows in zip("qkv", value.chunk(3), strict=True):
                    yield f"{place}.self_attn.{part}_proj.{kind.removeprefix('in_proj_')}", rows
            else:
                yield f"{place}.{_LAYER.get(inner, inner)}.{kind}", value
        else:
            yield _REST.get(name, name), value


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file: {first_line(error)}") from error
    return found
