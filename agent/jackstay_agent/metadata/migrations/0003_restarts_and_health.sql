-- A container that waits to be started again is `exited` here, with the time of that start (nanoseconds since 1970).
ALTER TABLE containers ADD COLUMN restart_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE containers ADD COLUMN restart_count INTEGER NOT NULL DEFAULT 0;
-- Somebody stopped it: the agent's start leaves it so, unless its policy is "always".
ALTER TABLE containers ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;
-- '' without a check or a process; else starting, healthy, unhealthy.
ALTER TABLE containers ADD COLUMN health TEXT NOT NULL DEFAULT '';
