import { BaseDatastore } from 'datastore-core'
import { type Batch, type Datastore, Key, type KeyQuery, type Pair, type Query } from 'interface-datastore'
import { type MeshError, toMeshError } from '../core/base/index.ts'
import type { Timers } from '../mesh/ports.ts'

interface AbortOptions {
  readonly signal?: AbortSignal
}

interface Entry {
  /** undefined: it does not exist. */
  readonly value: Uint8Array | undefined
  readonly isDirty: boolean
}

export interface WriteBehindOptions {
  readonly timers: Timers
  /** How long a change may wait, default 2,000 ms. */
  readonly flushMs?: number
  /** Entries kept in memory, default 8,192; those not used for longest go, once they are written. */
  readonly maxEntries?: number
  /** A flush failed; its changes are tried again with the next one. */
  readonly onFailure: (error: MeshError) => void
}

/** Changes that wait at most; more are written at once. */
const maxDirty = 1_024

// libp2p asks for the name only.
class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
}

/**
 * libp2p reads and writes a peer's record for every stream it opens. Through the node's database, which flushes to the disk for every commit, each
 * stream would wait for that, and compete with messages. What peers are where may be two seconds old after a crash: changes are gathered and written together.
 */
export class WriteBehindDatastore extends BaseDatastore {
  readonly #inner: Datastore
  readonly #options: WriteBehindOptions
  readonly #entries = new Map<string, Entry>()
  #dirty = 0
  #cancel: (() => void) | undefined
  #flushing: Promise<void> = Promise.resolve()

  constructor(inner: Datastore, options: WriteBehindOptions) {
    super()
    this.#inner = inner
    this.#options = options
  }

  override async put(key: Key, value: Uint8Array, options?: AbortOptions): Promise<Key> {
    options?.signal?.throwIfAborted()
    this.#change(key.toString(), value)
    if (this.#dirty > maxDirty) await this.flush()
    return key
  }

  override async get(key: Key, options?: AbortOptions): Promise<Uint8Array> {
    options?.signal?.throwIfAborted()
    const value = await this.#read(key)
    if (value === undefined) throw new NotFoundError(`${key.toString()} is not in the datastore`)
    return value
  }

  override async has(key: Key, options?: AbortOptions): Promise<boolean> {
    options?.signal?.throwIfAborted()
    return (await this.#read(key)) !== undefined
  }

  override async delete(key: Key, options?: AbortOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    this.#change(key.toString(), undefined)
  }

  override batch(): Batch {
    const changes: (readonly [string, Uint8Array | undefined])[] = []
    return {
      put: (key, value) => void changes.push([key.toString(), value]),
      delete: (key) => void changes.push([key.toString(), undefined]),
      commit: async () => {
        for (const [key, value] of changes.splice(0)) this.#change(key, value)
      }
    }
  }

  /** Writes every change that waits. Failures are reported, not thrown: the changes stay. */
  flush(): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    this.#flushing = this.#flushing.then(() => this.#write())
    return this.#flushing
  }

  override async *_all(query: Query, options?: AbortOptions): AsyncGenerator<Pair> {
    await this.flush()
    yield* this.#inner.query(query, options)
  }

  override async *_allKeys(query: KeyQuery, options?: AbortOptions): AsyncGenerator<Key> {
    await this.flush()
    yield* this.#inner.queryKeys(query, options)
  }

  async #read(key: Key): Promise<Uint8Array | undefined> {
    const name = key.toString()
    const known = this.#entries.get(name)
    if (known !== undefined) {
      this.#remember(name, known)
      return known.value
    }
    const value = await this.#readInner(key)
    // Somebody may have written while we read.
    const meanwhile = this.#entries.get(name)
    if (meanwhile !== undefined) return meanwhile.value
    this.#remember(name, { value, isDirty: false })
    return value
  }

  async #readInner(key: Key): Promise<Uint8Array | undefined> {
    try {
      return await this.#inner.get(key)
    } catch (error) {
      if (error instanceof Error && error.name === 'NotFoundError') return undefined
      throw error
    }
  }

  #change(name: string, value: Uint8Array | undefined): void {
    if (this.#entries.get(name)?.isDirty !== true) this.#dirty += 1
    this.#remember(name, { value, isDirty: true })
    this.#cancel ??= this.#options.timers.schedule(this.#options.flushMs ?? 2_000, () => void this.flush())
  }

  /** Keeps the order of use, and the bound; what is not written yet is never dropped. */
  #remember(name: string, entry: Entry): void {
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    const most = this.#options.maxEntries ?? 8_192
    if (this.#entries.size <= most) return
    for (const [oldest, { isDirty }] of this.#entries) {
      if (isDirty) continue
      this.#entries.delete(oldest)
      return
    }
  }

  async #write(): Promise<void> {
    const changes = [...this.#entries].filter(([, entry]) => entry.isDirty)
    if (changes.length === 0) return
    const batch = this.#inner.batch()
    for (const [name, { value }] of changes) {
      if (value === undefined) batch.delete(new Key(name))
      else batch.put(new Key(name), value)
    }
    try {
      await batch.commit()
    } catch (error) {
      this.#options.onFailure(toMeshError(error))
      return
    }
    for (const [name, written] of changes) {
      if (this.#entries.get(name) !== written) continue
      this.#entries.set(name, { value: written.value, isDirty: false })
      this.#dirty -= 1
    }
  }
}
