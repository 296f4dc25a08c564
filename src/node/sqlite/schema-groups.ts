/** Groups: the newest record of each, and what is known of messages to and from them. */
export const groupTables = `
  CREATE TABLE groups (
    group_id BLOB PRIMARY KEY,
    record BLOB NOT NULL,
    state TEXT NOT NULL,
    keys BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
`
