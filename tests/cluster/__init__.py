"""Promises about several replicas, kept by real processes: gunicorn, sync_worker and manage.py."""
