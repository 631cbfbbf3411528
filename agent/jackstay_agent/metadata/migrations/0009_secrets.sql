-- Secrets of this host and the containers that get them. A value is no row: it is the file STATE/secrets/ID.
CREATE TABLE secrets (
    name    TEXT PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,          -- another one with each value
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    labels  TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE secret_uses (
    container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    secret    TEXT NOT NULL REFERENCES secrets (name),
    PRIMARY KEY (container, secret)
) STRICT, WITHOUT ROWID;
CREATE INDEX secret_uses_by_secret ON secret_uses (secret);
