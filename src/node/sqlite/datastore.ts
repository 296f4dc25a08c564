import { BaseDatastore } from 'datastore-core'
import { type Batch, Key, type KeyQuery, type Pair, type Query } from 'interface-datastore'
import type { EntryChange } from './calls.ts'
import type { StoreClient } from './client.ts'

interface AbortOptions {
  readonly signal?: AbortSignal
}

/** Entries that one question to the storage thread returns. */
const pageEntries = 256

// libp2p asks for the name only.
class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
}

/** libp2p's datastore in the node's database: at most 20,000 entries of 64 KiB, the one written longest ago goes first. */
export class SqliteDatastore extends BaseDatastore {
  readonly #client: StoreClient

  constructor(client: StoreClient) {
    super()
    this.#client = client
  }

  override async put(key: Key, value: Uint8Array, options?: AbortOptions): Promise<Key> {
    options?.signal?.throwIfAborted()
    await this.#client.call('changeEntries', [putChange(key, value)])
    return key
  }

  override async get(key: Key, options?: AbortOptions): Promise<Uint8Array> {
    options?.signal?.throwIfAborted()
    const value = await this.#client.call('getEntry', key.toString())
    if (value === undefined) throw new NotFoundError(`${key.toString()} is not in the datastore`)
    return value
  }

  override async has(key: Key, options?: AbortOptions): Promise<boolean> {
    options?.signal?.throwIfAborted()
    return this.#client.call('hasEntry', key.toString())
  }

  override async delete(key: Key, options?: AbortOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#client.call('changeEntries', [{ type: 'delete', key: key.toString() }])
  }

  /** All changes of a batch are one transaction. */
  override batch(): Batch {
    let changes: EntryChange[] = []
    return {
      put: (key, value) => void changes.push(putChange(key, value)),
      delete: (key) => void changes.push({ type: 'delete', key: key.toString() }),
      commit: async (options?: AbortOptions) => {
        options?.signal?.throwIfAborted()
        const committed = changes
        changes = []
        await this.#client.call('changeEntries', committed)
      }
    }
  }

  override async *_all(query: Query, options?: AbortOptions): AsyncGenerator<Pair> {
    const prefix = query.prefix ?? ''
    for (let after = ''; ;) {
      options?.signal?.throwIfAborted()
      const page = await this.#client.call('listEntries', { prefix, after, limit: pageEntries })
      for (const { key, value } of page) yield { key: new Key(key), value }
      const last = page.at(-1)
      if (last === undefined || page.length < pageEntries) return
      after = last.key
    }
  }

  override async *_allKeys(query: KeyQuery, options?: AbortOptions): AsyncGenerator<Key> {
    for await (const { key } of this._all(query.prefix === undefined ? {} : { prefix: query.prefix }, options)) yield key
  }
}

const putChange = (key: Key, value: Uint8Array): EntryChange => ({ type: 'put', entry: { key: key.toString(), value } })
