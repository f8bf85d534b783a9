"""How gunicorn serves a replica: ``.venv/bin/gunicorn --bind :8001 edgecms.wsgi`` from this folder reads this file."""

import contextlib
import os
import sys
from pathlib import Path

# Threads inside a few processes: a page waits for the disk and the database more than for the processor. It is gunicorn's gthread,
# but for one thing: a new connection goes to the worker that has fewest, or one worker would have all that stay open.
worker_class = "edgecms.worker.EvenWorker"
# Processes. gunicorn's own variable decides; two let one request compute while another worker is replaced.
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Requests at once in each process; as many as the connections of its PostgreSQL pool (edgecms/database.py).
threads = 8
# Seconds that an idle connection stays open; longer than the pauses of a browser between two requests, and than the ten seconds for
# which peers (sync/client.py) and nginx (deploy/nginx) keep one: who closes first must not be who is about to be asked.
keepalive = 15
# Connections of one process, idle ones included: they cost a little memory, no thread. Above it nobody is accepted until one ends.
worker_connections = 1_000
# Characters of a request line: as many as gunicorn allows, and as nginx lets through; a search and its filters fit.
limit_request_line = 8190
# Load the application once and fork: workers share its memory, and a wrong setting stops the start before a port is open.
# The price: a new release needs a restart, a reload (HUP) is not enough.
preload_app = True
# Replace a worker after so many requests, so that no leak lives for ever; never all of them at once. Answers from the folder of pages do
# not count (post_request): at thousands a second a worker would live for seconds.
max_requests = 20_000
max_requests_jitter = 4_000
# Seconds without a sign of life after which a worker is killed; a peer may take long to read a large answer.
timeout = 60
# Seconds that running requests get to end when the server stops; below the 30 that most supervisors wait.
graceful_timeout = 20
# Only the proxy on this machine may say whether a request came by https.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
# Heartbeats of the workers are files; on a disk a busy disk looks like a dead worker, so keep them in memory where that is.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
# No control socket: gunicorn would put it under $HOME, shared by all replicas of an account, and a service may have no home.
control_socket_disable = True
# The log of the application goes to stderr; so does this one. Requests are counted in /metrics, not written line by line.
errorlog = "-"
accesslog = None

# Workers add up their numbers in this folder; see edgecms/metrics.py. A folder that cannot be made is reported by the checks.
_metrics = Path(os.environ.get("EDGECMS_DATA") or "data").expanduser().resolve() / "metrics"
with contextlib.suppress(OSError):
    _metrics.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)


def on_starting(server):
    """Share the lease of the folder, which `restore` takes alone; forget the numbers of the last run: counters start at 0."""
    from sync import lease

    try:
        lease.keep(_metrics.parent)  # the workers have it too, by being forked
    except lease.BusyError as error:
        sys.exit(f"edgecms: {error}")
    for file in _metrics.glob("*.db"):
        file.unlink(missing_ok=True)
    from edgecms.worker import Connections

    server.connections = Connections(256)


def pre_fork(server, worker):
    """Choose the lowest free slot for the worker that is about to start, and let it see what the others have to do."""
    taken = {sibling.slot for sibling in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
    worker.connections = server.connections


def child_exit(server, worker):
    """Nobody leaves a connection to a worker that has died."""
    from edgecms.worker import GONE

    server.connections[worker.slot] = GONE


def post_fork(server, worker):
    """Tell the numbers of this worker apart from those of the others."""
    from edgecms.metrics import use_slot

    use_slot(worker.slot)


def post_request(worker, req, environ, resp):
    """Let no answer count that came from the folder of pages: Django has had no part in it."""
    if "edgecms.kept" in environ:
        worker.nr -= 1


def post_worker_init(worker):
    """Keep the database of this worker open: see sync/db/sqlite3/keeper.py."""
    from sync.db.sqlite3.keeper import keep_open

    keep_open()
