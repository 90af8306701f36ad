-- What runs cost at the warehouse, why one was not needed, and the state of the
-- source that the last complete run has read.
ALTER TABLE runs ADD COLUMN usage TEXT;
ALTER TABLE runs ADD COLUMN reason TEXT;
ALTER TABLE targets ADD COLUMN source TEXT;
