"""One process of a data-parallel run, for `test_distributed.py`: the second one is killed while it trains."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from rich.console import Console
from torch import Tensor, nn

import formula_domains
from ddmi_core.errors import DdmiError
from ddmi_core.runs import pipeline
from ddmi_core.settings.resolve import resolve

FATAL = 3  # the step in which the process ends


def main(out: Path) -> None:
    domain = formula_domains.WAVE
    few = [f"{stage}.training.{setting}" for stage in ("autoencoder", "diffusion") for setting in ("steps=8", "log=1")]
    clip, calls = nn.utils.clip_grad_norm_, []

    def ended(*given: object, **options: object) -> Tensor:
        calls.append(given)
        if len(calls) == FATAL and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return clip(*given, **options)  # type: ignore[arg-type]

    nn.utils.clip_grad_norm_ = ended
    try:
        pipeline.execute(resolve(domain, overrides=few), domain, out / "run", resume=False, console=Console(quiet=True))
    except DdmiError as error:
        (out / "told.txt").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
