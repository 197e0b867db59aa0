"""Real processes, started fast: one helper loads the program, and forks for each command.

A start of Python and its imports costs half a second of processor time a command, and the
tests here run a hundred. The forked child is a process like any other: its own memory,
sockets, signals, exit code and end.
"""

import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

KARB, CENTRAL = "edge", "central"
LOADED = (
    "edge.app",
    "central.app",
    "central.catalogue.importer",
    "central.cli.serving",
    "central.founding",
)
"""What commands load by themselves, and here have already."""


class Process:
    """A command under way. Its words stand in files."""

    def __init__(self, helper, pid, out, err):
        self._helper, self.pid, self._out, self._err = helper, pid, out, err
        self._ended = os.pidfd_open(pid)
        self.returncode = None

    @property
    def stdout(self):
        return self._out.read_text("utf-8", "replace")

    @property
    def stderr(self):
        return self._err.read_text("utf-8", "replace")

    def ends_within(self, seconds):
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            self.returncode = self._helper.status_of(self.pid)
            os.close(self._ended)
        return self.returncode is not None

    def wait(self, seconds=20):
        assert self.ends_within(seconds), f"{self.pid} still runs: {self.stdout} {self.stderr}"
        return self.returncode

    def send_signal(self, number):
        signal.pidfd_send_signal(self._ended, number)

    def first_line(self, seconds=30):
        """Return the first line it says; fails if it ends without one."""
        for _ in range(int(seconds / 0.01)):
            said = self.stdout
            if "\n" in said:
                return said.split("\n", 1)[0]
            if self.ends_within(0.01):
                raise AssertionError(f"ended with {self.returncode}: {said} {self.stderr}")
        raise AssertionError(f"silent: {self.stderr}")

    def end(self, how=signal.SIGTERM, seconds=20):
        if self.returncode is None:
            self.send_signal(how)
            self.wait(seconds)
        return self.returncode


class Launcher:
    """Starts commands. `close` ends what still runs."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="karb-e2e-")
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.launcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={key: text for key, text in os.environ.items() if key != "KARB_DATA"},
        )
        self._started = []

    def start(self, program, *words):
        place = Path(self._folder.name) / str(len(self._started))
        out, err = place.with_suffix(".out"), place.with_suffix(".err")
        out.touch()
        err.touch()
        pid = self._ask(start=[program, *map(str, words)], out=str(out), err=str(err))
        process = Process(self, pid, out, err)
        self._started.append(process)
        return process

    def status_of(self, pid):
        return self._ask(wait=pid)

    def close(self):
        for process in self._started:
            process.end(signal.SIGKILL)
        self._helper.stdin.close()
        self._helper.wait(20)
        self._helper.stdout.close()
        self._folder.cleanup()

    def _ask(self, **request):
        self._helper.stdin.write(json.dumps(request) + "\n")
        self._helper.stdin.flush()
        return json.loads(self._helper.stdout.readline())


def _serve():
    for name in LOADED:
        import_module(name)
    for program in (KARB, CENTRAL):
        app = import_module(f"{program}.cli.commands").app
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            app(["status", "--data", "/nowhere", "--json"])  # loads what the first command loads
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            told = os.waitstatus_to_exitcode(status)
        else:
            told = os.fork() or _become(request)
        sys.stdout.write(f"{told}\n")
        sys.stdout.flush()


def _become(request):
    """Be the command; never returns."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.closerange(3, 64)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    program, *words = request["start"]
    sys.argv = [program, *words]
    code = 1
    try:
        import_module(f"{program}.__main__").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter does at its top
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
