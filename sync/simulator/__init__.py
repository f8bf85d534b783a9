"""A simulator of whole sites: many replicas in one process, of which one seed decides everything.

Replicas are the real thing: the real capture, receive, apply and trust, each over a database of its own. What is simulated is
the world around them: clocks, randomness, the network, crashes, and people. Nothing of this is imported by a running replica.
"""
