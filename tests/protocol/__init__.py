"""The protocol as docs/sync-protocol.md has it, held against the program by a client that was written from that page alone."""
