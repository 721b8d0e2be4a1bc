"""The program `ddmi`, also `python -m ddmi_core`, as launchers such as `torchrun -m` start it.

It imports the commands inside `main`, so that Ctrl-C during their imports ends the program with a word.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


def main() -> None:
    """Run a command, and end the program with its exit status.

    Raises:
        SystemExit: with the exit status.
    """
    # A parent that ignores Ctrl-C, such as nohup, has set another handler, which stays.
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _leave)
    from ddmi_core.cli.main import main as command

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command()
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the interpreter ends, nothing is left to save


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: an exception inside an import may be taken for a failed import."""
    os.write(2, b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
