-- A token of a till that was paired: it acts for that till alone, and may do what is listed.
ALTER TABLE tokens ADD COLUMN till TEXT;
ALTER TABLE tokens ADD COLUMN grants TEXT NOT NULL DEFAULT '';
