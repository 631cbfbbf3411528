"""Dockerfile instructions that change an image's config, for commit and import."""
