"""The default data source `notes`: synthesized instruments and birds as a set of signals, apart from the synthesis."""

from __future__ import annotations

import numpy as np

from ddmi_audio.instruments import sound
from ddmi_audio.settings import AudioSettings
from ddmi_core.api import Split
from ddmi_core.parts import GridSet


# --8<-- [start:load]
def load(location: None, settings: AudioSettings) -> Split:
    """Sounds of `domain.instruments`, `domain.count` of each; the instrument is the class."""
    names = [f"{instrument} {number}" for instrument in settings.instruments for number in range(settings.count)]
    levels = []
    for size in settings.lengths:
        rate = settings.rate * size / settings.samples
        level = np.empty((len(names), 1, size), dtype=np.int16)
        for row, name in enumerate(names):
            level[row, 0] = np.rint(sound(name, size, rate) * 32767)
        levels.append(level)
    labels = [number for number, _ in enumerate(settings.instruments) for _ in range(settings.count)]
    return GridSet(levels, names, classes=settings.instruments, labels=labels).split(settings.held_out)


# --8<-- [end:load]
