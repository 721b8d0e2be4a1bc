"""Settings of the video domain: which data, and the native frames."""

from __future__ import annotations

from attrs import field, frozen, validators


@frozen
class VideoSettings:
    """Settings of the video domain.

    Args:
        frames: frames of a clip, at the native frame rate.
        size: rows and columns of a native frame.
        rate: native frames a second of the files of a folder: clips are `frames / rate` seconds long.
        between: times a native frame at which training looks at the default source: from 2 on, it learns what is seen
            between the frames that the encoder sees.
        features: what Fréchet video distances are computed on: `colour-and-motion`, or the path of a TorchScript file.
        count: clips that the default source makes.
        held_out: share of the clips that training never sees.
        augment: turn clips to their mirror image (left and right) at random in training.
        limit: greatest number of clips, chosen by a stable hash of their names; 0 takes all.
        classes: take the sub-folders of a folder of videos as classes.
        reader: what decodes files: `pyav`, or `torchcodec` or `decord` where they are installed.
        workers: processes that decode files; 0 decodes in this one.
        strict: stop at files that cannot be used; otherwise leave them out with a warning.
    """

    frames: int = field(default=16, validator=[validators.ge(2), validators.le(512)])
    size: int = field(default=48, validator=[validators.ge(8), validators.le(1024)])
    rate: float = field(default=8.0, validator=[validators.gt(0), validators.le(1000)])
    between: int = field(default=2, validator=[validators.ge(1), validators.le(8)])
    features: str = "colour-and-motion"
    count: int = field(default=1500, validator=validators.ge(8))
    held_out: float = field(default=0.1, validator=[validators.gt(0), validators.lt(1)])
    augment: bool = True
    limit: int = field(default=0, validator=validators.ge(0))
    classes: bool = True
    reader: str = field(default="pyav", validator=validators.in_(("pyav", "torchcodec", "decord")))
    workers: int = field(default=0, validator=[validators.ge(0), validators.le(64)])
    strict: bool = True

    @property
    def native(self) -> tuple[int, int, int]:
        """Frames, rows and columns of a native clip."""
        return (self.frames, self.size, self.size)

    @property
    def extent(self) -> tuple[float, float, float]:
        """Length of a clip in seconds, and 2 along both other axes."""
        return (self.frames / self.rate, 2.0, 2.0)
