"""Registries: a client of the OCI distribution API (spec 1.1), used by agents and by the controller."""
