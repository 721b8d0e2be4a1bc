"""Settings of the audio domain: length and rate of a clip, data, and the held-out share."""

from __future__ import annotations

from attrs import field, frozen, validators

from ddmi_audio.instruments import MADE_BY, check_instruments


# --8<-- [start:settings]
@frozen
class AudioSettings:
    """Settings of the audio domain.

    Args:
        samples: samples of a clip at the native rate.
        rate: native sampling rate in hertz; a clip lasts `samples / rate` seconds.
        detail: largest multiple of the native rate at which clips supervise the field: 1, 2 or 4.
        instruments: instruments of the source `notes`; each is a class.
        count: sounds of each instrument in the source `notes`.
        held_out: share of the sounds or files that is kept out of training.
        limit: maximum number of files, chosen by a stable hash of their names; 0 takes all.
        classes: use the sub-folders of a folder of sounds as classes.
        strict: raise an error for unusable files; otherwise leave them out with a warning.
    """

    samples: int = field(default=4096, validator=[validators.ge(64), validators.le(65536)])
    rate: int = field(default=8192, validator=[validators.ge(1000), validators.le(192_000)])
    detail: int = field(default=2, validator=validators.in_((1, 2, 4)))
    instruments: tuple[str, ...] = field(
        default=tuple(MADE_BY), validator=lambda _, field, names: check_instruments(names)
    )
    count: int = field(default=300, validator=validators.ge(2))
    held_out: float = field(default=0.1, validator=[validators.gt(0), validators.lt(1)])
    limit: int = field(default=0, validator=validators.ge(0))
    classes: bool = True
    strict: bool = True

    @property
    def native(self) -> tuple[int]:
        """Samples of a clip at the native rate."""
        return (self.samples,)

    @property
    def extent(self) -> tuple[float]:
        """Seconds of a clip, which determine the sampling rate of files."""
        return (self.samples / self.rate,)

    @property
    def factors(self) -> tuple[int, ...]:
        """Multiples of the native rate at which clips are stored, native first."""
        return tuple(1 << power for power in range(self.detail.bit_length()))


# --8<-- [end:settings]
