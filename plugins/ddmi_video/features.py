"""Clip features without learned weights: colours, temporal frequencies, and directions of motion."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WORKING = 32  # rows and columns of frames for the hand-crafted features
SPEEDS = 4  # temporal frequencies
COLOUR_GRID, MOTION_GRID = 4, 3
DIRECTIONS = 8
LUMA = (0.299, 0.587, 0.114)
MOTION_SCALE = 6.0  # gives motion features about the spread of colour features, measured on the default clips


def colour_and_motion(clips: Tensor) -> Tensor:
    """Colours, temporal frequencies and directions of motion of clips.

    Mean colours of 4 x 4 cells, and their changes from the first to the last third of the clip (96); amplitudes of four
    temporal frequencies of the luma in 3 x 3 cells (36); and a histogram of eight directions of motion in 3 x 3 cells
    (72), from the gradients of the luma in space and time (Horn and Schunck, "Determining optical flow", 1981: the
    motion across edges is -I_t grad I / |grad I|^2).

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
    """Amplitudes of the lowest temporal frequencies, `(B, 4 * 9)`, of clips `(B, T, H, W)`."""
    spectrum = torch.fft.rfft(grey - grey.mean(dim=1, keepdim=True), dim=1).abs() / grey.shape[1]
    lowest = spectrum[:, 1 : 1 + SPEEDS]
    lowest = F.pad(lowest, (0, 0, 0, 0, 0, SPEEDS - lowest.shape[1]))
    return F.adaptive_avg_pool2d(lowest, MOTION_GRID).flatten(1)


def _directions(grey: Tensor) -> Tensor:
    """Histogram of motion across edges, each divided between the two nearest of eight directions: `(B, 8 * 9)`."""
    across = (grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]) / 2
    down = (grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1]) / 2
    later = grey[:, 1:, 1:-1, 1:-1] - grey[:, :-1, 1:-1, 1:-1]
    across, down = (across[:, 1:] + across[:, :-1]) / 2, (down[:, 1:] + down[:, :-1]) / 2
    slope = (across.square() + down.square() + 1e-6).sqrt()
    # Edges are weighted by their strength, so that flat regions, whose motion is unknown, have no weight.
    towards = torch.atan2(-later * down, -later * across).remainder(2 * torch.pi) * (DIRECTIONS / (2 * torch.pi))
    strength = later.abs() * slope / (slope + 0.05)
    centres = torch.arange(DIRECTIONS, dtype=grey.dtype).view(-1, 1, 1, 1)
    distance = (towards.unsqueeze(1) - centres).abs()
    distance = torch.minimum(distance, DIRECTIONS - distance)
    shares = strength.unsqueeze(1) * (1 - distance).clamp(min=0)
    return F.adaptive_avg_pool2d(shares.mean(dim=2), MOTION_GRID).flatten(1)
