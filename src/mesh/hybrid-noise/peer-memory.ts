import type { ProtectionLevel } from '../../core/noise/index.ts'

/** What is remembered of a peer. */
export interface RememberedPeer {
  /** The best level that we both could, authenticated: what ran, or stood in its list and in ours. */
  readonly level: ProtectionLevel
  /** Whether we ever called it: those that only called us are forgotten first. */
  readonly wasDialled: boolean
}

/** What peers could do before, by peer id. An implementation keeps a bounded number of them. */
export interface PeerMemory {
  load(peerId: string): RememberedPeer | undefined
  store(peerId: string, peer: RememberedPeer): void
  /** Takes back what is known of a peer, after its operator has said that it went back to older software; whether anything was known. */
  forget(peerId: string): boolean
}

/** Peers remembered of each kind, those that we called and those that called us. */
export const rememberedPeers = 4_096

/**
 * Remembers 4,096 peers that we called and 4,096 that only called us: the ones used last stay. So strangers that call with ever new keys cannot drive out those whom
 * we look for ourselves.
 */
export class BoundedPeerMemory implements PeerMemory {
  readonly #dialled = new Map<string, RememberedPeer>()
  readonly #others = new Map<string, RememberedPeer>()
  readonly #limit: number
  readonly #onForgotten: (peerId: string) => void

  constructor({ limit = rememberedPeers, onForgotten }: { readonly limit?: number; readonly onForgotten?: (peerId: string) => void } = {}) {
    this.#limit = limit
    this.#onForgotten = onForgotten ?? ((): void => undefined)
  }

  load(peerId: string): RememberedPeer | undefined {
    for (const kind of [this.#dialled, this.#others]) {
      const peer = kind.get(peerId)
      if (peer === undefined) continue
      // Moved to the end: the map keeps the order of use.
      kind.delete(peerId)
      kind.set(peerId, peer)
      return peer
    }
    return undefined
  }

  store(peerId: string, peer: RememberedPeer): void {
    this.#dialled.delete(peerId)
    this.#others.delete(peerId)
    const kind = peer.wasDialled ? this.#dialled : this.#others
    kind.set(peerId, peer)
    if (kind.size <= this.#limit) return
    const oldest = kind.keys().next().value ?? ''
    kind.delete(oldest)
    this.#onForgotten(oldest)
  }

  forget(peerId: string): boolean {
    const isKnown = this.#dialled.delete(peerId) || this.#others.delete(peerId)
    if (isKnown) this.#onForgotten(peerId)
    return isKnown
  }
}
