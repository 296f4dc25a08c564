import { join } from 'node:path'
import type { Datastore } from 'interface-datastore'
import type { DeliveryStore } from '../../core/message/index.ts'
import type { PeerStore } from '../../mesh/ports.ts'
import { StoreClient, type StoreWatch } from './client.ts'
import { SqliteDatastore } from './datastore.ts'
import { memoryPath } from './open.ts'

export type { StoreWatch } from './client.ts'
export type { Finding } from './calls.ts'

/** Everything that a node keeps, in one database on a thread of its own. */
export interface Stores {
  readonly deliveryStore: DeliveryStore
  readonly peerStore: PeerStore
  /** For libp2p: the peer store and the DHT's records, bounded. */
  readonly datastore: Datastore
  /** Small named values, such as counters that outlive a restart. */
  readonly meta: MetaStore
  /** SQLite's own check of everything; empty when all is well. Takes about a second for each GiB. */
  checkIntegrity(): Promise<readonly string[]>
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
    peerStore: peerStore(client),
    datastore: new SqliteDatastore(client),
    meta: { get: (name) => client.call('getMeta', name), set: (name, value) => client.call('setMeta', { name, value }) },
    checkIntegrity: () => client.call('checkIntegrity', undefined),
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
    ack: (messages) => client.call('ack', messages),
    release: (source) => client.call('release', source),
    inboxCounts: () => client.call('inboxCounts', undefined),
    prune: (now) => client.call('prune', now),
    close: () => client.close()
  }
}

function peerStore(client: StoreClient): PeerStore {
  return {
    pairs: () => client.call('pairs', undefined),
    savePair: (pair) => client.call('savePair', pair),
    saveInvite: (invite) => client.call('saveInvite', invite),
    invite: (inviteId) => client.call('invite', inviteId),
    failInvite: (inviteId) => client.call('failInvite', inviteId),
    redeem: (inviteId, pair) => client.call('redeem', { inviteId, pair }),
    close: () => client.close()
  }
}
