"""Sets of clips: classes from sub-folders, captions of their videos, mirror images in training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ddmi_core.parts import GridSet, captions_beside, classes_of, mirroring, tell_sides
from ddmi_video.reading import pictures
from ddmi_video.reading.posture import Pixels
from ddmi_video.reading.sources import SUFFIXES
from ddmi_video.settings import VideoSettings


def clip_set(
    location: Path,
    clips: Pixels,
    rows: Sequence[int],
    names: Sequence[str],
    videos: Sequence[str],
    settings: VideoSettings,
) -> GridSet:
    """The set of some clips, mirrored at random in training where their captions allow it.

    Args:
        location: folder or archive, in which captions lie.
        clips: `(M, 3, T, H, W)`.
        rows: which of the M clips are in the set.
        names: of the clips in the set.
        videos: name of each one's video.
        settings: of the domain.

    Raises:
        DataError: if a file of captions cannot be used.
    """
    unique = list(dict.fromkeys(videos))
    place = {name: i for i, name in enumerate(unique)}
    classes, labels = classes_of(unique) if settings.classes else ((), [0] * len(unique))
    captions = captions_beside(location, unique, (*SUFFIXES, *pictures.SUFFIXES), "videos")
    free = [settings.augment and not tell_sides(texts) for texts in captions or [()] * len(unique)]
    return GridSet(
        [clips],
        names,
        rows=rows,
        classes=classes,
        labels=[labels[place[video]] for video in videos],
        augment=mirroring([free[place[video]] for video in videos]),
        captions=[captions[place[video]] for video in videos] if captions else (),
    )
