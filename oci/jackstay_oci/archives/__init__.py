"""Archives of images: docker-archive (classic, and Docker ≥ 25), OCI archive, OCI folder; read and written."""
