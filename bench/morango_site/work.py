"""``python -m bench.morango_site.work prepare | fill COUNT | change COUNT | receive URL [--without-sleeps]``."""

import json
import os
import sys
import time

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.morango_site.settings"


def prepare():
    """Make a database with the certificate that server and receivers share; each gets an identity of its own later."""
    from django.core.management import call_command
    from morango.models import Certificate, ScopeDefinition

    from bench.morango_site.models import PROFILE, SCOPE

    call_command("migrate", verbosity=0)
    everything = "${root}"
    ScopeDefinition.objects.create(
        id=SCOPE,
        profile=PROFILE,
        version=1,
        primary_scope_param_key="root",
        description="",
        read_filter_template="",
        write_filter_template="",
        read_write_filter_template=everything,
    )
    Certificate.generate_root_certificate(SCOPE)


def fill(count):
    """Write ``count`` records and serialise them into Morango's store, as a first sync would."""
    from django.db import connection, transaction
    from morango.models import Certificate

    from bench.morango_site.models import Record
    from bench.records import records

    connection.cursor().execute("PRAGMA synchronous=OFF")  # making them is not measured
    root = Certificate.objects.get().id
    with transaction.atomic():
        for record in records(count):
            Record(root=root, **{name: record[name] for name in ("title", "slug", "description", "ordering")}).save()
    _controller().serialize_into_store()


def change(count):
    """Write another text into the first ``count`` records."""
    from bench.morango_site.models import Record
    from bench.records import records

    for row, record in zip(list(Record.objects.order_by("ordering")[:count]), records(count, seed=2)):  # noqa: B905
        row.description = record["description"]
        row.save()


def receive(url, without_sleeps):
    """Say that this process is ready; then pull once for each line that comes, and say how long it took."""
    from morango.models import Certificate, Filter

    root = Certificate.objects.get()
    if without_sleeps:
        import morango.sync.controller

        morango.sync.controller.sleep = lambda seconds: None
    _controller().create_network_connection(url).close()
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        network = _controller().create_network_connection(url)
        session = network.create_sync_session(root, root)
        client = session.get_pull_client()
        client.initialize(Filter(root.id))
        client.run()
        client.finalize()
        network.close_sync_session(session.sync_session)
        network.close()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


def _controller():
    from morango.sync.controller import MorangoProfileController

    from bench.morango_site.models import PROFILE

    return MorangoProfileController(PROFILE)


if __name__ == "__main__":
    django.setup()
    match sys.argv[1:]:
        case ["prepare"]:
            prepare()
        case ["fill", count]:
            fill(int(count))
        case ["change", count]:
            change(int(count))
        case ["receive", url, *options]:
            receive(url, "--without-sleeps" in options)
