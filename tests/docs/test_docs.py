"""The documentation runs: its commands and programs, what it shows is what is printed, and its links lead somewhere."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import preloaded

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"<!-- ci: (\w+) -->\n(?:<!--[^\n]*-->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)(?:#[^)\s]*)?\)")
SNIPPET = re.compile(r'--8<-- "([^":]+)(?::(\w+))?"')
SHOWN_COMMAND = re.compile(r"^ddmi ((?:data )?[a-z]+)\b", re.MULTILINE)
# Every `ddmi run` starts from these settings, and steps that a page asks for are cut at the end.
TINY_IMAGE = ("--config", str(DOCS / "tiny.toml"))
TINY_CLIPS = ("--config", str(DOCS / "tiny-clips.toml"))
TINY_VIEWS = ("--config", str(DOCS / "tiny-views.toml"))
OF_EXAMPLES = "parameters"  # the command of examples/ddmi-extras
FEW = ("--set", "autoencoder.training.steps=20", "--set", "diffusion.training.steps=20")


def prelude(tiny: Sequence[str]) -> str:
    """The command `ddmi` of a page, with settings of a run of seconds."""
    return f"""
set -euo pipefail
ddmi() {{
    if [ "$1" = run ]; then
        shift
        command ddmi run {shlex.join(tiny)} "$@" {shlex.join(FEW)}
    elif [ "$1 ${{2-}}" = "plugins test" ]; then
        command ddmi "$@" {shlex.join(tiny)}
    else
        command ddmi "$@"
    fi
}}
"""


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Yield kind and text of the marked blocks of a page, in order."""
    for kind, _, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        yield kind, text


def environment() -> dict[str, str]:
    """The environment of a reader who has activated the virtual environment."""
    return {**os.environ, "PATH": preloaded.search_path(), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def masked(line: str) -> str:
    """A line without its figures, the widths of its columns, and the unit of a time left."""
    figures = re.sub(r"\b[0-9a-f]{16}\b|-?\d+(,\d{3})*(\.\d+)?(e-?\d+)?", "#", " ".join(line.split()))
    return re.sub(r"about # (s|min|h) left", "about # left", figures)


def run_page(page: str, folder: Path, tiny: Sequence[str] = TINY_IMAGE, **variables: str) -> None:
    """Run the commands of a page in a folder, and see that the lines it shows are lines that they print."""
    commands = "\n".join(
        text if kind == "tiny" else f"set +e\n({text})\n[ $? -ne 0 ] || exit 99\nset -e"
        for kind, text in blocks(page)
        if kind in ("tiny", "fails")
    )
    script = ["bash", "-c", prelude(tiny) + commands]
    place = {**environment(), **variables}
    done = subprocess.run(
        script, cwd=folder, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    printed = {masked(line) for line in done.stdout.splitlines()}
    shown = [line for kind, text in blocks(page) if kind == "output" for line in text.splitlines()]
    assert shown
    assert [line for line in shown if masked(line) not in printed] == []


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a reader has followed "Getting started"."""
    folder = tmp_path_factory.mktemp("started")
    run_page("getting-started.md", folder)
    return folder


@pytest.fixture(scope="module")
def generate() -> Iterator[ModuleType]:
    """The hook that fills the generated pages, which finds its neighbours as MkDocs and scripts let it."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        spec.loader.exec_module(module)
        yield module


def test_the_commands_of_getting_started_run_and_print_what_the_page_shows(started: Path) -> None:
    assert (started / "runs" / "image" / "report.html").stat().st_size > 10_000
    assert len(list((started / "drawn").glob("*.png"))) == 8


def test_the_commands_of_the_tutorial_run_and_print_what_the_page_shows(tmp_path: Path) -> None:
    run_page("tutorials/your-own-images.md", tmp_path)
    assert len(list((tmp_path / "again").glob("*.png"))) == 10


def test_the_commands_of_the_tutorial_on_clips_run_and_print_what_the_page_shows(tmp_path: Path) -> None:
    run_page("tutorials/your-own-clips.md", tmp_path, TINY_CLIPS, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert len(list((tmp_path / "made").glob("*.mp4"))) == 4
    assert len(list((tmp_path / "part").glob("*.gif"))) == 1


def test_the_commands_and_the_program_about_radiance_fields_run_and_print_what_the_page_shows(tmp_path: Path) -> None:
    page = "tutorials/radiance-fields.md"
    run_page(page, tmp_path, TINY_VIEWS, XDG_CACHE_HOME=str(tmp_path / "cache"), **{preloaded.SMALLER: "nerf"})
    assert len(list((tmp_path / "made").glob("*.png"))) == 4
    assert {path.suffix for name in ("turning", "film", "meshes") for path in (tmp_path / name).iterdir()} == {
        *(".gif", ".mp4", ".glb", ".json")
    }
    (program,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    command = [preloaded.python(), "-c", f"{program}\nprint(view.depth.shape, mesh.vertices.shape[1])"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(64, 64) 3\n"
    assert all((tmp_path / f"{name}.png").stat().st_size for name in ("view", "depth", "normals"))


def test_the_commands_about_cameras_print_what_the_page_shows(tmp_path: Path) -> None:
    kind, objects = next(blocks("tutorials/radiance-fields.md"))
    assert kind == "tiny"
    subprocess.run(["bash", "-c", objects], cwd=tmp_path, env=environment(), check=True)
    run_page("how-to/cameras.md", tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))


def test_the_page_about_cameras_names_messages_of_the_program() -> None:
    page = (DOCS / "how-to" / "cameras.md").read_text(encoding="utf-8").partition("| message |")[2]
    messages = re.findall(r"^\| `([^`]+)` \|", page.partition("\n\n")[0], re.MULTILINE)
    program = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins" / "ddmi_nerf").rglob("*.py"))
    printed = re.sub(r'"\s*\n\s*f?"', "", program)
    assert len(messages) > 10
    assert [message for message in messages if message not in printed] == []


def test_the_commands_that_check_meshes_print_what_the_page_shows(tmp_path: Path) -> None:
    run_page("how-to/your-own-meshes.md", tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))


def test_the_commands_that_start_a_plugin_print_what_the_page_shows(tmp_path: Path) -> None:
    run_page("how-to/start-a-plugin.md", tmp_path)
    assert (tmp_path / "ddmi-sonar" / "pyproject.toml").exists()


def test_the_example_of_embedding_runs(started: Path) -> None:
    command = [preloaded.python(), ROOT / "examples" / "embedding.py", started / "runs" / "image"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("cancelled\n")


def test_the_example_of_embedding_trains_a_model_of_its_own(tmp_path: Path) -> None:
    command = [preloaded.python(), ROOT / "examples" / "embedding.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trained image\n")


def test_the_program_of_the_first_page_runs(started: Path) -> None:
    torch = pytest.importorskip("torch")
    (program,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / "index.md").read_text(), re.DOTALL | re.MULTILINE)
    names = {"coords": torch.zeros(4, 10, 2)}
    exec(program.replace('plugin="image"', repr(str(started / "runs" / "image"))), names)
    assert names["values"].shape == (4, 10, 3)
    assert names["picture"].size == (1024, 1024)


def test_shipped_weights_draw_as_getting_started_says(tmp_path: Path) -> None:
    from ddmi_core.errors import RequestError
    from ddmi_core.model.run_folder import pretrained
    from ddmi_core.registry.registry import domain_named

    try:
        pretrained(domain_named("image"))
    except RequestError:
        pytest.skip("the image plugin has no weights in this tree")
    (commands,) = (text for kind, text in blocks("getting-started.md") if kind == "weights")
    subprocess.run(["bash", "-c", commands], cwd=tmp_path, env=environment(), check=True, capture_output=True)
    assert len(list((tmp_path / "first").glob("sample-*.png"))) == 16


def test_every_command_and_option_is_on_the_generated_page(generate: ModuleType) -> None:
    typer = pytest.importorskip("typer")
    from ddmi_core.cli.main import app

    page = generate.commands()
    for name, command in typer.main.get_command(app).commands.items():
        assert f"`ddmi {name}`" in page
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or f"`{parameter.opts[0]}`" in page


def test_every_setting_is_on_the_generated_page(generate: ModuleType) -> None:
    from ddmi_core.cli.train import configured
    from ddmi_core.parts.domain_parts import implementation
    from ddmi_core.settings.resolve import keys

    page = generate.settings()
    assert {"image", "occupancy"} <= set(generate.built_in())
    for plugin in generate.built_in():
        for preset in implementation(configured(plugin)[0]).presets():
            missing = [row.key for row in keys(configured(plugin, preset)[1]) if f"`{row.key}`" not in page]
            assert missing == ["plugin", "preset"]


def test_values_that_depend_on_the_preset_stand_under_their_plugin(generate: ModuleType) -> None:
    from ddmi_core.cli.train import configured
    from ddmi_core.parts.domain_parts import implementation

    page = generate.settings()
    for plugin in ("image", "occupancy"):
        part = page.partition(f"## Settings of the plugin `{plugin}`")[2].partition("\n## ")[0]
        presets = implementation(configured(plugin)[0]).presets()
        steps = [configured(plugin, preset)[1].diffusion.training.steps for preset in presets]
        assert f"| `diffusion.training.steps` | {' | '.join(f'`{number}`' for number in steps)} |" in part
        assert "| `domain.strict` | `true` |" in part
    assert "| `sampling.guidance_from` | `0.0` |" in page.partition("## Settings of the plugin")[0]


@pytest.mark.parametrize(("module", "page"), [("ddmi_core.api", "api.md"), ("ddmi_core.parts", "parts.md")])
def test_every_public_name_is_on_its_page(module: str, page: str) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    names: list[str] = importlib.import_module(module).__all__
    assert names
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_a_generated_page_asks_for_sections_that_exist(generate: ModuleType) -> None:
    marks = {name for page in PAGES for name in generate.MARK.findall(page.read_text(encoding="utf-8"))}
    assert marks == set(generate.SECTIONS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_leads_only_to_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [target for target in LINK.findall(text) if not (page.parent / target).exists()] == []
    for file, section in SNIPPET.findall(text):
        included = (ROOT / file).read_text(encoding="utf-8")
        assert not section or f"--8<-- [start:{section}]" in included


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_names_only_commands_that_exist(page: Path) -> None:
    typer = pytest.importorskip("typer")
    from ddmi_core.cli.main import app

    commands = typer.main.get_command(app).commands
    names = {*commands, *(f"data {name}" for name in commands["data"].commands), OF_EXAMPLES}
    assert [name for name in SHOWN_COMMAND.findall(page.read_text(encoding="utf-8")) if name not in names] == []


def test_a_page_asks_for_pictures_that_a_program_makes() -> None:
    program = (DOCS / "pictures.py").read_text(encoding="utf-8")
    names = {
        name for page in PAGES for name in re.findall(r"<!-- picture: ([\w-]+):", page.read_text(encoding="utf-8"))
    }
    assert [name for name in names if f'"{name}": ' not in program and name != "report"] == []


def test_the_first_page_shows_what_its_commands_make(monkeypatch: pytest.MonkeyPatch) -> None:
    Image = pytest.importorskip("PIL.Image")
    monkeypatch.syspath_prepend(DOCS)
    gallery = importlib.import_module("gallery")
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    shown = re.findall(r"\(assets/(gallery-\w+)\.gif\)\n\n```bash\n(ddmi .*)\n```", page)
    assert {name: shlex.split(command) for name, command in shown} == {
        name: shlex.split(command) for name, command in gallery.COMMANDS.items()
    }
    for name, _ in shown:
        path = DOCS / "assets" / f"{name}.gif"
        assert path.stat().st_size <= gallery.LARGEST
        with Image.open(path) as picture:
            assert picture.n_frames > 10


def test_a_row_of_animations_moves_and_repeats_in_the_same_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Image = pytest.importorskip("PIL.Image")
    monkeypatch.syspath_prepend(DOCS)
    gallery = importlib.import_module("gallery")
    colours = [(8 * number, 255 - 8 * number, 40) for number in range(30)]
    still = [Image.new("RGB", (20, 20), colour) for colour in colours]
    for name in ("a", "b"):
        still[0].save(tmp_path / f"{name}.gif", save_all=True, append_images=still[1:], duration=60, loop=0)
    frames, duration = gallery.animation([tmp_path / "a.gif", tmp_path / "b.gif"])
    assert len(frames) == gallery.LONGEST
    assert duration == pytest.approx(30 * 60 / gallery.LONGEST, abs=1)
    right = gallery.TILE + importlib.import_module("pictures").GAP
    middle = gallery.TILE // 2
    for frame in frames:
        drawn = frame.convert("RGB")
        assert drawn.size == (right + gallery.TILE, gallery.TILE)
        assert drawn.getpixel((middle, middle)) == drawn.getpixel((right + middle, middle))
    assert len({frame.convert("RGB").getpixel((middle, middle)) for frame in frames}) == gallery.LONGEST


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("CUDA out of memory", "how-to/memory-and-time.md"),
        ("out of memory", "how-to/troubleshooting.md"),
        ("licence", "explanation/licence.md"),
        ("cite", "explanation/licence.md"),
        ("floaters", "how-to/faq.md"),
        ("fine-tune", "how-to/faq.md"),
        ("blurry", "how-to/troubleshooting.md"),
        ("NaN", "how-to/troubleshooting.md"),
        ("SLURM", "how-to/several-processes.md"),
        ("Windows", "how-to/install.md"),
        ("Docker", "how-to/install.md"),
        ("export", "how-to/output-files.md"),
    ],
)
def test_words_that_people_search_for_are_on_the_page_that_answers(words: str, page: str) -> None:
    assert words.lower() in (DOCS / page).read_text(encoding="utf-8").lower()


def test_the_site_needs_no_network() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert "http" not in settings
    # The plugin `offline` would load this script of its own from elsewhere.
    (shim,) = re.findall(r"polyfills: \[(\S*iframe-worker\S*)\]", settings)
    assert "Worker" in (DOCS / shim).read_text(encoding="utf-8")
    assert "http" not in (DOCS / shim).read_text(encoding="utf-8")
