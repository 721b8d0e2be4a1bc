"""What a feature network takes: pictures or clips, their size, filter, range and channel order."""

from __future__ import annotations

from typing import Any

import torch
from attrs import Attribute, field, frozen, validators
from torch import Tensor
from torch.nn import functional as F

from ddmi_core.bounds import within

PICTURES, CLIPS = "pictures", "clips"
AXES = {PICTURES: 2, CLIPS: 3}
TOP = 255  # of 8-bit values
# As Pillow: antialiased, the result rounded to 8 bits.
_SMOOTH = ("bilinear", "bicubic")
# Without antialiasing, not rounded: as torch.nn.functional.interpolate, and as TensorFlow 1.
_SHARP = ("torch-bilinear", "tensorflow-bilinear")


def _ordered(instance: object, attribute: Attribute[Any], value: tuple[float, float]) -> None:
    if not value[0] < value[1]:
        raise ValueError("the range must have its lower end first")


@frozen(kw_only=True)
class Input:
    """What a network takes. Pictures are rounded to 8 bits first, as those in files are.

    Args:
        takes: `pictures` `(B, 3, H, W)`, or `clips` `(B, 3, T, H, W)`.
        range: what the lowest and the highest 8-bit value become.
        whole: whether values are passed as `uint8`; requires the range 0 to 255, without mean and deviation.
        size: rows and columns; 0 passes pictures as they are, for networks that resize them.
        filter: how pictures are resized: `bilinear` and `bicubic` are antialiased and round to 8 bits as Pillow does;
            `torch-bilinear` and `tensorflow-bilinear` do neither.
        crop: resize the shorter side and cut out the middle; otherwise sides are resized independently.
        mean: of each channel, subtracted after scaling to the range; empty for none.
        deviation: of each channel, by which the difference is divided; empty for none.
        channels: order of the channels, `rgb` or `bgr`.
    """

    takes: str = field(validator=validators.in_(tuple(AXES)))
    range: tuple[float, float] = field(validator=_ordered)
    whole: bool = False
    size: int = field(validator=within(0, 4096))
    filter: str = field(default="bilinear", validator=validators.in_((*_SMOOTH, *_SHARP)))
    crop: bool = False
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    channels: str = field(default="rgb", validator=validators.in_(("rgb", "bgr")))

    def __attrs_post_init__(self) -> None:
        """Check what belongs together."""
        if len(self.mean) != len(self.deviation) or len(self.mean) not in (0, 3):
            raise ValueError("mean and deviation need three numbers each, or none")
        if any(value <= 0 for value in self.deviation):
            raise ValueError("deviation needs numbers above 0")
        if self.whole and (self.range != (0, TOP) or self.mean):
            raise ValueError("whole values have the range [0, 255], and neither mean nor deviation")

    def __call__(self, values: Tensor) -> Tensor:
        """The network's input for values in [-1, 1].

        Args:
            values: `(B, 3, H, W)` or `(B, 3, T, H, W)`.
        """
        bits = (values.float().clamp(-1, 1) * 127.5 + 128).floor().clamp(0, TOP)
        if self.size:
            bits = self._resized(bits)
        if self.channels == "bgr":
            bits = bits.flip(1)
        if self.whole:
            return bits.round().to(torch.uint8)
        low, high = self.range
        scaled = low + bits * ((high - low) / TOP)
        if not self.mean:
            return scaled
        shape = (1, 3, *[1] * AXES[self.takes])
        return (scaled - scaled.new_tensor(self.mean).view(shape)) / scaled.new_tensor(self.deviation).view(shape)

    def __str__(self) -> str:
        """In words, for the protocol of figures."""
        resized = f"resized to {self.size} x {self.size}, {self.filter}" if self.size else "resized by the network"
        parts = [
            f"8-bit {self.takes}",
            resized + (", cropped to the middle" if self.crop and self.size else ""),
            f"{self.range[0]:g} to {self.range[1]:g}" + (" (uint8)" if self.whole else ""),
        ]
        if self.mean:
            mean, deviation = (", ".join(map("{:g}".format, values)) for values in (self.mean, self.deviation))
            parts.append(f"minus {mean}, over {deviation}")
        return "; ".join([*parts, self.channels.upper()])

    def _resized(self, bits: Tensor) -> Tensor:
        frames = bits.movedim(1, -3).flatten(0, -4)
        rows, columns = frames.shape[-2], frames.shape[-1]
        size = self.size, self.size
        if self.crop:
            shorter = min(rows, columns)
            size = self.size * rows // shorter, self.size * columns // shorter
        large = frames if size == (rows, columns) else self._filtered(frames, size)
        top, left = (round((side - self.size) / 2) for side in size)
        large = large[..., top : top + self.size, left : left + self.size]
        return large.reshape(len(bits), *bits.shape[2:-2], *large.shape[1:]).movedim(-3, 1)

    def _filtered(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        if self.filter in _SMOOTH:
            # Of bytes, torch rounds between rows and columns as Pillow does; on CPUs alone.
            bits = frames.to("cpu", torch.uint8)
            large = F.interpolate(bits, size, mode=self.filter, antialias=True, align_corners=False)
            return large.to(frames)
        if self.filter == "torch-bilinear":
            return F.interpolate(frames, size, mode="bilinear", align_corners=False)
        return tensorflow_bilinear(frames, size)


def tensorflow_bilinear(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """`tf.image.resize_bilinear` of TensorFlow 1, whose sampling places start at the corner: output i is input i s.

    It resizes the input of the Inception network that FID is defined by (arXiv 1706.08500).

    Args:
        frames: `(N, C, H, W)`.
        size: rows and columns of the result.
    """
    for axis, length in zip((2, 3), size, strict=True):
        own = frames.shape[axis]
        place = torch.arange(length, dtype=frames.dtype, device=frames.device) * (own / length)
        low = place.long()
        high = (low + 1).clamp(max=own - 1)
        share = (place - low).view(-1, *[1] * (3 - axis))
        first = frames.index_select(axis, low)
        frames = first + (frames.index_select(axis, high) - first) * share
    return frames
