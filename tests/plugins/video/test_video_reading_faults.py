"""Files that are no good: each is told by its name, with what is wrong and what to do."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from attrs import evolve
from video_files import FRAMES, KINDS, Kind, numbers_of, picture, write

from ddmi_core.errors import DataError
from ddmi_video.reading import limits
from ddmi_video.reading.video import Video

MJPEG = Kind("jpeg.mkv", "mjpeg", pixels="yuvj420p")


def refused(path, match, backend="pyav"):
    with pytest.raises(DataError, match=match) as caught, Video(path, backend=backend) as video:
        video.frames_at(video.times)
    assert str(path) in str(caught.value)


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def test_no_video_at_all(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing to see here")
    refused(tmp_path / "a.mp4", "not a video, damaged, or cut short")
    (tmp_path / "b.mp4").write_bytes(b"")
    refused(tmp_path / "b.mp4", "not a video, damaged, or cut short")


def test_facts_that_are_not_text(tmp_path):
    path = write(tmp_path, KINDS["mpeg4"])
    content = path.read_bytes()
    assert b"Lavf" in content
    path.write_bytes(content.replace(b"Lavf", b"L\xe0vf"))
    with Video(path, backend="pyav") as video:
        assert len(video.frames_at(video.times)) == FRAMES


def test_sound_only(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    refused(tmp_path / "a.mkv", "it has no video stream, only audio; remove it")


def test_no_frame(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        container.start_encoding()
    refused(tmp_path / "a.mkv", r"not a video, damaged, .* \(End of file\)")


def test_one_frame(tmp_path):
    refused(write(tmp_path, evolve(MJPEG, stamps=range(1))), "it has only one frame, so nothing moves")


def test_a_video_of_which_only_one_frame_can_be_read_is_damaged(tmp_path):
    path = write(tmp_path, evolve(MJPEG, stamps=range(100)))
    data = path.read_bytes()
    second = data.index(b"\xff\xd8", data.index(b"\xff\xd8") + 2)  # where its picture begins
    path.write_bytes(data[: second - 12] + bytes(400))
    refused(path, r"damaged, or cut short: of 4\.000 s, only the first frame can be read")


@pytest.mark.parametrize("name", ["h264", "varied-mkv", "vp9", "mpeg4-avi", "gif"])
def test_what_is_before_a_broken_end_is_read(name, tmp_path):
    kind = KINDS[name]
    options = {"movflags": "faststart"} if kind.file.endswith("mp4") else {}
    path = tmp_path / kind.file
    whole = write(tmp_path, kind, f"whole-{kind.file}")
    with av.open(str(whole)) as old, av.open(str(path), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    cut(path, 0.7)
    with Video(path) as video:
        count = len(video.times)
        assert 2 < count < FRAMES
        assert "can be read" in video.missing
        np.testing.assert_allclose(video.times, kind.times[:count], atol=6e-4)
        assert numbers_of(video.frames_at(video.times)) == list(range(count))


def test_an_index_that_is_missing(tmp_path):
    refused(cut(write(tmp_path, KINDS["h264"]), 0.6), r"cut short before its index .* copy it again")


def test_damage_in_the_middle(tmp_path):
    path = write(tmp_path, KINDS["h264"])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    refused(path, r"damaged at 0\.\d+ s .* copy it again, or cut it there")


@pytest.mark.parametrize("backend", ["pyav", "torchcodec", "decord"])
def test_frames_that_change_in_size(backend, tmp_path):
    if backend != "pyav":
        pytest.importorskip(backend, exc_type=(ImportError, OSError))
    path = tmp_path / "changes.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        other = av.CodecContext.create("mjpeg", "w")
        other.height, other.width, other.pix_fmt, other.time_base = 32, 40, "yuvj420p", Fraction(1, 25)
        for number in range(12):
            encoder = stream.codec_context if number < 6 else other
            frame = av.VideoFrame.from_ndarray(picture(number, encoder.height, encoder.width), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in encoder.encode(frame.reformat(format="yuvj420p")):
                packet.stream = stream
                container.mux(packet)
    refused(path, "changes from 64 x 48 to 40 x 32. Fix: re-encode it", backend)


def test_frames_beyond_the_limits_are_refused_before_one_is_decoded(tmp_path, monkeypatch):
    path = write(tmp_path, KINDS["h264"])
    decoded = []
    monkeypatch.setattr(limits, "MOST_PIXELS", 1000)
    monkeypatch.setattr("ddmi_video.reading.indexing._first_frame", lambda *_: decoded.append(0))
    refused(path, r"64 x 48 are too large; the limit is 1,000 pixels .* scale=")
    assert not decoded


def test_tiny_frames(tmp_path):
    refused(write(tmp_path, evolve(MJPEG, size=(6, 64))), "64 x 6 are too small; each side needs 8")


@pytest.mark.parametrize("stamp", [0, 80])
def test_time_stamps_that_do_not_increase(stamp, tmp_path):
    path = write(tmp_path, MJPEG)
    content = path.read_bytes()
    old, new = (b"\x81" + struct.pack(">h", value) + b"\x80\xff\xd8" for value in (120, stamp))
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    refused(path, f"time stamps do not increase, at frame 3 of {FRAMES}; re-encode it")


def test_a_codec_without_a_decoder(tmp_path):
    path = write(tmp_path, evolve(KINDS["mpeg4-avi"], file="a.mkv"))
    content = path.read_bytes()
    assert b"V_MPEG4/ISO/ASP" in content
    path.write_bytes(content.replace(b"V_MPEG4/ISO/ASP", b"V_NO/SUCH/CODEC"))
    refused(path, r"no decoder for this codec\. Convert")
