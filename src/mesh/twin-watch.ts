import { isMeshError } from '../core/base/index.ts'
import type { CardService } from './cards.ts'
import type { HealthFinding, LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'

export interface TwinWatchOptions {
  readonly cards: Pick<CardService, 'seenBy' | 'fetch' | 'issuedAt' | 'outdo'>
  /** Connected peers that may be asked, those that answer best first. */
  readonly peers: () => readonly string[]
  readonly clock: { monotonic(): number }
  readonly timers: Timers
  readonly log: (record: LogRecord) => void
}

const firstMs = 3_000
const everyMs = 10_000
/** While another one is suspected. */
const soonMs = 2_000
const asksAtOnce = 2
/** A peer that did not answer, such as one of other software, is left alone for so long, and twice as long each time. */
const [silentMs, maxSilentMs] = [5_000, 300_000]
const maxSilent = 1_024
/** A finding stays so long after the other node was heard last. */
const staysMs = 600_000

/**
 * Notices another node that runs with our identity, such as a machine whose backup was restored elsewhere and that went on. Peers take both for one, and keep
 * the card that was issued last. So we ask them now and then which card they have of us. One that we did not issue may be from an earlier run; so ours is
 * issued again, later than it. Only somebody who holds our key can outdo that, and whoever does runs now. The other node finds us in the same way.
 */
export class TwinWatch {
  readonly #options: TwinWatchOptions
  readonly #stopped = new AbortController()
  #cancel: () => void = () => undefined
  readonly #silent = new Map<string, { readonly until: number; readonly times: number }>()
  #turn = 0
  /** When our card was issued that a twin would have to outdo. */
  #challenge: number | undefined
  #heard: { readonly at: number; readonly addresses: readonly string[] } | undefined

  constructor(options: TwinWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#schedule(firstMs)
  }

  stop(): void {
    this.#stopped.abort()
    this.#cancel()
  }

  /** Whether another node with this identity was heard within ten minutes. */
  findings(): readonly HealthFinding[] {
    if (this.#heard === undefined || this.#options.clock.monotonic() - this.#heard.at > staysMs) return []
    const [address] = this.#heard.addresses
    return [
      {
        code: 'IDENTITY_TWICE',
        message: `Another node runs with this node's identity${address === undefined ? '' : `, at ${address}`}: messages reach one or the other`,
        hint: 'Stop one of the two. A second machine needs an identity of its own: synaptic-mesh p2p init --profile NAME there, then pair the two.'
      }
    ]
  }

  #schedule(delayMs: number): void {
    this.#cancel = this.#options.timers.schedule(delayMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    let isSuspected = false
    for (const peerId of this.#next()) isSuspected = (await this.#ask(peerId)) || isSuspected
    if (!this.#stopped.signal.aborted) this.#schedule(isSuspected ? soonMs : everyMs)
  }

  /** The peers to ask this time. */
  #next(): readonly string[] {
    const now = this.#options.clock.monotonic()
    const peers = this.#options.peers().filter((peerId) => (this.#silent.get(peerId)?.until ?? 0) <= now)
    const chosen = Array.from({ length: Math.min(asksAtOnce, peers.length) }, (_, index) => peers[(this.#turn + index) % peers.length])
    this.#turn += asksAtOnce
    return chosen.filter((peer) => peer !== undefined)
  }

  /** Whether the peer has a card of ours that we did not issue, and that is not older than ours. */
  async #ask(peerId: string): Promise<boolean> {
    const { cards, log } = this.#options
    try {
      const seen = await cards.seenBy(peerId, this.#stopped.signal)
      this.#silent.delete(peerId)
      if (seen === undefined) await cards.fetch(peerId, this.#stopped.signal)
      if (seen === undefined || seen.isOurs || seen.card.issuedAt < cards.issuedAt) return false
      if (this.#challenge !== undefined && seen.card.issuedAt > this.#challenge) this.#found(seen.card.addresses)
      cards.outdo(seen.card.issuedAt)
      this.#challenge = cards.issuedAt
      await cards.fetch(peerId, this.#stopped.signal)
      return true
    } catch (error) {
      log({ level: 'debug', event: 'card.not-asked', fields: { peer: shortPeerId(peerId), code: isMeshError(error) ? error.code : 'INTERNAL' } })
      this.#leave(peerId)
      return false
    }
  }

  #leave(peerId: string): void {
    const times = (this.#silent.get(peerId)?.times ?? 0) + 1
    if (this.#silent.size >= maxSilent) this.#silent.clear()
    this.#silent.set(peerId, { times, until: this.#options.clock.monotonic() + Math.min(maxSilentMs, silentMs * 2 ** times) })
  }

  #found(addresses: readonly string[]): void {
    if (this.findings().length === 0)
      this.#options.log({ level: 'error', event: 'IDENTITY_TWICE', fields: { reason: 'another node runs with this identity', addresses } })
    this.#heard = { at: this.#options.clock.monotonic(), addresses }
  }
}
