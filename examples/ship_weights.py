"""Copies the weights of a finished run into a small folder to ship with a plugin.

python examples/ship_weights.py runs/image plugins/ddmi_image/weights
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ddmi_core.model.publish import publish


def main() -> None:
    """Read the command line and copy the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("out", type=Path, help="folder to create")
    arguments = parser.parse_args()
    print(f"{arguments.out}: {publish(arguments.run, arguments.out) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
