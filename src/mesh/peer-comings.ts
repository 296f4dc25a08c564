import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Arrivals } from './arrivals.ts'
import type { Delivery } from './delivery.ts'
import type { LogRecord, MeshEvents } from './mesh.ts'
import type { MeshInbox } from './mesh-inbox.ts'
import { keyOf, type PeerBook } from './peer-book.ts'
import type { PairRecord } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'

export interface PeerComingsOptions {
  readonly libp2p: Libp2p
  readonly book: PeerBook
  readonly delivery: Delivery
  readonly inbox: MeshInbox
  readonly arrivals: Arrivals
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  readonly onPeer: (event: MeshEvents['peer']) => void
  /**
   * Whether a key is one of a link of circuits, and no peer. Left out while this node takes no links: then whoever connects is a peer at once; otherwise a stranger who
   * calls is one when it has said what it speaks, which a link never does.
   */
  readonly isLinkPeer?: (peerId: string) => boolean
}

/** Tells all that want to know when a peer comes, goes, or is paired. */
export class PeerComings {
  readonly #options: PeerComingsOptions
  /** Connected, and not known to be peers. */
  readonly #unsure = new Set<string>()

  constructor(options: PeerComingsOptions) {
    this.#options = options
  }

  start(): void {
    const { libp2p } = this.#options
    libp2p.addEventListener('peer:connect', ({ detail }) => this.#came(detail))
    libp2p.addEventListener('peer:identify', ({ detail }) => this.#identified(detail.peerId.toString()))
    libp2p.addEventListener('peer:disconnect', ({ detail }) => this.#disconnected(detail.toString()))
  }

  /** Tells of those that were there already. */
  announce(): void {
    for (const peer of this.#options.libp2p.getPeers()) if (!this.#unsure.has(peer.toString())) this.#connected(peer.toString())
  }

  /** Resolves with how many messages were held of it, once they are released. */
  paired(pair: PairRecord): Promise<number> {
    this.#unsure.delete(pair.peerId)
    const { book, tracker, arrivals, delivery, inbox, onPeer } = this.#options
    book.pair(pair)
    // Blocked while the store saved it: nothing of it is released.
    if (book.isBlocked(pair.peerId)) return Promise.resolve(0)
    this.#log('peer.paired', pair.peerId, { name: pair.name })
    const released = arrivals.release(pair.publicKey, { delivery, inbox })
    tracker.track('releasing held messages', released)
    delivery.peerConnected(pair.publicKey)
    onPeer({ type: 'paired', peer: book.info(pair.peerId) })
    return released
  }

  #came(peer: PeerId): void {
    const { libp2p, book, isLinkPeer } = this.#options
    const peerId = peer.toString()
    const isCaller = libp2p.getConnections(peer).every(({ direction }) => direction === 'inbound')
    if (isLinkPeer === undefined || !isCaller || book.pairOf(peerId) !== undefined) this.#connected(peerId)
    else this.#unsure.add(peerId)
  }

  #identified(peerId: string): void {
    if (this.#options.isLinkPeer?.(peerId) === false && this.#unsure.delete(peerId)) this.#connected(peerId)
  }

  #connected(peerId: string): void {
    const { book, delivery, onPeer } = this.#options
    book.learn(peerId, {})
    delivery.peerConnected(keyOf(peerId))
    this.#log('peer.connected', peerId)
    onPeer({ type: 'connected', peer: book.info(peerId) })
  }

  #disconnected(peerId: string): void {
    if (this.#unsure.delete(peerId)) return
    const { book, delivery, onPeer } = this.#options
    delivery.peerDisconnected(keyOf(peerId))
    this.#log('peer.disconnected', peerId)
    onPeer({ type: 'disconnected', peer: book.info(peerId) })
  }

  #log(event: string, peerId: string, fields: LogRecord['fields'] = {}): void {
    this.#options.log({ level: 'info', event, fields: { peer: shortPeerId(peerId), ...fields } })
  }
}
