"""Making the index of a video from its packets, which PyAV lists without decoding them."""

from __future__ import annotations

from contextlib import nullcontext
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ddmi_core.errors import DataError
from ddmi_video.reading.index import Source, VideoIndex, container, opened_as
from ddmi_video.reading.limits import TooShortError, check_size, check_stream, size_changes
from ddmi_video.reading.packets import (
    Packet,
    before_gaps,
    has_near_keys,
    has_open_groups,
    is_counted,
    read_packets,
    time_stamps,
)
from ddmi_video.reading.posture import Posture, posture_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LOST = 0.02  # share of the frames that a header may promise in excess


def index_video(source: Source, name: str, *, whole: bool = False) -> VideoIndex:
    """The index of the first video stream of a file.

    Args:
        source: path, or open file.
        name: name for messages.
        whole: for back ends that do not see it, decode the key frames and check that all are of one size.

    Raises:
        DataError: if it has no video that can be read; see `limits` for what is refused.
    """
    with container(source, name) as opened:
        stream = _video_stream(opened, name)
        check_stream(stream, name)
        packets, count, cut = read_packets(opened, stream)
        if not cut and opened.format.name == "gif" and not _is_ended(source):
            packets, cut = packets[:-1], True  # the decoder does not see that the last frame is cut
        if not packets:
            raise DataError(f"{name}: its video stream has no frames; remove it")
        if len(packets) == 1:
            raise TooShortError(f"{name}: it has one frame only, so nothing moves; remove it, or use it as a picture")
        promised = stream.frames * (1 - LOST) - 1 > count
        claimed = _claimed_seconds(opened, stream)
    with container(source, name) as opened:
        stream = _video_stream(opened, name)
        first = _first_frame(opened, stream, name)
        posture = posture_of(first, float(stream.sample_aspect_ratio or 1) or 1.0)
        reordered = bool(stream.codec_context.has_b_frames)
        counted = is_counted(packets, opened.format.name, reordered)
        if cut and reordered and not counted:
            packets = before_gaps(packets)
        ticks, length = time_stamps(packets, counted, reordered, name)
        tick = float(stream.time_base or 0)
        seconds = (ticks[-1] - ticks[0] + length) * tick
        lost = cut or promised or claimed > seconds * (1 + LOST) + 0.1
        special = _special(packets, first, posture, counted=counted, cut=lost, codec=stream.codec_context.name)
        if whole and not special:
            _check_key_frames(opened, stream, posture, name)
        return VideoIndex(
            name=name,
            stream=stream.index,
            ticks=ticks,
            tick=tick,
            length=length,
            keys=np.asarray([] if counted else sorted({p.pts for p in packets if p.key and p.pts is not None})),
            posture=posture,
            counted=counted,
            special=special,
            missing=f"of {max(claimed, seconds):.3f} s, {seconds:.3f} s can be read" if lost else "",
        )


def _video_stream(opened: InputContainer, name: str) -> VideoStream:
    """The first video stream that is more than a cover picture."""
    from av.stream import Disposition

    for stream in opened.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in opened.streams})) or "nothing"
    raise DataError(f"{name}: no video stream in it, but {kinds}; remove it")


def _claimed_seconds(opened: InputContainer, stream: VideoStream) -> float:
    """The duration that the file's header promises; 0 if it promises none for this stream alone."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float(opened.duration or 0) / 1_000_000 if len(opened.streams) == 1 else 0.0


def _is_ended(source: Source) -> bool:
    """Whether a GIF has its trailer."""
    place = opened_as(source)
    with Path(place).open("rb") if isinstance(place, str) else nullcontext(place) as file:
        file.seek(0, SEEK_END)
        file.seek(max(file.tell() - 16, 0))
        return file.read().rstrip(b"\0").endswith(b";")


def _first_frame(opened: InputContainer, stream: VideoStream, name: str) -> VideoFrame:
    for frame in opened.decode(stream):
        check_size(frame.width, frame.height, name)
        return frame
    raise DataError(f"{name}: none of its frames can be decoded; copy it again, or remove it")


def _check_key_frames(opened: InputContainer, stream: VideoStream, posture: Posture, name: str) -> None:
    """Frames change in size at key frames alone."""
    opened.seek(0)
    stream.codec_context.skip_frame = "NONKEY"
    for frame in opened.decode(stream):
        if (frame.height, frame.width) != posture.stored:
            raise size_changes(name, posture.stored, (frame.height, frame.width))


def _special(
    packets: list[Packet], frame: VideoFrame, posture: Posture, *, counted: bool, cut: bool, codec: str
) -> str:
    """Why only PyAV reads a stream exactly; empty if all back ends agree on it, as the tests measure."""
    reordered = any(packet.pts != packet.dts for packet in packets if packet.dts is not None)
    reasons = {
        "it has no time stamps for its frames": counted,
        "its end is missing": cut,
        "it is a GIF": codec == "gif",
        "its sides are odd": any(side % 2 for side in posture.stored),
        "it has more than 8 bits a value": any(part.bits > 8 for part in frame.format.components),
        "its frames are mirror images": posture.mirrored,
        "its frames are interlaced": frame.interlaced_frame,
        "its key frames are too near each other": has_near_keys(packets),
        "frames need others from before the last key frame": has_open_groups(packets),
        "its frames are reordered": reordered and codec not in ("h264", "hevc", "av1", "vp8", "vp9"),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
