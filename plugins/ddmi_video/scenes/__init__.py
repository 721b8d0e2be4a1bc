"""The default data: skies with drifting clouds, and handwritten digits that bounce."""

from ddmi_video.scenes.catalogue import KINDS as KINDS
from ddmi_video.scenes.catalogue import scene as scene
from ddmi_video.scenes.scene import Scene as Scene
from ddmi_video.scenes.source import load as load
