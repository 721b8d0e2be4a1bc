"""Stored fields: they come back as they were, and what is not one is refused in words."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch
from test_field import LAYOUTS, make_field

from ddmi_core.api import Field
from ddmi_core.errors import CheckpointError, OutputError
from ddmi_core.fields.storage import FORMAT


@pytest.fixture
def path(tmp_path):
    return tmp_path / "field.safetensors"


def flat(basis):
    return [plane for planes in basis for plane in planes]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_saved_field_computes_the_same(layout, full, path):
    options = {"residual": True, "tail": 1, "modulated": bool(layout.extra)} if full else {}
    field = make_field(layout, **options)
    field.save(path)
    again = Field.load(str(path))
    coords = torch.rand(2, 6, len(layout.axes)) * 2 - 1
    extra = torch.randn(len(layout.extra))
    assert again.layout == layout
    assert all(torch.equal(one, other) for one, other in zip(flat(again.basis), flat(field.basis), strict=True))
    for name, weight in field.readout.state_dict().items():
        assert torch.equal(again.readout.state_dict()[name], weight)
    # Products of the same numbers differ in the last digit on some processors, by where the numbers lie.
    torch.testing.assert_close(again(coords, extra), field(coords, extra), rtol=1e-6, atol=1e-6)
    assert not any(weight.requires_grad for weight in again.readout.parameters())


def test_a_field_of_one_scale_is_saved_and_loaded(path):
    field = make_field(LAYOUTS["tri-plane"], scales=1)
    field.save(path)
    coords = torch.rand(2, 6, 3) * 2 - 1
    assert torch.equal(Field.load(path)(coords), field(coords))


def test_a_field_keeps_its_precision_and_loading_leaves_the_random_state_alone(path):
    field = make_field(LAYOUTS["plane"])
    field.readout.double()
    field.map(torch.Tensor.double).save(path)
    before = torch.get_rng_state()
    again = Field.load(path)
    assert torch.equal(torch.get_rng_state(), before)
    coords = torch.zeros(2, 1, 2, dtype=torch.double)
    torch.testing.assert_close(again(coords), field.map(torch.Tensor.double)(coords), rtol=1e-13, atol=1e-13)


def altered(path, change):
    """Store a field's file again after a change of its record and its tensors."""
    with safetensors.safe_open(path, framework="pt") as stored:
        record = json.loads(stored.metadata()["ddmi.field"])
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    change(record, tensors)
    safetensors.torch.save_file(tensors, path, metadata={"ddmi.field": json.dumps(record)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record, _: record.clear(), "'format'"),
        (lambda record, _: record.update(format="one"), "damaged"),
        (lambda record, _: record.pop("layout"), "'layout'"),
        (lambda record, _: record.pop("planes"), "'planes'"),
        (lambda record, _: record["layout"].update(axes=["x", "x"]), "duplicate layout names"),
        (lambda record, _: record["layout"].update(shape=1), "shape"),
        (lambda record, _: record["readout"].update(width=13), "size mismatch"),
        (lambda record, _: record["readout"].update(activation="tanh"), "activation"),
        (lambda record, _: record.update(planes=[1]), "damaged"),
        (lambda record, _: record.update(planes=[]), "damaged"),
        (lambda _, tensors: tensors.pop("readout.head.bias"), "head.bias"),
        (lambda _, tensors: tensors.pop("basis.1.0"), "basis.1.0"),
        (lambda _, tensors: tensors.update({"basis.1.0": torch.zeros(2, 9, 4, 4)}), "damaged"),
        (lambda record, _: record.update(format=FORMAT + 1), "install a newer ddmi"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, words, path):
    make_field(LAYOUTS["plane"]).save(path)
    altered(path, change)
    with pytest.raises(CheckpointError, match=words) as caught:
        Field.load(path)
    assert str(path) in str(caught.value)


def test_what_is_no_field_is_refused(path):
    with pytest.raises(CheckpointError, match="not a stored field"):
        Field.load(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not a stored field"):
        Field.load(path)
    make_field(LAYOUTS["line"]).save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="not a stored field"):
        Field.load(path)


def test_a_field_that_cannot_be_written_leaves_the_older_one(path, monkeypatch):
    field = make_field(LAYOUTS["line"])
    field.save(path)
    before = path.read_bytes()

    def full(place, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OutputError, match="no space left"):
        field.save(path)
    assert path.read_bytes() == before
    assert [place.name for place in path.parent.iterdir()] == [path.name]
    with pytest.raises(OutputError, match="cannot write"):
        field.save(path / "below")
