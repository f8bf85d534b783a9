"""Keeps the processes of a small installation running, and lets another terminal stop and start single replicas.

The other terminal speaks through files: ``run/edge2/stop`` asks to stop that replica, its removal to start it again;
``run/edge2/state`` says what it is doing (``starting``, ``running``, ``stopped``, ``failed``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local.processes import Process, stop
from deploy.local.replica import Replica

READY_WITHIN = 60.0  # seconds
PAUSE = 0.2


class StartError(RuntimeError):
    """The installation did not come up; the text says which process, why, and where its log is."""


class Supervisor:
    """Runs the web server and the worker of each replica; ``say`` prints one message for the person in front."""

    def __init__(self, replicas: Sequence[Replica], say: Callable[[str], None]) -> None:
        self.replicas, self.say = list(replicas), say
        self.states: dict[str, str] = {}
        self.stopping = False

    def start_web(self, replicas: Sequence[Replica] | None = None) -> None:
        """Start the web servers and wait until all are ready. Raises StartError with the end of the log of one that is not."""
        chosen = list(replicas or self.replicas)
        for replica in chosen:
            stop_file(replica.folder).unlink(missing_ok=True)
            self._note(replica, "starting")
            replica.start_web()
        for replica in chosen:
            self._await(replica)

    def start_workers(self, replicas: Sequence[Replica] | None = None) -> None:
        """Start the sync workers; from then on the replicas count as running."""
        for replica in replicas or self.replicas:
            replica.start_worker()
            self._note(replica, "running")

    def watch(self) -> None:
        """Follow the stop files and report what dies, until ``stopping`` is set."""
        while not self.stopping:
            for replica in self.replicas:
                self._follow(replica)
            time.sleep(PAUSE)

    def stop(self) -> None:
        """End everything, all at once."""
        stop([process for replica in self.replicas for process in (replica.web, replica.worker)])
        for replica in self.replicas:
            if replica.name in self.states:
                self._note(replica, "stopped")

    def _follow(self, replica: Replica) -> None:
        wanted, state = not stop_file(replica.folder).exists(), self.states[replica.name]
        if not wanted and state != "stopped":
            replica.stop()
            self._note(replica, "stopped")
            self.say(f"{replica.name} is stopped.")
        elif wanted and state == "stopped":
            self._start_again(replica)
        elif wanted and state == "running":
            self._report_dead(replica)

    def _start_again(self, replica: Replica) -> None:
        try:
            self.start_web([replica])
            self.start_workers([replica])
        except StartError as error:
            self._fail(replica, str(error))
        else:
            self.say(f"{replica.name} is running again.")

    def _report_dead(self, replica: Replica) -> None:
        dead = [process for process in (replica.web, replica.worker) if not process.running]
        if dead:
            self._fail(replica, epitaph(dead[0]))

    def _fail(self, replica: Replica, text: str) -> None:
        replica.stop()
        self._note(replica, "failed")
        again = f"deploy/run.py start {replica.folder.name}"
        self.say(f"{text}\n{replica.name} is down, the others go on. Start it again with: {again}")

    def _await(self, replica: Replica) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while reason := replica.why_not_ready():
            if self.stopping:
                raise StartError("stopped while starting")
            if not replica.web.running:
                raise StartError(epitaph(replica.web))
            if time.monotonic() > deadline:
                raise StartError(
                    f"{replica.name} is not ready after {READY_WITHIN:.0f} seconds: {reason}\nLog: {replica.web.log}"
                )
            time.sleep(PAUSE)

    def _note(self, replica: Replica, state: str) -> None:
        self.states[replica.name] = state
        state_file(replica.folder).write_text(state)


def epitaph(process: Process) -> str:
    """Return what is known of a process that has ended: its status and the end of its log."""
    status = process.child.returncode if process.child else None
    return f"{process.name} ended with status {status}. The last lines of {process.log}:\n\n{process.tail()}\n"


def stop_file(folder: Path) -> Path:
    """Return the file whose presence asks to stop the replica in ``folder``."""
    return folder / "stop"


def state_file(folder: Path) -> Path:
    """Return the file that says what the replica in ``folder`` is doing."""
    return folder / "state"
