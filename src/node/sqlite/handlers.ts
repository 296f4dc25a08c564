import type { DatabaseSync } from 'node:sqlite'
import type { Finding, StoreArguments, StoreCallName, StoreHandlers, StoreResult } from './calls.ts'
import { EntryTable } from './entry-table.ts'
import { InboxTable } from './inbox-table.ts'
import { OutboxTable } from './outbox-table.ts'
import { PeerTable } from './peer-table.ts'
import { checkIntegrity } from './integrity.ts'

/** Every call of the storage thread on one open database. `report` is told of each row that was set aside. */
export function createHandlers(database: DatabaseSync, report: (finding: Finding) => void): StoreHandlers {
  const outbox = new OutboxTable(database, report)
  const inbox = new InboxTable(database, report)
  const peers = new PeerTable(database)
  const entries = new EntryTable(database)
  return {
    recoverOutbox: { writes: true, run: () => outbox.recover() },
    enqueue: { writes: true, run: (row) => outbox.enqueue(row) },
    loadOutbox: { writes: false, run: (ids) => outbox.load(ids) },
    listOutbox: { writes: false, run: (filter) => outbox.list(filter) },
    settle: { writes: true, run: (changes) => outbox.settle(changes) },
    saveRetry: { writes: true, run: (retry) => outbox.saveRetry(retry) },
    admit: { writes: true, run: ({ messages, floor, limits }) => inbox.admit(messages, floor, limits) },
    listInbox: { writes: false, run: (filter) => inbox.list(filter) },
    getInbox: { writes: false, run: ({ id, source }) => inbox.get(id, source) },
    ack: { writes: true, run: (messages) => inbox.ack(messages) },
    release: { writes: true, run: (source) => inbox.release(source) },
    inboxCounts: { writes: false, run: () => inbox.counts() },
    prune: {
      writes: true,
      run: (now) => {
        inbox.prune()
        return outbox.prune(now)
      }
    },
    pairs: { writes: false, run: () => peers.pairs() },
    savePair: { writes: true, run: (pair) => peers.savePair(pair) },
    saveInvite: { writes: true, run: (invite) => peers.saveInvite(invite) },
    invite: { writes: false, run: (inviteId) => peers.invite(inviteId) },
    failInvite: { writes: true, run: (inviteId) => peers.failInvite(inviteId) },
    redeem: { writes: true, run: ({ inviteId, pair }) => peers.redeem(inviteId, pair) },
    getEntry: { writes: false, run: (key) => entries.get(key) },
    hasEntry: { writes: false, run: (key) => entries.has(key) },
    changeEntries: { writes: true, run: (changes) => entries.change(changes) },
    listEntries: { writes: false, run: ({ prefix, after, limit }) => entries.list(prefix, after, limit) },
    getMeta: { writes: false, run: (name) => entries.getMeta(name) },
    setMeta: { writes: true, run: ({ name, value }) => entries.setMeta(name, value) },
    checkIntegrity: { writes: false, run: () => checkIntegrity(database) }
  }
}

/** Whether a call must be answered after a COMMIT: it changes something, or it hands messages out. */
export function isWrite<Name extends StoreCallName>(handlers: StoreHandlers, name: Name, args: StoreArguments<Name>): boolean {
  if (handlers[name].writes) return true
  return name === 'listInbox' && typeof args === 'object' && args !== null && 'handOut' in args && args.handOut
}

/** Does one call. */
export function perform<Name extends StoreCallName>(handlers: StoreHandlers, name: Name, args: StoreArguments<Name>): StoreResult<Name> {
  return handlers[name].run(args)
}
