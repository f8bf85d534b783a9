"""The rules of replication as pure Python: no Django, no input or output. Time and randomness arrive as arguments."""
