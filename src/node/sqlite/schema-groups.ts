/** Groups: the newest record of each and the one before it, and which rows of inbox and outbox belong to a group or are this software's own words. */
export const groupTables = `
  CREATE TABLE groups (
    group_id BLOB PRIMARY KEY,
    record BLOB NOT NULL,
    before BLOB NOT NULL,
    own BLOB NOT NULL,
    state TEXT NOT NULL,
    gone INTEGER NOT NULL,
    told INTEGER NOT NULL
  ) STRICT;

  ALTER TABLE inbox ADD COLUMN control INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE outbox ADD COLUMN control INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE outbox ADD COLUMN group_id BLOB NOT NULL DEFAULT x'';
  ALTER TABLE outbox ADD COLUMN group_message TEXT NOT NULL DEFAULT '';
  CREATE INDEX outbox_group ON outbox (group_message) WHERE group_message <> '';
`
