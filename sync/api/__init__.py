"""The server side of the exchange: endpoints under ``/sync/v1/`` for trusted replicas, by key only."""
