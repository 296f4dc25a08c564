/** The keys of large groups, and how far each of this node's counters under them may have got. */
export const groupKeyTables = `
  CREATE TABLE group_keys (
    tag BLOB PRIMARY KEY,
    group_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    members BLOB NOT NULL,
    slot INTEGER NOT NULL,
    key BLOB NOT NULL,
    maker BLOB NOT NULL,
    counter INTEGER NOT NULL,
    told INTEGER NOT NULL
  ) STRICT;
`
