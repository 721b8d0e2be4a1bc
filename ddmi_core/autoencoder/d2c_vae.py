"""The D2C-VAE: encoder, basis-field decoder and readout as one module."""

from __future__ import annotations

from typing import Any

from torch import nn

from ddmi_core.api.interfaces import BasisFieldDecoder, Encoder
from ddmi_core.fields.field import Field
from ddmi_core.fields.layout import Layout
from ddmi_core.fields.planes import Planes, Posterior
from ddmi_core.fields.readout import CoarseToFineReadout, ReadoutConfig


class D2CVAE(nn.Module):
    """Discrete-to-continuous variational autoencoder (arXiv 2401.12517, section 3.1).

    Args:
        encoder: maps a signal to a posterior.
        decoder: maps a latent to basis fields.
        layout: planes and extra columns.
        values: number of value channels, V.
        readout: sizes of the readout; its input widths follow from the decoder's scales.
    """

    def __init__(
        self,
        encoder: Encoder[Any],
        decoder: BasisFieldDecoder,
        layout: Layout,
        values: int,
        readout: ReadoutConfig,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.layout = encoder, decoder, layout
        planes = len(layout.planes) if readout.planes == "concatenate" else 1
        widths = tuple(channels * planes for channels in decoder.channels)
        self.readout = CoarseToFineReadout(widths, len(layout.extra), values, readout)

    def encode(self, signal: Any) -> Posterior:
        """Posterior over latents."""
        posterior: Posterior = self.encoder(signal)
        return posterior

    def decode(self, latent: Planes) -> Field:
        """The fields of a batch of latents."""
        return Field(self.decoder(latent), self.readout, self.layout)
