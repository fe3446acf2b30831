"""Starts the processes that measure and talks to them: `Zygote` forks a `Worker` for each cell. Imports no torch."""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

from bench.peak_memory.alike import VARIABLES, fixed_addresses
from bench.sweeps.plan import Plan
from bench.sweeps.scratch import Scratch
from dpn.checkout import PACKAGES
from dpn.program.locks import taken

START_S = 120.0
"""How long an interpreter may take to import its libraries, and a forked worker to answer."""

PATIENCE_S = Plan().patience_s()
"""How long a worker may take for an answer, where nobody says otherwise; a library that deadlocks never gives one."""


class WorkerError(RuntimeError):
    """A command failed in a worker; the message is the worker's own, in one line."""


class _LateError(WorkerError):
    """It is the worker of an earlier call of `Zygote.fork`, which had given up."""


class Worker:
    """A forked process, spoken to through a socket; closing it ends the process.

    Attributes:
        pid: of the process.
        patience_s: how long it may take for an answer.
    """

    def __init__(self, connection: socket.socket, token: str) -> None:
        self.pid, self.patience_s = 0, PATIENCE_S
        self._connection = connection
        self._stream = connection.makefile("rw", encoding="utf-8")
        connection.settimeout(START_S)
        hello = self._read("greet")
        if hello.get("token") != token or "error" in hello:
            self.close()
            if hello.get("token") != token:
                raise _LateError
            raise WorkerError(f"a worker could not be started: {hello['error']}; end other programs and try again")
        self.pid = int(hello["pid"])

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Runs a command in the worker and returns its answer.

        Raises:
            WorkerError: the command raised, the process ended without an answer, or it gave none in `patience_s` and
                was killed.
        """
        try:
            self._connection.settimeout(self.patience_s)
            self._stream.write(json.dumps({"command": command, **arguments}) + "\n")
            self._stream.flush()
        except OSError as error:
            raise WorkerError(f"the worker ended before {command}") from error
        reply = self._read(command)
        if "error" in reply:
            raise WorkerError(str(reply["error"]))
        answer: dict[str, Any] = reply["answer"]
        return answer

    def _read(self, command: str) -> dict[str, Any]:
        try:
            line = self._stream.readline()
        except TimeoutError as error:
            self._kill()
            raise WorkerError(
                f"the worker gave no answer to {command} in {self._connection.gettimeout():,g} s and was killed; "
                "it hangs in a library: try again, or another --backend"
            ) from error
        except OSError:
            line = ""
        if not line:
            raise WorkerError(
                "the worker ended without an answer; it may have been killed for want of memory, "
                "which a smaller --batch or --input would need less of"
            )
        message: dict[str, Any] = json.loads(line)
        return message

    def _kill(self) -> None:
        """A process that hangs does not notice that its connection is closed."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends the worker; harmless when it has ended already."""
        for closing in (self._stream, self._connection):
            try:
                closing.close()
            except OSError:  # a worker that was killed has closed its side
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Zygote:
    """A fresh interpreter that has imported some libraries and run nothing, from which workers are forked."""

    def __init__(
        self,
        modules: Sequence[str],
        *,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        alike: bool = False,
    ) -> None:
        """Starts the interpreter and waits until its libraries are imported.

        Args:
            modules: what it imports; those of ours that the checkout keeps elsewhere it imports when it needs them.
            folder: a checkout whose `bench` and `dpn` it runs; by default those of this process. What else this process
                can import, such as somebody's own network in the folder they work in, it can import too.
            variables: environment variables to set.
            alike: without what the system draws anew for each process, see `bench.peak_memory.alike`.

        Raises:
            WorkerError: it did not start; the message holds the last line of what it printed.
            OSError: the folder for temporary files cannot hold a socket.
        """
        self._home = Scratch()
        self._path = str(self._home.path / "socket")
        self._server = socket.socket(socket.AF_UNIX)
        try:
            self._server.bind(self._path)
        except OSError as error:  # systems allow about a hundred characters
            self._server.close()
            self._home.close()
            raise OSError(f"no socket at {self._path}: {error}; set TMPDIR to a folder with a shorter path") from error
        self._server.listen()
        self._server.settimeout(START_S)
        self._log = (self._home.path / "log").open("w+b")
        environ = {**os.environ, **(variables or {}), **(VARIABLES if alike else {})}
        if folder is not None:
            modules = [module for module in modules if _is_there(module, folder)]
        environ["PYTHONPATH"] = search_path(folder)
        with fixed_addresses() if alike else nullcontext():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", self._path, *modules],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
                cwd=folder, env=environ, start_new_session=True, text=True,
            )  # fmt: skip
        self._forked = 0
        try:
            self._await_libraries()
        except BaseException:  # Ctrl-C too, which meets a sweep here as often as anywhere
            self.close()
            raise

    def _await_libraries(self) -> None:
        assert self._process.stdout is not None
        ready = select.select([self._process.stdout], [], [], START_S)[0]
        if not ready or self._process.stdout.readline().strip() != "ready":
            raise WorkerError(f"a measuring process did not start: {self.last_words()}")

    def fork(self) -> Worker:
        """A fresh process with the libraries imported.

        Raises:
            WorkerError: the system has no room for another process, or the interpreter has ended or hangs.
        """
        assert self._process.stdin is not None
        self._forked += 1
        token = f"{self._process.pid}-{self._forked}"
        try:
            self._process.stdin.write(token + "\n")
            self._process.stdin.flush()
            while True:
                with suppress(_LateError):
                    return Worker(self._server.accept()[0], token)
        except OSError as error:
            raise WorkerError(f"a worker could not be started: {self.last_words()}") from error

    def last_words(self) -> str:
        """The last line that the interpreter or a worker printed on standard error."""
        self._log.flush()
        lines = Path(self._log.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def close(self) -> None:
        """Ends the interpreter and with it every worker."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log, self._server):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was still to be written has no reader
                    continue
        self._home.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_there(module: str, folder: Path) -> bool:
    """Whether a module is one of others, or this checkout of ours has it: files move from commit to commit."""
    package, *_ = module.split(".")
    return package not in PACKAGES or (folder / module.replace(".", "/")).with_suffix(".py").is_file()


def search_path(folder: Path | None = None) -> str:
    """Where this process finds modules, behind a checkout if there is one; for another process's PYTHONPATH."""
    here = [str(Path(entry).absolute()) for entry in sys.path]  # "" is the folder of an interpreter without a script
    return os.pathsep.join(here if folder is None else [str(folder), *here])


def waiting() -> str:
    """For whom a sweep waits, in words: the process, where it has said so, and the lock that it holds."""
    path, holder = machine_lock(), b""
    with suppress(OSError), _opened(path) as lock:
        holder = os.read(lock, 32).strip()
    process = f" (process {holder.decode()})" if holder.isdigit() else ""
    return f"waiting for another sweep on this machine{process}, which holds {path}"


@cache
def say_that_it_waits() -> None:
    """One line on standard error, once in this process however often it has to wait."""
    print(waiting(), file=sys.stderr, flush=True)


def machine_lock() -> Path:
    """The file that a sweep locks, in /tmp: jobs and shells may each have a folder for temporary files of their own.

    It is in DPN_LOCKS where that is set, and among the temporary files where /tmp cannot be written.
    """
    shared = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()
    return Path(os.environ.get("DPN_LOCKS") or shared) / f"dpn-bench-{os.getuid()}.lock"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of the lock's file, which is made where there is none.

    Raises:
        OSError: it is no regular file of this user's: anybody can put a link in /tmp, to a file that would be emptied.
    """
    remedy = "remove it, or name a folder of your own in DPN_LOCKS"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OSError(f"the lock {path} cannot be opened ({error.strerror}); {remedy}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            raise OSError(f"the lock {path} is no regular file of yours; {remedy}")
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def machine_to_itself(waits: Callable[[], None] = say_that_it_waits) -> Iterator[None]:
    """Holds a lock that all sweeps of one user on one machine share, so that two of them take turns.

    Args:
        waits: called when another sweep has the machine, before this one waits for it.

    Raises:
        OSError: the lock's file is not this user's, or no file; see `_opened`.
    """
    path = machine_lock()
    with _opened(path) as lock:
        if not taken(lock, path):
            waits()
            taken(lock, path, wait=True)
        with suppress(OSError):  # a full disk: whoever waits then does not learn for whom
            os.ftruncate(lock, 0)
            os.write(lock, b"%d\n" % os.getpid())
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(lock, 0)
