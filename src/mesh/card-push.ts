import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { CardService } from './cards.ts'
import type { LogRecord } from './mesh.ts'
import type { PairRecord, Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'

export interface CardPushOptions {
  readonly libp2p: Libp2p
  readonly cards: Pick<CardService, 'own' | 'fetch'>
  readonly pairs: () => readonly PairRecord[]
  readonly timers: Timers
  readonly log: (record: LogRecord) => void
}

/** What changes together, such as the addresses over one relay, is told together. */
const settleMs = 150
const retryMs = 5_000
const atOnce = 8

/**
 * Gives our card to connected paired peers whenever it has changed, and to those that connect and have another one. Gossip brings it to everybody in the end,
 * but does not run over relayed connections, and where we are reached now is what a peer needs when a relay dies.
 */
export class CardPush {
  readonly #options: CardPushOptions
  /** The card that each paired peer got last. */
  readonly #given = new Map<string, Uint8Array>()
  readonly #stopped = new AbortController()
  #cancel: (() => void) | undefined
  #isPushing = false

  constructor(options: CardPushOptions) {
    this.#options = options
  }

  start(): void {
    const { libp2p } = this.#options
    libp2p.addEventListener('self:peer:update', this.changed)
    libp2p.addEventListener('connection:open', this.#onConnection)
  }

  stop(): void {
    const { libp2p } = this.#options
    libp2p.removeEventListener('self:peer:update', this.changed)
    libp2p.removeEventListener('connection:open', this.#onConnection)
    this.#stopped.abort()
    this.#cancel?.()
  }

  /** Something that the card says may be another now. */
  readonly changed = (): void => this.#later(settleMs)

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => {
    const peerId = detail.remotePeer.toString()
    if (this.#options.pairs().some((pair) => pair.peerId === peerId)) this.changed()
  }

  #later(ms: number): void {
    if (this.#stopped.signal.aborted) return
    this.#cancel?.()
    this.#cancel = this.#options.timers.schedule(ms, () => void this.#push())
  }

  async #push(): Promise<void> {
    if (this.#isPushing) return this.#later(settleMs)
    this.#isPushing = true
    try {
      const card = this.#options.cards.own()
      const waiting = this.#waiting(card)
      const hasFailed = await Promise.all(Array.from({ length: atOnce }, () => this.#giveAll(waiting, card)))
      if (hasFailed.includes(true)) this.#later(retryMs)
    } finally {
      this.#isPushing = false
    }
  }

  /** Connected paired peers that have another card. */
  #waiting(card: Uint8Array): string[] {
    const { libp2p, pairs } = this.#options
    const ids = pairs().map(({ peerId }) => peerId)
    const known = new Set(ids)
    for (const peerId of this.#given.keys()) if (!known.has(peerId)) this.#given.delete(peerId)
    return ids.filter((peerId) => this.#given.get(peerId) !== card && libp2p.getConnections(peerIdFromString(peerId)).length > 0)
  }

  /** Takes peers from the list until it is empty; whether one of them did not take the card. */
  async #giveAll(waiting: string[], card: Uint8Array): Promise<boolean> {
    const { cards, log } = this.#options
    let hasFailed = false
    for (let peerId = waiting.shift(); peerId !== undefined && !this.#stopped.signal.aborted; peerId = waiting.shift()) {
      try {
        await cards.fetch(peerId, this.#stopped.signal)
        this.#given.set(peerId, card)
      } catch (error) {
        hasFailed = true
        log({ level: 'debug', event: 'card.not-given', fields: { peer: shortPeerId(peerId), reason: String(error).slice(0, 200) } })
      }
    }
    return hasFailed
  }
}
