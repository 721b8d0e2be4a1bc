"""Settings of the audio domain: length and rate of a clip, data, and the held-out share."""

from __future__ import annotations

from attrs import field, frozen

from ddmi_audio.instruments import MADE_BY, check_instruments
from ddmi_core.api import inside, within
from ddmi_core.parts import check_shares, level_sizes, valid_multiples


# --8<-- [start:settings]
@frozen
class AudioSettings:
    """Settings of the audio domain.

    Args:
        samples: samples of a clip at the native rate.
        rate: native sampling rate in hertz; a clip lasts `samples / rate` seconds.
        multiples: rates at which clips supervise the field, in multiples of the native rate: 1, then increasing, at
            most 8. A folder leaves out those that one of its files does not reach.
        shares: how often training draws each multiple, relative to each other; if empty, all equally often.
        instruments: instruments of the source `notes`; each is a class.
        count: sounds of each instrument in the source `notes`.
        held_out: share of the sounds or files that is kept out of training.
        limit: maximum number of files, chosen by a stable hash of their names; 0 takes all.
        classes: use the sub-folders of a folder of sounds as classes.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
    """

    samples: int = field(default=4096, validator=within(64, 65536))
    rate: int = field(default=8192, validator=within(1000, 192_000))
    multiples: tuple[float, ...] = field(default=(1.0, 2.0), validator=valid_multiples)
    shares: tuple[float, ...] = ()
    instruments: tuple[str, ...] = field(
        default=tuple(MADE_BY), validator=lambda _, field, names: check_instruments(names)
    )
    count: int = field(default=300, validator=within(2, 10**9))
    held_out: float = field(default=0.1, validator=inside(0, 1))
    limit: int = field(default=0, validator=within(0, 10**9))
    classes: bool = True
    strict: bool = True

    def __attrs_post_init__(self) -> None:
        """Check that the levels are all different, and that each has a share."""
        check_shares(self.shares, self.multiples)
        level_sizes("samples", self.samples, self.multiples)

    @property
    def native(self) -> tuple[int]:
        """Samples of a clip at the native rate."""
        return (self.samples,)

    @property
    def extent(self) -> tuple[float]:
        """Seconds of a clip, which determine the sampling rate of files."""
        return (self.samples / self.rate,)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Samples of a clip at each level, native first."""
        return level_sizes("samples", self.samples, self.multiples)


# --8<-- [end:settings]
