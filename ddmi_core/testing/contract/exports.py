"""Checks of files: exporters, and `read` and the source `folder` with valid and invalid input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ddmi_core.errors import DataError, DdmiError
from ddmi_core.model.data import FOLDER
from ddmi_core.testing.check import NotApplicable, Remark, expect
from ddmi_core.testing.grids import levels_of
from ddmi_core.testing.readers import Empty, opened
from ddmi_core.testing.subject import Subject
from ddmi_core.testing.tensors import copied, leaves

ALIKE = 0.9  # least correlation of a signal with the signal read from its file
TEXT = "This is not what the suffix says.\n" * 20


def check_exporters(subject: Subject) -> Remark:
    """Every exporter writes what it is given to exactly the given path, as a file that other programs open."""
    left, empty = [], []
    artefacts = {"render": subject.native, "original": _original(subject)}
    for suffix, export in subject.parts.exporters().items():
        for name, artefact in artefacts.items():
            folder = subject.scratch("export")
            path = folder / f".partial-{name}{suffix}"
            export(artefact, path)
            written = sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
            # A second file, such as the details of a clip, is allowed if the exporter of its suffix writes it as well.
            also = {f"{name}{other}" for other in subject.parts.exporters()} - {f"{name}{suffix}"}
            expect(
                path.name in written and set(written) - {path.name} <= also,
                f"the exporter {suffix!r} does not write exactly the given path",
                "write this file, and no others except files of the same name that other exporters write",
                requested=path.name,
                files=len(written),
                written=written,
            )
            size = path.stat().st_size
            expect(size > 0, f"the exporter {suffix!r} writes an empty file", "write the artefact", bytes=size)
            try:
                reader = opened(path)
            except Empty as error:
                # Fields with initial weights may be empty; originals are not.
                expect(
                    name == "render",
                    f"the exporter {suffix!r} writes an empty file for the original: {error}",
                    "write the original, for example as a picture at its position",
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
    same = _written_alike(subject)
    default = next(iter(subject.parts.exporters()))
    expect(
        default not in same,
        f"the exporter {default!r} writes equal files for different originals",
        "write the values of the artefact",
        originals=subject.count,
    )
    remarks = [f"no reader available for {', '.join(dict.fromkeys(left))}"] if left else []
    remarks += [f"equal files for different originals: {', '.join(same)}"] if same else []
    remarks += [f"the render is empty as {', '.join(empty)}"] if empty else []
    return "; ".join(remarks) or None


def _written_alike(subject: Subject) -> list[str]:
    """Suffixes whose files are equal for different originals, such as files of what all signals share."""
    if subject.count < 2:
        return []
    originals = [subject.parts.ground_truth(subject.batch, index) for index in range(subject.count)]
    same = []
    for suffix, export in subject.parts.exporters().items():
        written = set()
        for original in originals:
            path = subject.scratch("different") / f"original{suffix}"
            export(original, path)
            written.add(path.read_bytes())
        if len(written) == 1:
            same.append(suffix)
    return same


def check_exporters_repeat(subject: Subject) -> None:
    """One artefact written twice gives equal bytes."""
    for suffix, export in subject.parts.exporters().items():
        paths = [subject.scratch("repeat") / f"artefact{suffix}" for _ in range(2)]
        for path in paths:
            export(subject.native, path)
        first, second = (path.read_bytes() for path in paths)
        different = sum(a != b for a, b in zip(first, second, strict=False)) + abs(len(first) - len(second))
        expect(
            first == second,
            f"the exporter {suffix!r} writes different bytes the second time",
            "write no times, random numbers or paths into files",
            different=different,
            bytes=len(first),
        )


def check_exporters_pass_errors_on(subject: Subject) -> None:
    """An exporter raises OSError if a file cannot be written; the core reports it."""
    for suffix, export in subject.parts.exporters().items():
        path = subject.scratch("nowhere") / "missing" / f"artefact{suffix}"
        raised = _raised(partial(export, subject.native, path))
        expect(
            isinstance(raised, OSError | DdmiError) or path.exists(),
            f"the exporter {suffix!r} raises {type(raised).__name__ if raised else 'no error'} "
            "if the folder does not exist",
            "do not catch the OSError of open()",
            exists=path.exists(),
        )


def check_files_read_back(subject: Subject) -> Remark:
    """`read` reads files of each exporter, where it takes them, as one signal of the native size and same content."""
    left = []
    exporters = subject.parts.exporters()
    last = subject.count - 1  # a reader that returns the first signal of the data would pass with the first one
    for suffix, export in exporters.items():
        path = subject.scratch("read") / f"original{suffix}"
        export(subject.parts.ground_truth(subject.batch, last), path)
        try:
            signal = subject.parts.read(path)
        except DataError as error:
            left.append(f"read refuses the {suffix} file: {str(error).replace(str(path), path.name)}")
            continue
        try:
            _same(subject, suffix, signal)
        except NotApplicable as reason:
            left.append(f"{suffix}: {reason}")
    if len(left) == len(exporters):
        raise NotApplicable("; ".join(left))
    return f"not examined: {'; '.join(left)}" if left else None


def _same(subject: Subject, suffix: str, signal: Any) -> None:
    """Compare a signal that was read from a file with the last one of the batch."""
    batch = sorted({tensor.shape[0] if tensor.ndim else 0 for _, tensor in leaves(signal)})
    expect(
        batch == [1],
        f"read does not return one signal for a {suffix} file",
        "return a signal with B = 1",
        batch=batch,
    )
    with torch.no_grad():
        subject.autoencoder.encode(copied(signal))
    ours, theirs = levels_of(subject.batch)[0][-1:], levels_of(signal)[0]
    expect(
        ours.shape == theirs.shape,
        f"the signal that is read from a {suffix} file has another native shape than the signals of the data",
        "return the channels and the native size of the settings, for any size of the file",
        read=tuple(theirs.shape),
        native=tuple(ours.shape),
    )
    pair = torch.stack([ours.flatten(), theirs.flatten()])
    if float(pair.std(dim=1).min()) == 0:
        raise NotApplicable("the signal is constant, so it has no correlation")
    alike = float(torch.corrcoef(pair)[0, 1])
    expect(
        alike >= ALIKE,
        f"the signal that is read from a {suffix} file differs from the one that was written",
        "use the same order and direction of the axes, and range of values, in exporter and read",
        correlation=alike,
        wanted=ALIKE,
    )


def check_bad_files(subject: Subject) -> None:
    """`read` raises a DataError with the path for a missing file, a folder, an empty file and a text file."""
    folder = subject.scratch("bad")
    suffix = next(iter(subject.parts.exporters()))
    missing, inner = folder / f"missing{suffix}", folder / f"inner{suffix}"
    empty, text = folder / f"empty{suffix}", folder / f"text{suffix}"
    inner.mkdir()
    empty.touch()
    text.write_text(TEXT, encoding="utf-8")
    for what, path in (("a missing file", missing), ("a folder", inner), ("an empty file", empty), ("a text", text)):
        _refused(
            f"read, given {what},",
            path,
            partial(subject.parts.read, path),
            path.stat().st_size if path.is_file() else 0,
        )


def check_bad_folders(subject: Subject) -> None:
    """The source `folder` raises a DataError with the path for a missing and for an empty folder."""
    sources = subject.parts.sources()
    if FOLDER not in sources:
        raise NotApplicable("the domain has no source named 'folder'")
    source = sources[FOLDER]
    empty = subject.scratch("empty")
    for what, path in (("a path that does not exist", empty / "missing"), ("an empty folder", empty)):
        _refused(f"the source 'folder', given {what},", path, partial(source, path, subject.config.domain), 0)
    raised = _raised(partial(source, None, subject.config.domain))
    expect(
        raised is None or isinstance(raised, DataError),
        f"the source 'folder', given no path, raises {type(raised).__name__}: {raised}",
        "raise ddmi_core.errors.DataError with a sentence that mentions --data PATH",
        places=0,
    )


def _original(subject: Subject) -> object:
    original: object = subject.parts.ground_truth(subject.batch, 0)
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
        "convert exceptions of decoders to ddmi_core.errors.DataError, for example with ddmi_core.parts.damaged",
        bytes=size,
    )
    expect(
        path.name in str(raised),
        f"{what} raises a DataError without the file's name: {raised}",
        "begin the sentence with the path",
        bytes=size,
    )
