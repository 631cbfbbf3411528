-- A manifest that is no image to run, such as a signature or a chart. Collection keeps it with what it is about
-- (`subject`), or for its names; else it goes, and its row with it. An image that is about another has a row, too.
CREATE TABLE artifacts (
    digest        TEXT PRIMARY KEY REFERENCES blobs (digest) ON DELETE CASCADE,
    media_type    TEXT NOT NULL,
    artifact_type TEXT NOT NULL,
    size          INTEGER NOT NULL,
    subject       TEXT NOT NULL DEFAULT '',
    annotations   TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX artifacts_by_subject ON artifacts (subject);

-- `about` is the digest that a tag of the form sha256-HEX[.sig] names: such a name keeps nothing by itself.
CREATE TABLE artifact_names (
    name   TEXT PRIMARY KEY,               -- canonical reference with tag
    digest TEXT NOT NULL REFERENCES artifacts (digest) ON DELETE CASCADE,
    about  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX artifact_names_by_digest ON artifact_names (digest);
CREATE INDEX artifact_names_by_about ON artifact_names (about);
