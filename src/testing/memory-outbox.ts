import { equalBytes, MeshError, toHex } from '../core/base/index.ts'
import type { DestinationRetry, EnqueueOutcome, OutboxChange, OutboxEntry, OutboxRecovery, OutboxRow, OutboxState } from '../core/message/index.ts'

const entryOf = ({ envelope, ...row }: OutboxRow): OutboxEntry => ({ ...row, bytes: envelope.length })
const isPending = (state: OutboxState): boolean => state === 'accepted' || state === 'sent' || state === 'held'

/** The outbox tables of a store in memory: what is in here is committed. */
export class MemoryOutbox {
  readonly #epoch: Uint8Array
  readonly #rows = new Map<string, OutboxRow>()
  readonly #sequences = new Map<string, { readonly destination: Uint8Array; readonly sequence: number }>()
  readonly #retries = new Map<string, DestinationRetry>()

  constructor(epoch: Uint8Array) {
    this.#epoch = epoch
  }

  recover(): OutboxRecovery {
    const pending = [...this.#rows.values()].filter((row) => isPending(row.state)).map(entryOf)
    return {
      epoch: this.#epoch,
      pending: pending.toSorted((a, b) => a.sequence - b.sequence),
      sequences: [...this.#sequences.values()],
      retries: [...this.#retries.values()]
    }
  }

  enqueue(row: OutboxRow): EnqueueOutcome {
    const known = this.#rows.get(row.id)
    if (known !== undefined) return equalBytes(known.digest, row.digest) ? { outcome: 'duplicate', row: entryOf(known) } : { outcome: 'conflict' }
    this.#rows.set(row.id, row)
    const key = toHex(row.destination)
    const highest = this.#sequences.get(key)?.sequence ?? 0
    this.#sequences.set(key, { destination: row.destination, sequence: Math.max(highest, row.sequence) })
    return { outcome: 'accepted' }
  }

  load(ids: readonly string[]): readonly OutboxRow[] {
    return ids.flatMap((id) => this.#rows.get(id) ?? [])
  }

  list(filter: {
    readonly states: readonly OutboxState[] | undefined
    readonly destination: Uint8Array | undefined
    readonly groupMessage?: string | undefined
    readonly limit: number
  }): readonly OutboxEntry[] {
    const { states, destination, groupMessage, limit } = filter
    return [...this.#rows.values()]
      .filter((row) => (groupMessage === undefined ? row.control !== true : row.group?.message === groupMessage))
      .filter(
        (row) => (states === undefined || states.includes(row.state)) && (destination === undefined || equalBytes(row.destination, destination))
      )
      .slice(0, limit)
      .map(entryOf)
  }

  settle(changes: readonly OutboxChange[]): void {
    for (const change of changes) {
      const row = this.#rows.get(change.id)
      if (row === undefined) throw new MeshError('INTERNAL', { reason: `settles ${change.id}, which is not there` })
      this.#rows.set(change.id, { ...row, ...change })
    }
  }

  saveRetry(retry: DestinationRetry): void {
    this.#retries.set(`${retry.via} ${toHex(retry.destination)}`, retry)
  }
}
