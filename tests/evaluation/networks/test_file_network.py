"""Networks in files are called as their origin asks, against plain implementations of that call."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from attrs import evolve
from torch import nn

from ddmi_core.errors import ConfigError, DataError, RequestError
from ddmi_core.evaluation.networks import check_networks, feature_networks
from ddmi_core.evaluation.networks.description import described
from ddmi_core.evaluation.networks.file_network import FileNetwork
from ddmi_core.evaluation.networks.inception import Inception
from ddmi_core.settings.config import EvaluationConfig
from ddmi_image.parts import ImageParts
from ddmi_image.plugin import IMAGE
from ddmi_image.settings import ImageSettings
from ddmi_occupancy.parts import OccupancyParts
from ddmi_occupancy.plugin import OCCUPANCY
from ddmi_occupancy.settings import OccupancySettings
from ddmi_video.parts import VideoParts
from ddmi_video.plugin import VIDEO
from ddmi_video.settings import VideoSettings
from feature_networks import NvidiaInception, Returning, StyleganVI3d, layout, random_state, scripted

PICTURES = ImageParts(IMAGE, ImageSettings(size=24, multiples=(1.0,)))
CLIPS = VideoParts(VIDEO, VideoSettings(frames=4, size=16))
# Names and shapes of torch-fidelity's network, and features that torch-fidelity 0.4.0 computes with `random_state`.
LAYOUT = "d84f693f2abd7fea61cb31c87d3b2f268bf707c1bae1db219afdad3363959cb0"
FEATURES = [0.60582, 0.08699, 0.39844, 0.02068, 0.59701, 0.26794, 0.21681]  # every 293rd
OWN = """
file = "net.pt"
takes = "pictures"
range = [0, 1]
size = 32
"""


def noise(*shape, seed=0):
    bits = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return bits, bits.float() / 127.5 - 1


def opened(kind, path, parts=PICTURES):
    return FileNetwork(described(kind, path), parts)


def written(folder, text=OWN, network=None, name="own.toml"):
    scripted(network or Returning(), folder / "net.pt")
    (folder / name).write_text(text)
    return folder / name


def test_inception_gets_bytes_and_is_asked_for_features(tmp_path):
    network = opened("inception", scripted(NvidiaInception(), tmp_path / "inception-2015-12-05.pt"))
    bits, values = noise(3, 3, 24, 24)
    plain = NvidiaInception().eval()
    with torch.no_grad():
        expected = plain(bits, return_features=True)
        scores, other_range = plain(bits), plain(values, return_features=True)
    found = network.of_pictures(values)
    torch.testing.assert_close(found, expected)
    assert found.shape != scores.shape
    assert (found - other_range).abs().max() > 0.1 * expected.abs().max()
    assert network.record["call"] == "return_features=True"
    assert (network.name, network.record["known"]) == ("inception", "unknown file")


def test_i3d_gets_bytes_and_is_asked_to_scale_resize_and_return_features(tmp_path):
    network = opened("i3d", scripted(StyleganVI3d(), tmp_path / "i3d_torchscript.pt"), CLIPS)
    bits, values = noise(3, 3, 4, 16, 16)
    plain = StyleganVI3d().eval()
    with torch.no_grad():
        expected = plain(bits, rescale=True, resize=True, return_features=True)
        wrong = [
            plain(bits, rescale=True, resize=True),
            plain(bits, rescale=True, return_features=True),
            plain(bits, resize=True, return_features=True),
            plain(values, rescale=True, resize=True, return_features=True),
        ]
    found = network.of_pictures(values)
    torch.testing.assert_close(found, expected)
    assert all((found - other).abs().max() > 1e-3 for other in wrong)
    assert network.record["call"] == "rescale=True, resize=True, return_features=True"


@pytest.mark.parametrize(
    ("kind", "standin", "parts"), [("inception", NvidiaInception, PICTURES), ("i3d", StyleganVI3d, CLIPS)]
)
def test_class_scores_are_refused(kind, standin, parts, tmp_path):
    description = described(kind, scripted(standin(), tmp_path / "net.pt"))
    call = {key: value for key, value in description.call.items() if key != "return_features"}
    with pytest.raises(DataError, match="returns class probabilities, which are no features"):
        FileNetwork(evolve(description, call=call), parts).check()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in Inception().state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(random_state(shapes), path)
    return path


def test_inception_has_the_published_names_and_shapes():
    with torch.device("meta"):
        assert layout(Inception().state_dict()) == LAYOUT


def test_weights_of_torch_fidelity_give_its_features(weights):
    network = opened("inception", weights)
    bits = ((torch.arange(3 * 20 * 28).reshape(1, 3, 20, 28) * 37) % 256).to(torch.uint8)
    found = network.of_pictures(bits.float() / 127.5 - 1)
    assert found.shape == (1, 2048)
    assert found[0, ::293].tolist() == pytest.approx(FEATURES, rel=1e-3, abs=1e-4)
    # Of another filter or range they would not be these.
    other = evolve(network.description, input=evolve(network.description.input, filter="bilinear"))
    assert FileNetwork(other, PICTURES).of_pictures(bits.float() / 127.5 - 1)[0, ::293].tolist() != pytest.approx(
        FEATURES, rel=1e-3, abs=1e-4
    )


def test_the_file_that_papers_use_is_known_by_its_digest(weights):
    description = described("inception", weights)
    assert description.known("6726825d" + 56 * "0") == "the file that papers use"
    assert description.known("0" * 64) == "unknown file"
    assert described("inception", weights).known("6726825" + 57 * "1") == "unknown file"


def test_the_imagenet_weights_of_torchvision_are_refused(weights, tmp_path):
    state = torch.load(weights)
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 2048), torch.zeros(1000)
    state["AuxLogits.conv0.conv.weight"] = torch.zeros(128, 768, 1, 1)
    torch.save(state, tmp_path / "inception_v3_google-0cc3c7bd.pth")
    words = r"not the weights of Inception: with unknown AuxLogits.*; with fc.weight \(1000, 2048\) instead of \(1008, "
    with pytest.raises(DataError, match=words):
        opened("inception", tmp_path / "inception_v3_google-0cc3c7bd.pth")


def test_half_a_state_dictionary_is_refused(weights, tmp_path):
    state = {name: value for name, value in torch.load(weights).items() if "Mixed_5b" not in name}
    torch.save(state, tmp_path / "half.pth")
    with pytest.raises(DataError, match=r"without Mixed_5b\.branch1x1.* and 32 more"):
        opened("inception", tmp_path / "half.pth")


def test_a_network_of_ones_own_gets_what_its_description_says(tmp_path):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = Returning()

        def forward(self, pictures: torch.Tensor, power: int = 1, doubled: bool = False) -> torch.Tensor:
            found = self.network(pictures)
            return (2.0 if doubled else 1.0) * float(power) * found

    text = OWN.replace("size = 32", "size = 0") + (
        'name = "My Net 2"\nmean = [0.5, 0.4, 0.3]\ndeviation = [0.2, 0.2, 0.2]\nchannels = "bgr"\n'
        "call = { power = 3, doubled = true }\n"
    )
    network = opened("", written(tmp_path, text, Scaled()))
    bits, values = noise(2, 3, 24, 24)
    given = (bits / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / 0.2
    # The order of channels is that of the mean and deviation.
    turned = (bits.flip(1) / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / 0.2
    with torch.no_grad():
        expected, unturned = (6 * Returning()(item) for item in (turned, given))
    torch.testing.assert_close(network.of_pictures(values), expected)
    assert (expected - unturned).abs().max() > 0.1
    assert (network.name, network.record["file"]) == ("my_net_2", "net.pt")
    assert network.record["call"] == "power=3, doubled=True"
    assert json.dumps(dict(network.record))


def test_a_description_beside_the_file_is_found(tmp_path):
    written(tmp_path, name="net.toml")
    assert opened("", tmp_path / "net.pt").description == described("", tmp_path / "net.toml")


def test_a_file_without_a_description_is_refused(tmp_path):
    path = scripted(Returning(), tmp_path / "net.pt")
    with pytest.raises(
        DataError, match=r"nothing says what this network takes. Fix: write net.toml .*inception:net.pt"
    ):
        opened("", path)
    with pytest.raises(DataError, match=r"other.toml: no such file; evaluation.networks names it"):
        opened("", tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks file, takes, range, size. Fix: add them"),
        ("file = ", "not a TOML file"),
        (
            OWN.replace("pictures", "sounds"),
            "takes: it was given the text 'sounds'. It takes one of 'pictures', 'clips'",
        ),
        (OWN + "filtre = 'bicubic'", "unknown key 'filtre'; did you mean 'filter'?.*further keys: file, name, call"),
        (OWN.replace("[0, 1]", "1"), "range: it was given the integer 1"),
        (OWN + "name = 'inception'", "the name 'inception' cannot be that of a network of yours"),
        (OWN + "name = '!'", "the name '!' cannot be"),
        (OWN + "call = 'return_features'", "call is a table of keyword arguments"),
        (OWN + "mean = [0, 0, 0]", "three numbers each"),
        (OWN.replace("net.pt", "none.pt"), "none.pt: no such file"),
    ],
)
def test_incomplete_descriptions_are_refused_with_what_is_missing(text, words, tmp_path):
    with pytest.raises(DataError, match=words):
        opened("", written(tmp_path, text))


def test_weights_without_a_network_are_refused(tmp_path):
    torch.save(Returning().state_dict(), tmp_path / "weights.pth")
    (tmp_path / "own.toml").write_text(OWN.replace("net.pt", "weights.pth"))
    with pytest.raises(DataError, match=r"weights\.pth has weights without a network.*torch.export.save"):
        opened("", tmp_path / "own.toml")
    with pytest.raises(
        DataError, match=r"i3d takes i3d_torchscript.pt, and this is a file of the format state dictionary"
    ):
        opened("i3d", tmp_path / "weights.pth", CLIPS)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("probabilities", "class probabilities"),
        ("logarithms", "class probabilities"),
        ("constants", "the same features for different inputs"),
        ("nan", "values that are not finite"),
        ("one", r"must return features \(B, F\), and returns \(\) for 2 inputs"),
    ],
)
def test_what_are_no_features_is_refused(kind, words, tmp_path):
    network = opened("", written(tmp_path, network=Returning(kind)))
    with pytest.raises(DataError, match=f"net.pt: the network 'own' .*{words}"):
        network.check()


def test_features_pass_the_check(tmp_path):
    opened("", written(tmp_path)).check()


def test_a_network_that_fails_says_why_on_one_line(tmp_path):
    network = opened("", written(tmp_path, OWN + "call = { return_features = true }"))
    words = r"fails for pictures of 3 x 24 x 24, called with return_features=True: forward\(\) expected"
    with pytest.raises(DataError, match=words) as caught:
        network.check()
    assert "\n" not in str(caught.value)


def test_parts_make_no_difference(tmp_path, monkeypatch):
    network = opened("", written(tmp_path))
    _, values = noise(5, 3, 24, 24)
    whole = network.of_pictures(values)
    monkeypatch.setattr("ddmi_core.evaluation.networks.file_network.MOST", 2)
    torch.testing.assert_close(network.of_pictures(values), whole)
    assert not whole.requires_grad


def config(*networks):
    return EvaluationConfig(networks=networks)


def test_the_networks_of_a_model_follow_its_own_features(tmp_path):
    own, inception = written(tmp_path), scripted(NvidiaInception(), tmp_path / "inception-2015-12-05.pt")
    evaluation = config(f"inception:{inception}", str(own))
    model = SimpleNamespace(parts=PICTURES, config=SimpleNamespace(evaluation=evaluation), device=torch.device("cpu"))
    plain, *others = feature_networks(model)
    assert [network.name for network in (plain, *others)] == ["plain", "inception", "own"]
    assert plain.record == {"features": "ddmi_image.parts:ImageParts.field_features"}
    signal = PICTURES.blank()
    assert torch.equal(plain.of_signals(signal), PICTURES.signal_features(signal))
    assert torch.equal(others[0].of_signals(signal), others[0].of_pictures(torch.zeros(1, 3, 24, 24)))


def test_two_networks_of_one_name_are_refused(tmp_path):
    path = scripted(NvidiaInception(), tmp_path / "a.pt")
    with pytest.raises(ConfigError, match="two networks have the name 'inception'"):
        check_networks(PICTURES, config(f"inception:{path}", f"inception:{path}"))


def test_networks_must_fit_the_domain(tmp_path):
    inception = f"inception:{scripted(NvidiaInception(), tmp_path / 'a.pt')}"
    i3d = f"i3d:{scripted(StyleganVI3d(), tmp_path / 'b.pt')}"
    check_networks(PICTURES, config(inception))
    check_networks(CLIPS, config(i3d))
    with pytest.raises(ConfigError, match="'i3d', which takes clips, and domain 'image' has pictures"):
        check_networks(PICTURES, config(i3d))
    with pytest.raises(ConfigError, match="'inception', which takes pictures, and domain 'video' has clips"):
        check_networks(CLIPS, config(inception))
    shapes = OccupancyParts(OCCUPANCY, OccupancySettings())
    with pytest.raises(ConfigError, match="which takes pictures, and domain 'occupancy' has none"):
        check_networks(shapes, config(inception))


def test_kinds_are_checked_when_the_setting_is_read():
    with pytest.raises(RequestError, match=r"unknown kind of feature network 'inceptoin'; did you mean 'inception'\?"):
        config("inceptoin:weights.pth")
    with pytest.raises(RequestError, match="names no file"):
        config("inception:")
