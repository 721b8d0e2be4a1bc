"""Features of clips that Fréchet video distances are computed on: without learned weights, or a network from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.errors import DataError
from ddmi_core.parts import described_by

PLAIN = "colour-and-motion"
WORKING = 32  # rows and columns at which the plain features look at frames
SPEEDS = 4  # frequencies along time
COLOUR_GRID, MOTION_GRID = 4, 3
DIRECTIONS = 8
LUMA = (0.299, 0.587, 0.114)
MOTION_SCALE = 6.0  # makes the spread of the features of motion about that of the colours, on the default clips
PART = 256  # frames that a network sees at once, or those of one clip
PIXELS = 224  # rows and columns that networks for videos are trained on


@frozen(eq=False)
class ClipFeatures:
    """A function of clips, and what a figure must say of it.

    Args:
        name: short; it becomes part of the figure's name.
        preprocessing: what is done to clips before.
        compute: function `(B, 3, T, H, W) -> (B, F)` of values in [-1, 1].
    """

    name: str
    preprocessing: str
    compute: Callable[[Tensor], Tensor]


def clip_features(choice: str) -> ClipFeatures:
    """The features that a setting names: `colour-and-motion`, or the path of a TorchScript file.

    A network takes clips `(B, 3, T, 224, 224)` in [-1, 1] and gives `(B, F)`, as the I3D files do that are in use for
    Fréchet video distances.

    Raises:
        DataError: if the file is missing or is no TorchScript.
    """
    if choice == PLAIN:
        return ClipFeatures(PLAIN, f"frames averaged to {WORKING} x {WORKING}", colour_and_motion)
    path = Path(choice)
    if not path.is_file():
        raise DataError(f"{choice}: no such file; domain.features takes {PLAIN!r} or the path of a TorchScript file")
    try:
        network: Any = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{choice}: not a TorchScript file: {str(error).splitlines()[0]}") from error

    network.eval()

    @torch.no_grad()
    def compute(clips: Tensor) -> Tensor:
        return torch.cat(
            [_seen_by(network, part, choice) for part in torch.split(clips, max(1, PART // clips.shape[2]))]
        )

    return ClipFeatures(path.stem, f"frames resized to {PIXELS} x {PIXELS}, bilinear, in [-1, 1]", compute)


def _seen_by(network: Any, clips: Tensor, name: str) -> Tensor:
    frames = clips.movedim(2, 1).flatten(0, 1)
    large = F.interpolate(frames, (PIXELS, PIXELS), mode="bilinear", antialias=True)
    try:
        found = network(large.reshape(len(clips), -1, *large.shape[1:]).movedim(1, 2))
    except RuntimeError as error:
        # TorchScript puts pages of a traceback before what is wrong.
        reason = str(error).strip().splitlines()[-1]
        shape = " x ".join(map(str, (3, clips.shape[2], PIXELS, PIXELS)))
        raise DataError(f"{name}: the network cannot take clips of {shape}: {reason}") from error
    if not isinstance(found, Tensor) or found.shape[:1] != clips.shape[:1]:
        raise DataError(f"{name}: the network must give features (B, F)")
    return found.flatten(1).float()


def colour_and_motion(clips: Tensor) -> Tensor:
    """What clips look like, how fast they change, and where to they move.

    Mean colours of 4 x 4 cells and their changes from the first to the last third of the time (96); sizes of four
    frequencies of grey values along time in 3 x 3 cells (36); and how much of the motion goes in which of eight
    directions in 3 x 3 cells (72), from the slopes of grey values in space and time (Horn and Schunck, "Determining
    optical flow", 1981: -I_t grad I / |grad I|^2 is the motion across edges).

    Args:
        clips: `(B, 3, T, H, W)`, in [-1, 1], T at least 2.

    Returns:
        `(B, 204)`
    """
    frames = clips.movedim(2, 1).flatten(0, 1)
    frames = F.interpolate(frames, (WORKING, WORKING), mode="bilinear", antialias=True)
    colours = F.adaptive_avg_pool2d(frames, COLOUR_GRID).reshape(len(clips), clips.shape[2], -1)
    third = max(1, colours.shape[1] // 3)
    drift = colours[:, -third:].mean(dim=1) - colours[:, :third].mean(dim=1)
    grey = torch.einsum("nchw,c->nhw", frames, frames.new_tensor(LUMA)).reshape(len(clips), -1, WORKING, WORKING)
    return torch.cat([colours.mean(dim=1), drift, _frequencies(grey), MOTION_SCALE * _directions(grey)], dim=1)


def _frequencies(grey: Tensor) -> Tensor:
    """Sizes of the lowest frequencies along time, `(B, 4 * 9)`, of clips `(B, T, H, W)`."""
    spectrum = torch.fft.rfft(grey - grey.mean(dim=1, keepdim=True), dim=1).abs() / grey.shape[1]
    lowest = spectrum[:, 1 : 1 + SPEEDS]
    lowest = F.pad(lowest, (0, 0, 0, 0, 0, SPEEDS - lowest.shape[1]))
    return F.adaptive_avg_pool2d(lowest, MOTION_GRID).flatten(1)


def _directions(grey: Tensor) -> Tensor:
    """Motion across edges, shared between the two nearest of eight directions, `(B, 8 * 9)`."""
    across = (grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]) / 2
    down = (grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]) / 2
    later = grey[:, 1:, 1:-1, 1:-1] - grey[:, :-1, 1:-1, 1:-1]
    across, down = (across[:, 1:] + across[:, :-1]) / 2, (down[:, 1:] + down[:, :-1]) / 2
    slope = (across.square() + down.square() + 1e-6).sqrt()
    # Each edge counts with its strength, so that flat places, whose motion cannot be seen, do not.
    towards = torch.atan2(-later * down, -later * across).remainder(2 * torch.pi) * (DIRECTIONS / (2 * torch.pi))
    strength = later.abs() * slope / (slope + 0.05)
    centres = torch.arange(DIRECTIONS, dtype=grey.dtype).view(-1, 1, 1, 1)
    distance = (towards.unsqueeze(1) - centres).abs()
    distance = torch.minimum(distance, DIRECTIONS - distance)
    shares = strength.unsqueeze(1) * (1 - distance).clamp(min=0)
    return F.adaptive_avg_pool2d(shares.mean(dim=2), MOTION_GRID).flatten(1)


describe, describe_signal = described_by(colour_and_motion)
