"""Starts programs of one replica by fork from a process that has loaded everything: milliseconds where Python takes a second.

What runs in the child is the real program: ``manage.py`` with its arguments, gunicorn with its arbiter and workers, or a few
lines against the ORM. Each leads a session of its own, so that it can be killed alone or as a group.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from deploy.local.replica import TOP, Outcome, Replica
from tests.cluster.harness import PASSWORD, USERNAME

ANSWER = """
import json, pathlib
locals().update(json.loads(argv[1]))
exec(argv[0])
pathlib.Path(argv[2]).write_text(json.dumps(answer))
"""
KEY = "from sync import keys\nanswer = keys.public_text()"
GUNICORN, MANAGE, LINES = "gunicorn", "manage.py", "lines"


class Zygote:
    """The loaded process of ``replica``. Whatever it started has ended when the ``with`` block is left."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._child: subprocess.Popen[str] | None = None
        self._turn = threading.Lock()
        self.scratch = Path(tempfile.mkdtemp(prefix="edgecms-zygote-"))  # not in the replica's folder, which may be full

    def __enter__(self) -> Zygote:
        self.replica.folder.mkdir(parents=True, exist_ok=True)
        login = {"USERNAME": USERNAME, "EMAIL": "alice@example.org", "PASSWORD": PASSWORD}  # for createsuperuser
        env = self.replica.env | {f"DJANGO_SUPERUSER_{key}": value for key, value in login.items()}
        # gunicorn.conf.py sets it before the program is loaded, which here has happened by then.
        env["PROMETHEUS_MULTIPROC_DIR"] = str(self.replica.folder / "metrics")
        (self.replica.folder / "metrics").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.cluster.zygote", str(self.scratch)]
        self._child = subprocess.Popen(
            command, env=env, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self  # it is loading; the first question waits for it

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()  # it kills what is left
            self._child.wait(30)
            self._child = None
        shutil.rmtree(self.scratch, ignore_errors=True)

    def start(self, program: str, *args: str, log: Path | None = None) -> int:
        """Start ``program`` (GUNICORN, MANAGE or LINES) and return its process, which leads a group of its own.

        ``log``: where it writes, appended; by default a file named after the program in the replica's folder.
        """
        name = args[0] if program == MANAGE else program
        log = log or self.replica.folder / f"{name}.log"
        return int(self._ask({"ask": "start", "argv": [program, *args], "log": str(log)})["pid"])

    def web(self, log: Path | None = None) -> int:
        """Start gunicorn on the port of the replica; it answers a moment later."""
        return self.start(GUNICORN, "--bind", f"127.0.0.1:{self.replica.port}", "edgecms.wsgi", log=log)

    def kill(self, pid: int) -> int:
        """End the group led by ``pid`` as ``kill -9`` does; return how the leader had ended: its status, or minus a signal."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        status = self.wait(pid)
        self._ask({"ask": "bury", "group": pid})
        return status

    def wait(self, pid: int) -> int:
        """Wait until ``pid`` has ended; return its status, or minus the signal that ended it."""
        return int(self._ask({"ask": "wait", "pid": pid})["status"])

    def has_ended(self, pid: int) -> bool:
        """Say whether ``pid`` has ended; ``wait`` tells how."""
        return bool(self._ask({"ask": "ended", "pid": pid})["ended"])

    def has_committed(self, pid: int) -> bool:
        """Say whether ``pid``, or a process of the group that it leads, has committed a transaction."""
        return (self.scratch / f"committed-{pid}").exists()

    def run(self, program: str, *args: str, log: Path | None = None) -> int:
        """Start a program, wait for its end and return its status."""
        return self.wait(self.start(program, *args, log=log))

    def must(self, *args: str) -> None:
        """Run a command of ``manage.py``. Raises AssertionError with what it wrote for any status but 0."""
        log = self.replica.folder / f"{args[0]}.log"
        status = self.run(MANAGE, *args, log=log)
        assert status == 0, f"{self.replica.name}: {' '.join(args)}: {status}\n{log.read_text()[-3000:]}"

    def answer(self, code: str, **values: Any) -> Any:
        """Run ``code`` with ``values`` as variables against the ORM of the replica; return what it leaves in ``answer``."""
        place = Path(tempfile.mkdtemp(dir=self.scratch))
        target, log = place / "answer.json", place / "log"
        assert self.run(LINES, ANSWER, code, json.dumps(values), str(target), log=log) == 0, log.read_text()[-3000:]
        return json.loads(target.read_text())

    def report(self, *args: str) -> Outcome:
        """Run a command of ``manage.py`` and return how it ended, with all that it wrote as ``stderr``."""
        log = Path(tempfile.mkdtemp(dir=self.scratch)) / "log"
        status = self.run(MANAGE, *args, log=log)
        return Outcome(status, "", log.read_text(), None)

    def _ask(self, question: dict[str, object]) -> dict[str, object]:
        assert self._child is not None and self._child.stdin is not None and self._child.stdout is not None
        with self._turn:
            self._child.stdin.write(json.dumps(question) + "\n")
            self._child.stdin.flush()
            answer = self._child.stdout.readline()
        assert answer, f"the loaded process of {self.replica.name} has ended"
        return dict(json.loads(answer))


def introduce(root: Zygote, others: Sequence[Zygote]) -> None:
    """Exchange keys: ``root``, a master, trusts the others; they pin it."""
    key = root.answer(KEY)
    for zygote in others:
        newcomer, master = zygote.replica, root.replica
        farm = ["--farm", newcomer.farm] if newcomer.farm else []
        entry = ["--role", newcomer.role, *farm, "--url", newcomer.url, "--key", zygote.answer(KEY)]
        root.must("sync_trust", newcomer.name, *entry)
        zygote.must("sync_trust", master.name, "--role", "master", "--url", master.url, "--key", key)


def found_site(zygotes: Sequence[Zygote]) -> None:
    """Make databases and accounts, and exchange keys; the first is the root."""

    def prepare(zygote: Zygote) -> None:
        zygote.must("migrate", "--verbosity", "0")
        zygote.must("createsuperuser", "--noinput")

    with ThreadPoolExecutor() as pool:
        list(pool.map(prepare, zygotes))
    introduce(zygotes[0], zygotes[1:])


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` has started and that live."""
    with contextlib.suppress(OSError):
        return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


# -- what runs in the loaded process ----------------------------------------------------------------------------------


def main() -> None:
    """Load everything, then answer questions until standard input ends."""
    import gunicorn.app.wsgiapp
    import gunicorn.arbiter
    import gunicorn.workers.gthread  # noqa: F401
    from django.core.management import get_commands, load_command_class
    from django.db import connections
    from django.urls import get_resolver

    import edgecms.wsgi  # noqa: F401 - loads the site and its checks

    for name, app in get_commands().items():
        if name.startswith(("sync_", "backup", "restore", "migrate")):
            load_command_class(app, name)
    _ = get_resolver().url_patterns
    connections.close_all()
    _note_commits(Path(sys.argv[1]))
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ended: dict[int, int] = {}
    try:
        for line in sys.stdin:
            print(json.dumps(_answer(json.loads(line), ended)), flush=True)
    except (EOFError, BrokenPipeError):
        pass  # whoever asked has been killed
    finally:
        _end_all()


PR_SET_CHILD_SUBREAPER = 36  # Linux: orphans of what we started become our children, so that we see them end


def _note_commits(scratch: Path) -> None:
    """Let each process leave a file in ``scratch`` when it has committed its first transaction, for itself and for its group."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    commit, noted = BaseDatabaseWrapper._commit, set[int]()

    def commit_and_note(connection: BaseDatabaseWrapper) -> None:
        commit(connection)
        for pid in {os.getpid(), os.getpgrp()} - noted:
            noted.add(pid)
            (scratch / f"committed-{pid}").touch()

    BaseDatabaseWrapper._commit = commit_and_note


def _end_all() -> None:
    """Kill all children, and their children, which become ours by that."""
    while found := children(os.getpid()):
        for pid in found:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _answer(question: dict[str, object], ended: dict[int, int]) -> dict[str, object]:
    match question:
        case {"ask": "start", "argv": list(argv), "log": str(log)}:
            return {"pid": _start(argv, log)}
        case {"ask": "wait", "pid": int(pid)}:
            if pid not in ended:
                _reap(pid, 0, ended)
            return {"status": ended.pop(pid)}
        case {"ask": "ended", "pid": int(pid)}:
            return {"ended": pid in ended or _reap(pid, os.WNOHANG, ended)}
        case {"ask": "bury", "group": int(group)}:
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-group, 0)
    return {}


def _reap(pid: int, flags: int, ended: dict[int, int]) -> bool:
    if not flags:
        _wait_for_end(pid)
    found, status = os.waitpid(pid, flags)
    if found:
        ended[pid] = os.waitstatus_to_exitcode(status)
    return bool(found)


def _wait_for_end(pid: int) -> None:
    """Wait until ``pid`` has ended. Raises EOFError where standard input ends before: nobody waits for the answer any more."""
    process = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([process, 0], [], [])
        if process not in ready:  # nothing is asked before the answer, so this is the end
            raise EOFError
    finally:
        os.close(process)


def _start(argv: Sequence[str], log: str) -> int:
    """Start a program and return its process once it leads a group of its own, so that ``killpg`` finds it."""
    leads, begun = os.pipe()
    pid = os.fork()
    if pid:
        os.close(begun)
        os.read(leads, 1)  # ends when the child closes its end
        os.close(leads)
        return pid
    status = 1
    try:
        os.setsid()
        os.close(leads)
        os.close(begun)
        _redirect(log)
        status = _run(list(argv))
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _redirect(log: str) -> None:
    for target, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        descriptor = os.open(path, flags, 0o644)
        os.dup2(descriptor, target)
        os.close(descriptor)


def _run(argv: list[str]) -> int:
    sys.argv = argv
    if argv[0] == GUNICORN:
        from gunicorn.app.wsgiapp import run

        run()
    elif argv[0] == MANAGE:
        from django.core.management import execute_from_command_line

        execute_from_command_line(argv)
    else:
        exec(argv[1], {"__name__": LINES, "argv": argv[2:]})
    return 0


if __name__ == "__main__":
    main()
