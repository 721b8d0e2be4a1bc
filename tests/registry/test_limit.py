"""Limits of CPU time: work counts, waiting on a busy machine does not, and waiting for ever does."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from ddmi_core.errors import RequestError
from ddmi_core.registry import limit
from ddmi_core.registry.limit import ImportTimeout, Watch


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(limit.time, "monotonic", lambda: now[0])
    return now


def test_only_cpu_time_counts_on_a_machine_that_is_busy(clock):
    watch = Watch(30.0, 5.0)
    for step in range(1, 600):  # five minutes at a tenth of the processor
        clock[0] = step / 2
        assert watch.exceeded(5.0 + step / 20) == ""
    assert watch.exceeded(35.1) == "took longer than 30 s of CPU time"


def test_work_that_waits_for_ever_is_ended(clock):
    watch = Watch(30.0, 0.0)
    clock[0] = 29.0
    assert watch.exceeded(0.0) == ""
    clock[0] = 31.0
    assert watch.exceeded(0.001) == "waited longer than 30 s without using the processor"


@pytest.mark.parametrize(("text", "factor"), [(None, 1.0), ("4", 4.0), ("0", 0.0)])
def test_the_factor_is_a_number_of_the_environment(monkeypatch, text, factor):
    if text is None:
        monkeypatch.delenv(limit.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(limit.VARIABLE, text)
    assert limit.factor() == factor


@pytest.mark.parametrize("text", ["fast", "inf", "-inf", "nan", "1e400", "", "1e7"])
def test_another_value_of_the_factor_is_an_error(monkeypatch, text):
    monkeypatch.setenv(limit.VARIABLE, text)
    with pytest.raises(RequestError, match=f"the environment variable {limit.VARIABLE} is '{text}'. Fix: set it to a"):
        limit.set_limit()


def test_messages_name_the_variable_with_a_larger_factor(monkeypatch):
    monkeypatch.setenv(limit.VARIABLE, "4")
    assert limit.fix() == "on a slow machine, raise all time limits: set DDMI_TIME_FACTOR=16"


def limited(work):
    with limit.limited():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(1) if work == "wait" else sum(range(1000))


@pytest.mark.parametrize(("work", "told"), [("work", "took longer than 0.3 s"), ("wait", "waited longer than 0.3 s")])
def test_a_block_is_interrupted(monkeypatch, work, told):
    monkeypatch.setenv(limit.VARIABLE, "0.01")
    token = limit._limit.set(None)
    limit.set_limit()
    try:
        with pytest.raises(ImportTimeout, match=told):
            limited(work)
    finally:
        limit._limit.reset(token)


@pytest.mark.parametrize(
    ("program", "told"),
    [("pass", ""), ("while True: pass", "took longer than 0.3 s"), ("import time; time.sleep(60)", "waited longer")],
)
def test_a_process_is_ended(monkeypatch, program, told):
    monkeypatch.setenv(limit.VARIABLE, "0.01")
    process = subprocess.Popen([sys.executable, "-S", "-c", program])
    assert limit.ended(process, 30.0).startswith(told)
    assert process.poll() is not None
    assert bool(limit.factor()) is True
