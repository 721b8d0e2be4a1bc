"""Numbers that no setting can use are refused at once: infinite, none, huge, and such that a check would loop."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ddmi_core.errors import ConfigError
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
from ddmi_core.settings.schema import keys

DOMAINS = ("image", "occupancy", "video", "nerf")


def numeric(name: str) -> dict[str, float]:
    """Settings of a domain that are one number, with their defaults."""
    found = {setting.key: setting.default for setting in keys(resolve(domain_named(name)))}
    return {key: value for key, value in found.items() if type(value) in (int, float)}


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("value", ["inf", "nan", "-1e30", "1" + "0" * 400])
def test_no_number_may_be_infinite_or_none(name, value):
    domain = domain_named(name)
    assert len(numeric(name)) > 60
    for key in numeric(name):
        with pytest.raises(ConfigError, match=key.rpartition(".")[2]):
            resolve(domain, overrides=[f"{key}={value}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", DOMAINS)
def test_huge_numbers_are_checked_in_no_time(name):
    # In a process of its own, because a loop over a huge number cannot be stopped in this one.
    program = f"""
from ddmi_core.errors import DdmiError
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.resolve import resolve
for key in {sorted(numeric(name))!r}:
    for value in ("0", "-1", "9000000000000000000", "9223372036854775808", "1e30"):
        print(key, value, flush=True)
        try:
            resolve(domain_named({name!r}), overrides=[f"{{key}}={{value}}"])
        except DdmiError:
            pass
"""
    try:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"this loops: {(error.stdout or b'').decode().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout.splitlines()[-1] + done.stderr[-2000:]
