"""Extra columns have no influence beyond what training has seen."""

from __future__ import annotations

import pytest
import torch

from ddmi_core.api import Field, Layout
from ddmi_core.fields.coordinates import cell_centres
from ddmi_core.fields.planes import Planes
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig

LAYOUT = Layout(axes=("t",), planes=(("t",),), extra=("a", "b"))


def make_field(batch=1, **options):
    source = torch.Generator().manual_seed(0)
    basis = tuple(Planes([torch.randn(batch, width, n, generator=source)]) for width, n in ((4, 5), (3, 9)))
    torch.manual_seed(0)
    return Field(basis, CoarseToFineReadout((4, 3), 2, 2, ReadoutConfig(width=8, **options)), LAYOUT)


def trained(field, *rows):
    """The field after training steps with rows of extra columns."""
    field.readout.train()
    for row in rows:
        field(torch.zeros(len(field), 3, 1), torch.tensor(row))
    field.readout.eval()
    return field


def test_training_records_the_range_of_each_column():
    field = trained(make_field(), (0.0, 5.0), (-2.0, 5.0), (-1.0, 5.0))
    assert field.readout.seen.tolist() == [[-2, 5], [0, 5]]
    field(torch.zeros(1, 3, 1), torch.tensor((9.0, 9.0)))  # no training
    field.readout.train()
    with torch.no_grad():
        field(torch.zeros(1, 3, 1), torch.tensor((9.0, 9.0)))  # such as an evaluation during training
    assert field.readout.seen.tolist() == [[-2, 5], [0, 5]]


def test_the_range_covers_every_point_of_a_batch():
    field = make_field(batch=2)
    field(torch.zeros(2, 3, 1), torch.tensor([[[0.0, 1.0], [3.0, 0.0], [1.0, 1.0]], [[-4.0, 0.5], [0, 0], [0, 0]]]))
    assert field.readout.seen.tolist() == [[-4, 0], [3, 1]]


@pytest.mark.parametrize(
    "options", [{}, {"joining": "input"}, {"modulated": True}, {"residual": True, "depth": 2}], ids=str
)
def test_values_outside_the_range_equal_those_at_its_border_on_every_path(options):
    field = trained(make_field(**options), (0.0, 5.0), (-2.0, 5.0))
    coords, axis = torch.linspace(-1, 1, 7)[None, :, None], cell_centres(7)

    def everywhere(extra):
        extra = torch.tensor(extra)
        paths = [field(coords, extra)[0], field.points(extra).at(coords[0])]
        paths.append(torch.cat([values for _, values in field.lattice([axis], extra).slabs()]))
        paths.append(field.lattice_subset([axis], extra).at(torch.arange(7)[None]).T)
        return [path.detach() for path in paths]

    border, inside = everywhere((-2.0, 5.0)), everywhere((-1.0, 5.0))
    for beyond in ((-4.0, 5.0), (-2.0, 0.0), (-3.0, 80.0)):  # the second column was constant: no value of it matters
        for one, other in zip(everywhere(beyond), border, strict=True):
            assert torch.equal(one, other)
    for one, other in zip(inside, border, strict=True):
        assert not torch.allclose(one, other)
    torch.testing.assert_close(border[0], border[1])


def test_without_training_and_inside_the_range_columns_are_not_changed():
    field, coords = make_field(), torch.zeros(1, 1, 1)
    field.readout.eval()
    far = field(coords, torch.tensor((-30.0, 7.0)))
    assert not torch.allclose(far, field(coords, torch.tensor((-29.0, 7.0))))
    trained(field, (-30.0, 7.0), (30.0, -7.0))
    assert torch.equal(field(coords, torch.tensor((-30.0, 7.0))), far)


def test_a_stored_field_keeps_the_range(tmp_path):
    field = trained(make_field(), (0.0, 1.0))
    field.save(tmp_path / "field.safetensors")
    again = Field.load(tmp_path / "field.safetensors")
    coords = torch.zeros(1, 1, 1)
    torch.testing.assert_close(again(coords, torch.tensor((7.0, 7.0))), field(coords))
    again(coords, torch.tensor((7.0, 7.0)))  # a loaded field does not train
    assert again.readout.equals(field.readout)


def test_a_readout_without_extra_columns_has_no_range():
    assert "seen" not in CoarseToFineReadout((4,), 0, 1, ReadoutConfig(width=8)).state_dict()
