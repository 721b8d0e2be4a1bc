"""Back ends by name, with a message that says how to get one that is missing."""

from __future__ import annotations

import logging
from importlib import import_module

from ddmi_core.errors import PluginError, unknown_name
from ddmi_video.reading.frames import Frames, PyavFrames
from ddmi_video.reading.index import Source, VideoIndex

PACKAGES = {"pyav": "av", "torchcodec": "torchcodec.decoders", "decord": "decord"}

log = logging.getLogger(__name__)


def open_frames(backend: str, source: Source, index: VideoIndex) -> Frames:
    """Frames of a video by a back end; by PyAV where the other would read them otherwise.

    Raises:
        PluginError: if the back end is not known, not installed, or cannot be loaded.
        DataError: if it cannot read the file.
    """
    if backend not in PACKAGES:
        raise PluginError(unknown_name("reader of videos", backend, PACKAGES))
    if backend == "pyav":
        return PyavFrames(source, index)
    try:
        if index.special:
            import_module(PACKAGES[backend])
            log.info("%s: read by PyAV, not %s, because %s", index.name, backend, index.special)
            return PyavFrames(source, index)
        if backend == "torchcodec":
            from ddmi_video.reading.torchcodec_frames import TorchcodecFrames

            return TorchcodecFrames(source, index)
        from ddmi_video.reading.decord_frames import DecordFrames

        return DecordFrames(source, index)
    except ImportError as error:
        raise _missing(backend) from error
    except (OSError, RuntimeError) as error:
        raise _unloadable(backend, error) from error


def _missing(backend: str) -> PluginError:
    return PluginError(
        f'the reader {backend!r} is not installed: pip install "ddmi[{backend}]", or use --set domain.reader=pyav'
    )


def _unloadable(backend: str, error: Exception) -> PluginError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    hint = (
        "torchcodec needs FFmpeg's shared libraries (apt-get install ffmpeg) and a build for this torch; builds from "
        "0.14 on the package index need CUDA, so that without it: pip install torchcodec==0.13.0"
        if backend == "torchcodec"
        else f"install it anew: pip install --force-reinstall {backend}"
    )
    return PluginError(f"the reader {backend!r} cannot be loaded: {reason}. {hint}; or use --set domain.reader=pyav")
