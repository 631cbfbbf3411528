-- Networks that users make: their second subnet, where addresses are chosen from, labels and options as JSON.
ALTER TABLE networks ADD COLUMN internal INTEGER NOT NULL DEFAULT 0;
ALTER TABLE networks ADD COLUMN ip_range TEXT NOT NULL DEFAULT '';
ALTER TABLE networks ADD COLUMN subnet6 TEXT NOT NULL DEFAULT '';
ALTER TABLE networks ADD COLUMN gateway6 TEXT NOT NULL DEFAULT '';
ALTER TABLE networks ADD COLUMN ip_range6 TEXT NOT NULL DEFAULT '';
ALTER TABLE networks ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE networks ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
-- A container may have a place in several networks: in the order of its interfaces, eth0 first.
ALTER TABLE endpoints ADD COLUMN address6 TEXT NOT NULL DEFAULT '';
ALTER TABLE endpoints ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]';
ALTER TABLE endpoints ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX endpoints_by_address6 ON endpoints (network, address6) WHERE address6 <> '';
