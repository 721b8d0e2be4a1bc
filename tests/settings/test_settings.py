"""Configurations resolve strictly, say what is wrong with a key, and survive being written."""

from enum import StrEnum
from pathlib import Path
from typing import Literal

import attrs
import pytest
from attrs import field, frozen, validators
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bare_domain import BareParts, bare_domain
from ddmi_core.api.domain import Domain
from ddmi_core.autoencoder.config import AutoencoderConfig, DecoderConfig, EncoderConfig
from ddmi_core.diffusion.config import DiffusionConfig, PathConfig
from ddmi_core.errors import ConfigError, PluginError, RequestError
from ddmi_core.settings.config import RunConfig, SamplingConfig
from ddmi_core.settings.convert import Fault, structure
from ddmi_core.settings.resolve import dumps, keys, loads, resolve
from ddmi_core.training.config import TrainingConfig
from variants import returning, variant


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@frozen
class Crop:
    """How signals are cut.

    Args:
        offset: first and last cell.
        colour: of the frame.
    """

    offset: tuple[int, float] = (0, 1.0)
    colour: Colour = Colour.RED


@frozen
class TinySettings:
    """Settings of a domain of tests.

    Args:
        size: cells of a signal,
            along its axis.
        low, high: range of values.
    """

    size: int = field(default=16, validator=[validators.ge(2), validators.le(64)])
    low: float = 0.0
    high: float = 1.0
    title: str = ""
    loop: bool = False
    mode: Literal["sine", "saw"] = "sine"
    limit: int | None = None
    parts: tuple[str, ...] = ("a", "b")
    crop: Crop = Crop(offset=(1, 2.0))


class TinyParts(BareParts[TinySettings]):
    """Has settings, and nothing that runs."""


def tiny(**changes: object) -> Domain:
    return bare_domain(**({"implementation": TinyParts} | changes))


@pytest.fixture
def domain(tmp_path):
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "quick.toml").write_text(
        "[autoencoder]\nlatent_channels = 2\n[autoencoder.training]\nsteps = 10\nrate = 1\n[domain]\nsize = 8\n"
    )
    (folder / "base.toml").write_text("[domain]\nsiez = 8\n")
    files = {path.stem: path for path in folder.iterdir()}
    return variant(tiny(), presets=classmethod(returning(files)))


def message(domain, *overrides, **arguments):
    with pytest.raises(ConfigError) as caught:
        resolve(domain, "quick", overrides=overrides, **arguments)
    return str(caught.value)


def test_layers_win_in_order(domain, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("seed = 4\n[autoencoder.training]\nsteps = 20\nwarmup = 3\n")
    config = resolve(domain, "quick", file, ["autoencoder.training.steps=30"], "folder:here", 7)
    training = config.autoencoder.training
    assert (training.steps, training.warmup, training.rate) == (30, 3, 1.0)
    assert isinstance(training.rate, float)
    assert (config.plugin, config.preset, config.seed, config.data) == ("tiny", "quick", 7, "folder:here")
    assert config.domain == TinySettings(size=8)
    assert config.autoencoder.encoder == EncoderConfig()


def test_an_empty_seed_and_data_leave_the_layers_below(domain, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('seed = 4\ndata = "folder"\n')
    config = resolve(domain, "quick", file)
    assert (config.seed, config.data) == (4, "folder")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("title=plain words", "plain words"),
        ('title="3"', "3"),
        ("title=2020-01-01", "2020-01-01"),
        ("title=", ""),
    ],
)
def test_set_reads_toml_and_falls_back_to_text(domain, text, value):
    assert resolve(domain, "quick", overrides=["domain." + text]).domain.title == value


def test_set_takes_lists_tables_and_choices(domain):
    overrides = [
        "autoencoder.encoder.widths=[8, 16]",
        "autoencoder.encoder={blocks=2}",
        "domain.mode=saw",
        "domain.limit=3",
        "domain.crop={offset=[2, 3], colour='blue'}",
    ]
    config = resolve(domain, "quick", overrides=overrides)
    assert config.autoencoder.encoder == EncoderConfig(widths=(8, 16), blocks=2)
    assert config.domain == TinySettings(size=8, mode="saw", limit=3, crop=Crop(offset=(2, 3.0), colour=Colour.BLUE))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("diffusion.trainig.steps=3", ["'diffusion.trainig'", "did you mean 'training'", "denoiser"]),
        ("domain.siez=3", ["'domain.siez'", "did you mean 'size'", "mode"]),
        ("sede=3", ["'sede'", "did you mean 'seed'"]),
        (
            "autoencoder.training.steps=many",
            ["'autoencoder.training.steps'", "integer >= 0", "the text 'many'"],
        ),
        ("autoencoder.training.steps=2.5", ["an integer >= 0", "the number 2.5"]),
        ("autoencoder.training.steps=true", ["an integer >= 0", "the boolean true"]),
        ("autoencoder.training.steps=-1", ["an integer >= 0", "the integer -1"]),
        ("autoencoder.training.rate=true", ["a number > 0", "the boolean true"]),
        ("autoencoder.training.rate=nan", ["a number > 0", "nan"]),
        ("autoencoder.training.ema=1.0", [">= 0 and < 1"]),
        ("autoencoder.training.compile=1", ["true or false", "the integer 1"]),
        ("domain.title=3", ["'domain.title'", "takes text", "the integer 3"]),
        ("domain.mode=sin", ["did you mean 'sine'", "one of 'sine', 'saw'"]),
        ("domain.crop.colour=reed", ["'domain.crop.colour'", "did you mean 'red'", "one of 'red', 'blue'"]),
        ("domain.limit=x", ["'domain.limit'", "an integer"]),
        ("domain.crop.offset=[1]", ["'domain.crop.offset'", "a list of 2: an integer, a number"]),
        ("domain.crop.offset=[1, 'x']", ["'domain.crop.offset[1]'", "a number", "the text 'x'"]),
        ("domain.size=65", ["'domain.size'", ">= 2 and <= 64"]),
        (
            "diffusion.target=noisy",
            ["unknown prediction target", "did you mean 'noise'", "Valid: data, noise, velocity"],
        ),
        (
            "autoencoder.encoder.widths=8",
            ["'autoencoder.encoder.widths'", "a list of integers with at least 1"],
        ),
        ("autoencoder.encoder.widths=[8, 'a']", ["'autoencoder.encoder.widths[1]'", "an integer"]),
        ("autoencoder.decoder.basis=[1,1,1,1,1]", ["'autoencoder.decoder'", "Fix: give each scale a stage"]),
        ("autoencoder=3", ["'autoencoder'", "a table with the keys latent_channels", "the integer 3"]),
        ("seed.x=3", ["'seed'", "an integer", "a table with the keys x"]),
        ("seed=-1", ["'seed'", ">= 0"]),
        ("sampling={guidance_from=0.8, guidance_to=0.2}", ["'sampling'", "guidance_from is 0.8 and guidance_to 0.2"]),
        ("evaluation.grid=['ddim:0']", ["'evaluation.grid[0]'", "'ddim:0'", "sampler:steps"]),
        ("sampling.sampler=dpmp_2m", ["'sampling.sampler'", "did you mean 'dpmpp_2m'"]),
        ("evaluation.grid=['ddim:50', 'hen:3']", ["'evaluation.grid[1]'", "did you mean 'heun'"]),
        ("evaluation.grid=['ddim']", ["'evaluation.grid[0]'", "sampler:steps"]),
        ("evaluation.grid=[ddim:5, euler:5]", ["""write ["ddim:5", "euler:5"], in a shell '["ddim:5", "euler:5"]'"""]),
        ("evaluation.grid=3", ["a list of texts", "the integer 3"]),
        ("domain=3", ["'domain'", "table"]),
    ],
)
def test_a_wrong_override_names_key_source_and_fix(domain, override, words):
    text = message(domain, override)
    assert f"--set {override}" in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("override", ["evaluation.grid=euler:5", 'evaluation.grid="euler:5"'])
def test_one_text_is_a_list_of_it_where_texts_are_taken(domain, override):
    assert resolve(domain, overrides=[override]).evaluation.grid == ("euler:5",)


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=3"])
def test_an_override_without_key_or_value_is_refused(domain, override):
    assert "key.sub=value" in message(domain, override)


def test_plugin_and_preset_have_options_of_their_own(domain):
    assert "--plugin" in message(domain, "plugin=other")
    assert "--preset" in message(domain, "preset=base")


def test_a_wrong_key_in_a_preset_names_the_preset(domain):
    with pytest.raises(ConfigError, match=r"'domain.siez' from preset 'base' \(base.toml of plugin 'tiny'\)"):
        resolve(domain, "base")


def starting(**texts):
    return variant(tiny(), presets=classmethod(returning(texts)))


def test_a_preset_changes_the_one_that_it_starts_from():
    domain = starting(
        base="seed = 3\n[autoencoder]\npoints = 7\nlatent_channels = 5\n[domain]\nsize = 8\n",
        more='preset = "base"\n[autoencoder]\npoints = 9\n',
        most='preset = "more"\n[domain]\nsize = 12\n',
    )
    config = resolve(domain, "most", overrides=["seed=4"])
    assert (config.preset, config.seed, config.domain.size) == ("most", 4, 12)
    assert (config.autoencoder.points, config.autoencoder.latent_channels) == (9, 5)
    assert resolve(domain, "base").autoencoder.points == 7
    assert loads(domain, dumps(config), "") == config


def test_a_fault_of_the_preset_below_names_that_preset():
    domain = starting(base="[domain]\nsize = 'x'\n", more='preset = "base"\n')
    with pytest.raises(ConfigError, match=r"'domain.size' from preset 'base'"):
        resolve(domain, "more")


def test_presets_cannot_start_from_each_other():
    domain = starting(base='preset = "more"\n', more='preset = "base"\n', alone='preset = "bas"\n')
    with pytest.raises(PluginError, match="start from each other: base, more, base"):
        resolve(domain, "base")
    with pytest.raises(RequestError, match="'bas'"):
        resolve(domain, "alone")


def test_an_unknown_preset_offers_the_nearest(domain):
    with pytest.raises(RequestError, match="did you mean 'quick'"):
        resolve(domain, "quik")


def test_a_wrong_key_in_a_file_names_the_file(domain, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[sampling]\ncuont = 3\n")
    assert f"'sampling.cuont' from configuration file {file}" in message(domain, file=file)


def test_a_later_layer_overrides_a_wrong_earlier_one(domain, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[sampling]\ncount = 0\n")
    assert resolve(domain, "quick", file, ["sampling.count=3"]).sampling.count == 3


@pytest.mark.parametrize(("text", "words"), [("seed = ", "not valid TOML"), (None, "does not exist")])
def test_a_file_that_cannot_be_read_is_named(domain, tmp_path, text, words):
    file = tmp_path / "mine.toml"
    if text is not None:
        file.write_text(text)
    found = message(domain, file=file)
    assert str(file) in found
    assert words in found


def test_a_file_for_another_plugin_is_refused(domain, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('plugin = "other"\n')
    assert "'other'" in message(domain, file=file)


def test_a_stored_configuration_serves_as_file(domain, tmp_path):
    config = resolve(domain, "quick", overrides=["domain.size=4"], seed=3)
    file = tmp_path / "run.toml"
    file.write_text(dumps(config) + "\n[run]\nformat = 1\n")
    assert resolve(domain, file=file) == config
    assert loads(domain, file.read_text(), str(file)) == config
    with pytest.raises(ConfigError, match="starts from preset 'quick', not 'base'"):
        resolve(domain, "base", file)


def test_a_domain_with_broken_references_is_named(domain):
    with pytest.raises(PluginError, match="nowhere"):
        resolve(tiny(implementation="nowhere:Parts"), "quick")
    with pytest.raises(PluginError, match="not derived from"):
        resolve(tiny(implementation="builtins:dict"), "quick")
    with pytest.raises(PluginError, match="no attrs class of settings"):
        resolve(variant(domain, settings_type=dict), "quick")
    with pytest.raises(PluginError, match=r"missing\.toml"):
        resolve(variant(domain, presets=classmethod(returning({"quick": Path("missing.toml")}))), "quick")


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
positive = st.integers(1, 1000)
integer = st.integers(-(2**63), 2**63 - 1)
number = st.floats(min_value=1e-300, max_value=1e6)
widths = st.lists(positive, min_size=3, max_size=5).map(tuple)
basis = st.lists(positive, min_size=1, max_size=3).map(tuple)
configurations = st.builds(
    RunConfig,
    plugin=st.just("tiny"),
    preset=words,
    seed=st.integers(0, 2**63 - 1),
    data=words,
    domain=st.builds(
        TinySettings,
        size=st.integers(2, 64),
        low=st.floats(allow_nan=False, allow_infinity=False),
        title=words,
        loop=st.booleans(),
        mode=st.sampled_from(["sine", "saw"]),
        limit=st.none() | integer,
        parts=st.lists(words).map(tuple),
        crop=st.builds(Crop, offset=st.tuples(integer, number), colour=st.sampled_from(Colour)),
    ),
    autoencoder=st.builds(
        AutoencoderConfig,
        kl=number,
        decoder=st.builds(DecoderConfig, widths=widths, basis=basis),
        training=st.builds(TrainingConfig, rate=number, steps=positive, compile=st.booleans()),
    ),
    diffusion=st.builds(DiffusionConfig, path=st.builds(PathConfig, shift=number)),
    sampling=st.builds(SamplingConfig, count=positive, guidance=st.floats(0, 100)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(configurations)
def test_what_is_written_reads_back_equal(config):
    assert loads(tiny(), dumps(config), "here") == config


def test_a_text_whose_keys_slipped_into_another_table_is_refused():
    text = "[run]\nformat = 1\n" + dumps(RunConfig(plugin="tiny", seed=3, domain=TinySettings()))
    with pytest.raises(ConfigError, match="'plugin' is missing at its top"):
        loads(tiny(), text.replace('plugin = "tiny"\n', "", 1), "run.toml")


def test_the_text_is_for_people():
    text = dumps(RunConfig(plugin="tiny", domain=TinySettings()))
    assert text.startswith('plugin = "tiny"\n')
    assert "\n[autoencoder.training]\nsteps = 2000\n" in text
    assert "\nwidths = [32, 64, 96]\n" in text


def test_keys_list_every_setting_with_type_default_and_summary():
    config = RunConfig(plugin="tiny", domain=TinySettings(size=4))
    found = {key.key: key for key in keys(config)}
    assert found["domain.size"].takes == "an integer >= 2 and <= 64"
    assert found["domain.size"].default == 4
    assert found["domain.size"].summary == "cells of a signal, along its axis."
    assert found["domain.high"].summary == "range of values."
    heads = "heads of every attention, a divisor of its width."  # described in the base class
    assert found["autoencoder.encoder.heads"].summary == found["autoencoder.decoder.heads"].summary == heads
    assert found["domain.crop.offset"].default == (1, 2.0)
    assert found["diffusion.training.precision"].takes == "one of 'fp32', 'bf16', 'fp16', 'auto'"
    assert len(keys(TrainingConfig)) == len(attrs.fields(TrainingConfig))


@frozen
class Part:
    name: str
    sizes: tuple[tuple[str, ...], ...] = ()


def _known(instance, attribute, value):
    if value == "unknown":
        raise RequestError("a sentence of the domain")


@frozen
class Inner:
    table: dict[str, int] = attrs.Factory(dict)


@frozen
class Special:
    """Settings of kinds that no built-in domain has."""

    texts: tuple[str, ...] | None = None
    parts: tuple[Part, ...] = ()
    pair: tuple[tuple[str, ...], int] = ((), 0)
    checked: str = field(default="", validator=_known)
    low: int = 0
    high: int = field(default=9)

    @high.validator
    def _above(self, attribute, value):
        if value < self.low:
            raise ValueError("high is below low")


@frozen
class Nested:
    inner: Inner = Inner()


def special(**values):
    return structure(values, Special)


def test_one_text_is_a_list_of_it_inside_unions_and_lists_too():
    assert special(texts="abc").texts == ("abc",)
    assert special(pair=["abc", 1]).pair == (("abc",), 1)
    assert special(parts=[{"name": "a", "sizes": ["xy", ["z"]]}]).parts == (Part("a", (("xy",), ("z",))),)


@pytest.mark.parametrize(
    ("values", "path", "words"),
    [
        ({"texts": {"a": 1}}, ("texts",), "a table with the keys a"),
        ({"parts": [{"name": "a"}, {"sizes": []}]}, ("parts", "[1]"), "name"),
        ({"parts": [{"name": "a", "sizes": [["b"], 3]}]}, ("parts", "[0]", "sizes", "[1]"), "the integer 3"),
        ({"low": 5, "high": 3}, (), "high is below low"),
    ],
)
def test_a_fault_inside_is_found_at_its_path(values, path, words):
    with pytest.raises(Fault) as caught:
        special(**values)
    assert caught.value.path == path
    assert words in caught.value.problem


def test_validators_may_look_at_other_settings():
    assert special(low=3, high=5).high == 5


def test_an_error_of_the_domain_keeps_its_sentence():
    with pytest.raises(RequestError, match=r"^a sentence of the domain$"):
        special(checked="unknown")
    with pytest.raises(PluginError, match="is a mapping; make it an attrs class"):
        structure({"inner": {"table": {}}}, Nested)
