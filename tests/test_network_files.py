"""Networks in files: their formats, what is refused, and torch's deprecated loader."""

import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ddmi_core import network_files
from ddmi_core.errors import DataError
from feature_networks import Returning, scripted


def test_formats_are_told_by_content(tmp_path):
    network = Returning()
    script = scripted(network, tmp_path / "weights.pth")
    torch.save(network.state_dict(), tmp_path / "script.pt")
    torch.save(network.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    assert network_files.file_format(script) == network_files.TORCHSCRIPT
    for name in ("script.pt", "old.pt", "net.safetensors"):
        assert network_files.file_format(tmp_path / name) == network_files.STATE
        assert network_files.load_state(tmp_path / name).keys() == network.state_dict().keys()
    with pytest.raises(DataError, match=r"none\.pt: no such file"):
        network_files.file_format(tmp_path / "none.pt")
    with pytest.raises(DataError, match="no such file"):
        network_files.file_format(tmp_path / ("a" * 5000))


def test_the_deprecated_loader_of_torch_does_not_warn(tmp_path):
    path = scripted(Returning(), tmp_path / "net.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = network_files.load_torchscript(path)
    pictures = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(network(pictures), Returning()(pictures))
    assert not network.training


def test_other_warnings_of_the_loader_are_passed_on(tmp_path, monkeypatch):
    path = scripted(Returning(), tmp_path / "net.pt")
    load = torch.jit.load

    def warning(*arguments, **options):
        warnings.warn("the archive is old", DeprecationWarning, stacklevel=2)
        return load(*arguments, **options)

    monkeypatch.setattr(torch.jit, "load", warning)
    with pytest.warns(DeprecationWarning, match="the archive is old"):
        network_files.load_torchscript(path)


def test_a_torch_without_the_loader_is_told_of(tmp_path, monkeypatch):
    path = scripted(Returning(), tmp_path / "net.pt")
    monkeypatch.delattr(torch.jit, "load")
    with pytest.raises(DataError, match=r"does not read TorchScript. Fix: convert the file .* torch.export.save"):
        network_files.load_torchscript(path)


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04 cut short"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"net\.pt: not a TorchScript file"):
        network_files.load_torchscript(path)
    with pytest.raises(DataError, match=r"net\.pt: not a state dictionary"):
        network_files.load_state(path)
    with pytest.raises(DataError, match=r"net\.pt: not a file of torch.export.save"):
        network_files.load_exported(path)


def test_files_with_other_objects_than_tensors_are_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    torch.save({"step": 3}, tmp_path / "numbers.pth")
    for name in ("module.pth", "numbers.pth"):
        with pytest.raises(DataError, match=f"{name}: not a state dictionary"):
            network_files.load_state(tmp_path / name)


def test_state_dictionaries_inside_of_checkpoints_are_found(tmp_path):
    state = nn.Linear(2, 3).state_dict()
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "a.pth")
    assert network_files.load_state(tmp_path / "a.pth").keys() == state.keys()


def test_weights_must_be_all_of_a_network(tmp_path):
    network, path = nn.Linear(2, 3), tmp_path / "a.pth"
    state = {name: torch.full_like(value, 2) for name, value in network.state_dict().items()}
    found = network_files.load_into(network, state, path)
    assert all(bool((value == 2).all()) for value in found.state_dict().values())
    words = r"a.pth: not the weights of Linear: without bias; with unknown head; with weight \(3, 3\) "
    with pytest.raises(DataError, match=words):
        network_files.load_into(network, {"weight": torch.zeros(3, 3), "head": torch.zeros(1)}, path)
