"""The packets of a video stream: when their frames are shown, and which of them can be relied on."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_video.reading.index import Ticks

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

RESTAMP = "write it anew: ffmpeg -i IN -fps_mode cfr OUT.mp4"


@frozen
class Packet:
    """One frame as it lies in the file, in ticks."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool


def read_packets(opened: InputContainer, stream: VideoStream) -> tuple[list[Packet], int, bool]:
    """The packets of frames to be shown, how many there are with those that are not, and whether the end is missing."""
    import av

    packets, count, cut = [], 0, False
    try:
        for packet in opened.demux(stream):
            if packet.size and packet.is_corrupt:
                cut = True
                break
            count += bool(packet.size)
            if packet.size and not packet.is_discard:
                packets.append(Packet(packet.pts, packet.dts, int(packet.duration or 0), packet.is_keyframe))
    except av.error.FFmpegError:
        cut = True
    return packets, count, cut


def before_gaps(packets: list[Packet]) -> list[Packet]:
    """The frames before the first one that is lost with the end: those shown until the last was due to be decoded."""
    last = packets[-1].dts
    kept = packets if last is None else [packet for packet in packets if packet.pts is None or packet.pts <= last]
    return kept if len(kept) > 1 else packets


def is_counted(packets: list[Packet], kind: str, reordered: bool) -> bool:
    """Whether stamps do not say which decoded frame is which: AVI keeps the order of decoding alone."""
    return any(packet.pts is None for packet in packets) or (kind == "avi" and reordered)


def time_stamps(packets: list[Packet], counted: bool, reordered: bool, name: str) -> tuple[Ticks, int]:
    """Increasing time stamps of the frames `(N,)`, and the ticks for which the last is shown."""
    stamps = [packet.dts if counted else packet.pts for packet in packets]
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps):
        raise DataError(f"{name}: {len(stamps) - len(known)} of its frames have no time stamp; {RESTAMP}")
    order = known if counted or not reordered else sorted(known)
    wrong = [i for i in range(1, len(order)) if order[i] <= order[i - 1]]
    if wrong:
        raise DataError(f"{name}: its time stamps do not increase, at frame {wrong[0]} of {len(order)}; {RESTAMP}")
    ticks = np.asarray(order, dtype=np.int64)
    last = max(packets, key=lambda packet: (packet.dts if counted else packet.pts) or 0)
    return ticks, last.duration or int(ticks[-1] - ticks[-2])


def has_near_keys(packets: list[Packet]) -> bool:
    """Whether a seek to a key frame can lead to the next one: some containers go by the time of decoding."""
    keys = [packet for packet in packets if packet.key]
    return any(key.pts is not None and later.dts is not None and later.dts <= key.pts for key, later in pairwise(keys))


def has_open_groups(packets: list[Packet]) -> bool:
    """Whether frames that follow a key frame are shown before it, and so need frames from before it."""
    shown = packets[0].pts or 0
    for packet in packets:
        if packet.pts is not None:
            shown = packet.pts if packet.key else shown
            if packet.pts < shown:
                return True
    return False
