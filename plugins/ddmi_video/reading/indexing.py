"""Making the index of a video from its packets, which PyAV lists without decoding them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_video.reading.index import Source, VideoIndex, container
from ddmi_video.reading.limits import TooShortError, check_size, check_stream, size_changes
from ddmi_video.reading.posture import Posture, posture_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

RESTAMP = "write it anew: ffmpeg -i IN -fps_mode cfr OUT.mp4"
LOST = 0.02  # share of the frames that a header may promise in excess


@frozen
class _Packet:
    """One frame as it lies in the file, in ticks."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool


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
        packets, cut = _packets(opened, stream)
        if not packets:
            raise DataError(f"{name}: its video stream has no frames; remove it")
        if len(packets) == 1:
            raise TooShortError(f"{name}: it has one frame only, so nothing moves; remove it, or use it as a picture")
        promised = stream.frames
        claimed = _claimed_seconds(opened, stream)
    with container(source, name) as opened:
        stream = _video_stream(opened, name)
        first = _first_frame(opened, stream, name)
        posture = posture_of(first, float(stream.sample_aspect_ratio or 1) or 1.0)
        counted = _counted(packets, opened.format.name, bool(stream.codec_context.has_b_frames))
        ticks, length = _stamps(packets, counted, bool(stream.codec_context.has_b_frames), name)
        tick = float(stream.time_base or 0)
        seconds = (ticks[-1] - ticks[0] + length) * tick
        lost = cut or promised * (1 - LOST) - 1 > len(packets) or claimed > seconds * 1.05 + 0.5
        kind = opened.format.name
        special = _special(stream, first, posture, counted=counted, cut=lost, gif=kind == "gif")
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


def _packets(opened: InputContainer, stream: VideoStream) -> tuple[list[_Packet], bool]:
    """The packets of frames to be shown, and whether the end of the file is missing."""
    import av

    packets, cut = [], False
    try:
        for packet in opened.demux(stream):
            if packet.size and packet.is_corrupt:
                cut = True
                break
            if packet.size and not packet.is_discard:
                packets.append(_Packet(packet.pts, packet.dts, int(packet.duration or 0), packet.is_keyframe))
    except av.error.FFmpegError:
        cut = True
    return packets, cut


def _claimed_seconds(opened: InputContainer, stream: VideoStream) -> float:
    """The duration that the file's header promises; 0 if it promises none for this stream alone."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float(opened.duration or 0) / 1_000_000 if len(opened.streams) == 1 else 0.0


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


def _counted(packets: list[_Packet], kind: str, reordered: bool) -> bool:
    """Whether stamps do not say which decoded frame is which: AVI keeps the order of decoding alone."""
    return any(packet.pts is None for packet in packets) or (kind == "avi" and reordered)


def _stamps(packets: list[_Packet], counted: bool, reordered: bool, name: str) -> tuple[np.ndarray, int]:
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


def _special(stream: VideoStream, frame: VideoFrame, posture: Posture, *, counted: bool, cut: bool, gif: bool) -> str:
    """Why only PyAV reads a stream exactly; empty if all back ends agree on it, as the tests measure."""
    codec, reordered = stream.codec_context.name, bool(stream.codec_context.has_b_frames)
    reasons = {
        "it has no time stamps for its frames": counted,
        "its end is missing": cut,
        "it is a GIF": gif,
        "its sides are odd": any(side % 2 for side in posture.stored),
        "it has more than 8 bits a value": any(part.bits > 8 for part in frame.format.components),
        "its frames are mirror images": posture.mirrored,
        "its frames are reordered": reordered and codec not in ("h264", "hevc"),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")
