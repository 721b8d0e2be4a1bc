"""The extension of the core: samplers, denoisers, paths, targets, trackers, report sections and commands."""

from __future__ import annotations

from ddmi_core.api.domain import API_VERSION
from ddmi_core.registry.hooks import Contributions, hookimpl
from ddmi_core.registry.records import Contribution

api_version = API_VERSION


@hookimpl
def ddmi_samplers() -> Contributions:
    """See `ddmi_core.diffusion.samplers`."""
    names = ("ancestral", "ddim", "dpmpp_2m", "euler", "heun", "mean_flow", "unipc")
    return {name: f"ddmi_core.diffusion.samplers:{name}" for name in names}


@hookimpl
def ddmi_denoisers() -> Contributions:
    """The U-Net over the planes, and a transformer."""
    return {
        "unet": "ddmi_core.diffusion.denoisers.unet:PlaneUNet",
        "transformer": "ddmi_core.diffusion.denoisers.transformer:PlaneTransformer",
    }


@hookimpl
def ddmi_paths() -> Contributions:
    """Variance preserving (the authors' path), and rectified flow."""
    names = ("variance_preserving", "rectified_flow")
    return {name: f"ddmi_core.diffusion.paths:{name}" for name in names}


@hookimpl
def ddmi_targets() -> Contributions:
    """Noise, data and velocity."""
    names = {"noise": "NoiseTarget", "data": "DataTarget", "velocity": "VelocityTarget"}
    return {name: f"ddmi_core.diffusion.parameterization:{target}" for name, target in names.items()}


@hookimpl
def ddmi_trackers() -> Contributions:
    """TensorBoard, Weights & Biases, MLflow and Trackio, each with an extra of its name."""
    names = ("tensorboard", "wandb", "mlflow", "trackio")
    return {name: Contribution(f"ddmi_core.training.services:{name}", requires=f"ddmi[{name}]") for name in names}


@hookimpl
def ddmi_report_sections() -> Contributions:
    """The sections, in the order of the report."""
    headings = {
        "figures": "Figures",
        "reconstructions": "Held-out reconstructions",
        "samples": "Samples with their nearest training signals",
        "scales": "Scale by scale",
        "sizes": "One field at several sizes",
        "sampling": "Sampling: cost and quality",
        "training": "Training",
    }
    return {name: Contribution(f"ddmi_core.report.sections:{name}", summary=it) for name, it in headings.items()}


@hookimpl
def ddmi_commands() -> Contributions:
    """The commands, in the order of the help."""
    modules = {
        "run": "train",
        "sample": "generate",
        "complete": "generate",
        "export": "export",
        "conditions": "generate",
        "reconstruct": "generate",
        "evaluate": "evaluate",
        "tune": "tune",
        "report": "inspect",
        "view": "inspect",
        "publish": "share",
        "push": "share",
        "fetch": "share",
        "settings": "train",
        "doctor": "doctor",
        "bench": "inspect",
        "status": "inspect",
    }
    commands = {name: f"ddmi_core.cli.{module}:{name}" for name, module in modules.items()}
    return {**commands, "data": "ddmi_core.cli.train:data_app", "plugins": "ddmi_core.cli.plugins:app"}
