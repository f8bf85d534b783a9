"""What editors decide, old forms, versions by the API and addresses on PostgreSQL, in a session of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests.servers import PostgreSQL

HERE = Path(__file__).parent
NAMES = ("inbox", "editor_notices", "editor_old_forms", "editor_gone", "api_versions", "public_addresses")
# Refused before a row is read, or only a matter of words: these say nothing about the database.
ELSEWHERE = (
    "nonsense or no_error or made_up or did_not_give_out or is_markup or slash or the_board or without_a_label or empty_inbox "
    "or wrong_section or without_its_slash or called_so or comes_back or may_ or told_apart or of_other_rows or bothered "
    "or reads_each_changeset_once or three_queries"
)


@pytest.mark.postgresql
@pytest.mark.skipif(connection.vendor == "postgresql", reason="this is the session that the test starts")
@pytest.mark.timeout(300)
def test_what_editors_and_clients_decide_holds_on_postgresql(postgresql_server: PostgreSQL) -> None:
    """Conflicts and how they are decided, forms that come late, versions of the API, addresses: each promise is kept there too."""
    places = [str(HERE / f"test_{name}.py") for name in (*NAMES, "postgresql")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not ({ELSEWHERE})", *places]
    environment = {**os.environ, "DATABASE_URL": postgresql_server.database()}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=290, cwd=HERE.parents[1])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "this is the session that the test starts" in done.stdout, "this ran on SQLite again"
