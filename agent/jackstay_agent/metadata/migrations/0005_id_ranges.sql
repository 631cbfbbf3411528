-- The range of ids of the host that a container with a user namespace of its own has, from create to rm.
CREATE TABLE id_ranges (
    container TEXT PRIMARY KEY REFERENCES containers (id) ON DELETE CASCADE,
    first     INTEGER NOT NULL UNIQUE,
    size      INTEGER NOT NULL
) STRICT;
