"""Built-in trackers pass the figures of both stages on to their service, as one run."""

from types import SimpleNamespace

import accelerate.tracking
import pytest

from ddmi_core.training import services

RECORDS = [("autoencoder", 20, {"loss": 0.5}), ("autoencoder", 40, {"loss": 0.4}), ("denoiser", 20, {"loss": 0.9})]
CLASSES = {
    "tensorboard": "TensorBoardTracker",
    "wandb": "WandBTracker",
    "mlflow": "MLflowTracker",
    "trackio": "TrackioTracker",
}


def opened(name, run, monkeypatch):
    """The tracker of a service whose package and class are stand-ins, and what the class was told."""
    told = []

    class StandIn:
        def __init__(self, **given):
            self.name = name
            self.tracker = SimpleNamespace(define_metric=lambda *given, **named: told.append(("axis", *given, named)))
            told.append(("made", given))

        def start(self):
            told.append(("started",))

        def log(self, values, step=None):
            told.append(("log", values, step))

        def finish(self):
            told.append(("finished",))

    monkeypatch.setattr(services, "import_module", lambda module: told.append(("import", module)))
    monkeypatch.setattr(accelerate.tracking, CLASSES[name], StandIn)
    return getattr(services, name)(run), told


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "trackio"])
def test_figures_have_the_name_of_their_stage_and_its_step(name, tmp_path, monkeypatch):
    tracker, told = opened(name, tmp_path / "faces", monkeypatch)
    made = told[1][1]
    assert "faces" in str(made.get("logging_dir")) or "faces" in (made.get("name"), made.get("run_name"))
    for record in RECORDS:
        tracker.record(*record)
    tracker.close()
    assert told[2:] == [
        ("started",),
        ("log", {"autoencoder/loss": 0.5}, 20),
        ("log", {"autoencoder/loss": 0.4}, 40),
        ("log", {"denoiser/loss": 0.9}, 20),
        ("finished",),
    ]


def test_weights_and_biases_gets_the_steps_of_each_stage_as_a_figure(tmp_path, monkeypatch):
    """Its own step must never fall, as the step of the second stage does."""
    tracker, told = opened("wandb", tmp_path / "faces", monkeypatch)
    assert told[0] == ("import", "wandb")
    assert told[1] == ("made", {"run_name": "ddmi", "name": "faces", "dir": str((tmp_path / "faces").resolve())})
    tracker.record(*RECORDS[1])
    tracker.record(*RECORDS[2])
    assert told[3:] == [
        ("axis", "autoencoder/*", {"step_metric": "autoencoder/step"}),
        ("log", {"autoencoder/loss": 0.4, "autoencoder/step": 40}, None),
        ("axis", "denoiser/*", {"step_metric": "denoiser/step"}),
        ("log", {"denoiser/loss": 0.9, "denoiser/step": 20}, None),
    ]


def test_the_project_of_weights_and_biases_can_be_named_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "fields")
    _, told = opened("wandb", tmp_path, monkeypatch)
    assert told[1][1]["run_name"] == "fields"


@pytest.mark.parametrize("name", CLASSES)
def test_the_service_itself_takes_the_figures(name, tmp_path, monkeypatch):
    """Without a network: skipped where the package is not installed."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip(name)
    (tmp_path / "faces").mkdir()
    tracker = getattr(services, name)(tmp_path / "faces")
    for record in RECORDS:
        tracker.record(*record)
    tracker.close()
    found = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert found, name


def test_there_is_no_other_service():
    with pytest.raises(AttributeError, match="no attribute 'comet'"):
        getattr(services, "comet")  # noqa: B009 - the name is dynamic
