import { after, earliest, type Machine, type Millis } from '../base/index.ts'

export type RetryInput =
  /** The only connections to the peer go over a relay. `isOurs`: we opened the first of them, so that we are the one who looks for a better way. */
  | { readonly type: 'relayed'; readonly peerId: string; readonly isOurs: boolean }
  /** It is connected directly, or not at all any more. */
  | { readonly type: 'settled'; readonly peerId: string }
  /** A traversal begins that the operator has asked for. */
  | { readonly type: 'begun'; readonly peerId: string }
  /** A traversal ended; a peer that is direct now is told as `settled`. */
  | { readonly type: 'ended'; readonly peerId: string; readonly wasAsked: boolean }
  /** The peer looks for a better way itself: we leave it the time to find one. */
  | { readonly type: 'peer-tries'; readonly peerId: string }
  | { readonly type: 'network-changed' }
  | { readonly type: 'wake' }

/** `retry` counts from 0, for the first one. */
export type RetryOutput = { readonly type: 'traverse'; readonly peerId: string; readonly retry: number }

export const retryTimes = {
  /** After a traversal that found nothing better. 97.6 % of punching that works does so at the first try (arXiv 2510.27500): sooner is of no use. */
  delaysMs: [30_000, 120_000, 600_000],
  /** How long the side that was called leaves it to the other one. */
  courtesyMs: 5_000,
  /** While the peer runs a traversal of its own. */
  peerTriesMs: 10_000,
  /** After a change of network: addresses come and go in the first moment. */
  settleMs: 1_000
} as const

const maxAtOnce = 4
const maxPeers = 2_048

interface Relayed {
  readonly isOurs: boolean
  readonly retry: number
  /** undefined while a traversal runs. */
  readonly at: Millis | undefined
  /** The network changed while a traversal ran. */
  readonly isStale: boolean
}

/**
 * When to look for a better way to the peers that are reached over relays only: at once, then after 30 s, 2 min and every 10 min; at a change of network all of
 * it begins again. At most four traversals run at a time. One of two sides does it: the one that opened the relayed connection, the other one 5 s later.
 */
export class RetrySchedule implements Machine<RetryInput, RetryOutput> {
  readonly #peers = new Map<string, Relayed>()

  get wakeAt(): Millis | undefined {
    if (this.#runningCount() >= maxAtOnce) return undefined
    return earliest(...[...this.#peers.values()].map(({ at }) => at))
  }

  /** When the next traversal of a peer is due; undefined while none is. */
  nextAt(peerId: string): Millis | undefined {
    return this.#peers.get(peerId)?.at
  }

  handle(input: RetryInput, now: Millis): readonly RetryOutput[] {
    switch (input.type) {
      case 'relayed':
        this.#relayed(input, now)
        break
      case 'settled':
        this.#peers.delete(input.peerId)
        break
      case 'begun':
        this.#begun(input.peerId)
        break
      case 'ended':
        this.#ended(input, now)
        break
      case 'peer-tries':
        this.#postpone(input.peerId, now)
        break
      case 'network-changed':
        this.#startAnew(now)
        break
      case 'wake':
        break
      default:
        input satisfies never
    }
    return this.#due(now)
  }

  #relayed({ peerId, isOurs }: { readonly peerId: string; readonly isOurs: boolean }, now: Millis): void {
    if (this.#peers.has(peerId) || this.#peers.size >= maxPeers) return
    this.#peers.set(peerId, { isOurs, retry: 0, at: after(now, courtesy(isOurs)), isStale: false })
  }

  #begun(peerId: string): void {
    const peer = this.#peers.get(peerId)
    if (peer !== undefined) this.#peers.set(peerId, { ...peer, at: undefined })
  }

  #ended({ peerId, wasAsked }: { readonly peerId: string; readonly wasAsked: boolean }, now: Millis): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) return
    if (peer.isStale) return void this.#peers.set(peerId, { ...peer, retry: 0, at: after(now, retryTimes.settleMs), isStale: false })
    const delays = retryTimes.delaysMs
    // What the operator asks for takes the place of the first one only: the delays stay as they are.
    const retry = wasAsked ? Math.max(peer.retry, 1) : peer.retry + 1
    const delayMs = delays[Math.min(retry, delays.length) - 1] ?? 0
    this.#peers.set(peerId, { ...peer, retry, at: after(now, delayMs + courtesy(peer.isOurs)) })
  }

  #postpone(peerId: string, now: Millis): void {
    const peer = this.#peers.get(peerId)
    if (peer?.at === undefined) return
    this.#peers.set(peerId, { ...peer, at: after(now, Math.max(peer.at - now, retryTimes.peerTriesMs)) })
  }

  #startAnew(now: Millis): void {
    for (const [peerId, peer] of this.#peers) {
      if (peer.at === undefined) this.#peers.set(peerId, { ...peer, isStale: true })
      else this.#peers.set(peerId, { ...peer, retry: 0, at: after(now, retryTimes.settleMs + courtesy(peer.isOurs)) })
    }
  }

  #due(now: Millis): readonly RetryOutput[] {
    const outputs: RetryOutput[] = []
    const due = [...this.#peers].flatMap(([peerId, peer]) => (peer.at !== undefined && peer.at <= now ? [{ peerId, peer, at: peer.at }] : []))
    for (const { peerId, peer } of due.sort((a, b) => a.at - b.at)) {
      if (this.#runningCount() >= maxAtOnce) break
      this.#peers.set(peerId, { ...peer, at: undefined })
      outputs.push({ type: 'traverse', peerId, retry: peer.retry })
    }
    return outputs
  }

  #runningCount(): number {
    let count = 0
    for (const { at } of this.#peers.values()) if (at === undefined) count += 1
    return count
  }
}

const courtesy = (isOurs: boolean): number => (isOurs ? 0 : retryTimes.courtesyMs)
