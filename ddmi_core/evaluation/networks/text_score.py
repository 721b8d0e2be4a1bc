"""CLIP score of samples of a model with a text condition, beside those of unconditional samples and of real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ddmi_core.api.evaluation import FeatureNetwork, Figure, Trained
from ddmi_core.api.signals import Split
from ddmi_core.evaluation.networks.file_network import clip_score
from ddmi_core.parts.prompt_adherence import measurable_captions

KIND = "clip"
SCORE = "100 max(cos, 0) of features of pictures and texts, mean over pictures"


def clip_score_figures(
    model: Trained,
    networks: Sequence[FeatureNetwork],
    split: Split,
    most: int,
    seed: int,
    protocol: Mapping[str, Any],
) -> list[Figure]:
    """CLIP score (arXiv 2104.08718) of samples for captions of held-out signals; empty without captions or network.

    `clip_score_of_real` is that of the held-out signals with these captions.

    Args:
        model: prompt number i is sampled with the seed `seed + i`.
        networks: of which one has the name `clip`.
        split: the data.
        most: number of captions, distinct, in a stable order by hash.
        seed: of the samples.
        protocol: of the figures.

    Raises:
        DataError: if there is no tokenizer beside the weights.
    """
    network = next((own for own in networks if own.name == KIND), None)
    prompts = measurable_captions(split, bool, most)
    if network is None or model.condition is None or not prompts:
        return []
    drawn = (model.sample(1, seed=seed + number, condition=text) for number, text in enumerate(prompts))
    given = _scores([network.of_fields(field, model.renderer) for field in drawn], network, prompts)
    parts = [network.of_fields(fields, model.renderer) for fields in model.sample_parts(len(prompts), seed=seed)]
    chance = torch.cat(parts).tensor_split(len(prompts))  # several pictures of each sample are in a row
    owners = [next(i for i, own in enumerate(split.held_out.captions) if text in own) for text in prompts]
    real = _scores([network.of_signals(split.held_out.batch([owner])) for owner in owners], network, prompts)
    whole = {
        **protocol,
        "network": {"name": network.name, **network.record},
        "n": len(prompts),
        "reference": "captions of held-out signals",
        "seed": seed,
        "score": SCORE,
        "without the text": _scores(chance, network, prompts),
    }
    return [
        Figure("clip_score", given, whole, "agreement of samples with their texts, 0 to 100; higher is better"),
        Figure("clip_score_of_real", real, whole, "the same for held-out signals with these texts"),
    ]


def _scores(rows: Sequence[Tensor], network: FeatureNetwork, texts: Sequence[str]) -> float:
    """Mean score; rows are those of one sample, `(K, F)`, for each text."""
    pairs = zip(rows, texts, strict=True)
    return float(torch.cat([clip_score(network, row.cpu(), [text]) for row, text in pairs]).mean())
