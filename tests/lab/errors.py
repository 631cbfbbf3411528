"""What the lab says when something did not work."""

from __future__ import annotations


class LabError(Exception):
    """The lab could not do what it was asked; the message names the host and the file to look into."""
