/** What a paired peer may do, and who is blocked. */
export const trustTables = `
  ALTER TABLE pairs ADD COLUMN commands INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE invites ADD COLUMN commands INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE invites ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE invites ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;

  CREATE TABLE blocked (
    public_key BLOB PRIMARY KEY,
    peer_id TEXT NOT NULL,
    name TEXT NOT NULL,
    blocked_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
`
