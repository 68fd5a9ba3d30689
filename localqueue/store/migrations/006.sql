-- Why an attempt failed, in one line.
ALTER TABLE attempts ADD COLUMN summary TEXT;
