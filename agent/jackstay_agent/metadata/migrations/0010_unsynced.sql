-- The boot in which a committed snapshot was unpacked, until its files are on the disk; then ''. See docs/adr/0012.
ALTER TABLE snapshots ADD COLUMN unsynced TEXT NOT NULL DEFAULT '';
