"""The site: settings, addresses, health. It dresses ``content`` and ``sync`` for one replica."""

__version__ = "0.1.0"
