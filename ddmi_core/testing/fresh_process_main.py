"""Main program of the fresh process: `python -m ddmi_core.testing.fresh_process_main REQUEST REPLY`."""

from __future__ import annotations

import gc
import hashlib
import json
import locale
import logging
import os
import pickle
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

HEAVY = ("torch", "PIL")
GRACE = 2.0  # seconds for threads and processes to end


def main(request: str, reply: str) -> None:
    """Use a domain once and write the report."""
    arguments = pickle.loads(Path(request).read_bytes())
    sys.path[:] = arguments["path"]
    found: dict[str, Any] = {"reason": "", "error": "", "fingerprints": [], "imports": {}}
    environment, setters = dict(os.environ), _watched_environment()
    if arguments["name"]:
        from ddmi_core.registry.registry import loaded

        started = time.process_time()
        record = loaded(arguments["name"]).record
        found["imports"]["description"] = time.process_time() - started
        found["reason"] = "" if record.usable else record.reason
    found["heavy"] = [name for name in HEAVY if name in sys.modules]
    _import_core()

    from ddmi_core.testing.offline import offline

    before, threads, children = state(), set(threading.enumerate()), set(_children())
    with offline() as attempts:
        try:
            _use(arguments, found)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            found["error"] = f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"
    gc.collect()
    end = time.monotonic() + GRACE
    while (_left(threads) or set(_children()) - children) and time.monotonic() < end:
        time.sleep(0.05)
    after = state()
    found["changed"] = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    names = environment.keys() | os.environ.keys()
    changed = sorted(name for name in names if environment.get(name) != os.environ.get(name))
    found["variables"] = {name: setters.get(name, "") for name in changed}
    found["connections"] = attempts
    found["threads"] = _left(threads)
    found["children"] = sorted(set(_children()) - children)
    found["cuda"] = _cuda()
    Path(reply).write_text(json.dumps(found), encoding="utf-8")


def _watched_environment() -> dict[str, str]:
    """The module that changes each environment variable from now on, by the variable's name."""
    setters: dict[str, str] = {}
    kind: Any = type(os.environ)

    def watched(change: Any) -> Any:
        def changed(self: Any, name: str, *value: str) -> None:
            frame = sys._getframe(1)
            while frame.f_back and frame.f_globals.get("__name__") in ("os", "collections.abc", "_collections_abc"):
                frame = frame.f_back
            setters[name] = frame.f_globals.get("__name__", "")
            change(self, name, *value)

        return changed

    kind.__setitem__, kind.__delitem__ = watched(kind.__setitem__), watched(kind.__delitem__)
    return setters


def _import_core() -> None:
    """Import the core first: changes of the process by these imports are not the plugin's."""
    for name in ("numpy", "PIL.Image", "ddmi_core.model.model"):
        import_module(name)


def _use(arguments: dict[str, Any], found: dict[str, Any]) -> None:
    import torch

    from ddmi_core.model.build import autoencoder_objectives, build_autoencoder
    from ddmi_core.model.data import load_data
    from ddmi_core.parts.domain_parts import build_parts
    from ddmi_core.settings.resolve import resolve
    from ddmi_core.training.objective import generator_for

    domain = pickle.loads(arguments["domain"])
    started = time.process_time()
    domain.load()
    found["imports"]["implementation"] = time.process_time() - started
    config = resolve(domain, arguments["preset"], overrides=arguments["settings"], data=arguments["data"])
    parts = build_parts(domain, config.domain)
    split = load_data(parts, config.data)
    found["fingerprints"] = [split.train.fingerprint(), split.held_out.fingerprint()]
    model = build_autoencoder(parts, config)
    autoencoder_objectives(parts, config, model, split)
    signal_ = split.train.batch([0], generator_for(0, "fresh process"))
    fields = model.decode(model.encode(signal_).mean)
    queries = parts.sampler.sample(signal_, 64, generator_for(1, "fresh process"))
    loss = parts.loss(parts.renderer.observe(fields, queries), queries.targets)
    torch.autograd.backward(loss.mean())
    for metric in parts.metrics().values():
        metric(fields, signal_, parts.renderer)
    artefact = parts.renderer.render(fields[0])
    parts.picture(artefact)
    for suffix, export in parts.exporters().items():
        export(artefact, Path(arguments["out"]) / f"artefact{suffix}")


def state() -> dict[str, str]:
    """Process-wide state as texts."""
    import numpy as np
    import torch

    root = logging.getLogger()
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {
        "torch's random state": _digest(torch.random.get_rng_state().numpy().tobytes()),
        "numpy's random state": _digest(repr(np.random.get_state(legacy=False)).encode()),
        "python's random state": _digest(repr(random.getstate()).encode()),
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "threads of torch": f"{torch.get_num_threads()} and {torch.get_num_interop_threads()}",
        "gradients": str(torch.is_grad_enabled()),
        "deterministic algorithms": str(torch.are_deterministic_algorithms_enabled()),
        "precision of matrix products": torch.get_float32_matmul_precision(),
        "floating-point errors of numpy": str(np.geterr()),
        "working folder": str(Path.cwd()),
        "root logger": f"level {root.level}, handlers {root.handlers}",
        "signal handlers": str(handlers),
        "warnings filters": str([entry for entry in warnings.filters if _general(entry)]),
        "exception hook": str(sys.excepthook),
        "locale": locale.setlocale(locale.LC_ALL),
    }


def _general(entry: Sequence[Any]) -> bool:
    """Whether a warnings filter is not restricted to a message, a module or a library's own category.

    Imported libraries set restricted filters for themselves.
    """
    _, message, category, module, _ = entry
    return message is None and module is None and getattr(category, "__module__", "") == "builtins"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _left(before: set[threading.Thread]) -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread not in before)


def _children() -> list[str]:
    import psutil

    return [f"{child.name()} ({child.pid})" for child in psutil.Process().children(recursive=True)]


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(*sys.argv[1:])
