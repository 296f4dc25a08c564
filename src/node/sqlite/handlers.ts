import type { DatabaseSync } from 'node:sqlite'
import type { Finding, StoreArguments, StoreCallName, StoreHandlers, StoreResult } from './calls.ts'
import { AgentTable } from './agent-table.ts'
import { EntryTable } from './entry-table.ts'
import { GroupKeyTable } from './group-key-table.ts'
import { GroupTable } from './group-table.ts'
import { InboxTable } from './inbox-table.ts'
import { OutboxTable } from './outbox-table.ts'
import { PeerTable } from './peer-table.ts'
import { ThreadTable } from './thread-table.ts'
import { TrustTable } from './trust-table.ts'
import { checkIntegrity } from './integrity.ts'
import { checkSeals } from './seal-check.ts'
import { snapshot } from './snapshot.ts'

/** Every call of the storage thread on one open database. `report` is told of each row that was set aside. */
export const createHandlers = (database: DatabaseSync, report: (finding: Finding) => void): StoreHandlers => ({
  ...deliveryHandlers(database, report),
  ...peerHandlers(database),
  ...otherHandlers(database)
})

/** Messages: outbox, inbox, and who reads it. */
function deliveryHandlers(database: DatabaseSync, report: (finding: Finding) => void) {
  const outbox = new OutboxTable(database, report)
  const inbox = new InboxTable(database, report)
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
    ack: { writes: true, run: ({ messages, reader }) => inbox.ack(messages, reader) },
    handOut: { writes: true, run: ({ positions, reader }) => inbox.handOut(positions, reader) },
    consumers: { writes: false, run: (at) => inbox.consumers.list(at) },
    useConsumer: { writes: true, run: ({ name, at }) => inbox.consumers.use(name, at) },
    removeConsumer: { writes: true, run: (reader) => inbox.removeConsumer(reader) },
    settleConsumers: { writes: true, run: (at) => inbox.settleConsumers(at) },
    release: { writes: true, run: (source) => inbox.release(source) },
    releaseGroup: { writes: true, run: ({ source, group }) => inbox.release(source, group) },
    inboxCounts: { writes: false, run: () => inbox.counts() },
    prune: {
      writes: true,
      run: (now) => {
        inbox.prune()
        return outbox.prune(now)
      }
    }
  } satisfies Partial<StoreHandlers>
}

/** Peers: who is paired, invited, blocked or waits, what threads count, and the agents of this node. */
function peerHandlers(database: DatabaseSync) {
  const peers = new PeerTable(database)
  const trust = new TrustTable(database)
  const threads = new ThreadTable(database)
  const agents = new AgentTable(database)
  return {
    pairs: { writes: false, run: () => peers.pairs() },
    savePair: { writes: true, run: (pair) => peers.savePair(pair) },
    saveInvite: { writes: true, run: (invite) => peers.saveInvite(invite) },
    invite: { writes: false, run: (inviteId) => peers.invite(inviteId) },
    invites: { writes: false, run: () => peers.invites() },
    failInvite: { writes: true, run: (inviteId) => peers.failInvite(inviteId) },
    redeem: { writes: true, run: ({ inviteId, pair }) => peers.redeem(inviteId, pair) },
    finishInvite: { writes: true, run: (inviteId) => peers.finishInvite(inviteId) },
    revokeInvite: { writes: true, run: (inviteId) => peers.revokeInvite(inviteId) },
    removePair: { writes: true, run: (publicKey) => trust.removePair(publicKey) },
    blocked: { writes: false, run: () => trust.blocked() },
    block: { writes: true, run: (peer) => trust.block(peer) },
    unblock: { writes: true, run: (publicKey) => trust.unblock(publicKey) },
    heldSources: { writes: false, run: () => trust.heldSources() },
    dropHeld: { writes: true, run: (source) => trust.dropHeld(source) },
    loadThreads: { writes: false, run: () => threads.load() },
    saveThreads: { writes: true, run: (changes) => threads.save(changes) },
    agents: { writes: false, run: () => agents.list() },
    saveAgent: { writes: true, run: (agent) => agents.save(agent) },
    removeAgent: { writes: true, run: (label) => agents.remove(label) }
  } satisfies Partial<StoreHandlers>
}

/** Groups, libp2p's entries, and the database itself. */
function otherHandlers(database: DatabaseSync) {
  const groups = new GroupTable(database)
  const groupKeys = new GroupKeyTable(database)
  const entries = new EntryTable(database)
  return {
    groups: { writes: false, run: () => groups.all() },
    saveGroup: { writes: true, run: (group) => groups.save(group) },
    deleteGroup: { writes: true, run: (id) => groups.delete(id) },
    groupKeys: { writes: false, run: () => groupKeys.all() },
    saveGroupKey: { writes: true, run: (key) => groupKeys.save(key) },
    dropGroupKeys: { writes: true, run: (tags) => groupKeys.drop(tags) },
    getEntry: { writes: false, run: (key) => entries.get(key) },
    hasEntry: { writes: false, run: (key) => entries.has(key) },
    changeEntries: { writes: true, run: (changes) => entries.change(changes) },
    listEntries: { writes: false, run: ({ prefix, after, limit }) => entries.list(prefix, after, limit) },
    getMeta: { writes: false, run: (name) => entries.getMeta(name) },
    setMeta: { writes: true, run: ({ name, value }) => entries.setMeta(name, value) },
    checkIntegrity: { writes: false, run: () => checkIntegrity(database) },
    checkSeals: { writes: false, run: () => checkSeals(database) },
    snapshot: { writes: false, run: (file) => snapshot(database, file) }
  } satisfies Partial<StoreHandlers>
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
