"""Networks of one's own as programs of torch.export and as ONNX."""

from __future__ import annotations

import importlib.machinery
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch.export import Dim

from ddmi_core.errors import DataError, RequestError
from ddmi_core.evaluation.networks.description import described
from ddmi_core.evaluation.networks.file_network import FileNetwork
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings
from feature_networks import Returning

PARTS = ImageParts(IMAGE, ImageSettings(size=24, multiples=(1.0,)))
TEXT = 'file = "{}"\ntakes = "pictures"\nrange = [0, 255]\nsize = 0\n'


def noise(count):
    bits = torch.randint(0, 256, (count, 3, 24, 24), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return bits.float(), bits.float() / 127.5 - 1


def own(folder, name, more=""):
    (folder / "own.toml").write_text(TEXT.format(name) + more)
    return FileNetwork(described("", folder / "own.toml"), PARTS)


def exported(folder, **options):
    program = torch.export.export(Returning(), (torch.zeros(2, 3, 24, 24),), **options)
    torch.export.save(program, folder / "net.pt2")


def test_a_program_of_torch_export_gets_what_its_description_says(tmp_path):
    exported(tmp_path, dynamic_shapes=({0: Dim("batch", min=1, max=1024)},))
    bits, values = noise(3)
    with torch.no_grad():
        torch.testing.assert_close(own(tmp_path, "net.pt2").of_pictures(values), Returning()(bits))


def test_a_program_for_one_size_of_batch_is_refused(tmp_path):
    exported(tmp_path)
    with pytest.raises(DataError, match=r"the network 'own' fails for pictures of 3 x 24 x 24: Guard failed: .* == 2"):
        own(tmp_path, "net.pt2").of_pictures(noise(3)[1])


class Session:
    """In place of `onnxruntime.InferenceSession`: its public methods, with the network of `Returning`."""

    inputs = ("pixels",)

    def __init__(self, path, providers):
        assert providers == ["CPUExecutionProvider"]
        with open(path, "rb") as stream:
            if stream.read() != b"onnx":
                raise ValueError("protobuf parsing failed\nand more")

    def get_inputs(self):
        return [SimpleNamespace(name=name) for name in self.inputs]

    def get_outputs(self):
        return [SimpleNamespace(name="features"), SimpleNamespace(name="scores")]

    def run(self, names, given):
        assert names == ["features"]
        ((name, values),) = given.items()
        assert (name, values.dtype) == ("pixels", np.float32)
        with torch.no_grad():
            return [Returning()(torch.from_numpy(values)).numpy()]


@pytest.fixture
def runtime(monkeypatch):
    module = ModuleType("onnxruntime")
    module.__spec__ = importlib.machinery.ModuleSpec("onnxruntime", None)
    module.InferenceSession = Session
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", module)
    monkeypatch.setattr("ddmi_core.evaluation.networks.file_network.version", lambda name: "1.0")


def test_an_onnx_file_gets_what_its_description_says(runtime, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    bits, values = noise(3)
    network = own(tmp_path, "net.onnx")
    with torch.no_grad():
        torch.testing.assert_close(network.of_pictures(values), Returning()(bits))
    assert network.record["versions"].keys() == {"torch", "onnxruntime"}


def test_other_onnx_files_are_refused(runtime, tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"none")
    with pytest.raises(DataError, match=r"net\.onnx: not an ONNX file: protobuf parsing failed$"):
        own(tmp_path, "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    with pytest.raises(DataError, match=r"keyword arguments, which ONNX files have not"):
        own(tmp_path, "net.onnx", "call = { return_features = true }")
    monkeypatch.setattr(Session, "inputs", ("pixels", "size"))
    with pytest.raises(DataError, match="must have one input, and has pixels, size"):
        own(tmp_path, "net.onnx")


def test_onnx_files_need_their_extra(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(b"onnx")
    monkeypatch.setattr("ddmi_core.network_files.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'ddmi\[onnx\]'"):
        own(tmp_path, "net.onnx")
