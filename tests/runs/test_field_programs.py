"""`ddmi export`: fields as programs, which are compared with the field before they are kept."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

import ddmi_core
from ddmi_core.cli.main import app
from ddmi_core.errors import NotFiniteError, OutputError, RequestError
from ddmi_core.runs import field_programs
from ddmi_core.runs.field_programs import RECORD, TOLERANCE, export


def command(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture(scope="module", params=["image", "occupancy"])  # with an extra column, and without one
def model(request):
    return ddmi_core.load(plugin=request.param, device="cpu")


@torch.no_grad()
def test_a_program_gives_the_values_of_the_sample_at_any_number_of_points(model, tmp_path):
    done = command("--plugin", model.domain.name, "--seed", 3, "--steps", 2, "--out", tmp_path)
    assert (done.exit_code, done.output) == (0, f"wrote 1 file to {tmp_path}, checked against the sampled fields\n")
    field, layout = model.sample(1, seed=3, steps=2), model.domain.layout
    extra: dict[str, str] = {RECORD: ""}
    program = torch.export.load(tmp_path / "sample-0000.pt2", extra_files=extra).module()
    given = [torch.rand(1, 77, len(columns)) * 2 - 1 for columns in (layout.axes, layout.extra) if columns]
    torch.testing.assert_close(program(*given), field(*given), atol=1e-4, rtol=1e-4)
    inputs = {"coords": list(layout.axes)} | ({"extra": list(layout.extra)} if layout.extra else {})
    assert json.loads(extra[RECORD]) == {"inputs": inputs, "values": list(model.parts.channels())}


@torch.no_grad()
def test_a_program_of_onnx_gives_the_values_of_the_field(model, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    field = model.sample(2, steps=1)
    export(field, tmp_path / "a.onnx", model.parts.channels())
    session = runtime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    layout = model.domain.layout
    columns = {"coords": layout.axes} | ({"extra": layout.extra} if layout.extra else {})
    given = {name: torch.rand(2, 50, len(own)) * 2 - 1 for name, own in columns.items()}
    (values,) = session.run(["values"], {name: part.numpy() for name, part in given.items()})
    torch.testing.assert_close(torch.from_numpy(values), field(*given.values()), atol=1e-4, rtol=1e-4)
    assert json.loads(session.get_modelmeta().custom_metadata_map[RECORD])["values"] == list(model.parts.channels())


def test_a_program_that_differs_is_refused_and_leaves_the_old_file(model, tmp_path, monkeypatch):
    (tmp_path / "a.pt2").write_bytes(b"old")
    written = field_programs._write_pt2

    def wrong(field, *rest):
        written(field.map(lambda plane: plane + 10 * TOLERANCE * plane.abs().max()), *rest)

    monkeypatch.setattr(field_programs, "_write_pt2", wrong)
    with pytest.raises(OutputError, match=r"a\.pt2: the program differs from the field by up to .* Fix: update torch"):
        export(model.sample(1, steps=1), tmp_path / "a.pt2")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt2"]
    assert (tmp_path / "a.pt2").read_bytes() == b"old"


def test_fields_that_are_not_finite_are_not_exported(model, tmp_path):
    broken = model.sample(1, steps=1).map(lambda plane: torch.full_like(plane, torch.inf))
    with pytest.raises(NotFiniteError):
        export(broken, tmp_path / "a.pt2")


def test_other_formats_and_missing_packages_are_told_before_sampling(tmp_path, monkeypatch):
    monkeypatch.setattr("ddmi_core.model.model.Model.sample_parts", lambda *_, **__: pytest.fail("sampled"))
    done = command("--plugin", "occupancy", "--format", "onx", "--out", tmp_path)
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit | RequestError)
    monkeypatch.setattr(field_programs, "PACKAGES", ("no_such_package",))
    with pytest.raises(RequestError, match=r"ONNX files require no_such_package. Fix: pip install 'ddmi\[onnx\]'"):
        field_programs.check_format(".onnx")
    with pytest.raises(RequestError, match=r"did you mean '?\.onnx"):
        field_programs.check_format(".onx")
