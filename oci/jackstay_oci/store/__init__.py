"""Blobs on disk, by digest, and blobs on their way in."""
