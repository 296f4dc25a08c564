import { join } from 'node:path'
import type { Datastore } from 'interface-datastore'
import type { DeliveryStore, ReaderStore } from '../../core/message/index.ts'
import type { GroupKeyStore } from '../../mesh/groups/group-keys.ts'
import type { AgentStore, GroupStore, PeerStore, ThreadStore, TrustStore } from '../../mesh/ports.ts'
import type { SealReport } from './calls.ts'
import { StoreClient, type StoreWatch } from './client.ts'
import { SqliteDatastore } from './datastore.ts'
import { memoryPath } from './open.ts'

export type { StoreWatch } from './client.ts'
export type { Finding } from './calls.ts'

/** Everything that a node keeps, in one database on a thread of its own. */
export interface Stores {
  readonly deliveryStore: DeliveryStore
  readonly readerStore: ReaderStore
  readonly agentStore: AgentStore
  readonly peerStore: PeerStore
  readonly groupStore: GroupStore
  readonly groupKeyStore: GroupKeyStore
  readonly trustStore: TrustStore
  readonly threadStore: ThreadStore
  /** For libp2p: the peer store and the DHT's records, bounded. */
  readonly datastore: Datastore
  /** Small named values, such as counters that outlive a restart. */
  readonly meta: MetaStore
  /** SQLite's own check of everything; empty when all is well. Takes about a second for each GiB. */
  checkIntegrity(): Promise<readonly string[]>
  /** Compares every message with its seal; changes nothing. */
  checkSeals(): Promise<SealReport>
  /** Copies the database as it is now into a new private file. @throws {MeshError} PATH_UNSAFE, DISK_FULL */
  snapshot(file: string): Promise<void>
  /** Closes all of them; idempotent. */
  close(): Promise<void>
}

export interface MetaStore {
  get(name: string): Promise<Uint8Array | undefined>
  set(name: string, value: Uint8Array): Promise<void>
}

/** The name of the database in a state folder. */
export const storeFile = 'mesh.db'

/**
 * Opens the stores in the private folder `folder` (made when it is missing).
 * @throws {MeshError} STATE_NEWER, STATE_CORRUPT, STATE_IN_USE, PERMISSIONS_UNSAFE, PATH_UNSAFE, DISK_FULL, STORE_FAILED
 */
export const openStores = (folder: string, watch: StoreWatch = {}): Promise<Stores> => open(join(folder, storeFile), watch)

/** Stores that live as long as the process, for a library user without a data folder: nothing in them survives anything. */
export const openMemoryStores = (watch: StoreWatch = {}): Promise<Stores> => open(memoryPath, watch)

async function open(file: string, watch: StoreWatch): Promise<Stores> {
  const client = await StoreClient.open(file, watch)
  const close = (): Promise<void> => client.close()
  return {
    deliveryStore: deliveryStore(client),
    readerStore: readerStore(client),
    agentStore: agentStore(client),
    peerStore: peerStore(client),
    groupStore: {
      groups: () => client.call('groups', undefined),
      saveGroup: (group) => client.call('saveGroup', group),
      deleteGroup: (id) => client.call('deleteGroup', id)
    },
    groupKeyStore: {
      groupKeys: () => client.call('groupKeys', undefined),
      saveGroupKey: (key) => client.call('saveGroupKey', key),
      dropGroupKeys: (tags) => client.call('dropGroupKeys', tags)
    },
    trustStore: trustStore(client),
    threadStore: { load: () => client.call('loadThreads', undefined), save: (changes) => client.call('saveThreads', changes) },
    datastore: new SqliteDatastore(client),
    meta: { get: (name) => client.call('getMeta', name), set: (name, value) => client.call('setMeta', { name, value }) },
    checkIntegrity: () => client.call('checkIntegrity', undefined),
    checkSeals: () => client.call('checkSeals', undefined),
    snapshot: (file) => client.call('snapshot', file),
    close
  }
}

function deliveryStore(client: StoreClient): DeliveryStore {
  return {
    recoverOutbox: () => client.call('recoverOutbox', undefined),
    enqueue: (row) => client.call('enqueue', row),
    loadOutbox: (ids) => client.call('loadOutbox', ids),
    listOutbox: (filter) => client.call('listOutbox', filter),
    settle: (changes) => client.call('settle', changes),
    saveRetry: (retry) => client.call('saveRetry', retry),
    admit: (messages, floor, limits) => client.call('admit', { messages, floor, limits }),
    listInbox: (filter) => client.call('listInbox', filter),
    getInbox: (id, source) => client.call('getInbox', { id, source }),
    ack: (messages, reader) => client.call('ack', { messages, reader }),
    release: (source) => client.call('release', source),
    releaseGroup: (source, group) => client.call('releaseGroup', { source, group }),
    inboxCounts: () => client.call('inboxCounts', undefined),
    prune: (now) => client.call('prune', now),
    close: () => client.close()
  }
}

function readerStore(client: StoreClient): ReaderStore {
  return {
    handOut: (positions, reader) => client.call('handOut', { positions, reader }),
    consumers: (at) => client.call('consumers', at),
    useConsumer: (reader) => client.call('useConsumer', reader),
    removeConsumer: (reader) => client.call('removeConsumer', reader),
    settleConsumers: (at) => client.call('settleConsumers', at)
  }
}

function trustStore(client: StoreClient): TrustStore {
  return {
    removePair: (publicKey) => client.call('removePair', publicKey),
    blocked: () => client.call('blocked', undefined),
    block: (peer) => client.call('block', peer),
    unblock: (publicKey) => client.call('unblock', publicKey),
    heldSources: () => client.call('heldSources', undefined),
    dropHeld: (source) => client.call('dropHeld', source)
  }
}

function agentStore(client: StoreClient): AgentStore {
  return {
    agents: () => client.call('agents', undefined),
    saveAgent: (agent) => client.call('saveAgent', agent),
    removeAgent: (label) => client.call('removeAgent', label)
  }
}

function peerStore(client: StoreClient): PeerStore {
  return {
    pairs: () => client.call('pairs', undefined),
    savePair: (pair) => client.call('savePair', pair),
    saveInvite: (invite) => client.call('saveInvite', invite),
    invite: (inviteId) => client.call('invite', inviteId),
    invites: () => client.call('invites', undefined),
    failInvite: (inviteId) => client.call('failInvite', inviteId),
    redeem: (inviteId, pair) => client.call('redeem', { inviteId, pair }),
    finishInvite: (inviteId) => client.call('finishInvite', inviteId),
    revokeInvite: (inviteId) => client.call('revokeInvite', inviteId),
    close: () => client.close()
  }
}
