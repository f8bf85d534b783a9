"""The simulator's own tests, and 500 seeds of it: many replicas in one process, one seed decides everything."""
