-- Under which digest a registry has an image of this host: another than the image's root, where layers were compressed on
-- the way. The later row is the later push.
CREATE TABLE pushed (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    root       TEXT NOT NULL REFERENCES images (root) ON DELETE CASCADE,
    repository TEXT NOT NULL,              -- canonical reference without tag
    digest     TEXT NOT NULL,              -- of the manifest or index there
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    UNIQUE (repository, digest)
) STRICT;
CREATE INDEX pushed_by_root ON pushed (root);
