-- An image that was removed by force while containers use it: nobody finds it, and it goes with the last of them.
ALTER TABLE images ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
-- When somebody gave it a name, nanoseconds since 1970; 0 for never.
ALTER TABLE images ADD COLUMN tagged INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER removed_images AFTER DELETE ON containers
WHEN NOT EXISTS (SELECT 1 FROM containers WHERE image_root = OLD.image_root)
BEGIN
    DELETE FROM images WHERE root = OLD.image_root AND removed;
END;
