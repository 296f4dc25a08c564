import { type Machine, type Millis, type Random, after, earliest, randomFraction } from '../base/index.ts'

export type SupervisorInput =
  /** Keep a connection to this peer from now on. */
  | { readonly type: 'want'; readonly peerId: string }
  | { readonly type: 'unwant'; readonly peerId: string }
  | { readonly type: 'connected'; readonly peerId: string }
  | { readonly type: 'disconnected'; readonly peerId: string }
  /** A dial that was asked for failed; success comes as `connected`. */
  | { readonly type: 'dial-failed'; readonly peerId: string }
  /** Try this peer now: its address was heard, or somebody waits for it. */
  | { readonly type: 'hint'; readonly peerId: string }
  | { readonly type: 'wake' }

export type SupervisorOutput = { readonly type: 'dial'; readonly peerId: string; readonly attempt: number }

export const supervisorDefaults = {
  firstDelayMs: 500,
  maxDelayMs: 60_000,
  /** A connection that held for so long counts as good: the next delay begins at the first one again. */
  stableMs: 10_000,
  /** A dial of which nothing was heard for so long is taken for failed. */
  dialTimeoutMs: 30_000,
  maxDials: 8,
  maxPeers: 2_048
} as const

export type SupervisorLimits = { readonly [Key in keyof typeof supervisorDefaults]: number }

type PeerState =
  | { readonly state: 'waiting'; readonly at: Millis; readonly attempt: number }
  | { readonly state: 'dialling'; readonly until: Millis; readonly attempt: number }
  | { readonly state: 'connected'; readonly since: Millis; readonly attempt: number }

/**
 * Keeps connections to the peers that are wanted: paired ones and bootstrap nodes. It dials at once, then after capped, jittered, doubling delays, and
 * never gives up: libp2p's bootstrap dials once, its keep-alive five times.
 */
export class SupervisorMachine implements Machine<SupervisorInput, SupervisorOutput> {
  readonly #random: Random
  readonly #limits: SupervisorLimits
  readonly #peers = new Map<string, PeerState>()
  /** Connected before they were wanted; bounded by the connections there can be. */
  readonly #others = new Map<string, Millis>()

  constructor(options: { readonly random: Random; readonly limits?: Partial<SupervisorLimits> }) {
    this.#random = options.random
    this.#limits = { ...supervisorDefaults, ...options.limits }
  }

  get wakeAt(): Millis | undefined {
    const dialling = this.#dialling()
    return earliest(...[...this.#peers.values()].map((peer) => wakeOf(peer, dialling < this.#limits.maxDials)))
  }

  /** Peers that are wanted, and of them those that are connected. */
  get counts(): { readonly wanted: number; readonly connected: number } {
    const connected = [...this.#peers.values()].filter((peer) => peer.state === 'connected').length
    return { wanted: this.#peers.size, connected }
  }

  handle(input: SupervisorInput, now: Millis): readonly SupervisorOutput[] {
    switch (input.type) {
      case 'want':
        this.#want(input.peerId, now)
        break
      case 'unwant':
        this.#unwant(input.peerId)
        break
      case 'connected':
        this.#connected(input.peerId, now)
        break
      case 'disconnected':
        this.#disconnected(input.peerId, now)
        break
      case 'dial-failed':
        this.#failed(input.peerId, now)
        break
      case 'hint':
        this.#hint(input.peerId, now)
        break
      case 'wake':
        break
      default:
        input satisfies never
    }
    this.#expireDials(now)
    return this.#dialDue(now)
  }

  #want(peerId: string, now: Millis): void {
    if (this.#peers.has(peerId) || this.#peers.size >= this.#limits.maxPeers) return
    const since = this.#others.get(peerId)
    this.#others.delete(peerId)
    this.#peers.set(peerId, since === undefined ? { state: 'waiting', at: now, attempt: 0 } : { state: 'connected', since, attempt: 0 })
  }

  #unwant(peerId: string): void {
    const peer = this.#peers.get(peerId)
    this.#peers.delete(peerId)
    if (peer?.state === 'connected') this.#others.set(peerId, peer.since)
  }

  #connected(peerId: string, now: Millis): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined) this.#others.set(peerId, now)
    else if (peer.state !== 'connected') this.#peers.set(peerId, { state: 'connected', since: now, attempt: peer.attempt })
  }

  #disconnected(peerId: string, now: Millis): void {
    this.#others.delete(peerId)
    const peer = this.#peers.get(peerId)
    if (peer?.state !== 'connected') return
    // A peer that drops us right after the handshake must not be dialled in a storm.
    const attempt = now - peer.since >= this.#limits.stableMs ? 0 : peer.attempt
    this.#retry(peerId, attempt, now)
  }

  #failed(peerId: string, now: Millis): void {
    const peer = this.#peers.get(peerId)
    if (peer?.state === 'dialling') this.#retry(peerId, peer.attempt, now)
  }

  #hint(peerId: string, now: Millis): void {
    const peer = this.#peers.get(peerId)
    if (peer?.state === 'waiting') this.#peers.set(peerId, { ...peer, at: now })
  }

  #retry(peerId: string, attempt: number, now: Millis): void {
    const { firstDelayMs, maxDelayMs } = this.#limits
    const ceiling = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempt, 20))
    // Between half of the delay and all of it, so that peers that lost one node do not come back in step.
    const delayMs = Math.ceil(ceiling * (0.5 + randomFraction(this.#random) / 2))
    this.#peers.set(peerId, { state: 'waiting', at: after(now, delayMs), attempt: attempt + 1 })
  }

  #expireDials(now: Millis): void {
    for (const [peerId, peer] of this.#peers) if (peer.state === 'dialling' && peer.until <= now) this.#retry(peerId, peer.attempt, now)
  }

  #dialDue(now: Millis): readonly SupervisorOutput[] {
    let free = this.#limits.maxDials - this.#dialling()
    if (free <= 0) return []
    const due = [...this.#peers].flatMap(([peerId, peer]) => (peer.state === 'waiting' && peer.at <= now ? [{ peerId, peer }] : []))
    const outputs: SupervisorOutput[] = []
    for (const { peerId, peer } of due.sort((a, b) => a.peer.at - b.peer.at)) {
      if (free-- <= 0) break
      this.#peers.set(peerId, { state: 'dialling', until: after(now, this.#limits.dialTimeoutMs), attempt: peer.attempt })
      outputs.push({ type: 'dial', peerId, attempt: peer.attempt })
    }
    return outputs
  }

  #dialling(): number {
    let count = 0
    for (const peer of this.#peers.values()) if (peer.state === 'dialling') count += 1
    return count
  }
}

function wakeOf(peer: PeerState, canDial: boolean): Millis | undefined {
  if (peer.state === 'dialling') return peer.until
  return peer.state === 'waiting' && canDial ? peer.at : undefined
}
