"""Extensions are loaded for names that are not built in, never stop each other, and never replace a name in silence."""

import os
import subprocess
import sys
import textwrap

import attrs
import pytest

import formula_domains
from ddmi_core.errors import ConfigError, DdmiDeprecationWarning, DdmiWarning, PluginError, RequestError
from ddmi_core.parts.domain_parts import build_parts
from ddmi_core.registry import extensions, loader
from ddmi_core.registry.extensions import names, offer, offers, part
from ddmi_core.registry.records import EXTENSIONS, KINDS, Contribution, Status
from ddmi_core.registry.registry import listed, listed_extensions
from ddmi_core.settings.resolve import resolve
from ddmi_core.testing.probe import checked

HEAD = "from ddmi_core.api import Contribution, hookimpl\napi_version = 1\n"
SAMPLER = HEAD + "@hookimpl\ndef ddmi_samplers():\n    return {{{name!r}: {reference!r}}}\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a fake distribution whose one module is an extension."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("DDMI_PLUGINS", raising=False)
    modules = []

    def _install(name, code):
        module = f"fake_{name}"
        info = tmp_path / f"ddmi_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ddmi-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{EXTENSIONS}]\n{name} = {module}\n")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        modules.append(module)

    yield _install
    for module in modules:
        sys.modules.pop(module, None)


def sampler(name, reference="math:sqrt"):
    return SAMPLER.format(name=name, reference=reference)


def record_of(name):
    return next(extension.record for extension in extensions.extensions() if extension.record.name == name)


def test_listing_and_built_in_names_import_no_extension(install):
    install("sleepy", "raise RuntimeError('imported')")
    assert [record.status for record in listed_extensions() if record.name == "sleepy"] == [Status.FOUND]
    assert "sleepy" not in [record.name for record in listed()]
    assert part("samplers", "heun").__name__ == "heun"
    assert offer("denoisers", "unet").record.distribution == "ddmi"
    assert "fake_sleepy" not in sys.modules


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in names(kind)])
def test_every_built_in_reference_exists(kind, name):
    if kind == "trackers":
        pytest.importorskip(name)
    assert callable(part(kind, name))


def test_a_name_of_an_extension_is_found_and_imported_on_use(install):
    install("fine", sampler("root", "fractions:Fraction"))
    assert offer("samplers", "root").contribution == Contribution("fractions:Fraction")
    assert part("samplers", "root").__name__ == "Fraction"
    assert record_of("fine").provides == {"samplers": ("root",)}
    assert str(offer("samplers", "root")) == "sampler 'root' of ddmi-fine 1.2 (fake_fine)"


def test_an_unknown_name_offers_built_in_ones_and_those_of_extensions(install):
    install("fine", sampler("midpoint"))
    with pytest.raises(RequestError, match="unknown sampler 'midpiont'; did you mean 'midpoint'") as caught:
        offer("samplers", "midpiont")
    assert "dpmpp_2m" in str(caught.value)
    assert not isinstance(caught.value, PluginError)


@pytest.mark.parametrize(
    ("code", "reason", "fix"),
    [
        ("1 / 0", "ZeroDivisionError", "report this"),
        ("import sys; sys.exit(3)", "sys.exit(3)", "report this"),
        ("import not_installed_at_all", "not_installed_at_all", "missing module"),
        ("", "has no api_version", "api_version = 1"),
        ("api_version = '1'", "has no api_version", "api_version = 1"),
        (HEAD, "provides nothing", "ddmi_samplers"),
        (HEAD + "@hookimpl\ndef ddmi_samplrs(): return {}", "wrong name", "registry.hooks"),
        (HEAD + "@hookimpl\ndef ddmi_samplers(domain): return {}", "wrong signature", "without parameters"),
        (HEAD + "@hookimpl\ndef ddmi_samplers(): raise ValueError('inside')", "inside", "report this"),
        (HEAD + "@hookimpl\ndef ddmi_samplers(): return ['a']", "returns a list", "as a dict"),
        (
            HEAD + "@hookimpl\ndef ddmi_metrics(): return {'a': Contribution('m:f', domains='image')}",
            "'image' is a text where several names are expected. Fix: ('image',)",
            "report this",
        ),
        (HEAD + "@hookimpl\ndef ddmi_samplers(): return {'A b': 'm:f'}", "'A b'", "lower-case"),
        (HEAD + "@hookimpl\ndef ddmi_exporters(): return {'npy': 'm:f'}", "'npy'", "suffix"),
        (
            HEAD + "@hookimpl\ndef ddmi_samplers(): return {'a': 'module'}",
            "not a reference",
            "package.module:attribute",
        ),
        (HEAD + "@hookimpl\ndef ddmi_samplers(): return {'a': print}", "not a reference", "package.module:attribute"),
    ],
)
def test_a_broken_extension_has_reason_and_fix_and_stops_no_other(install, code, reason, fix):
    install("bad", code)
    install("fine", sampler("root"))
    record = record_of("bad")
    assert record.status is Status.BROKEN
    assert reason in record.reason
    assert fix in record.fix
    assert offer("samplers", "root").record.name == "fine"
    with (
        pytest.raises(RequestError, match=r"unknown sampler 'other'\. Valid: [\w, ]+$"),
        pytest.warns(DdmiWarning) as caught,
    ):
        offer("samplers", "other")
    (warning,) = caught
    for words in ("extension 'bad' from ddmi-bad 1.2", record.reason, record.fix):
        assert words in str(warning.message)


@pytest.mark.parametrize(("version", "package"), [(2, "ddmi"), (0, "ddmi-other")])
def test_an_extension_for_another_api_version_names_the_package_to_upgrade(install, version, package):
    install("other", f"{HEAD}api_version = {version}\n@hookimpl\ndef ddmi_hook_of_that_version(): return {{}}\n")
    install("fine", sampler("root"))
    record = record_of("other")
    assert record.status is Status.INCOMPATIBLE
    assert f"written for API version {version}; this ddmi accepts 1" in record.reason
    assert record.fix == f"pip install --upgrade {package}"
    assert offer("samplers", "root").record.api_version == 1


def test_an_extension_for_the_previous_api_version_works_with_a_warning(install, monkeypatch):
    monkeypatch.setattr(loader, "accepted_versions", lambda: range(1, 3))
    install("fine", sampler("root"))
    with pytest.warns(DdmiDeprecationWarning, match=r"extension 'fine' from ddmi-fine 1\.2 .*upgrade ddmi-fine"):
        assert offer("samplers", "root").record.usable


def test_listing_parts_warns_of_what_is_missing_and_goes_on(install):
    install("bad", "1 / 0")
    install("greedy", sampler("ddim"))
    install("fine", sampler("root"))
    with pytest.warns(DdmiWarning) as caught:
        assert [own.name for own in offers("samplers")] == [*names("samplers"), "root"]
    assert sorted(str(warning.message).split(" from ")[0] for warning in caught) == [
        "extension 'bad'",
        "extension 'greedy'",
    ]
    assert all("\n" not in str(warning.message) for warning in caught)
    with pytest.warns(DdmiWarning) as caught:
        assert [own.name for own in offers("trackers")] == [*names("trackers")]
    assert ["'bad'" in str(warning.message) for warning in caught] == [True]


def test_a_reference_that_cannot_be_imported_names_part_and_fix(install):
    install("gone", sampler("gone", "nowhere_at_all:f"))
    with pytest.raises(PluginError, match=r"sampler 'gone' of ddmi-gone 1\.2 .*nowhere_at_all.*report this"):
        part("samplers", "gone")


def test_a_reference_to_what_cannot_be_called_is_refused(install):
    install("number", sampler("pi", "math:pi"))
    with pytest.raises(PluginError, match=r"sampler 'pi' of ddmi-number 1\.2 .*is a float and cannot be called"):
        part("samplers", "pi")


def test_what_a_part_requires_is_named_if_it_is_missing(install):
    code = "@hookimpl\ndef ddmi_trackers():\n    return {'t': Contribution('nowhere_at_all:T', requires='ddmi-t[web]')}"
    install("needy", HEAD + code)
    with pytest.raises(PluginError, match=r"pip install 'ddmi-t\[web\]'"):
        part("trackers", "t")


def test_a_name_that_is_built_in_is_refused_and_the_rest_goes_on(install):
    code = "@hookimpl\ndef ddmi_samplers():\n    return {'ddim': 'math:sqrt', 'root': 'math:sqrt'}"
    install("greedy", HEAD + code)
    assert offer("samplers", "ddim").record.distribution == "ddmi"
    record = record_of("greedy")
    assert record.status is Status.CLASH
    assert "'ddim' is refused" in record.reason
    assert "ddmi_core.registry.builtin" in record.reason
    assert offer("samplers", "root").record.name == "greedy"
    with pytest.warns(DdmiWarning, match="'ddim' is refused"):
        assert [own.name for own in offers("samplers")] == [*names("samplers"), "root"]


def test_a_name_of_two_extensions_is_refused_with_both_origins(install):
    install("one", sampler("same"))
    install("two", sampler("same"))
    with pytest.raises(PluginError) as caught:
        part("samplers", "same")
    for words in ("ddmi-one 1.2", "ddmi-two 1.2", "pip uninstall ddmi-one or pip uninstall ddmi-two"):
        assert words in str(caught.value)
    assert "ddmi-two" in record_of("one").reason
    assert "ddmi-one" in record_of("two").reason
    with pytest.warns(DdmiWarning, match="'same' is refused"):
        assert "same" not in [own.name for own in offers("samplers")]


def metric(name, **filters):
    given = "".join(f", {key}={value!r}" for key, value in filters.items())
    return f"{HEAD}@hookimpl\ndef ddmi_metrics():\n    return {{{name!r}: Contribution('math:sqrt'{given})}}\n"


def test_a_filter_limits_a_part_to_domains_or_axes(install):
    wave, block = formula_domains.WAVE, formula_domains.BLOCK
    install("lines", metric("edges", axes=wave.layout.axes))
    install("blocks", metric("edges", domains=(block.name,)))
    assert offer("metrics", "edges", wave).record.name == "lines"
    assert offer("metrics", "edges", block).record.name == "blocks"
    other = attrs.evolve(block, name="other")
    with pytest.raises(RequestError, match="does not work for plugin 'other'"):
        offer("metrics", "edges", other)


def test_filters_overlap_unless_domains_or_axes_differ():
    def overlap(first, second):
        one, two = Contribution("m:f", **first), Contribution("m:f", **second)
        assert one.overlaps(two) == two.overlaps(one)
        return one.overlaps(two)

    assert overlap({}, {"domains": ("a",)})
    assert overlap({"domains": ("a", "b")}, {"domains": ("b",)})
    assert not overlap({"domains": ("a",)}, {"domains": ("b",)})
    assert not overlap({"axes": ("x",)}, {"axes": ("x", "y")})
    assert overlap({"axes": ("x",)}, {"domains": ("a",)})


def test_disabled_extensions_are_not_imported_and_say_so(install, monkeypatch):
    install("sleepy", "raise RuntimeError('imported')")
    monkeypatch.setenv("DDMI_PLUGINS", "")
    with pytest.raises(RequestError, match="unknown sampler"), pytest.warns(DdmiWarning, match="--no-plugins"):
        offer("samplers", "midpoint")
    assert "fake_sleepy" not in sys.modules


def test_settings_accept_names_of_extensions_and_refuse_others(install):
    install(
        "fine",
        HEAD + "@hookimpl\ndef ddmi_denoisers(): return {'mixer': 'nowhere:Mixer'}\n" + metric("edges")[len(HEAD) :],
    )
    wave = formula_domains.WAVE
    config = resolve(wave, overrides=["diffusion.denoiser.kind=mixer", 'evaluation.metrics=["edges"]'])
    assert config.diffusion.denoiser.kind == "mixer"
    own = next(iter(build_parts(wave, config.domain).metrics()))
    for override, words in {
        "diffusion.denoiser.kind=mixr": "did you mean 'mixer'",
        'evaluation.metrics=["edge"]': "unknown metric 'edge'; did you mean 'edges'",
        "evaluation.networks=dino": "unknown feature network 'dino'",
        "diffusion.target=velocty": "did you mean 'velocity'",
        f'evaluation.metrics=["{own}"]': "of its own",
    }.items():
        with pytest.raises(ConfigError, match=words) as caught:
            resolve(wave, overrides=[override])
        assert f"--set {override}" in str(caught.value)


def test_checking_loads_each_extension_apart_and_compares_their_names(install, monkeypatch):
    monkeypatch.setenv("DDMI_PLUGINS", "one,two,three,gone,extra,hangs")
    monkeypatch.setenv("DDMI_TIME_FACTOR", "0.2")  # 6 s
    install("one", "print('noise')\n" + sampler("same"))
    install("two", sampler("same"))
    install("three", sampler("apart"))
    install("gone", sampler("lost", "not_installed_at_all:lost"))
    install("extra", sampler("more", "x").replace("'x'", "Contribution('not_installed_at_all:more', requires='that')"))
    install("hangs", "import time; time.sleep(60)")
    found = {record.name: record for record in checked() if record.group == EXTENSIONS}
    assert found["one"].status is found["two"].status is Status.CLASH
    assert found["three"].status is Status.READY
    assert found["three"].provides == {"samplers": ("apart",)}
    assert found["gone"].status is Status.BROKEN
    assert "sampler 'lost' of ddmi-gone 1.2 (fake_gone) refers to 'not_installed_at_all:lost'" in found["gone"].reason
    assert "ddmi-gone" in found["gone"].fix
    assert found["extra"].status is Status.READY  # what it requires need not be installed
    assert found["hangs"].status is Status.SLOW
    assert "waited longer than 6 s" in found["hangs"].reason
    assert "fake_one" not in sys.modules


COMMAND = """
@hookimpl
def ddmi_commands():
    return {{{name!r}: Contribution("fake_command:hello", summary="Say hello.")}}
"""


@pytest.fixture
def ddmi(install, tmp_path, monkeypatch):
    """Install an extension with a command, and run `ddmi` in a process."""
    (tmp_path / "fake_command.py").write_text(
        "import sys, typer\nprint('imported', file=sys.stderr)\n"
        "def hello(name: str, loud: bool = False) -> None:\n    typer.echo(name.upper() if loud else name)\n"
    )
    install("greeter", HEAD + COMMAND.format(name="hello"))

    def run(*arguments):
        program = [sys.executable, "-c", "from ddmi_core.cli.main import main; main()", *arguments]
        return subprocess.run(
            program, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"}
        )

    return run


def test_a_command_is_listed_without_its_import_and_imported_when_called(ddmi, install):
    shown = ddmi("--help")
    assert "Say hello." in shown.stdout
    assert "imported" not in shown.stderr
    assert ddmi("hello", "--loud", "you").stdout == "YOU\n"
    assert "--loud" in ddmi("hello", "--help").stdout
    refused = ddmi("hello", "--lout", "you")
    assert refused.returncode == 2
    assert "--lout" in refused.stderr
    install("bad", "1 / 0")
    shown = ddmi("--help")
    assert "Say hello." in shown.stdout
    (line,) = shown.stderr.splitlines()
    assert line.startswith("warning: extension 'bad' from ddmi-bad 1.2 (fake_bad) is broken: importing fake_bad failed")
    done = ddmi("hello", "you")
    assert (done.stdout, done.stderr) == ("you\n", "imported\n")
    unknown = ddmi("helo")
    assert unknown.returncode == 2
    assert "ZeroDivisionError" in unknown.stderr
    assert "hello" in unknown.stderr


def test_plugins_are_listed_with_extensions(ddmi):
    assert "greeter" in ddmi("plugins").stdout
    assert "command hello" in ddmi("plugins", "--check").stdout
    off = ddmi("--no-plugins", "hello", "you")
    assert off.returncode == 2
