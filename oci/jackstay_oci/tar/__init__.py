"""Tar, read and written as container images use it: one pass, bytes for names, PAX, nothing interpreted."""
