"""Colours of frames: matrices, gamuts, high dynamic range, transparency, and combs of interlaced frames."""

import av
import numpy as np
import pytest
from video_files import H264, Kind, write, write_planes

from ddmi_core.errors import ConfigError
from ddmi_core.sources.account import accounting
from ddmi_video.folder import load_all
from ddmi_video.reading.frame_colours import Look, over
from ddmi_video.reading.video import Video
from ddmi_video.settings import VideoSettings

COLOUR = np.array([180, 60, 40])
SMALL = VideoSettings(frames=4, size=16, rate=12.5)
WEIGHTS = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}
# to linear BT.709, printed in Recommendation ITU-R BT.2087 (BT.2020), and in Apple's and W3C's notes (Display P3)
TO_709 = {
    "2020": [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    "p3": [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
}


def light(values):
    """Linear light of sRGB values."""
    values = np.asarray(values) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def pq(nits):
    """The inverse EOTF of SMPTE ST 2084."""
    y = (np.asarray(nits) / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(nits):
    """Scene light from light of a display of 1,000 cd/m2, and the OETF of BT.2100."""
    shown = np.asarray(nits) / 1000
    scene = shown * (shown @ [0.2627, 0.6780, 0.0593]) ** (1 / 1.2 - 1)
    logarithm = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithm)


def planes(signal, matrix, bits=8, size=(48, 64)):
    """Limited-range 4:2:0 planes of one colour in [0, 1]."""
    red, green, blue = signal
    of_red, of_blue = WEIGHTS[matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    chroma = [(blue - luma) / (2 - 2 * of_blue), (red - luma) / (2 - 2 * of_red)]
    values = [16 + 219 * luma, *(128 + 224 * each for each in chroma)]
    kind = np.uint8 if bits == 8 else np.uint16
    shapes = [size, *[(size[0] // 2, size[1] // 2)] * 2]
    return [np.full(shape, round(v * 2 ** (bits - 8)), kind) for shape, v in zip(shapes, values, strict=True)]


def tags(matrix, primaries, curve):
    return {"colorspace": matrix, "color_primaries": primaries, "color_trc": curve}


def shown(path, look=None):
    with Video(path, look=look) as video:
        return video.frames_at([0.2])[0, :, 20, 20].astype(int)


def in_2020(white):
    return np.linalg.solve(TO_709["2020"], light(COLOUR)) * white


@pytest.mark.parametrize("white", [100, 203])
@pytest.mark.parametrize(("curve", "code"), [(pq, 16), (hlg, 18)])
def test_high_dynamic_range_comes_back_as_the_colour_that_was_encoded(curve, code, white, tmp_path):
    path = write_planes(tmp_path / "a.mp4", planes(curve(in_2020(white)), "2020", 10), "yuv420p10le", tags(9, 9, code))
    assert abs(shown(path, Look(white=white)) - COLOUR).max() <= 2


def test_bright_light_is_compressed_and_keeps_its_order_and_hue(tmp_path):
    found = []
    for nits in (100, 203, 400, 1000, 4000):
        signal = pq(np.linalg.solve(TO_709["2020"], [nits, nits / 2, nits / 2]))
        path = write_planes(tmp_path / f"{nits}.mp4", planes(signal, "2020", 10), "yuv420p10le", tags(9, 9, 16))
        found.append(shown(path))
    reds = [int(colour[0]) for colour in found]
    assert reds[0] == pytest.approx(255 * (1.055 * (100 / 203) ** (1 / 2.4) - 0.055), abs=4)  # swscale rounds down
    assert reds == sorted(reds)
    assert 235 <= reds[1] < reds[2] < reds[3]
    assert reds[3] >= 254
    assert [colour[1] / colour[0] for colour in found] == pytest.approx([0.735] * 5, abs=0.02)


@pytest.mark.parametrize(("gamut", "code", "matrix"), [("2020", 9, 9), ("p3", 12, 1)])
def test_wide_gamuts_are_converted(gamut, code, matrix, tmp_path):
    signal = np.linalg.solve(TO_709[gamut], (COLOUR / 255) ** 2.4) ** (1 / 2.4)
    name = "2020" if matrix == 9 else "709"
    path = write_planes(tmp_path / "a.mp4", planes(signal, name, 10), "yuv420p10le", tags(matrix, code, 1))
    assert abs(shown(path) - COLOUR).max() <= 2


@pytest.mark.parametrize(
    ("size", "matrix"), [((480, 640), "601"), ((576, 720), "601"), ((720, 960), "709"), ((540, 1280), "709")]
)
def test_the_matrix_of_streams_that_do_not_say_it_follows_their_size(size, matrix, tmp_path):
    path = write_planes(tmp_path / "a.mp4", planes(COLOUR / 255, matrix, size=size), "yuv420p", {})
    assert abs(shown(path) - COLOUR).max() <= 3
    with accounting() as account:
        clips = load_all(tmp_path, SMALL)
    whats = [change.what for change in account.changes[clips.names[0]]]
    assert f"without a colour matrix, read with that of BT.{matrix}" in whats


@pytest.mark.parametrize(("file", "codec"), [("a.mkv", "ffv1"), ("a.webm", "libvpx-vp9")], ids=["ffv1", "vp9"])
def test_what_lies_under_transparency_is_not_learned(file, codec, tmp_path):
    noise = np.random.default_rng(0).integers(16, 235, (48, 64), np.uint8)
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    flat = [np.full((24, 32), 128, np.uint8)] * 2
    path = write_planes(tmp_path / file, [noise, *flat, alpha], "yuva420p", {}, codec)
    with Video(path, look=Look(background="#ff8000")) as video:
        frames = video.frames_at([0.2, 0.0, 0.9])  # there and back
    assert (frames[:, :, :, :24] == np.array([255, 128, 0])[:, None, None]).all()
    assert frames[:, :, :, 40:].std() > 30
    with accounting() as account:
        clips = load_all(tmp_path, SMALL)
    changes = {change.what: change.amount for change in account.changes[clips.names[0]]}
    assert changes["laid over white where transparent"] == pytest.approx(0.5, abs=0.02)


def test_half_transparent_colours_are_mixed_with_the_background():
    half = over(np.full((2, 2, 3), 100, np.uint8), np.full((2, 2), 128, np.uint8), "white")
    assert abs(half.astype(int) - 177).max() <= 1
    with pytest.raises(ConfigError, match="no opaque colour"):
        VideoSettings(background="alpha")


def combed(number):
    """A bright bar that moves by 4 pixels from field to field: the lower field is first, as x264 is told by PyAV."""
    frame = np.full((48, 64, 3), 40, np.uint8)
    for field in (0, 1):
        left = 8 + (2 * number + 1 - field) * 4 % 40
        frame[field::2, left : left + 12] = 200
    return frame


def combs(frame):
    """The mean difference between neighbouring rows."""
    return abs(np.diff(frame.astype(int).mean(axis=0), axis=0)).mean()


@pytest.mark.parametrize("interlaced", [True, False])
def test_interlaced_frames_lose_their_combs_and_others_stay(interlaced, tmp_path, monkeypatch):
    monkeypatch.setattr("video_files.picture", lambda number, *_: combed(number))
    options = {**H264, "x264-params": "tff=1"} if interlaced else H264
    path = write(tmp_path, Kind("a.mp4", "libx264", options))
    with Video(path) as video:
        frames = video.frames_at(video.times)
        alone = [video.frames_at([time])[0] for time in video.times[::-5]]
    assert np.array_equal(alone, frames[::-5])
    if not interlaced:
        assert combs(frames[5]) > 20
        return
    assert max(map(combs, frames)) < 6
    bar = frames[5].astype(int).mean(axis=(0, 1))
    assert abs(np.flatnonzero(bar > 120) - np.arange(8, 20)).max() <= 1  # the place of the first field
    with accounting() as account:
        clips = load_all(tmp_path, SMALL)
    assert "deinterlaced" in [change.what for change in account.changes[clips.names[0]]]


@pytest.mark.parametrize("file", ["a.mkv", "a.webm", "a.mp4", "a.flv", "a.wmv", "a.avi"])
def test_a_stream_that_begins_late_is_whole(file, tmp_path):
    codec = {"a.webm": "libvpx-vp9", "a.wmv": "wmv2", "a.avi": "mpeg4"}.get(file, "libx264")
    path = write_planes(tmp_path / file, planes(COLOUR / 255, "601"), "yuv420p", {}, codec, late=50)
    with Video(path) as video:
        assert video.missing == ""
        # AVI has no time stamps: the first frame is repeated until the second begins
        assert video.duration == pytest.approx(2.96 if file == "a.avi" else 0.96, abs=0.01)


def test_an_flv_file_whose_first_frame_is_late_for_reordered_frames_is_whole(tmp_path):
    with Video(write(tmp_path, Kind("a.flv", "libx264", H264, rate=5, stamps=range(12)))) as video:
        assert video.missing == ""
        assert video.duration == pytest.approx(2.4, abs=0.01)


def test_the_default_stream_is_read(tmp_path):
    sources = []
    for name, colour in (("one", (1, 0, 0)), ("two", (0, 0, 1))):
        sources.append(write_planes(tmp_path / f"{name}.mkv", planes(colour, "601"), "yuv420p", {}, "ffv1"))
    both = tmp_path / "set" / "both.mkv"
    both.parent.mkdir()
    with av.open(str(both), "w") as target:
        for number, path in enumerate(sources):
            with av.open(str(path)) as source:
                stream = target.add_stream_from_template(source.streams.video[0])
                stream.disposition = int(number == 1)
        for number, path in enumerate(sources):
            with av.open(str(path)) as source:
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = target.streams[number]
                        target.mux(packet)
    assert shown(both)[2] > 200
    with accounting() as account:
        clips = load_all(both.parent, SMALL)
    assert "read from the default stream of pictures alone" in [c.what for c in account.changes[clips.names[0]]]
