"""Scenes by formula: skies with drifting clouds and bouncing balls, the default data, and handwritten digits."""

from ddmi_video.scenes.catalogue import DIGITS as DIGITS
from ddmi_video.scenes.catalogue import SCENES as SCENES
from ddmi_video.scenes.catalogue import scene as scene
from ddmi_video.scenes.scene import Scene as Scene
from ddmi_video.scenes.source import digits as digits
from ddmi_video.scenes.source import load as load
