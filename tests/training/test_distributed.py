"""Two processes train one model: on disjoint items, to the same weights, ending together, with one run folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from attrs import evolve
from two_processes import Counted, Halves

from ddmi_core.model import latent_cache
from ddmi_core.model.latent_store import Encoding
from ddmi_core.process_identity import this_process
from ddmi_core.training import distributed
from ddmi_core.training.distributed import Peer
from ddmi_core.training.log import Log
from processes import environment, two_processes
from whole_runs import FILES

place, told = two_processes(Path(__file__).with_name("two_processes.py"), timeout=120, launcher=True)


def test_an_epoch_is_shared_out_without_overlap(told):
    assert [process["rank"] for process in told] == [0, 1]
    steps = [sorted(first + second) for first, second in zip(*(t["indices"] for t in told), strict=True)]
    assert all(len(set(step)) == 6 for step in steps)
    for first, second in zip(steps[::2], steps[1::2], strict=True):
        assert sorted(first + second) == list(range(12))


def test_both_end_with_the_same_weights_which_a_stop_does_not_change(told):
    assert told[0]["weights"] == told[1]["weights"] == told[0]["resumed"] == told[1]["resumed"]
    assert told[0]["weights"] != [[[0.0]], [0.0]]


def test_processes_average_the_gradients_of_all_batches_of_a_step(told):
    assert told[0]["split"] == told[1]["split"]
    for whole, split in zip(told[0]["whole"], told[0]["split"], strict=True):
        assert torch.tensor(split).flatten().tolist() == pytest.approx(torch.tensor(whole).flatten().tolist(), rel=1e-4)
    assert told[0]["whole"] != [[[0.0]], [0.0]]
    for step in range(6):
        seen = [i for t in told for batch in t["split indices"][2 * step : 2 * step + 2] for i in batch]
        assert sorted(seen) == sorted(i for t in told for i in t["whole indices"][step])


def test_a_step_exchanges_gradients_alone_once(told):
    for process in told:
        assert process["waits"] == {"c10d::allreduce_": 2}  # of two steps


def test_a_stop_of_one_stops_both_after_the_same_logged_step(told):
    assert told[0]["stopped"] == told[1]["stopped"]
    sentence, status = told[0]["stopped"]
    assert sentence.startswith("at step 4 of 6")  # asked for after step 2 was logged
    assert status == 128 + 15


def test_a_loss_of_one_that_is_not_finite_ends_both(told):
    for process in told:
        assert "is nan at step 4; the checkpoint of step 4 is kept" in process["spoilt"]


def test_a_failure_of_the_main_process_ends_both(told):
    assert [process["failed"] for process in told] == ["no space left", "the main process failed: no space left"]


def test_latents_that_two_processes_encode_have_the_bytes_of_those_of_one(place, told, tmp_path):
    latent_cache.store(tmp_path, Halves(), Counted(), Encoding(copies=2), torch.device("cpu"), "data", "weights")
    files = sorted(path.name for path in (tmp_path / "final").iterdir())
    assert sum(name.startswith("shard") for name in files) == 6
    assert files == sorted(path.name for path in (place / "latents" / "final").iterdir())
    for name in files:
        assert (tmp_path / "final" / name).read_bytes() == (place / "latents" / "final" / name).read_bytes()
    assert told[0]["latents"] == told[1]["latents"]


def test_a_whole_run_is_written_once_by_the_main_process(place):
    assert {path.name for path in (place / "run").iterdir()} == FILES | {"previews"}
    pictures = sorted(path.name for path in (place / "run" / "previews").iterdir())
    assert [f"{stage}-00000002.png" for stage in ("autoencoder", "denoiser")] == [pictures[0], pictures[-1]]
    for stage in ("autoencoder", "latents", "denoiser"):
        assert [path.name for path in (place / "run" / stage).iterdir()] == ["final"]
    assert [(r["stage"], r["step"]) for r in Log(place / "run" / "log.jsonl").records()] == [
        ("autoencoder", 6),
        ("denoiser", 6),
    ]
    assert "frechet" in (place / "screen-0.txt").read_text()
    assert (place / "screen-1.txt").read_text() == ""


def test_a_single_process_is_the_main_one_and_works_once():
    calls = []
    assert distributed.is_main()
    assert distributed.on_main(lambda: calls.append(1) or 7) == 7
    assert distributed.main_first(lambda: calls.append(2) or 8) == 8
    assert calls == [1, 2]
    assert distributed.from_all(lambda: 3) == [3]
    with pytest.raises(ZeroDivisionError):
        distributed.on_main(lambda: 1 // 0)


@pytest.mark.parametrize(("available", "kind"), [(True, "cuda"), (False, "cpu")])
def test_the_default_device_is_a_gpu_if_there_is_one(available, kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert distributed.default_device().type == kind


def test_the_others_end_with_a_sentence_when_a_process_is_killed(tmp_path):
    with socket.socket() as free:  # no launcher, which would end the other process itself
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {**environment(), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(Path(__file__).with_name("lost_process.py")), str(tmp_path)]
    processes = [subprocess.Popen(command, env={**given, "RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")]
    ends = [process.wait(timeout=120) for process in processes]
    assert ends == [0, -signal.SIGKILL]
    gone = rf"rank 1 \(process {processes[1].pid} on {re.escape(socket.gethostname())}\) has ended\."
    told = (tmp_path / "told.txt").read_text()
    assert re.match(rf"the connection to another process of this run is lost: {gone}.*--resume$", told)


def test_processes_of_other_hosts_are_named_if_none_of_this_one_has_ended(monkeypatch):
    monkeypatch.setattr(distributed, "ENDING", 0.2)
    (own,) = distributed.peers()
    assert (own.rank, own.process) == (0, this_process())
    assert distributed.ended([own]) == "no process has ended"
    far = [Peer(rank, evolve(own.process, host="elsewhere")) for rank in (1, 2)]
    places = " ".join(f"rank {rank} (process {os.getpid()} on elsewhere){',' * (rank == 1)}" for rank in (1, 2))
    assert distributed.ended([own, *far]) == f"one of {places} has ended"
    later = evolve(own, process=evolve(own.process, start="1"))  # another process got its number
    assert distributed.ended([own, later, *far]) == f"{own} has ended"


@pytest.mark.parametrize("processes", [1, 2])
def test_only_errors_of_collectives_tell_of_a_lost_process(processes, monkeypatch):
    monkeypatch.setattr(distributed, "_state", lambda: SimpleNamespace(num_processes=processes))
    lost = [torch.distributed.DistBackendError("reset"), RuntimeError("[../gloo/transport/tcp/pair.cc] closed by peer")]
    assert [distributed.lost_process(error) for error in lost] == [processes == 2] * 2
    assert not any(distributed.lost_process(error) for error in (RuntimeError("out of memory"), OSError("gloo")))


def test_processes_wait_for_each_other_for_a_week():
    assert distributed.TIMEOUT.days == 7


@pytest.mark.parametrize(("processes", "initialized", "leaves"), [(1, False, 0), (2, False, 1), (2, True, 0)])
def test_who_made_the_group_of_processes_leaves_it_at_the_end(processes, initialized, leaves, monkeypatch):
    calls = []
    monkeypatch.setattr("accelerate.PartialState", lambda **given: SimpleNamespace(num_processes=processes))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: initialized)
    monkeypatch.setattr(distributed.atexit, "register", calls.append)
    distributed._state.__wrapped__()
    assert calls == [distributed._leave] * leaves
