import type { WallMillis } from '../base/index.ts'

/** What one comparison with a peer found, what is too new to have arrived everywhere left out. */
export interface Difference {
  /** Descriptors that only one of the two had. */
  readonly differing: number
  /** Descriptors that either had. */
  readonly all: number
}

/** Views that differ: some peers know another network than this node does. */
export interface Partition {
  /** How many of those compared with differ. */
  readonly peers: number
  readonly compared: number
  /** The largest share that differs, 0 to 1. */
  readonly share: number
}

interface Compared extends Difference {
  readonly at: WallMillis
}

const keptMs = 900_000
const maxPeers = 64
/** Over this share of all, and at least so many, a view is another one. */
const differingShare = 0.1
const differingLeast = 3
const severalPeers = 2

/**
 * Remembers how far the views of peers were from ours. Somebody who shows different relays to different nodes could tell their circuits apart:
 * that shows as a difference with several peers at one time.
 */
export class ViewComparison {
  readonly #compared = new Map<string, Compared>()

  /** The last comparison with a peer holds. */
  note(peer: string, difference: Difference, now: WallMillis): void {
    this.#compared.delete(peer)
    this.#compared.set(peer, { ...difference, at: now })
    if (this.#compared.size > maxPeers) this.#compared.delete(this.#compared.keys().next().value ?? '')
  }

  /** Whether views differ with several peers, and with at least half of those compared in the last 15 minutes. */
  partition(now: WallMillis): Partition | undefined {
    const recent = [...this.#compared.values()].filter(({ at }) => now - at < keptMs)
    const apart = recent.filter(isApart)
    if (apart.length < severalPeers || 2 * apart.length < recent.length) return undefined
    return { peers: apart.length, compared: recent.length, share: Math.max(...apart.map(({ differing, all }) => differing / all)) }
  }
}

const isApart = ({ differing, all }: Difference): boolean => differing >= differingLeast && differing > differingShare * all
