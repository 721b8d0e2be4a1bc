"""The server shows what a session makes, answers its own page alone, and tells in sentences what it refuses."""

from __future__ import annotations

import io
import json
from threading import Event, Thread

import numpy as np
import pytest
from pages import served
from PIL import Image

import formula_domains
from ddmi_core.errors import OutputError, RequestError
from ddmi_core.viewer.params import LARGEST_SEED, Mixture, Query, Sample
from ddmi_core.viewer.server import PAGE, Server
from ddmi_core.viewer.session import Session
from variants import model_variant, returning


def grey(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)), dtype=int)


@pytest.mark.parametrize("path", PAGE)
def test_the_page_and_its_files_are_served_and_ask_for_no_other_place(path, page):
    status, headers, data = page.get(path)
    assert status == 200
    assert headers["Content-Type"] == PAGE[path][1]
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert b"://" not in data.replace(b"http://www.w3.org", b"")


@pytest.mark.parametrize(
    "path", ["/server.py", "/../server.py", "/%2e%2e/server.py", "/page/index.html", "/etc/passwd"]
)
def test_no_other_file_is_served(path, page):
    assert page.get(path)[0] == 404


def test_the_page_is_told_what_the_model_is(page, model):
    told = json.loads(page.get("/about")[2])
    assert (told["title"], told["domain"]) == ("tiny", model.domain.name)
    assert told["condition"] == {"kind": "class", "choices": ["slow", "fast"]}
    assert told["panel"]["axes"] == list(reversed(model.domain.layout.axes))[-2:]
    assert told["files"] == [".npy"]
    assert told["plays"] == ""


def test_samples_come_with_their_progress_and_are_those_of_the_model(page, model, session):
    status, lines = page.lines({"n": 3, "seed": "5", "steps": 4, "condition": "fast", "guidance": 2})
    assert status == 200
    assert lines[:-1] == [{"step": step, "steps": 4} for step in range(1, 5)]
    names = lines[-1]["samples"]
    assert len(set(names)) == 3
    expected = model.sample(3, seed=5, steps=4, condition="fast", guidance=2.0)
    batch, _, _ = names[0].partition("-")
    for number in range(3):
        field = session.field(Mixture(Sample(batch, number)))
        for ours, theirs in zip(field.basis, expected[number].basis, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                assert (one - other).abs().max() < 1e-5


def test_the_same_request_is_not_worked_at_twice(page):
    first, again = (page.lines({"n": 2, "seed": 1, "steps": 3})[1] for _ in range(2))
    assert again == [first[-1]]


def test_large_seeds_are_as_exact_as_they_are_written(page):
    first, second = (page.samples(n=1, steps=1, seed=str(LARGEST_SEED - less)) for less in (0, 1))
    assert page.get(f"/show?a={first[0]}")[2] != page.get(f"/show?a={second[0]}")[2]


def test_a_sample_is_shown_in_part_and_among_others(page, session):
    (name,) = page.samples(n=1, steps=2)
    bounds = ",".join(["-0.5,0.25"] * len(session.panel.axes))
    status, headers, data = page.get(f"/show?a={name}&rows=24&columns=40&bounds={bounds}")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    if len(session.panel.axes) == 2:
        assert grey(data).shape == (24, 40)
    assert page.get(f"/thumbnail?a={name}")[0] == 200


@pytest.mark.parametrize("through", ["latents", "noise"])
def test_a_mixture_begins_at_one_sample_and_ends_at_the_other(through, page):
    # Of one class: what is sampled anew has the condition of the nearer end.
    first, second = page.samples(n=2, steps=3, condition="slow")

    def shown(name, more=""):
        return grey(page.get(f"/show?a={name}{more}")[2])

    def mixed(mix):
        return shown(first, f"&b={second}&mix={mix}&through={through}")

    assert np.abs(mixed(0) - shown(first)).max() <= 1
    assert np.abs(mixed(1) - shown(second)).max() <= 1
    assert np.abs(mixed(0.5) - shown(first)).mean() > 1
    assert np.abs(mixed(0.5) - shown(second)).mean() > 1


def test_what_is_sampled_anew_at_an_end_has_the_seed_and_condition_of_that_end(page):
    (first,) = page.samples(n=1, steps=3, condition="slow")
    others = [*page.samples(n=4, seed=9, steps=4), *page.samples(n=2, seed=2, steps=2, condition="fast", guidance=3)]
    for other in others:
        direct = grey(page.get(f"/show?a={other}")[2])
        mixed = grey(page.get(f"/show?a={first}&b={other}&mix=1&through=noise")[2])
        assert np.abs(mixed - direct).max() <= 1


def test_a_sample_is_saved_as_the_domain_writes_it(page, model, session):
    _, name = page.samples(n=2, seed=7, steps=2)
    status, headers, data = page.get(f"/file?a={name}&suffix=.npy")
    assert status == 200
    assert headers["Content-Disposition"] == f'attachment; filename="{model.domain.name}-7-1.npy"'
    saved = np.load(io.BytesIO(data))
    np.testing.assert_allclose(saved, model.render(model.sample(2, seed=7, steps=2)[1]).array(), atol=1e-5)
    for number, (_, size) in enumerate(session.views, start=1):
        other = np.load(io.BytesIO(page.get(f"/file?a={name}&suffix=.npy&view={number}")[2]))
        assert other.shape == (*size, 1)


def test_a_size_is_that_of_the_command_and_has_a_limit(page, model, session):
    (name,) = page.samples(n=1, seed=7, steps=2)
    asked = "x".join(str(side + 3) for side in model.renderer.native)
    saved = np.load(io.BytesIO(page.get(f"/file?a={name}&suffix=.npy&size={asked}")[2]))
    assert saved.shape == (*model.parts.parse_view(asked), 1)
    largest = json.loads(page.get("/about")[2])["largest"]
    assert f"up to {largest}. Fix: use `ddmi sample --size`" in page.told(
        f"/file?a={name}&suffix=.npy&size={largest + 1}"
    )
    assert "the limit is 60" in page.told(f"/file?a={name}&suffix=.npy&size={'9' * 5000}")
    assert "the limit is 60" in page.told(f"/file?a={name}&suffix=.npy&size={'-' * 61}")
    assert "size" in page.told(f"/file?a={name}&suffix=.npy&size=large")


def test_what_browsers_play_is_played(model):
    exporters = dict.fromkeys((".npy", ".wav"), formula_domains.write)
    for page in served(Session(model_variant(model, exporters=returning(exporters)), "tiny")):
        assert json.loads(page.get("/about")[2])["plays"] == "audio/wav"
        (name,) = page.samples(n=1, steps=2)
        status, headers, data = page.get(f"/play?a={name}")
        assert (status, headers["Content-Type"]) == (200, "audio/wav")
        assert np.load(io.BytesIO(data)).shape == (*model.renderer.native, 1)


WRONG = {
    "seed=-1": "seed '-1' is not a whole number from 0",
    "seed=1e3": "seed '1e3' is not a whole number",
    f"seed={2**63}": "is not a whole number from 0",
    "seed=" + "9" * 5000: "is not a whole number from 0",
    "n=0": "n '0' is not a whole number from 1 to 64",
    "n=65": "n '65' is not a whole number from 1 to 64",
    "steps=100000": "steps '100000' is not a whole number from 1 to 1000",
    "guidance=nan": "guidance 'nan' is not a number from 0 to 100",
    "guidance=-1": "guidance '-1' is not a number from 0 to 100",
    "guidance=much": "guidance 'much' is not a number",
    "condition=slwo": "unknown class 'slwo'; did you mean 'slow'?",
    "condition=" + "x" * 501: "the condition has 501 characters; the limit is 500",
    "channel=A!": "channel 'A!' must have",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_request_for_samples_is_told_in_a_sentence(wrong, models):
    key, _, value = wrong.partition("=")
    for page in served(Session(models["wave"], "tiny")):
        status, lines = page.lines({"steps": 2, key: value})
        assert status == 400
        assert WRONG[wrong] in lines[0]["error"]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff\xfe", b"3"])
def test_a_body_that_is_no_object_is_refused(body, page):
    status, _, data = page.send("POST", "/samples", body)
    assert status == 400
    assert "JSON" in json.loads(data)["error"]


def test_a_body_that_is_too_long_is_not_read(page):
    assert page.send("POST", "/samples", b"{}", Content_Length="70000")[0] == 413
    assert page.send("POST", "/samples", b"{}", Content_Length="-1")[0] == 413


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "is not a sample"),
        ("a=../../etc", "is not a sample"),
        (f"a={'0' * 16}-0", "generate it again"),
        ("a={name}&rows=0", "rows '0' is not a whole number from 1 to 2048"),
        ("a={name}&bounds=1", "`bounds` takes two numbers for each"),
        ("a={name}&bounds=nan,1", "bounds 'nan' is not a number"),
        ("a={name}&bounds=0.5,0.5", "a lower and a higher end"),
        ("a={name}&at=0,0,0", "`at` one for each"),
        ("a={name}&view=9", "view '9' is not a whole number from 0 to"),
        ("a={name}&b={name}&mix=2", "mix '2' is not a number from 0 to 1"),
        ("a={name}&b={name}&through=walls", "through 'walls' is not one of latents, noise"),
    ],
)
def test_a_wrong_look_is_told_in_a_sentence(query, said, models):
    for page in served(Session(models["wave"], "tiny")):
        (name,) = page.samples(n=1, steps=1)
        assert said in page.told(f"/show?{query.format(name=name)}")


def test_a_number_beyond_the_batch_names_no_sample(page):
    name, _ = page.samples(n=2, steps=1)
    assert "generate it again" in page.told(f"/show?a={name.partition('-')[0]}-2")


def test_only_types_that_the_domain_writes_are_saved(page):
    (name,) = page.samples(n=1, steps=1)
    assert "unknown file type '.exe'" in page.told(f"/file?a={name}&suffix=.exe")
    assert "no files that browsers play" in page.told(f"/play?a={name}")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0:{port}"]
)
@pytest.mark.parametrize("path", ["/", "/about"])
def test_another_name_of_this_machine_is_refused(host, path, page):
    assert page.get(path, Host=host.format(port=page.port))[0] == 403


def test_the_two_names_of_the_page_are_served(page):
    assert [page.get("/", Host=f"{name}:{page.port}")[0] for name in ("127.0.0.1", "localhost")] == [200, 200]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_other_sites_cannot_ask(origin, page):
    origin = origin.format(port=page.port)
    assert page.send("POST", "/samples", b"{}", Origin=origin)[0] == 403
    assert page.get("/about", Origin=origin)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_lead_to_the_page_and_use_nothing_of_it(site, page):
    assert page.get("/", Sec_Fetch_Site=site)[0] == 200
    assert page.get("/about", Sec_Fetch_Site=site)[0] == 403
    assert page.get("/app.js", Sec_Fetch_Site=site)[0] == 403


def test_other_methods_are_refused(page):
    assert [page.send(method, "/about")[0] for method in ("PUT", "DELETE", "OPTIONS")] == [501] * 3
    assert page.send("POST", "/about", b"{}")[0] == 404


def test_only_this_machine_reaches_the_server():
    with Server(0) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told_and_the_next_one_is_found():
    with Server() as first, Server() as second:
        assert first.server_address[1] != second.server_address[1]
        taken = first.server_address[1]
        with pytest.raises(OutputError, match=f"port {taken} of 127.0.0.1 cannot be used: .*in use; .*--port"):
            Server(taken)


def test_a_newer_request_for_samples_ends_the_older_one(page, session, monkeypatch):
    begun, newer = Event(), Event()
    sample = session.sample

    def slow(wanted, told):
        if wanted.sampling.seed == 1:

            def waited(step, steps):
                begun.set()
                newer.wait(10)
                told(step, steps)

            return sample(wanted, waited)
        return sample(wanted, told)

    monkeypatch.setattr(session, "sample", slow)
    ended = {}
    first = {"n": 1, "seed": 1, "steps": 3, "channel": "one", "serial": 1}
    thread = Thread(target=lambda: ended.update(first=page.lines(first)))
    thread.start()
    assert begun.wait(10)
    second = Thread(target=lambda: ended.update(second=page.lines({**first, "seed": 2, "serial": 2})))
    second.start()
    page.wait_for("one", 2)
    newer.set()
    thread.join(10)
    second.join(10)
    assert ended["first"][1][-1] == {"superseded": True}
    assert "samples" in ended["second"][1][-1]


def test_errors_of_the_work_are_told_and_the_next_request_is_served(page, session, monkeypatch, capsys):
    (name,) = page.samples(n=1, steps=1)
    monkeypatch.setattr(session, "show", lambda *_: 1 / 0)
    status, _, data = page.get(f"/show?a={name}")
    assert status == 500
    assert "ZeroDivisionError" in json.loads(data)["error"]
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert page.get(f"/thumbnail?a={name}")[0] == 200


def test_queries_with_very_many_names_are_refused():
    with pytest.raises(RequestError, match="at most 32"):
        Query.of_url("&".join(f"a{number}=1" for number in range(100)))
