"""Checks of files: what exporters write, and what `read` and the source `folder` make of good and bad input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ddmi_core.errors import DataError, DdmiError
from ddmi_core.model.data import FOLDER
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.grids import levels_of
from ddmi_core.testing.readers import Empty, opened
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import leaves

ALIKE = 0.9  # correlation of a signal with what its file gives back
TEXT = "This is not what the suffix says.\n" * 20


def check_exporters(subject: Subject) -> Remark:
    """Every exporter writes a render and an original to the very path that it is given, as a file that others open."""
    left, empty = [], []
    artefacts = {"render": subject.native, "original": _original(subject)}
    for suffix, reference in subject.domain.exporters.items():
        for name, artefact in artefacts.items():
            folder = subject.scratch("export")
            path = folder / f".partial-{name}{suffix}"
            subject.part(reference)(artefact, path)
            written = sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
            # A clip's details may lie beside it: a file that the exporter of another suffix writes, too.
            also = {f"{name}{other}" for other in subject.domain.exporters} - {f"{name}{suffix}"}
            expect(
                path.name in written and set(written) - {path.name} <= also,
                f"the exporter {suffix!r} does not write to the path that it is given alone",
                "write that one file, and beside it none but those of the same name that other exporters write",
                asked=path.name,
                files=len(written),
                written=written,
            )
            size = path.stat().st_size
            expect(size > 0, f"the exporter {suffix!r} writes an empty file", "write the artefact", bytes=size)
            try:
                reader = opened(path)
            except Empty as error:
                # Fields of initial weights may show nothing; what was given shows something.
                expect(
                    artefact is subject.native,
                    f"the original's file of the exporter {suffix!r} shows nothing: {error}",
                    "write what was given, for example as a picture at its place",
                    bytes=size,
                )
                empty.append(suffix)
                continue
            except Exception as error:
                expect(
                    False,
                    f"the file of the exporter {suffix!r} cannot be opened: {type(error).__name__}: {error}",
                    "write the format that the suffix promises",
                    bytes=size,
                )
            if not reader:
                left.append(suffix)
    remarks = [f"no reader at hand for {', '.join(dict.fromkeys(left))}"] if left else []
    remarks += [f"nothing to see in the render as {', '.join(empty)}"] if empty else []
    return "; ".join(remarks) or None


def check_exporters_repeat(subject: Subject) -> None:
    """One artefact written twice gives equal bytes."""
    for suffix, reference in subject.domain.exporters.items():
        paths = [subject.scratch("repeat") / f"artefact{suffix}" for _ in range(2)]
        for path in paths:
            subject.part(reference)(subject.native, path)
        first, second = (path.read_bytes() for path in paths)
        different = sum(a != b for a, b in zip(first, second, strict=False)) + abs(len(first) - len(second))
        expect(
            first == second,
            f"the exporter {suffix!r} writes other bytes the second time",
            "write no times, random numbers or paths into files",
            different=different,
            bytes=len(first),
        )


def check_exporters_pass_errors_on(subject: Subject) -> None:
    """An exporter lets OSError through where a file cannot be written, of which the core makes a sentence."""
    for suffix, reference in subject.domain.exporters.items():
        path = subject.scratch("nowhere") / "missing" / f"artefact{suffix}"
        raised = _raised(partial(subject.part(reference), subject.native, path))
        expect(
            isinstance(raised, OSError | DdmiError) or path.exists(),
            f"the exporter {suffix!r} ends with {type(raised).__name__ if raised else 'no error'} "
            "where the folder does not exist",
            "let the OSError of open() through",
            exists=path.exists(),
        )


def check_files_read_back(subject: Subject) -> None:
    """`read` takes the files that the first exporter writes, as one signal of the native size that shows the same."""
    suffix, reference = next(iter(subject.domain.exporters.items()))
    path = subject.scratch("read") / f"original{suffix}"
    subject.part(reference)(_original(subject), path)
    try:
        signal = subject.part(subject.domain.read)(path, subject.config.domain)
    except DataError as error:
        raise NotApplicable(f"read does not take {suffix} files: {str(error).replace(str(path), path.name)}") from error
    batch = sorted({tensor.shape[0] if tensor.ndim else 0 for _, tensor in leaves(signal)})
    expect(
        batch == [1],
        "read does not give one signal",
        "return a signal with B = 1",
        batch=batch,
    )
    ours, theirs = levels_of(subject.batch)[0][:1], levels_of(signal)[0]
    expect(
        ours.shape == theirs.shape,
        "what is read has another native shape than the signals of the data",
        "give the channels and the native size of the settings, whatever the file's size is",
        read=tuple(theirs.shape),
        native=tuple(ours.shape),
    )
    with torch.no_grad():
        subject.autoencoder.encode(signal)
    pair = torch.stack([ours.flatten(), theirs.flatten()])
    if float(pair.std(dim=1).min()) == 0:
        raise NotApplicable("the first signal is constant, which correlates with nothing")
    alike = float(torch.corrcoef(pair)[0, 1])
    expect(
        alike >= ALIKE,
        "what is read shows something else than what was written",
        "keep order and direction of the axes, and the range of values, in exporter and read",
        correlation=alike,
        wanted=ALIKE,
    )


def check_bad_files(subject: Subject) -> None:
    """`read` answers a missing file, a folder, an empty file and a text with a DataError that names the path."""
    folder = subject.scratch("bad")
    suffix = next(iter(subject.domain.exporters))
    missing, inner = folder / f"missing{suffix}", folder / f"inner{suffix}"
    empty, text = folder / f"empty{suffix}", folder / f"text{suffix}"
    inner.mkdir()
    empty.touch()
    text.write_text(TEXT, encoding="utf-8")
    read = subject.part(subject.domain.read)
    for what, path in (("a missing file", missing), ("a folder", inner), ("an empty file", empty), ("a text", text)):
        _refused(
            f"read, given {what},",
            path,
            partial(read, path, subject.config.domain),
            path.stat().st_size if path.is_file() else 0,
        )


def check_bad_folders(subject: Subject) -> None:
    """The source `folder` answers a place that does not exist, and an empty one, with a DataError that names it."""
    if FOLDER not in subject.domain.sources:
        raise NotApplicable("the domain has no source named 'folder'")
    source = subject.part(subject.domain.sources[FOLDER])
    empty = subject.scratch("empty")
    for what, path in (("a place that does not exist", empty / "missing"), ("an empty folder", empty)):
        _refused(f"the source 'folder', given {what},", path, partial(source, path, subject.config.domain), 0)
    raised = _raised(partial(source, None, subject.config.domain))
    expect(
        raised is None or isinstance(raised, DataError),
        f"the source 'folder', given no place, raises {type(raised).__name__}: {raised}",
        "raise ddmi_core.errors.DataError with a sentence that asks for --data PATH",
        places=0,
    )


def _original(subject: Subject) -> object:
    original: object = subject.part(subject.domain.ground_truth)(subject.batch, 0, subject.parts.renderer)
    return original


def _raised(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def _refused(what: str, path: Path, call: Callable[[], object], size: int) -> None:
    raised = _raised(call)
    expect(raised is not None, f"{what} raises nothing", "raise ddmi_core.errors.DataError with a sentence", bytes=size)
    expect(
        isinstance(raised, DataError),
        f"{what} raises {type(raised).__name__}: {raised}",
        "turn what decoders raise into a ddmi_core.errors.DataError that says what is wrong",
        bytes=size,
    )
    expect(
        path.name in str(raised),
        f"{what} raises a DataError that does not name the file: {raised}",
        "begin the sentence with the path",
        bytes=size,
    )
