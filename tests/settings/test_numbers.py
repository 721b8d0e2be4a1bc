"""Numbers that no setting can use are refused at once: infinite, none, huge, and such that a check would loop."""

from __future__ import annotations

import re
import subprocess

import pytest

import preloaded
from ddmi_core.errors import ConfigError, RequestError
from ddmi_core.registry.registry import domain_named
from ddmi_core.settings.config import sampler_and_steps
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


def lists(name: str) -> list[str]:
    """Settings of a domain that are, or may be, a list of numbers."""
    found = keys(resolve(domain_named(name)))
    return [setting.key for setting in found if re.search(r"list of (\d+: )?(a |an )?(integer|number)", setting.takes)]


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("value", ["9000000000000000000", "-9000000000000000000"])
def test_every_number_has_bounds(name, value):
    domain = domain_named(name)
    assert len(lists(name)) >= 9
    for key in (key for key in numeric(name) if key != "seed"):  # any number below 2**63 is a seed
        with pytest.raises(ConfigError, match=key.rpartition(".")[2]):
            resolve(domain, overrides=[f"{key}={value}"])
    for key in lists(name):
        with pytest.raises(ConfigError, match=key.rpartition(".")[2]):
            resolve(domain, overrides=[f"{key}=[{value}]"])


def test_a_number_beyond_its_bounds_is_told_them():
    with pytest.raises(ConfigError, match=r"encoder\.widths.* each >= 1 and each <= 65536") as caught:
        resolve(domain_named("image"), overrides=["autoencoder.encoder.widths=[65537]"])
    assert caught.value.key == "autoencoder.encoder.widths"
    with pytest.raises(ConfigError, match=r"training\.rate.* > 0 and <= 1000000"):
        resolve(domain_named("image"), overrides=["diffusion.training.rate=2e6"])


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
        done = subprocess.run(
            [preloaded.python(), "-c", program], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"this loops: {(error.stdout or b'').decode().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout.splitlines()[-1] + done.stderr[-2000:]


@pytest.mark.parametrize("steps", ["9" * 5000, "1000000", "0", "-1", "1e3", ""])
def test_a_sampler_with_other_steps_is_refused(steps):
    assert sampler_and_steps("ddim:999999") == ("ddim", 999999)
    with pytest.raises(RequestError, match="it takes sampler:steps"):
        sampler_and_steps(f"ddim:{steps}")
