"""Add the vocabulary of the training captions to the weights of a run from before runs kept it.

    python tools/keep_vocabulary.py runs/NAME
    python tools/keep_vocabulary.py plugins/ddmi_NAME/weights

The captions are those of the run's data, which have to give the fingerprint of the run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ddmi_core import record_files
from ddmi_core.conditions.vocabulary import facts_of
from ddmi_core.evaluation.evaluate import check_data
from ddmi_core.model.data import load_data
from ddmi_core.model.loading import load
from ddmi_core.model.run_folder import RunFolder
from ddmi_core.training.checkpoint import FINAL, STATE


def add(folder: RunFolder, captions: Sequence[Sequence[str]]) -> None:
    """Write the vocabulary of captions into the record of the denoiser."""
    path = folder.denoiser / FINAL / STATE
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(record_files.to_json({**record, **facts_of(captions)}), encoding="utf-8")


def main(places: Sequence[str]) -> None:
    """Add the vocabulary to each run."""
    for place in places:
        folder, model = RunFolder(Path(place)), load(place)
        split = load_data(model.parts, model.config.data)
        check_data(folder, split)
        add(folder, split.train.captions)
        print(f"{place}: {len(load(place).vocabulary.words)} words")


if __name__ == "__main__":
    main(sys.argv[1:])
