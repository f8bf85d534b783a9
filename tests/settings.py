"""Settings of the tests: those of a replica, in a folder that is gone afterwards."""

import atexit
import os
import shutil
import tempfile

_data = tempfile.mkdtemp(prefix="edgecms-test-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ.update(EDGECMS_DATA=_data, EDGECMS_NODE="MASTER01", EDGECMS_LOC="LON", EDGECMS_ROLE="master")
strangers = ("EDGECMS_FARM", "EDGECMS_URL", "EDGECMS_SYNC_INTERVAL", "EDGECMS_MAX_CLOCK_DRIFT", "REDIS_URL", "SECRET_KEY")
for variable in (*strangers, "DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "PROMETHEUS_MULTIPROC_DIR"):
    os.environ.pop(variable, None)

if "TEST_REDIS_URL" in os.environ:  # set by a test that starts a session of its own
    os.environ["REDIS_URL"] = os.environ["TEST_REDIS_URL"]

from edgecms.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if "sqlite" in DATABASES["default"]["ENGINE"]:  # noqa: F405
    # A real file, so that the tests see what a replica sees: WAL, durable commits, one writer at a time.
    DATABASES["default"]["TEST"] = {"NAME": str(ENVIRONMENT.data / "test.sqlite3")}  # noqa: F405
