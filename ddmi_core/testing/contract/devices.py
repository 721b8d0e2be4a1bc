"""Check that parts compute on the device of their inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ddmi_core.nested import move
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.other_device import WrongDevice, held, second_device
from ddmi_core.testing.subject import POINTS, Subject
from ddmi_core.testing.tensors import leaves
from ddmi_core.training.objective import generator_for

SECONDS = 6.0  # of CPU time, after which the last part is left out: each operation takes longer there
FIX = "create tensors with device=x.device or x.new_zeros(...), and register constants as buffers of the module"


def check_devices(subject: Subject) -> Remark:
    """Encoder, decoder, sampler, observe, loss, metrics and features compute on the device of their inputs."""
    parts, started = subject.parts, time.process_time()
    left: list[str] = []
    model = subject.built(subject.config)
    generator = generator_for(0, "device")
    with torch.no_grad(), second_device() as device:
        signal, one = move(subject.batch, device), move(subject.signals([0]), device)
        model.to(device)
        queries = _on_it("the sampler", partial(parts.sampler.sample, signal, POINTS, generator), left)
        if queries is not None:
            _is_on_it("the sampler", {name: getattr(queries, name) for name in ("coords", "extra", "targets")})
        queries = move(subject.queries(0), device)
        posterior = _on_it("the encoder", partial(model.encode, signal), left)
        if posterior is None:
            raise NotApplicable("; ".join(left))
        fields = _on_it("the decoder", partial(model.decode, posterior.mean), left)
        if fields is None:
            raise NotApplicable("; ".join(left))
        values = _on_it("observe", partial(parts.renderer.observe, fields, queries), left)
        if values is not None:
            _is_on_it("observe", {"values": values})
            _on_it("the loss", partial(parts.loss, values, queries.targets), left)
        _on_it("signal_features", partial(parts.signal_features, one), left)
        _on_it("ground_truth", partial(parts.ground_truth, one, 0), left)
        for name, metric in parts.metrics().items():
            _on_it(f"the metric {name!r}", partial(metric, fields[0], one, parts.renderer), left)
        if time.process_time() - started > SECONDS:
            left.append("field_features, to save time")
        else:
            _on_it("field_features", partial(parts.field_features, fields[0]), left)
    return f"not examined: {'; '.join(left)}" if left else None


def _on_it(part: str, call: Callable[[], Any], left: list[str]) -> Any:
    """The result of a call with inputs on the second device; `None` if that device lacks an operation."""
    try:
        return call()
    except WrongDevice as error:
        expect(False, f"{part} mixes devices: {error}", FIX, devices=2)
    except (NotImplementedError, RuntimeError, TypeError) as error:
        left.append(f"{part}: {str(error).splitlines()[0]}")
    return None


def _is_on_it(part: str, found: dict[str, Any]) -> None:
    wrong = [name for name, item in found.items() for _, tensor in leaves(item) if not held(tensor)]
    expect(
        not wrong,
        f"{part} returns {', '.join(wrong)} on another device than that of its input",
        FIX,
        tensors=len(wrong),
        of=len(found),
    )
