"""Every file of a data set is accounted for by name, in every domain: taken, or left out with a reason."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from ddmi_core.sources.account import accounting
from known_plugins import AUDIO
from soaking import seeds

SMALL = {
    "image": {"size": 16, "multiples": (1,)},
    "occupancy": {"resolution": 16, "points": 64, "surface": 64},
    "video": {"size": 16, "frames": 2},
    "nerf": {"size": 16, "plane": 16, "points": 32, "shown": 1, "views": 1, "held_views": 1},
    "audio": {},
}
MAKERS = {"image": "pictures", "occupancy": "meshes", "video": "clips", "audio": "sounds"}
PLACES = {"occupancy": "data.folder", "nerf": "data.folder"}
OTHERS = {
    "notes.docx": "with another suffix",
    "README": "with another suffix",
    "deep/er/list.xlsx": "with another suffix",
    ".hidden.png": "hidden",
    "old.zip": "archives or tables beside files, which are not opened",
}


def signals(name):
    """Files of four signals, and of a damaged one, by name."""
    if name == "nerf":
        files = seeds.cameras()["blender"]
        made = {f"{number}/{file}": data for number in range(4) for file, data in files.items()}
        return made, {f"bad/{file}": data for file, data in {**files, "transforms.json": b"{"}.items()}
    file, data = next(iter(getattr(seeds, MAKERS[name])().items()))
    suffix = file.rpartition(".")[2]
    return {f"{number}.{suffix}": data for number in range(4)}, {f"bad.{suffix}": data[:40]}


@pytest.mark.parametrize("name", SMALL)
def test_every_file_is_taken_or_left_out_with_a_reason(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(AUDIO)
    good, bad = signals(name)
    seeds.put(tmp_path, {**good, **bad, **dict.fromkeys(OTHERS, b"PK")})
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    folder, settings = (import_module(f"ddmi_{name}.{place}") for place in (PLACES.get(name, "folder"), "settings"))
    kind = getattr(settings, f"{name.capitalize()}Settings")
    with accounting() as account:
        folder.load(tmp_path, kind(**SMALL[name], strict=False, held_out=0.4))
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir()}
    assert set(account.taken) | set(account.left_out) >= files
    assert not set(account.taken) & set(account.left_out)
    assert set(good) <= set(account.taken)
    assert set(bad) <= set(account.left_out)
    expected = {**OTHERS, "gone.png": "linked to nothing"}
    assert {file: account.left_out[file].reason for file in expected} == expected
    assert any(left.reason == "cannot be used" and "bad" in left.detail for left in account.left_out.values())
    assert account.changes
    assert all(name.startswith(tuple("0123")) for name in account.changes)
    shown, kept = "\n".join(account.lines(every=True)), json.loads(json.dumps(account.to_dict()))
    assert all(file in shown for file in expected)
    assert set(kept["left_out"]) == set(account.left_out)
    assert kept["changes"].keys() == account.changes.keys()
