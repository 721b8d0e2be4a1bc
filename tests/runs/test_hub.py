"""Upload and download of published runs, with a stand-in for the hub that keeps repositories in folders."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import ddmi_core
from ddmi_core.errors import CheckpointError, HubError, OutputError, RequestError
from ddmi_core.runs import hub
from ddmi_core.runs.publish import publish
from resealed import resealed

huggingface_hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")
pytestmark = pytest.mark.usefixtures("registered")
REPO = "me/wave"


class Hub:
    """The methods of `HfApi` that are used, on folders; every call must fit the real signature."""

    def __init__(self, root: Path) -> None:
        self.root, self.token, self.failure, self.private = root, "secret", None, None

    def __call__(self):
        return self

    def _check(self, method: str, *given, **options) -> None:
        inspect.signature(getattr(huggingface_hub.HfApi, method)).bind(self, *given, **options)
        if self.failure:
            raise self.failure

    def create_repo(self, repo, **options):
        self._check("create_repo", repo, **options)
        self.private = options["private"]
        (self.root / repo).mkdir(parents=True, exist_ok=options["exist_ok"])

    def upload_folder(self, **options):
        self._check("upload_folder", **options)
        self._copy(options["folder_path"], self.root / options["repo_id"], options["allow_patterns"])

    def repo_info(self, repo, **options):
        self._check("repo_info", repo, **options)
        files = [path for path in (self.root / repo).rglob("*") if path.is_file()]
        siblings = [
            types.SimpleNamespace(rfilename=str(path.relative_to(self.root / repo)), size=path.stat().st_size)
            for path in files
        ]
        return types.SimpleNamespace(sha="0123abc", siblings=siblings)

    def snapshot_download(self, repo, **options):
        self._check("snapshot_download", repo, **options)
        assert options["revision"] == "0123abc"
        self._copy(self.root / repo, options["local_dir"], options["allow_patterns"])
        (options["local_dir"] / ".cache").mkdir()
        (options["local_dir"] / ".cache" / "x.lock").write_text("")

    @staticmethod
    def _copy(source, target, names):
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


@pytest.fixture
def site(tmp_path, monkeypatch):
    found = Hub(tmp_path / "site")
    stand_in = types.SimpleNamespace(HfApi=found, get_token=lambda: found.token, __name__="huggingface_hub")
    monkeypatch.setattr(hub, "_hub", lambda: stand_in)
    return found


@pytest.fixture
def folder(finished_runs, tmp_path):
    out = tmp_path / "published"
    publish(finished_runs["wave"], out)
    return out


@pytest.fixture
def uploaded(site, folder):
    hub.push(folder, REPO)
    return site.root / REPO


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def http(kind, status):
    request = types.SimpleNamespace(url="https://hub.test/x", method="GET")
    response = types.SimpleNamespace(status_code=status, headers={}, request=request)
    error = kind.__new__(kind, f"status {status}\nmore")
    error.args, error.response = (f"status {status}\nmore",), response
    return error


def test_a_run_comes_back_from_the_hub_as_it_was_and_draws_the_same(site, folder, tmp_path):
    (folder / "notes.py").write_text("raise SystemExit")
    assert hub.push(folder, REPO, private=True) == "https://huggingface.co/me/wave"
    assert site.private is True
    out = hub.fetch(REPO, tmp_path / "fetched")
    (folder / "notes.py").unlink()
    assert files(out) == files(folder)
    coords = torch.linspace(-1, 1, 5)[None, :, None]
    first, second = (ddmi_core.load(place, device="cpu").sample(1, seed=2)(coords) for place in (folder, out))
    assert torch.equal(first, second)


def test_the_default_folder_has_the_name_of_the_repository(uploaded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub.fetch(REPO) == Path("runs/wave")
    with pytest.raises(OutputError, match="runs/wave exists already"):
        hub.fetch(REPO)


def test_files_that_are_no_weights_settings_or_figures_stay_on_the_hub(uploaded, tmp_path):
    names = set(files(uploaded))
    for name in ("evil.py", "denoiser/final/weights.pkl", "autoencoder/final/run.sh", ".gitattributes", "x/run.toml"):
        (uploaded / name).parent.mkdir(exist_ok=True)
        (uploaded / name).write_text("raise SystemExit")
    assert set(files(hub.fetch(REPO, tmp_path / "fetched"))) == names


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("run.toml", None, "holds no published run: it has no run.toml"),
        ("run.toml", b"x = ", "damaged"),
        ("denoiser/final/state.json", None, "it has no denoiser/final/state.json"),
        ("denoiser/final/weights.safetensors", None, "truncated or altered"),
        ("denoiser/final/weights.safetensors", b"import os", "truncated or altered"),
        ("README.md", b"x" * 300_001, "README.md has 300001 bytes; at most 300000"),
    ],
)
def test_a_damaged_repository_is_refused_and_leaves_nothing(uploaded, tmp_path, monkeypatch, name, data, words):
    monkeypatch.setattr(hub, "LARGEST_TEXT", 300_000)
    if data is None:
        (uploaded / name).unlink()
    else:
        (uploaded / name).write_bytes(data)
    place = tmp_path / "there"
    with pytest.raises(CheckpointError, match=words):
        hub.fetch(REPO, place / "fetched")
    assert not place.exists() or not list(place.iterdir())


def test_a_folder_that_is_too_large_is_refused_before_its_download(uploaded, site, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "LARGEST", 1000)
    monkeypatch.setattr(site, "snapshot_download", lambda *_, **__: pytest.fail("downloaded"))
    with pytest.raises(CheckpointError, match="at most 1000 are accepted"):
        hub.fetch(REPO, tmp_path / "fetched")


def test_a_checkpoint_that_names_a_file_elsewhere_is_refused(uploaded, tmp_path):
    secret = tmp_path / "secret.safetensors"
    save_file({"a": torch.zeros(1)}, secret)
    state = uploaded / "denoiser" / "final" / "state.json"
    record = json.loads(state.read_text())
    record["files"][f"../../../{secret.name}"] = {"bytes": secret.stat().st_size, "sha256": "0"}
    state.write_text(resealed(json.dumps(record)))
    with pytest.raises(CheckpointError, match="is not the name of a file"):
        hub.fetch(REPO, tmp_path / "fetched")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": [1, 2]}, "classes must be a list of names"),
        ({"classes": "ab"}, "classes must be a list of names"),
        ({"counts": [1, 2, 3, 4, 5]}, "counts must be a number for each class"),
        ({"grids": [["a"]]}, "damaged record of latents"),
        ({"grids": [[-3]]}, "integers from 1 to 65536"),
        ({"grids": [10**30]}, "damaged record of latents"),
        ({"channels": 0.5}, "integers from 1 to 65536"),
    ],
)
def test_a_damaged_record_of_latents_is_refused(uploaded, tmp_path, changes, words):
    state = uploaded / "denoiser" / "final" / "state.json"
    state.write_text(resealed(json.dumps(json.loads(state.read_text()) | changes)))
    with pytest.raises(CheckpointError, match=words):
        hub.fetch(REPO, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"[" * 100_000,
        b"3",
        b'{"figures": [{"name": "psnr", "value": "high", "protocol": {}}], "samplers": []}',
        b'{"figures": [{"name": "psnr", "value": 1' + b"0" * 400 + b', "protocol": {}}], "samplers": []}',
    ],
)
def test_damaged_figures_are_refused(uploaded, tmp_path, data):
    (uploaded / "metrics.json").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"metrics\.json is damaged"):
        hub.fetch(REPO, tmp_path / "fetched")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 5000, "is damaged"),
        ("x = " + "9" * 5000, "is damaged"),
        ("run = 3", r"has no complete \[run\] table"),
        ("[run]\nformat = 0x" + "f" * 5000, "is damaged"),
        ('[run]\nformat = 9\nplugin = "wave"\nversions = 3', "ddmi unknown in format 9"),
        ('[run]\nformat = 1\nplugin = "wave"\nfile = "' + "a" * 300 + '.py"', "is not the path of a file"),
    ],
)
def test_a_hostile_head_is_refused(uploaded, tmp_path, text, words):
    (uploaded / "run.toml").write_text(resealed(text))
    with pytest.raises(CheckpointError, match=words):
        hub.fetch(REPO, tmp_path / "fetched")


def test_a_link_in_a_download_is_refused(uploaded, site, tmp_path, monkeypatch):
    original = site.snapshot_download

    def linked(repo, **options):
        original(repo, **options)
        (options["local_dir"] / "README.md").unlink()
        (options["local_dir"] / "README.md").symlink_to("/etc/hostname")

    monkeypatch.setattr(site, "snapshot_download", linked)
    with pytest.raises(CheckpointError, match=r"README\.md is a link"):
        hub.fetch(REPO, tmp_path / "fetched")


@pytest.mark.parametrize("repo", ["wave", "../wave", "me/..", "me/a/b", "https://hf.co/me/wave", "me/", "-x/y"])
def test_a_name_must_be_of_a_repository(site, folder, repo):
    for call in (lambda: hub.fetch(repo), lambda: hub.push(folder, repo)):
        with pytest.raises(RequestError, match="use OWNER/NAME"):
            call()


def test_only_a_published_run_with_a_card_is_uploaded(site, folder, finished_runs, tmp_path):
    with pytest.raises(CheckpointError, match="publish the run first: ddmi publish"):
        hub.push(finished_runs["wave"], REPO)
    (folder / "denoiser" / "final" / "weights.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="truncated or altered"):
        hub.push(folder, REPO)
    with pytest.raises(CheckpointError, match="no run folder"):
        hub.push(tmp_path / "nothing", REPO)
    assert not site.root.exists()


def test_uploading_requires_a_token(site, folder):
    site.token = None
    with pytest.raises(HubError, match=r"requires a token.*hf auth login, or set HF_TOKEN"):
        hub.push(folder, REPO)
    assert not site.root.exists()


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (http(errors.RepositoryNotFoundError, 404), "the hub has no model me/wave, or it is private.*hf auth login"),
        (http(errors.GatedRepoError, 403), "access to me/wave must be granted"),
        (http(errors.RevisionNotFoundError, 404), "me/wave has no revision 'v9'"),
        (http(errors.HfHubHTTPError, 401), "does not accept the token"),
        (http(errors.HfHubHTTPError, 403), "write access"),
        (http(errors.HfHubHTTPError, 500), "answered with status 500: status 500$"),
        (errors.LocalTokenNotFoundError(), "requires a token"),
        (errors.OfflineModeIsEnabled(), "unset HF_HUB_OFFLINE"),
        (errors.LocalEntryNotFoundError("x"), "cannot be reached"),
        (ConnectionRefusedError(), "cannot be reached"),
        (errors.HTTPError("x"), "cannot be reached"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_of_the_hub_are_sentences_with_a_fix(uploaded, site, folder, tmp_path, failure, words):
    site.failure = failure
    with pytest.raises(HubError, match=words):
        hub.fetch(REPO, tmp_path / "fetched", revision="v9")
    if "revision" not in words:
        with pytest.raises(HubError, match=words):
            hub.push(folder, REPO)


def test_a_full_disk_is_no_error_of_the_hub(uploaded, site, tmp_path):
    site.failure = OSError(28, "No space left on device")
    with pytest.raises(OutputError, match="no space left"):
        hub.fetch(REPO, tmp_path / "fetched")


def test_without_the_extra_the_command_to_install_it_is_named(monkeypatch, folder, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: hub.fetch(REPO, tmp_path / "fetched"), lambda: hub.push(folder, REPO)):
        with pytest.raises(RequestError, match=r"pip install 'ddmi\[hub\]'"):
            call()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [("HF_HUB_OFFLINE", "1", "unset HF_HUB_OFFLINE"), ("HF_ENDPOINT", "http://127.0.0.1:9", "cannot be reached")],
)
def test_the_real_library_without_a_network_gives_one_sentence(tmp_path, variable, value, words):
    environment = {**os.environ, "HF_HOME": str(tmp_path), variable: value}
    command = [sys.executable, "-m", "ddmi_core", "fetch", REPO, str(tmp_path / "fetched")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "fetched").exists()
