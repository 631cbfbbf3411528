"""Credentials of registries, where docker keeps them: on this machine alone."""
