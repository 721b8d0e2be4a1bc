"""Building the index of a video from its packets, which PyAV lists without decoding them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from ddmi_core.errors import DataError
from ddmi_video.reading.display_orientation import Orientation, orientation_of
from ddmi_video.reading.frame_colours import colours_of
from ddmi_video.reading.index import Source, Ticks, VideoIndex, alpha_decoder, container, opened_as
from ddmi_video.reading.limits import TooShortError, check_size, check_stream, size_changes

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LOST = 0.02  # share of the promised frames, or of the promised duration, that may be missing without a warning
LEAST_LOST = 1.0  # seconds beyond its only frame that a damaged video claims
TIME_OF_END = ("matroska", "flv", "asf")  # containers whose duration is the time of the end, also after a late start
UNSEEKABLE = ("mpegts", "mpeg")  # containers without an index, in which FFmpeg does not find key frames exactly
FIELDS = (2, 3, 4, 5)  # AVFieldOrder of interlaced streams
RESTAMP = "re-encode it: ffmpeg -i IN -fps_mode cfr OUT.mp4"


@frozen
class Packet:
    """One stored frame; times are in ticks."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool


def index_video(source: Source, name: str, *, whole: bool = False) -> VideoIndex:
    """Build the index of the default video stream of a file.

    Args:
        source: path, or open file.
        name: name for messages.
        whole: decode the key frames too, to check that all have the same size.

    Raises:
        DataError: if it has no readable video, or is beyond the `limits`.
    """
    with container(source, name) as opened:
        stream = _video_stream(opened, name)
        check_stream(stream, name)
        packets, count, cut = read_packets(opened, stream)
        if not cut and opened.format.name == "gif" and not _is_ended(source):
            packets, cut = packets[:-1], True  # the decoder does not notice that the last frame is cut
        if not packets:
            raise DataError(f"{name}: its video stream has no frames; remove it")
        # AVI also counts the empty frames that repeat the one before
        promised = opened.format.name != "avi" and stream.frames * (1 - LOST) - 1 > count
        claimed = _claimed_seconds(opened, stream)
        if len(packets) == 1:
            shown = packets[0].duration * float(stream.time_base or 0)
            raise _one_frame(name, claimed, cut or promised or claimed > shown + LEAST_LOST)
    with container(source, name) as opened:
        stream = _video_stream(opened, name)
        first = _first_frame(opened, stream, name)
        colours = colours_of(first)
        interlaced = first.interlaced_frame or stream.codec_context.field_order in FIELDS
        orientation = orientation_of(first, float(stream.sample_aspect_ratio or 1) or 1.0)
        inexact = opened.format.name in UNSEEKABLE
        reordered = bool(stream.codec_context.has_b_frames)
        counted = is_counted(packets, opened.format.name, reordered)
        if cut and reordered and not counted:
            packets = before_gaps(packets)
        ticks, length = time_stamps(packets, counted, reordered, name)
        tick = float(stream.time_base or 0)
        seconds = (ticks[-1] - ticks[0] + length) * tick
        lost = cut or promised or claimed > seconds * (1 + LOST) + 0.1
        special = _special(packets, first, orientation, counted=counted, cut=lost, codec=stream.codec_context.name)
        more = {"its frames are interlaced": interlaced, "its container has no index": inexact}
        special = special or colours.special or next((reason for reason, holds in more.items() if holds), "")
        if whole and not special:
            _check_key_frames(opened, stream, orientation, name)
        return VideoIndex(
            name=name,
            stream=stream.index,
            ticks=ticks,
            tick=tick,
            length=length,
            keys=np.asarray(
                [] if counted or inexact else sorted({p.pts for p in packets if p.key and p.pts is not None})
            ),
            orientation=orientation,
            colours=colours,
            interlaced=interlaced,
            others=sum(not is_cover(other) for other in opened.streams.video) - 1,
            counted=counted,
            special=special,
            missing=f"of {max(claimed, seconds):.3f} s, {seconds:.3f} s can be read" if lost else "",
        )


def _video_stream(opened: InputContainer, name: str) -> VideoStream:
    """The default one of the video streams that are no cover pictures, or else the first."""
    from av.stream import Disposition

    streams = [stream for stream in opened.streams.video if not is_cover(stream)]
    if streams:
        return max(streams, key=lambda stream: bool(stream.disposition & Disposition.default))
    kinds = ", ".join(sorted({stream.type for stream in opened.streams})) or "nothing"
    raise DataError(f"{name}: it has no video stream, only {kinds}; remove it")


def is_cover(stream: VideoStream) -> bool:
    """Whether a stream of pictures is a cover of the file."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _claimed_seconds(opened: InputContainer, stream: VideoStream) -> float:
    """The duration of the stream from the file's header; 0 if the header has none for this stream."""
    begins = any(name in opened.format.name for name in TIME_OF_END)
    if stream.duration and stream.time_base:
        return float((stream.duration - begins * (stream.start_time or 0)) * stream.time_base)
    if len(opened.streams) > 1:
        return 0.0
    return float((opened.duration or 0) - begins * (opened.start_time or 0)) / 1_000_000


def _one_frame(name: str, claimed: float, lost: bool) -> TooShortError:
    """The error for a stream with one frame, and maybe with others that cannot be read."""
    if lost:
        return TooShortError(
            f"{name}: damaged, or cut short: of {claimed:.3f} s, only the first frame can be read; copy it again, or "
            "remove it"
        )
    return TooShortError(f"{name}: it has only one frame, so nothing moves; remove it, or use it as a picture")


def _is_ended(source: Source) -> bool:
    """Whether a GIF ends with its trailer."""
    place = opened_as(source)
    with Path(place).open("rb") if isinstance(place, str) else nullcontext(place) as file:
        file.seek(0, SEEK_END)
        file.seek(max(file.tell() - 16, 0))
        return file.read().rstrip(b"\0").endswith(b";")


def _first_frame(opened: InputContainer, stream: VideoStream, name: str) -> VideoFrame:
    decoder = alpha_decoder(stream, name)
    decoded = opened.decode(stream) if decoder is None else _decoded(opened, stream, decoder)
    for frame in decoded:
        check_size(frame.width, frame.height, name)
        return frame
    raise DataError(f"{name}: none of its frames can be decoded; copy it again, or remove it")


def _decoded(opened: InputContainer, stream: VideoStream, decoder: Any) -> Iterator[VideoFrame]:
    for packet in opened.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _check_key_frames(opened: InputContainer, stream: VideoStream, orientation: Orientation, name: str) -> None:
    """Check that all key frames have the same size; sizes change only at key frames."""
    opened.seek(0)
    stream.codec_context.skip_frame = "NONKEY"
    for frame in opened.decode(stream):
        if (frame.height, frame.width) != orientation.stored:
            raise size_changes(name, orientation.stored, (frame.height, frame.width))


def _special(
    packets: list[Packet], frame: VideoFrame, orientation: Orientation, *, counted: bool, cut: bool, codec: str
) -> str:
    """Why only PyAV reads a stream exactly; empty if all back ends agree, as the tests verify."""
    reordered = any(packet.pts != packet.dts for packet in packets if packet.dts is not None)
    reasons = {
        "it has no time stamps for its frames": counted,
        "its end is missing": cut,
        "it is a GIF": codec == "gif",
        "its sides are odd": any(side % 2 for side in orientation.stored),
        "it has more than 8 bits a value": any(part.bits > 8 for part in frame.format.components),
        "its frames are mirror images": orientation.mirrored,
        "its key frames are too close together": has_near_keys(packets),
        "frames depend on others before the last key frame": has_open_groups(packets),
        "its frames are reordered": reordered and codec not in ("h264", "hevc", "av1", "vp8", "vp9"),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def read_packets(opened: InputContainer, stream: VideoStream) -> tuple[list[Packet], int, bool]:
    """Packets of the frames to be shown, the number of all packets, and whether the end is missing."""
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
    """Frames before the first one lost with the end: those shown no later than the last packet is decoded."""
    last = packets[-1].dts
    kept = packets if last is None else [packet for packet in packets if packet.pts is None or packet.pts <= last]
    return kept if len(kept) > 1 else packets


def is_counted(packets: list[Packet], kind: str, reordered: bool) -> bool:
    """Whether time stamps cannot identify decoded frames: AVI keeps only the order of decoding."""
    return any(packet.pts is None for packet in packets) or (kind == "avi" and reordered)


def time_stamps(packets: list[Packet], counted: bool, reordered: bool, name: str) -> tuple[Ticks, int]:
    """Increasing time stamps of the frames `(N,)`, and the ticks that the last one is shown for."""
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
    """Whether a seek to a key frame can end at the next one: some containers seek by decoding time."""
    keys = [packet for packet in packets if packet.key]
    return any(key.pts is not None and later.dts is not None and later.dts <= key.pts for key, later in pairwise(keys))


def has_open_groups(packets: list[Packet]) -> bool:
    """Whether frames that follow a key frame are shown before it, and so depend on earlier frames (open GOP)."""
    shown = packets[0].pts or 0
    for packet in packets:
        if packet.pts is not None:
            shown = packet.pts if packet.key else shown
            if packet.pts < shown:
                return True
    return False
