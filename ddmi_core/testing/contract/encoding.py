"""Checks of encoder and decoder: shapes, independence within a batch, devices, and stored weights."""

from __future__ import annotations

import torch
from attrs import evolve

from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.testing.check import expect
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import finite, furthest
from ddmi_core.training import checkpoint
from ddmi_core.training.objective import generator_for

CLOSE = 1e-4


def check_encoder(subject: Subject) -> None:
    """The encoder gives one float32 latent per plane of the layout, with the configured channels, for any batch."""
    channels = subject.config.autoencoder.latent_channels
    counts = sorted({1, min(3, subject.count), subject.count})
    for count in counts:
        with torch.no_grad():
            posterior = subject.autoencoder.encode(subject.signals(range(count)))
        expect(
            isinstance(posterior, Posterior),
            f"the encoder returns a {type(posterior).__name__}",
            "return a ddmi_core.api.Posterior, with mean and log_variance",
            batch=count,
        )
        for name in ("mean", "log_variance"):
            planes: Planes = getattr(posterior, name)
            _planes(subject, planes, f"{name} of the posterior", count, channels)
        expect(
            [plane.shape for plane in posterior.mean] == [plane.shape for plane in posterior.log_variance],
            "mean and log_variance of the posterior differ in shape",
            "return equal shapes, for example the halves of twice the channels",
            mean=_shapes(posterior.mean),
            log_variance=_shapes(posterior.log_variance),
        )


def check_encoder_sees_signals(subject: Subject) -> None:
    """Different signals have different latents, and the same signal always has the same."""
    subject.several()
    mean = subject.posterior.mean
    with torch.no_grad():
        again = subject.autoencoder.encode(subject.batch).mean
    apart = max(furthest(plane[:1], plane[1:2]) for plane in mean)
    repeated = max(furthest(first, second) for first, second in zip(mean, again, strict=True))
    expect(
        apart > 0,
        "two different signals have the same latent",
        "make the latent depend on the signal's values",
        difference=apart,
    )
    expect(
        repeated <= CLOSE,
        "repeated encoding of a signal gives different latents",
        "draw no random numbers in the encoder; the core samples the posterior",
        difference=repeated,
        tolerance=CLOSE,
    )


def check_signals_are_coded_alone(subject: Subject) -> None:
    """Latents and basis fields of a signal do not depend on the other signals of its batch."""
    subject.several()
    with torch.no_grad():
        alone = subject.autoencoder.encode(subject.signals([subject.chosen[1]])).mean
        basis = subject.autoencoder.decode(Planes(plane[1:2] for plane in subject.posterior.mean)).basis
    encoded = max(furthest(a, b[1:2]) for a, b in zip(alone, subject.posterior.mean, strict=True))
    fix = "use no operations across the batch, such as batch normalisation in training mode or attention over it"
    expect(
        encoded <= CLOSE,
        "the latent of a signal depends on the other signals of its batch",
        fix,
        difference=encoded,
        tolerance=CLOSE,
    )
    together = (plane[1:2] for planes in subject.fields.basis for plane in planes)
    decoded = max(furthest(a, b) for a, b in zip((p for planes in basis for p in planes), together, strict=True))
    expect(
        decoded <= CLOSE,
        "the basis fields of a signal depend on the other signals of its batch",
        fix,
        difference=decoded,
        tolerance=CLOSE,
    )


def check_decoder(subject: Subject) -> None:
    """The decoder gives basis fields with its `channels`: scales coarse to fine, one float32 grid per plane."""
    decoder = subject.autoencoder.decoder
    scales = len(decoder.channels)
    for count in sorted({1, subject.count}):
        with torch.no_grad():
            basis = decoder(Planes(plane[:count] for plane in subject.posterior.mean))
        expect(
            isinstance(basis, tuple) and len(basis) == scales >= 1,
            "the number of scales differs from the decoder's `channels`",
            "return one Planes per scale, and set `channels` to match",
            scales=len(basis),
            channels=decoder.channels,
        )
        for number, (planes, channels) in enumerate(zip(basis, decoder.channels, strict=True)):
            _planes(subject, planes, f"scale {number} of the basis fields", count, channels)
        cells = [planes[0][0, 0].numel() for planes in basis]
        expect(
            cells == sorted(cells),
            "the scales are not ordered from coarse to fine",
            "order the basis fields by the size of their grids, the coarsest first",
            cells=cells,
        )


def check_weights_are_all(subject: Subject) -> None:
    """Encoder, decoder and readout are determined by their weights: stored and loaded, they give the same values."""
    folder = subject.scratch("weights") / "final"
    checkpoint.save(folder, {"weights": subject.autoencoder.state_dict()}, {})
    other = subject.built(evolve(subject.config, seed=subject.config.seed + 1))
    other.load_state_dict(checkpoint.load(folder).tensors("weights"))
    coords = 2 * torch.rand(1, 64, len(subject.domain.layout.axes), generator=generator_for(0, "coords")) - 1
    with torch.no_grad():
        latent = other.encode(subject.batch).mean
        values = other.decode(Planes(plane[:1] for plane in latent))(coords)
        wanted = subject.fields[0](coords)
    apart = furthest(values, wanted)
    expect(
        apart <= CLOSE,
        "a model with the stored weights computes different values",
        "register learned and random values of the parts as parameters or buffers",
        difference=apart,
        tolerance=CLOSE,
    )


def _planes(subject: Subject, planes: Planes, what: str, batch: int, channels: int) -> None:
    layout = subject.domain.layout
    expect(
        isinstance(planes, tuple) and len(planes) == len(layout.planes),
        f"{what} is not one tensor per plane of the layout",
        "return ddmi_core.api.Planes with one tensor for each of layout.planes",
        tensors=len(planes),
        planes=len(layout.planes),
    )
    for plane, axes in zip(planes, layout.planes, strict=True):
        expect(
            plane.ndim == 2 + len(axes) and plane.shape[:2] == (batch, channels) and plane.dtype == torch.float32,
            f"{what} has a wrong shape or type for the plane {'-'.join(axes)}",
            f"return float32 of the shape (B, C{', cells' * len(axes)}), with C = {channels}",
            shape=tuple(plane.shape),
            dtype=str(plane.dtype),
            batch=batch,
            channels=channels,
        )
    expect(finite(planes), f"{what} has values that are not finite", "keep activations in range", batch=batch)


def _shapes(planes: Planes) -> list[tuple[int, ...]]:
    return [tuple(plane.shape) for plane in planes]
