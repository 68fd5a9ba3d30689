-- Which scripted outcome an attempt had, if it had one.
ALTER TABLE attempts ADD COLUMN injected TEXT;
