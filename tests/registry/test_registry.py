"""Plugins are listed without being imported, loaded one at a time, and never stop each other."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import attrs
import pytest

import ddmi_core
from ddmi_core.api.domain import API_VERSION, Domain
from ddmi_core.errors import PluginError
from ddmi_core.fields.layout import Layout
from ddmi_core.registry import registry
from ddmi_core.registry.records import Status
from ddmi_core.testing.probe import checked

GOOD = """
from test_registry import described
from ddmi_core.api import hookimpl

DOMAIN = described({name!r}, {version}, {implementation!r})

@hookimpl
def ddmi_domains():
    return [DOMAIN]
"""


def described(name, version=API_VERSION, implementation="nowhere:Parts"):
    """A domain that refers to parts that do not exist by default: describing needs none of them."""
    layout = Layout(axes=("t",), planes=(("t",),))
    return Domain(
        name=name,
        summary="Of tests.",
        layout=layout,
        values=("v",),
        implementation=implementation,
        api_version=version,
    )


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a fake distribution with one module as its plugin."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parent}")
    monkeypatch.delenv("DDMI_PLUGINS", raising=False)
    modules = []

    def _install(name, code, *, distribution=None, entry_points=None):
        distribution = distribution or f"ddmi-{name}"
        module = f"fake_{distribution.replace('-', '_')}"
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(entry_points or f"[ddmi.plugins]\n{name} = {module}\n")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        modules.append(module)

    yield _install
    for module in modules:
        sys.modules.pop(module, None)


def good(name, version=API_VERSION, implementation="nowhere:Parts"):
    return GOOD.format(name=name, version=version, implementation=implementation)


def record_of(name, records=None):
    return next(record for record in records or registry.listed() if record.name == name)


def refusal(name):
    with pytest.raises(PluginError) as caught:
        registry.domain_named(name)
    return str(caught.value)


def test_listing_imports_nothing(install):
    install("sleepy", "raise RuntimeError('imported')")
    record = record_of("sleepy")
    assert record.status is Status.FOUND
    assert (record.distribution, record.version, record.entry_point) == (
        "ddmi-sleepy",
        "1.2",
        "fake_ddmi_sleepy",
    )
    assert "fake_ddmi_sleepy" not in sys.modules


def test_loading_one_imports_that_one_alone(install):
    install("first", good("first"))
    install("second", good("second"))
    assert registry.domain_named("first").name == "first"
    assert "fake_ddmi_second" not in sys.modules


def test_a_loaded_plugin_is_described(install):
    install("mine", good("mine"))
    record = registry.loaded("mine").record
    assert (record.status, record.api_version, record.axes) == (Status.READY, API_VERSION, ("t",))


@pytest.mark.parametrize(
    ("code", "status", "reason", "fix"),
    [
        ("1 / 0", Status.BROKEN, "ZeroDivisionError", "report this"),
        ("def broken(:", Status.BROKEN, "SyntaxError", "report this"),
        ("import sys; sys.exit(3)", Status.BROKEN, "sys.exit(3)", "report this"),
        ("import not_installed_at_all.x", Status.BROKEN, "not_installed_at_all", "missing module"),
        ("from ddmi_core.api import Gone", Status.BROKEN, "Gone", "another version of ddmi"),
        ("", Status.BROKEN, "no hook ddmi_domains", "hookimpl"),
        (
            "from ddmi_core.api import hookimpl\n@hookimpl\ndef ddmi_domains(unknown): return []",
            Status.BROKEN,
            "wrong signature",
            "without parameters",
        ),
        (
            "from ddmi_core.api import hookimpl\n@hookimpl\ndef ddmi_domains(): raise ValueError('inside')",
            Status.BROKEN,
            "inside",
            "report this",
        ),
        (
            "from ddmi_core.api import hookimpl\n@hookimpl\ndef ddmi_domains(): return 3",
            Status.BROKEN,
            "not iterable",
            "report this",
        ),
        (
            "from ddmi_core.api import hookimpl\n@hookimpl\ndef ddmi_domains(): return ['bad']",
            Status.BROKEN,
            "returns a str",
            "ddmi_core.api.Domain",
        ),
        (good("other"), Status.BROKEN, "'other'", "exactly one domain named 'bad'"),
        (
            good("bad", API_VERSION + 1),
            Status.INCOMPATIBLE,
            f"API version {API_VERSION + 1}",
            "--upgrade ddmi",
        ),
        (good("bad", API_VERSION - 2), Status.INCOMPATIBLE, "API version", "--upgrade ddmi-bad"),
    ],
)
def test_a_faulty_plugin_says_reason_and_fix_and_stops_no_other(install, code, status, reason, fix):
    install("bad", code)
    install("fine", good("fine"))
    record = registry.loaded("bad").record
    assert record.status is status
    assert reason in record.reason
    assert fix in record.fix
    text = refusal("bad")
    for part in ("'bad'", "ddmi-bad 1.2", status, record.reason, record.fix):
        assert part in text
    assert registry.domain_named("fine").name == "fine"
    assert record_of("bad").status is Status.FOUND


def test_the_cause_of_a_failed_import_is_kept(install):
    install("bad", "1 / 0")
    with pytest.raises(PluginError) as caught:
        registry.domain_named("bad")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_interrupt_at_import_gets_out(install):
    install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        registry.domain_named("bad")


@pytest.mark.parametrize("version", [API_VERSION, API_VERSION + 1])
def test_this_api_version_and_the_one_before_are_accepted(install, version, monkeypatch):
    monkeypatch.setattr("ddmi_core.api.domain.API_VERSION", API_VERSION + 1)
    install("mine", good("mine", version))
    assert registry.domain_named("mine").api_version == version


def test_a_clash_names_both_distributions(install):
    install("twice", good("twice"), distribution="ddmi-one")
    install("twice", good("twice"), distribution="ddmi-two")
    records = [record for record in registry.listed() if record.name == "twice"]
    assert [record.status for record in records] == [Status.CLASH, Status.CLASH]
    assert "ddmi-two 1.2" in records[0].reason
    text = refusal("twice")
    for part in ("ddmi-one", "ddmi-two", "pip uninstall"):
        assert part in text


def test_an_unreadable_entry_point_file_is_listed_as_broken(install):
    install("mess", "", entry_points="[ddmi.plugins]\nno value here\n")
    install("fine", good("fine"))
    assert record_of("ddmi-mess").status is Status.BROKEN
    assert record_of("fine").status is Status.FOUND


def test_the_environment_narrows_what_is_used(install, monkeypatch):
    install("first", good("first"))
    install("second", good("second"))
    monkeypatch.setenv("DDMI_PLUGINS", "second, third")
    assert record_of("first").status is Status.DISABLED
    assert record_of("second").status is Status.FOUND
    assert "DDMI_PLUGINS" in refusal("first")
    monkeypatch.setenv("DDMI_PLUGINS", "")
    assert {record_of(name).status for name in ("first", "second", "image")} == {Status.DISABLED}
    assert "--no-plugins" in refusal("second")


def test_a_disabled_plugin_does_not_clash(install, monkeypatch):
    install("mine", good("mine"))
    install("twice", good("twice"), distribution="ddmi-one")
    install("twice", good("twice"), distribution="ddmi-two")
    monkeypatch.setenv("DDMI_PLUGINS", "mine")
    assert record_of("twice").status is Status.DISABLED


def test_an_unknown_name_offers_the_nearest(install):
    install("sonar", good("sonar"))
    assert "did you mean 'sonar'" in refusal("soanr")


@pytest.fixture
def own():
    yield described("own")
    registry.unregister("own")


def test_a_program_registers_its_own_domain(own, monkeypatch):
    monkeypatch.setenv("DDMI_PLUGINS", "")
    ddmi_core.register(own)
    assert registry.domain_named("own") is own
    assert record_of("own").status is Status.READY
    again = attrs.evolve(own, summary="Again.")
    ddmi_core.register(again)
    assert registry.domain_named("own") is again


def test_a_registration_may_not_take_an_installed_name(own, install):
    install("taken", good("taken"))
    with pytest.raises(PluginError, match="ddmi-taken"):
        registry.register(attrs.evolve(own, name="taken"))


def test_a_registration_must_be_a_domain_of_this_api(own):
    with pytest.raises(PluginError, match="got a str"):
        registry.register("own")
    with pytest.raises(PluginError, match="API version"):
        registry.register(attrs.evolve(own, api_version=API_VERSION + 1))


def test_checking_loads_each_in_its_own_process(install, monkeypatch):
    monkeypatch.setenv("DDMI_TIME_FACTOR", "0.3")  # 9 s, of which torch takes 2 s
    monkeypatch.setenv("DDMI_PLUGINS", "fine,hangs,dies")
    install("fine", "print('noise')\n" + good("fine", implementation="ddmi_image.parts:ImageParts"))
    install("hangs", "import time; time.sleep(60)")
    install("dies", "import os; os._exit(7)")
    records = checked()
    assert record_of("fine", records).status is Status.READY
    assert record_of("fine", records).axes == ("t",)
    hangs = record_of("hangs", records)
    assert hangs.status is Status.SLOW
    assert hangs.reason == "loading it waited longer than 9 s without using the processor"
    assert "DDMI_TIME_FACTOR=4" in hangs.fix
    assert "status 7" in record_of("dies", records).reason
    assert "fake_ddmi_fine" not in sys.modules


@pytest.mark.parametrize(
    ("code", "reason", "fix"),
    [
        ("import not_installed_at_all", "No module named 'not_installed_at_all'", "install the missing module"),
        ("raise SystemExit(3)", "SystemExit: 3", "report this to the authors of ddmi-late"),
        ("", "cannot be imported: AttributeError", "report this to the authors of ddmi-late"),
        ("Parts = dict", "is not derived from ddmi_core.parts.DomainParts", "report this to the authors of ddmi-late"),
    ],
)
def test_checking_imports_the_implementation(install, monkeypatch, tmp_path, code, reason, fix):
    monkeypatch.setenv("DDMI_PLUGINS", "late")
    install("late", good("late", implementation="late_parts:Parts"))
    (tmp_path / "late_parts.py").write_text(code)
    late = record_of("late", checked())
    assert late.status is Status.BROKEN
    assert reason in late.reason
    assert fix in late.fix
    assert registry.loaded("late").record.status is Status.READY  # its description alone


def test_describing_and_listing_need_no_torch():
    code = (
        "import sys, ddmi_core, ddmi_core.api.domain, ddmi_core.fields.layout\n"
        "from ddmi_core.registry import listed\n"
        "listed(); ddmi_core.Domain, ddmi_core.Layout, ddmi_core.register, ddmi_core.__version__\n"
        "sys.exit('torch' in sys.modules or any(name.startswith('ddmi_image') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_module_without_the_name_says_so():
    with pytest.raises(AttributeError, match="nothing"):
        _ = ddmi_core.nothing
