-- The first schema. Times are nanoseconds since 1970. Documents are JSON.
-- "In use" is always a row here: images never ask containers.

CREATE TABLE blobs (
    digest  TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- What a manifest or index names, so that marking needs no file.
CREATE TABLE blob_references (
    parent TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
    child  TEXT NOT NULL,
    PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;

CREATE TABLE ingests (
    ref     TEXT PRIMARY KEY,
    digest  TEXT,
    total   INTEGER,
    updated INTEGER NOT NULL
) STRICT;

-- One row a root (manifest or index) that is here in whole and unpacked; `image_id` is the config's digest.
CREATE TABLE images (
    root       TEXT PRIMARY KEY REFERENCES blobs (digest),
    media_type TEXT NOT NULL,
    manifest   TEXT NOT NULL REFERENCES blobs (digest),
    image_id   TEXT NOT NULL REFERENCES blobs (digest),
    chain_id   TEXT NOT NULL,              -- of the top layer, '' for an image without layers
    created    INTEGER NOT NULL,           -- the config's own time, 0 when it has none
    stored     INTEGER NOT NULL,
    labels     TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX images_by_id ON images (image_id);

CREATE TABLE names (
    name TEXT PRIMARY KEY,                 -- canonical reference with tag
    root TEXT NOT NULL REFERENCES images (root)
) STRICT;
CREATE INDEX names_by_root ON names (root);

CREATE TABLE snapshots (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,  -- the folder's name; never used twice
    key      TEXT NOT NULL UNIQUE,         -- ChainID when committed; else 'extract-… ChainID', 'container-ID', 'detached-DIFFID'
    kind     TEXT NOT NULL CHECK (kind IN ('committed', 'active', 'view', 'detached')),
    parent   INTEGER REFERENCES snapshots (id),
    diff_id  TEXT,
    size     INTEGER NOT NULL DEFAULT 0,   -- bytes of this layer alone
    inodes   INTEGER NOT NULL DEFAULT 0,
    created  INTEGER NOT NULL
) STRICT;
CREATE INDEX snapshots_by_parent ON snapshots (parent);

CREATE TABLE leases (
    id      TEXT PRIMARY KEY,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE lease_items (
    lease TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    kind  TEXT NOT NULL CHECK (kind IN ('blob', 'snapshot')),
    key   TEXT NOT NULL,                   -- digest, or snapshot key
    PRIMARY KEY (lease, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE containers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    image       TEXT NOT NULL,             -- as the user gave it
    image_root  TEXT NOT NULL REFERENCES images (root),
    image_id    TEXT NOT NULL,
    snapshot    TEXT NOT NULL,             -- key of its writable snapshot
    config      TEXT NOT NULL,             -- the container's own settings, JSON
    state       TEXT NOT NULL CHECK (state IN ('created', 'starting', 'running', 'paused', 'exited', 'removing', 'dead')),
    pid         INTEGER NOT NULL DEFAULT 0,
    pid_start   INTEGER NOT NULL DEFAULT 0, -- field 22 of /proc/PID/stat: tells a reused pid
    monitor_pid INTEGER NOT NULL DEFAULT 0,
    monitor_start INTEGER NOT NULL DEFAULT 0,
    exit_code   INTEGER,
    error       TEXT NOT NULL DEFAULT '',
    oom         INTEGER NOT NULL DEFAULT 0,
    created     INTEGER NOT NULL,
    started     INTEGER NOT NULL DEFAULT 0,
    finished    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX containers_by_root ON containers (image_root);

CREATE TABLE volumes (
    name      TEXT PRIMARY KEY,
    created   INTEGER NOT NULL,
    anonymous INTEGER NOT NULL DEFAULT 0,
    labels    TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE volume_uses (
    container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    volume    TEXT NOT NULL REFERENCES volumes (name),
    PRIMARY KEY (container, volume)
) STRICT, WITHOUT ROWID;

CREATE TABLE networks (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    driver  TEXT NOT NULL,
    bridge  TEXT NOT NULL,
    subnet  TEXT NOT NULL,
    gateway TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- A container's place in a network, from create to rm; `active` from start to exit.
CREATE TABLE endpoints (
    container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    network   TEXT NOT NULL REFERENCES networks (id),
    address   TEXT NOT NULL,               -- IPv4 without prefix
    mac       TEXT NOT NULL,
    interface TEXT NOT NULL,               -- host side of the veth pair
    active    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (container, network),
    UNIQUE (network, address)
) STRICT;

-- Ports as bound, while the container runs.
CREATE TABLE ports (
    container      TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    host_ip        TEXT NOT NULL,          -- '' for every address
    host_port      INTEGER NOT NULL,
    container_port INTEGER NOT NULL,
    protocol       TEXT NOT NULL,
    PRIMARY KEY (protocol, host_port, host_ip)
) STRICT, WITHOUT ROWID;
