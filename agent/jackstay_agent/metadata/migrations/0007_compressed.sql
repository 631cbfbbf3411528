-- What a layer that is stored uncompressed becomes by being compressed. The row stays when the compressed copy is
-- collected: it may be in a registry.
CREATE TABLE compressed (
    layer     TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
    algorithm TEXT NOT NULL,
    digest    TEXT NOT NULL,
    size      INTEGER NOT NULL,
    PRIMARY KEY (layer, algorithm)
) STRICT, WITHOUT ROWID;
