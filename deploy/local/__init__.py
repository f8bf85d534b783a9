"""A small real installation on one machine: what `make run` starts, and what the cluster tests are made of."""
