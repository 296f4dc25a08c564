import { type Clock, MeshError, type Millis, toHex, toMeshError } from '../core/base/index.ts'
import type { Via } from '../core/message/index.ts'
import type { FrameStream } from './frame-stream.ts'
import type { Sessions } from './sessions.ts'
import type { Tracker } from './tracker.ts'

/** One session for messages with a peer, with the number by which the machines know it. */
export interface MessageLink {
  readonly number: number
  /** Over a connection or over a circuit: what may go over it. */
  readonly via: Via
  readonly stream: FrameStream
  readonly outbound: boolean
  /** When a frame came or left. */
  usedAt: Millis
}

/** A link over a circuit that was of no use for so long is not carried on by a fresh circuit. */
const idleMs = 300_000

export interface MessageLinksOptions {
  readonly sessions: Sessions
  readonly tracker: Tracker
  readonly clock: Clock
  /** Takes one frame; the next one is read when it resolves. */
  readonly onFrame: (link: MessageLink, frame: Uint8Array) => Promise<void>
  /** A link is there that messages shall take from now on. */
  readonly onOpened: (link: MessageLink) => void
  readonly onClosed: (link: MessageLink) => void
  /** The first link of a route with a peer is there, whoever opened it, or the last one is gone. */
  readonly onPresence: (publicKey: Uint8Array, via: Via, isThere: boolean) => void
}

/** What has one route to a peer has nothing to do with what has the other. */
const keyOf = (publicKey: Uint8Array, via: Via): string => `${via} ${toHex(publicKey)}`

/** The message sessions of a node: at most one outbound for each peer and route, opened when somebody needs it, and those that peers opened. */
export class MessageLinks {
  readonly #options: MessageLinksOptions
  readonly #links = new Map<number, MessageLink>()
  readonly #outbound = new Map<string, Promise<MessageLink>>()
  readonly #byPeer = new Map<string, Set<MessageLink>>()
  readonly #stopping = new AbortController()
  #lastNumber = 0

  constructor(options: MessageLinksOptions) {
    this.#options = options
  }

  /** Serves inbound sessions. */
  async start(): Promise<void> {
    await this.#options.sessions.serve((stream, via) => this.#run(this.#add(stream, { via, outbound: false })))
  }

  stop(): void {
    this.#stopping.abort()
    const reason = new MeshError('SHUTTING_DOWN')
    for (const link of this.#links.values()) link.stream.abort(reason)
  }

  get(number: number): MessageLink | undefined {
    return this.#links.get(number)
  }

  /** Any open link of that route with a peer: the outbound one, otherwise the newest. */
  any(publicKey: Uint8Array, via: Via): MessageLink | undefined {
    const links = [...(this.#byPeer.get(keyOf(publicKey, via)) ?? [])]
    return links.findLast((link) => link.outbound) ?? links.at(-1)
  }

  /** The outbound link to a peer, when it is open. */
  outbound(publicKey: Uint8Array, via: Via): MessageLink | undefined {
    return [...(this.#byPeer.get(keyOf(publicKey, via)) ?? [])].findLast((link) => link.outbound)
  }

  /**
   * A link that can carry messages to a peer now: the outbound one, or over circuits one that the peer opened. Who answers over the circuit of whoever asked needs
   * none of its own, and reaches a peer that takes no circuits itself.
   */
  ready(publicKey: Uint8Array, via: Via): MessageLink | undefined {
    return via === 'onion' ? this.any(publicKey, via) : this.outbound(publicKey, via)
  }

  /** The outbound link of that route to a peer, opened (dialling if needed) when there is none. @throws {MeshError} PEER_UNREACHABLE, and as `Sessions.open` */
  open(publicKey: Uint8Array, via: Via): Promise<MessageLink> {
    const key = keyOf(publicKey, via)
    const open = this.#outbound.get(key)
    if (open !== undefined) return open
    const opening = this.#dial(publicKey, via)
    this.#outbound.set(key, opening)
    opening.catch(() => this.#outbound.delete(key))
    return opening
  }

  /**
   * Opens a new outbound link where there is one, over the best connection, or the circuit, there is now; from then on everything takes it. What the old one has queued is sent
   * before that closes. Does nothing while there is no outbound link, and closes one over a circuit that nobody has used for five minutes: else a circuit to every
   * peer that ever got a message would be followed by another for ever. @throws {MeshError} PEER_UNREACHABLE …; the old link stays then
   */
  async renew(publicKey: Uint8Array, via: Via): Promise<void> {
    const key = keyOf(publicKey, via)
    const before = await this.#outbound.get(key)?.catch(() => undefined)
    if (before === undefined) return
    if (via === 'onion' && this.#now() - before.usedAt > idleMs) return before.stream.close()
    const renewed = await this.#dial(publicKey, via)
    this.#outbound.set(key, Promise.resolve(renewed))
    await before.stream.close()
  }

  /** Notes that something is sent over a link; what arrives is noted by itself. */
  used(link: MessageLink): void {
    link.usedAt = this.#now()
  }

  #now(): Millis {
    return this.#options.clock.monotonic()
  }

  async #dial(publicKey: Uint8Array, via: Via): Promise<MessageLink> {
    const stream = await this.#options.sessions.open(publicKey, via, this.#stopping.signal)
    const link = this.#add(stream, { via, outbound: true })
    this.#options.tracker.track(
      'message stream',
      this.#run(link).catch((error: unknown) => link.stream.abort(toMeshError(error)))
    )
    this.#options.onOpened(link)
    return link
  }

  #add(stream: FrameStream, how: Pick<MessageLink, 'via' | 'outbound'>): MessageLink {
    const link: MessageLink = { number: ++this.#lastNumber, stream, ...how, usedAt: this.#now() }
    const { publicKey } = stream
    const key = keyOf(publicKey, link.via)
    this.#links.set(link.number, link)
    const links = this.#byPeer.get(key) ?? new Set()
    this.#byPeer.set(key, links.add(link))
    if (links.size === 1) this.#options.onPresence(publicKey, link.via, true)
    // A relay may hide that the peer's last circuit has ended: what takes the peer's own circuits takes the newest one.
    else if (link.via === 'onion' && !link.outbound && this.outbound(publicKey, link.via) === undefined) this.#options.onOpened(link)
    return link
  }

  async #run(link: MessageLink): Promise<void> {
    try {
      for await (const frame of link.stream.frames()) {
        link.usedAt = this.#now()
        await this.#options.onFrame(link, frame)
      }
      if (link.outbound) await link.stream.close()
    } finally {
      this.#remove(link)
      this.#options.onClosed(link)
    }
  }

  #remove(link: MessageLink): void {
    const { publicKey } = link.stream
    const key = keyOf(publicKey, link.via)
    this.#links.delete(link.number)
    const links = this.#byPeer.get(key)
    links?.delete(link)
    // One that was renewed has a successor.
    if (link.outbound && ![...(links ?? [])].some(({ outbound }) => outbound)) this.#outbound.delete(key)
    if (links?.size !== 0) return
    this.#byPeer.delete(key)
    this.#options.onPresence(publicKey, link.via, false)
  }
}
