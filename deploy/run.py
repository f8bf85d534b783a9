#!/usr/bin/env python3
"""`make run`: a master and two edges on this machine, on embedded parts, with sample content.

run.py [--port 8000] [--folder run]     start all of it, until Ctrl-C
run.py stop edge2 | start edge2         from another terminal: stop or start one of master, edge1, edge2
run.py manage edge1 sync_status         any command of manage.py, as one of them
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from deploy.local.installation import PASSWORD, USERNAME, Notes, load_sample, prepare, replicas  # noqa: E402
from deploy.local.processes import end_leftovers, has_ended  # noqa: E402
from deploy.local.replica import CommandError, Replica  # noqa: E402
from deploy.local.supervisor import StartError, Supervisor, state_file, stop_file  # noqa: E402

NAMES = ("master", "edge1", "edge2")
VERBS = ("stop", "start", "clean", "manage")
LAST_PORT = 65535 - 2  # of a master and two edges
PATIENCE = 90.0  # seconds that `stop` and `start` wait for what they asked for

READY = """
edgecms is running: one master and two edges of the farm "thames".

  master   {master}/
  edge 1   {edge1}/
  edge 2   {edge2}/
  editor   {master}/admin/content-editor/page/   (each edge has its own, at the same path)
  login    {username} / {password}   (on all three)

Four things to try
  1. Open the editor, change a page, publish it, and look at it on both edges: they have it within seconds.
  2. Write and publish a page on edge 1, {edge1}/admin/content-editor/page/add
     It appears on edge 2, pushed within the farm, and on the master, which pulls from the edges.
  3. In another terminal:      {command} stop edge2
     Write on the master and on edge 1. Then:   {command} start edge2
     It catches up with both.
  4. Open one page in the editor of the master and in that of edge 1, change its title in both, and save both: each version
     is kept, the second save shows them, and {master}/admin/sync/conflict/ lists what is to be decided.

Ask any of them anything:  {command} manage edge1 sync_status
Logs are in {root}/*/*.log. Ctrl-C stops all of it; `make run` goes on with the same data; `make clean` forgets it.
"""


def main() -> int:
    """Read the command line and do what it says; return the exit status."""
    parser = argparse.ArgumentParser(description="A master and two edges on this machine.")
    parser.add_argument("verb", nargs="?", choices=VERBS, help="stop or start one replica, or forget the data")
    parser.add_argument("name", nargs="?", choices=NAMES, help="which one")
    parser.add_argument("--port", default=os.environ.get("PORT") or "8000", help="the first of three ports")
    parser.add_argument("--folder", type=Path, default=TOP / "run", help="where the data is kept")
    options = parser.parse_args(_before_command())
    root = options.folder.resolve()
    if options.verb == "clean":
        return clean(root)
    if options.verb and not options.name:
        parser.error(f"{options.verb} what? One of: {', '.join(NAMES)}")
    if options.verb == "manage":
        return manage(root, options.name, sys.argv[1 + len(_before_command()) :])
    if options.verb:
        return ask(root, options.verb, options.name)
    if not re.fullmatch(r"[0-9]{1,5}", options.port) or not 0 < int(options.port) <= LAST_PORT:
        parser.exit(2, f"PORT is {options.port!r}; it is the first of three ports, a number from 1 to {LAST_PORT}\n")
    return run(root, int(options.port))


def _before_command() -> list[str]:
    """Return the arguments up to the name after ``manage``: the rest is for manage.py."""
    arguments = sys.argv[1:]
    return arguments[: arguments.index("manage") + 2] if "manage" in arguments else arguments


def run(root: Path, port: int) -> int:
    """Start everything and stay until a signal comes; return the exit status."""
    root.mkdir(parents=True, exist_ok=True)
    lock = take_lock(root)
    if lock is None:
        return complain(f"`make run` is running already with the data in {root}; stop that one with Ctrl-C first.")
    members = replicas(root, port)
    supervisor = Supervisor(members, say)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: interrupt(supervisor))
    try:
        bring_up(supervisor, root)
        supervisor.watch()
    except KeyboardInterrupt:
        pass
    except (CommandError, StartError, OSError) as error:
        return 0 if supervisor.stopping else complain(str(error))
    finally:
        supervisor.stopping = True
        supervisor.stop()
    say("All of it has stopped.")
    return 0


def bring_up(supervisor: Supervisor, root: Path) -> None:
    """Prepare what is missing, start the processes, print where everything is."""
    members = supervisor.replicas
    end_leftovers(root)
    refuse_taken_ports(members)
    notes = Notes(root / "prepared.json")
    prepare(members, notes, progress)
    progress("servers")
    supervisor.start_web()
    notes.once("sample", True, lambda: load_sample(members[0], members[1:], progress))
    supervisor.start_workers()
    say(welcome(members, root))


def interrupt(supervisor: Supervisor) -> None:
    """End the start or the watch; a second signal finds the stop under way and changes nothing."""
    if not supervisor.stopping:
        supervisor.stopping = True
        raise KeyboardInterrupt


def refuse_taken_ports(members: list[Replica]) -> None:
    """Raise StartError where a port that is needed has a listener already."""
    for replica in members:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", replica.port))
            except OSError as error:
                ports = f"{members[0].port} to {members[-1].port}"
                raise StartError(
                    f"Port {replica.port}, for {replica.name}, cannot be used: {error.strerror}. Ports {ports} are needed.\n"
                    f"Stop what listens there, or choose other ports: make run PORT={members[0].port + 100}"
                ) from error


def take_lock(root: Path) -> IO[str] | None:
    """Return a file locked by this process, or None where another one holds it. The lock ends with the process."""
    file = (root / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def clean(root: Path) -> int:
    """Remove the data, unless it is in use; return the exit status."""
    if root.exists():
        if take_lock(root) is None:
            return complain("`make run` is running with this data; stop it with Ctrl-C first.")
        end_leftovers(root)
        shutil.rmtree(root)
    return 0


def manage(root: Path, name: str, command: list[str]) -> int:
    """Run manage.py as the replica ``name`` of this folder, in place of this process."""
    urls = Notes(root / "prepared.json").done.get("trust")
    if not isinstance(urls, list):
        return complain("Nothing was ever started here; start it with `make run`.")
    member = replicas(root, urlsplit(urls[0]).port or 0)[NAMES.index(name)]
    os.chdir(TOP)
    os.execve(sys.executable, [sys.executable, "manage.py", *command], member.env)  # noqa: S606


def ask(root: Path, verb: str, name: str) -> int:
    """Ask the running installation to stop or start one replica, and wait until it has; return the exit status."""
    folder = root / name
    root.mkdir(parents=True, exist_ok=True)
    if (lock := take_lock(root)) is not None:
        lock.close()
        return complain("Nothing is running here; start it with `make run`.")
    if verb == "start" and has_died(folder):
        await_state(folder, "failed", silent=True)  # what died a moment ago is not noted yet
    if verb == "stop" or state_file(folder).read_text() == "failed":
        stop_file(folder).touch()
        stopped = await_state(folder, "stopped")
        if verb == "stop" or not stopped:
            return 0 if stopped else complain(f"{name} did not stop.")
    stop_file(folder).unlink(missing_ok=True)
    return 0 if await_state(folder, "running") else complain(f"{name} did not start; `make run` says why.")


def has_died(folder: Path) -> bool:
    """Say whether a process of a replica that counts as running lives no more."""
    pids = [int(path.read_text().split()[0]) for path in folder.glob("*.pid")]
    return state_file(folder).read_text() == "running" and any(map(has_ended, pids))


def await_state(folder: Path, wanted: str, silent: bool = False) -> bool:
    """Wait until the replica says that it is in the wanted state; give up when a start fails or either takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        state = state_file(folder).read_text()
        if state == wanted:
            if not silent:
                say(f"{folder.name} is {state}.")
            return True
        if state == "failed" and wanted == "running":
            return False
        time.sleep(0.1)
    return False


def welcome(members: list[Replica], root: Path) -> str:
    """Return what is printed when all is ready."""
    urls = dict(zip(NAMES, (replica.url for replica in members), strict=True))
    command = f"{shown(Path(sys.executable))} {shown(TOP / 'deploy' / 'run.py')}"
    if root != TOP / "run":
        command += f" --folder {root}"
    return READY.format(**urls, username=USERNAME, password=PASSWORD, command=command, root=shown(root))


def shown(path: Path) -> str:
    """Return a path as one would type it at the top level of the project."""
    return str(path.relative_to(TOP)) if path.is_relative_to(TOP) else str(path)


def say(text: str) -> None:
    """Print for the person in front."""
    print(text, flush=True)


def progress(step: str) -> None:
    """Print which step has begun."""
    say(f"  … {step}")


def complain(text: str) -> int:
    """Print what went wrong and return the exit status of failure."""
    print(f"\n{text}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
