/** Readers of the inbox with a place of their own, labels of agents, and conversations that are counted. */
export const agentTables = `
  CREATE TABLE consumers (
    name TEXT PRIMARY KEY,
    created_at REAL NOT NULL,
    used_boot TEXT NOT NULL,
    used_monotonic REAL NOT NULL,
    used_wall REAL NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE consumer_messages (
    consumer TEXT NOT NULL,
    position INTEGER NOT NULL,
    handed_out INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL,
    PRIMARY KEY (consumer, position)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX consumer_messages_position ON consumer_messages (position);

  CREATE TABLE agents (
    label TEXT PRIMARY KEY,
    created_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE threads (
    message_id TEXT PRIMARY KEY,
    root TEXT NOT NULL,
    hop INTEGER NOT NULL,
    used INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX threads_used ON threads (used);

  CREATE TABLE thread_counts (
    root TEXT PRIMARY KEY,
    automatic INTEGER NOT NULL,
    used INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX thread_counts_used ON thread_counts (used);
`
