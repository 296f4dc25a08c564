import type { ReceivedMessage } from '../mesh/mesh.ts'

type Named = Pick<ReceivedMessage, 'id' | 'source'>
/** Who has messages in hand: one caller of `listen`. */
export type ClaimHolder = object

interface Claim {
  readonly holder: ClaimHolder
  readonly position: number
}

/** Claims at most; the inbox has room for no more messages than that. Beyond it the oldest goes. */
const maxClaims = 20_000
/** Volatile messages of which is known that somebody has them. */
const maxVolatile = 1_000

/** Which messages callers that claim have in hand, so that two of them never work on one at the same time. A caller's claims end with it, however it ends. */
export class Claims {
  readonly #claims = new Map<string, Claim>()
  readonly #volatile = new Set<string>()
  readonly #watchers = new Set<(position: number) => void>()

  /** Whether `holder` may have the message from now on. `reader`: the name under which it reads; each name has its own. */
  claim(holder: ClaimHolder, reader: string, message: Pick<ReceivedMessage, 'id' | 'source' | 'position' | 'delivery'>): boolean {
    const key = keyOf(reader, message)
    if (message.delivery === 'volatile') return this.#claimVolatile(key)
    if (this.#claims.has(key)) return false
    this.#claims.set(key, { holder, position: message.position })
    dropFirst(this.#claims, maxClaims)
    return true
  }

  /** The message was acknowledged: nobody gets it again. */
  done(reader: string, message: Named): void {
    this.#claims.delete(keyOf(reader, message))
  }

  /** The holder is gone: what it did not finish is free. */
  release(holder: ClaimHolder): void {
    let lowest = Number.POSITIVE_INFINITY
    for (const [key, claim] of this.#claims) {
      if (claim.holder !== holder) continue
      this.#claims.delete(key)
      lowest = Math.min(lowest, claim.position)
    }
    if (lowest < Number.POSITIVE_INFINITY) for (const tell of [...this.#watchers]) tell(lowest)
  }

  /** Calls back with the first position of messages that became free. The returned function ends that. */
  onReleased(handler: (position: number) => void): () => void {
    this.#watchers.add(handler)
    return () => this.#watchers.delete(handler)
  }

  #claimVolatile(key: string): boolean {
    if (this.#volatile.has(key)) return false
    this.#volatile.add(key)
    dropFirst(this.#volatile, maxVolatile)
    return true
  }
}

const keyOf = (reader: string, { source, id }: Named): string => `${reader} ${source.peerId} ${id}`

function dropFirst(kept: { readonly size: number; keys(): IterableIterator<string>; delete(key: string): boolean }, max: number): void {
  const [first] = kept.size > max ? kept.keys() : []
  if (first !== undefined) kept.delete(first)
}
