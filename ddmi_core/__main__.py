"""`python -m ddmi_core`, the command `ddmi`; launchers such as `torchrun -m` start it in this way."""

from __future__ import annotations

from ddmi_core.cli.main import main

if __name__ == "__main__":
    main()
