"""The agent: one a host, as root."""

__version__ = "0.1.0"
