"""Python processes for tests, forked from one that has imported torch and the engine, which takes seconds each time.

`commands()` is a folder with the programs `python` and `ddmi`. They take the arguments, folder, environment and files
of the real ones, and end with the same status; the code runs in a fork of the server that this process started. What
is read from the environment when torch or the engine is imported is that of this process.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import smaller

SMALLER = "TESTS_SMALLER"  # the environment variable that names a domain whose pictures are to be small
# Nothing that depends on the environment, as the commands do, which are those of the plugins that it names.
IMPORTED = (
    "accelerate",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "typer",
    "PIL.ImageCms",
    "ddmi_core.autoencoder.encoders",
    "ddmi_core.diffusion.denoisers.unet",
    "ddmi_core.parts",
    "ddmi_core.runs.pipeline",
)
PROGRAM = """#!{python} -ISE
import array, json, os, socket, sys

connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
request = [{first!r} + sys.argv[1:], os.getcwd(), dict(os.environ)]
files = socket.SCM_RIGHTS, array.array("i", [0, 1, 2])
text = json.dumps(request).encode()
connection.sendall(len(text).to_bytes(4, "big") + text)
connection.sendmsg([b"f"], [(socket.SOL_SOCKET, *files)])
status = int(connection.makefile().read() or 1)
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@cache
def commands() -> Path:
    """The folder of the programs; the first call starts the server, which ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    for name, first in (("python", []), ("ddmi", ["-m", "ddmi_core"])):
        program = folder / name
        program.write_text(PROGRAM.format(python=sys.executable, address=str(folder / "socket"), first=first))
        program.chmod(0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "socket"))
    listening.listen(64)
    server = subprocess.Popen(
        [sys.executable, __file__, str(listening.fileno())],
        stdin=subprocess.PIPE,  # whose end is the server's
        stdout=subprocess.DEVNULL,
        pass_fds=[listening.fileno()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    listening.close()
    atexit.register(_end, server, folder)
    return folder


def _end(server: subprocess.Popen[bytes], folder: Path) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait()
    shutil.rmtree(folder)


def python() -> str:
    """The program to use in place of `sys.executable` by tests that are not about the start of a process."""
    return str(commands() / "python")


def search_path() -> str:
    """A value of `PATH` that finds the programs first."""
    return os.pathsep.join([str(commands()), str(Path(sys.executable).parent), os.environ["PATH"]])


def serve(listening: socket.socket) -> tuple[list[str], str, dict[str, str], list[int]]:
    """Fork a process for each request; returns a request in the process that is to fulfil it."""
    woken, waking = socket.socketpair()
    for end in (woken, waking):
        end.setblocking(False)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    clients: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listening, woken, *clients.values()], [], [])
        if 0 in ready:
            for process in clients:
                os.kill(process, signal.SIGKILL)
            os._exit(0)
        if woken in ready:
            woken.recv(4096)
            while clients and (found := os.waitpid(-1, os.WNOHANG))[0]:
                client = clients.pop(found[0])
                with suppress(OSError):  # the client may have been killed
                    client.sendall(str(os.waitstatus_to_exitcode(found[1])).encode())
                client.close()
        for process, client in clients.items():
            if client in ready:  # its end
                os.kill(process, signal.SIGKILL)
        if listening in ready:
            client, _ = listening.accept()
            request, files = received(client)
            process = os.fork()
            if process == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for own in (listening, woken, waking, client, *clients.values()):
                    own.close()
                return *request, files
            clients[process] = client
            for file in files:
                os.close(file)


def received(client: socket.socket) -> tuple[Any, list[int]]:
    """A request, and its standard files."""
    with client.makefile("rb", buffering=0) as stream:
        size, text = int.from_bytes(stream.read(4), "big"), b""
        while len(text) < size:
            text += stream.read(size - len(text))
    _, files, _, _ = socket.recv_fds(client, 1, 3)
    return json.loads(text), files


def fulfil(words: list[str], folder: str, environment: dict[str, str], files: list[int], path: list[str]) -> None:
    """Run code as the program `python` does."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    added = [os.path.abspath(place) for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    if domain := environment.get(SMALLER, ""):
        smaller.apply(domain)
    first, *rest = words
    sys.path[:] = ["" if first in ("-c", "-", "-m") else str(Path(first).resolve().parent), *added, *path]
    importlib.invalidate_caches()
    if first == "-m":
        sys.path[0], sys.argv = folder, rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    if first == "-c":
        code, sys.argv = compile(rest[0], "<string>", "exec"), ["-c", *rest[1:]]
    elif first == "-":
        code, sys.argv = compile(sys.stdin.read(), "<stdin>", "exec"), words
    else:
        main.__file__, sys.argv = first, words
        code = compile(Path(first).read_bytes(), first, "exec")
    exec(code, main.__dict__)


def status_of(work: Callable[[], None]) -> int:
    """The exit status of a program that does this; errors are printed."""
    try:
        work()
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def end(status: int) -> NoReturn:
    """End as the interpreter does, without taking every module down, which would copy its memory."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    own = [os.path.abspath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    system = [place for place in sys.path[1:] if place not in own]
    gc.collect()
    gc.freeze()  # a collection in a fork would copy the memory of all modules
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    end(status_of(lambda: fulfil(*request, system)))
