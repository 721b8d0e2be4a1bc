"""Upload and download of published runs with the Hugging Face hub, through the extra `hub`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ddmi_core.atomic import write_error
from ddmi_core.errors import CheckpointError, HubError, OutputError, RequestError
from ddmi_core.evaluation.results import Evaluation
from ddmi_core.model.latent_cache import described
from ddmi_core.model.run_folder import RunFolder, read_head
from ddmi_core.progress import doing
from ddmi_core.runs.model_card import CARD
from ddmi_core.training import checkpoint
from ddmi_core.training.checkpoint import FINAL

SITE = "https://huggingface.co"
LARGEST = 20_000_000_000  # bytes of a folder
LARGEST_TEXT = 16_000_000  # bytes of a file that is no safetensors file
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Safetensors, JSON, TOML and text at known places; no other file of a repository is uploaded or downloaded.
_FILE = re.compile(
    r"run\.toml|(metrics|results|tuning)\.json|README\.md|LICENSE|NOTICE|(autoencoder|denoiser)/final/(state\.json|[a-z_]+\.safetensors)"
)
_NEEDED = {"run.toml", *(f"{stage}/{FINAL}/state.json" for stage in ("autoencoder", "denoiser"))}


@doing("upload")
def push(folder: Path, repo: str, *, private: bool = False) -> str:
    """Upload a folder of `ddmi publish`; the repository is created if it does not exist.

    Args:
        folder: the folder; files that do not belong to a published run are left out.
        repo: `OWNER/NAME`.
        private: whether a new repository is private.

    Returns:
        address of the repository.

    Raises:
        CheckpointError: if the folder is no published run, or is damaged.
        RequestError: if the name is invalid, or the extra is not installed.
        HubError: if the hub cannot be reached or refuses the request.
    """
    _check_name(repo)
    read_head(RunFolder(folder))
    if not (folder / CARD).is_file():
        raise CheckpointError(f"{folder} has no model card {CARD}; publish the run first: ddmi publish {folder} OUT")
    inside = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    names = sorted(name for name in inside if _FILE.fullmatch(name))
    _check_folder(folder, names)
    hub = _hub()
    if hub.get_token() is None:
        raise HubError("uploading requires a token of the hub. Fix: hf auth login, or set HF_TOKEN")
    with _told(hub, repo, ""):
        hub.HfApi().create_repo(repo, private=private, exist_ok=True)
        hub.HfApi().upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=names, commit_message="Upload with ddmi push"
        )
    return f"{SITE}/{repo}"


@doing("download")
def fetch(repo: str, out: Path | None = None, *, revision: str = "") -> Path:
    """Download a published run and check it. Files that do not belong to one are not downloaded.

    Args:
        repo: `OWNER/NAME`.
        out: folder to create; `runs/NAME` by default.
        revision: branch, tag or commit; the newest commit by default.

    Returns:
        the folder.

    Raises:
        CheckpointError: if the repository holds no published run, or a damaged or too large one.
        RequestError: if the name is invalid, or the extra is not installed.
        OutputError: if the folder exists already or cannot be written.
        HubError: if the hub cannot be reached, or has no such repository or revision.
    """
    _check_name(repo)
    out = out or Path("runs") / repo.partition("/")[2]
    if out.exists():
        raise OutputError(f"{out} exists already; remove it first, or choose another folder")
    hub = _hub()
    aside = out.with_name(f".partial-{out.name}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        with _told(hub, repo, revision):
            info = hub.HfApi().repo_info(repo, revision=revision or None, files_metadata=True)
            sizes = {file.rfilename: file.size or 0 for file in info.siblings if _FILE.fullmatch(file.rfilename)}
            _check_listing(sizes, f"{SITE}/{repo}")
            # The listed commit, so that what was checked is what is downloaded.
            hub.HfApi().snapshot_download(repo, revision=info.sha, local_dir=aside, allow_patterns=sorted(sizes))
        shutil.rmtree(aside / ".cache", ignore_errors=True)
        _check_folder(aside, sorted(sizes), alone=True)
        aside.rename(out)
    except OSError as error:
        raise write_error(out, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return out


def _hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise RequestError("the hub requires huggingface_hub. Fix: pip install 'ddmi[hub]'") from error


def _check_name(repo: str) -> None:
    if not _REPO.fullmatch(repo):
        raise RequestError(f"{repo!r} is not the name of a repository; use OWNER/NAME")


def _check_listing(sizes: Mapping[str, int], where: str) -> None:
    """Check names and sizes, in bytes, of a published run's files."""
    if missing := _NEEDED - sizes.keys():
        raise CheckpointError(f"{where} holds no published run: it has no {', '.join(sorted(missing))}")
    for name, size in sizes.items():
        if size > LARGEST_TEXT and not name.endswith(".safetensors"):
            raise CheckpointError(f"{where}: {name} has {size} bytes; at most {LARGEST_TEXT} are accepted")
    if sum(sizes.values()) > LARGEST:
        raise CheckpointError(f"{where} has {sum(sizes.values())} bytes; at most {LARGEST} are accepted")


def _check_folder(folder: Path, names: list[str], *, alone: bool = False) -> None:
    """Check a published run on the disk: regular files of known names and sizes, and undamaged weights.

    With `alone`, other files are an error.
    """
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and (alone or name in names):
            raise CheckpointError(f"{folder}: {name} is a link; a published run has regular files")
        if alone and path.is_file() and name not in names:
            raise CheckpointError(f"{folder}: {name} does not belong to a published run")
    if lost := [name for name in names if not (folder / name).is_file()]:
        raise CheckpointError(f"{folder} is incomplete: {', '.join(lost)} is missing")
    _check_listing({name: (folder / name).stat().st_size for name in names}, str(folder))
    run = RunFolder(folder)
    read_head(run)
    for stage in (run.autoencoder, run.denoiser):
        stored = checkpoint.load(stage / FINAL)
        for name in stored.record["files"]:
            stored.tensors(Path(name).stem)
    described(checkpoint.load(run.denoiser / FINAL))
    if run.metrics.is_file():
        Evaluation.load(run.metrics)


@contextmanager
def _told(hub: Any, repo: str, revision: str) -> Iterator[None]:
    """Converts errors of the hub to sentences."""
    errors = import_module(f"{hub.__name__}.errors")
    login = "log in: hf auth login, or set HF_TOKEN"
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(f"access to {repo} must be granted. Fix: ask for it at {SITE}/{repo}, then {login}") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"the hub has no model {repo}, or it is private. Fix: check the name; for a private one, {login}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{repo} has no revision {revision!r}. Fix: choose one of {SITE}/{repo}/commits") from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"this requires a token of the hub. Fix: {login}") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError("the hub is switched off. Fix: unset HF_HUB_OFFLINE") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status == 401:
            raise HubError(f"the hub does not accept the token. Fix: {login}") from error
        if status == 403:
            raise HubError(
                f"the token may not do this with {repo}. Fix: use a token with write access, of a member of its owner"
            ) from error
        raise HubError(f"the hub answered with status {status}: {str(error).splitlines()[0]}") from error
    except (errors.LocalEntryNotFoundError, errors.HTTPError, ConnectionError, TimeoutError) as error:
        raise HubError("the hub cannot be reached. Fix: check the network and try again") from error
