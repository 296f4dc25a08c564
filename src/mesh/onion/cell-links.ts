import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Clock, MeshError, type Signer, type Verifier, isMeshError, toHex, toMeshError } from '../../core/base/index.ts'
import { type Cell, cellCommands, cellSizes, decodeCells, encodeCells, isLinkProof, provedKey, proveLink } from '../../core/onion/index.ts'
import { startDeadline, within } from '../deadline.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { LogRecord } from '../mesh.ts'
import type { Timers } from '../ports.ts'
import type { ProtocolHost, Refusal } from '../protocol-host.ts'
import type { Tracker } from '../tracker.ts'
import { addressPrefix } from './address-prefix.ts'
import type { CellLink, CellLinkPort, LinkPeer, LinkTarget, MakeHandler } from './cell-link.ts'
import { FrameLink, type FrameLinkOptions } from './frame-link.ts'
import { DialHost, type DialledStream, hangUp, type LinkHosts } from './link-host.ts'
import { LinkKeys } from './link-keys.ts'
import { doubtMs } from './link-pulse.ts'

/** Links that others may have to this node at one time. Connections of the node's libp2p host for them come on top of those for peers. */
export const maxAcceptedLinks = 512
/** Of them, of clients in one network (/24, /48). */
const maxClientsOfPrefix = 64
/** A link over which no circuit runs is closed by its opener after so long, */
const idleMs = 900_000
/** and otherwise by the other end, so much later that the two never do it at one time. */
const acceptedIdleMs = idleMs + 300_000
const checkMs = 5_000
const openMs = 12_000
/** For so long after the end of a link its peer is known as one: what libp2p tells of the end comes in any order. */
const forgetMs = 5_000

export interface CellLinksOptions {
  /** The node's ordinary libp2p host, on which links of others arrive, and its protocols. */
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  /** Where links of this node begin. */
  readonly hosts: LinkHosts
  readonly signer: Signer
  readonly verifier: Verifier
  readonly clock: Clock
  readonly timers: Timers
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  readonly onRefused?: (refusal: Refusal) => void
  /** Peers of the mesh have their own ways: a link comes from a key that nobody knows. */
  readonly isPaired: (peerId: string) => boolean
  /** Other limits, for tests. */
  readonly limits?: Partial<LinkLimits>
}

export interface LinkLimits {
  readonly accepted: number
  readonly clientsOfPrefix: number
}

interface Opened {
  readonly key: string
  readonly link: FrameLink
  readonly from: DialHost
  readonly closed: Promise<void>
  readonly leave: () => Promise<void>
}

/** All links of a node: opened from ephemeral keys, accepted by the ordinary host. */
export class CellLinks implements CellLinkPort {
  readonly #options: CellLinksOptions
  readonly #keys: LinkKeys
  /** The link for each role and key. */
  readonly #current = new Map<string, Opened>()
  readonly #opening = new Map<string, Promise<CellLink>>()
  /** Every link that was opened and has not ended. */
  readonly #opened = new Set<Opened>()
  readonly #accepted = new Set<FrameLink>()
  /** Peer ids of accepted links, and how many links each has. */
  readonly #linkPeers = new Map<string, number>()
  readonly #clientsOfPrefix = new Map<string, number>()
  #nextId = 1
  readonly #stopping = new AbortController()
  #cancelCheck: () => void = () => undefined
  #cancelDoubt: () => void = () => undefined

  constructor(options: CellLinksOptions) {
    this.#options = options
    const { hosts, clock, timers, tracker, log, onRefused = (): void => undefined } = options
    this.#keys = new LinkKeys({
      start: async () => new DialHost({ host: await hosts.start(), clock, timers, log, onRefused }),
      now: () => clock.monotonic(),
      onUnused: (stopped) => tracker.track('ending an ephemeral host', stopped)
    })
    this.#checkLater()
  }

  async serve(accept: MakeHandler): Promise<void> {
    await this.#options.host.serve('onion', (stream) => this.#accept(stream, accept))
  }

  async open(target: LinkTarget): Promise<CellLink> {
    const key = `${target.as} ${toHex(target.publicKey)}`
    const current = this.#current.get(key)
    if (current !== undefined && this.#isGood(current)) return current.link
    const opening = this.#opening.get(key) ?? this.#open(key, target).finally(() => this.#opening.delete(key))
    this.#opening.set(key, opening)
    using deadline = startDeadline(this.#options.timers, { operation: 'opening a link', timeoutMs: openMs, signal: target.signal })
    return await within(deadline, opening)
  }

  /** Links that others have to this node. */
  get acceptedCount(): number {
    return this.#accepted.size
  }

  isLinkPeer(peerId: string): boolean {
    return this.#linkPeers.has(peerId)
  }

  /** This machine is in another network: links whose other end does not answer within 3 s end now. */
  networkChanged(): void {
    for (const { link } of this.#opened) link.doubt()
    this.#cancelDoubt()
    this.#cancelDoubt = this.#options.timers.schedule(doubtMs, () => {
      for (const { link } of this.#opened) link.beat()
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancelCheck()
    this.#cancelDoubt()
    const reason = new MeshError('SHUTTING_DOWN')
    for (const link of [...this.#accepted, ...[...this.#opened].map((opened) => opened.link)]) link.close(reason)
    await Promise.allSettled(this.#opening.values())
    await this.#keys.stop()
  }

  /** Whether new circuits may go over it. */
  #isGood(opened: Opened): boolean {
    const { key, link } = opened
    return !link.hasEnded && this.#current.get(key) === opened && (isOfRelay(key) || this.#keys.isFresh(key))
  }

  async #open(key: string, target: LinkTarget): Promise<CellLink> {
    if (this.#stopping.signal.aborted) throw new MeshError('SHUTTING_DOWN')
    const from = await this.#keys.acquire(isOfRelay(key) ? undefined : key)
    try {
      const { stream, hangUp: leave } = await this.#dial(from, target)
      const peer: LinkPeer = { kind: 'relay', publicKey: target.publicKey, prefix: addressPrefix(stream.remoteHost ?? '') }
      const opened = { key, from, leave, closed: stream.closed, link: this.#makeLink({ opener: 'us', peer, stream }) }
      this.#opened.add(opened)
      this.#current.set(key, opened)
      this.#options.tracker.track('a link of circuits', this.#runOpened(opened, stream.peerId, target.make))
      return opened.link
    } catch (error) {
      await this.#keys.release(from)
      throw error
    }
  }

  /** The first cell says who opens the link, or that nobody says it; with it the other end knows the link. */
  async #dial(from: DialHost, { as, publicKey, addresses }: LinkTarget): Promise<DialledStream> {
    const dialled = await from.open(publicKey, addresses, this.#stopping.signal)
    try {
      if (this.#stopping.signal.aborted) throw new MeshError('SHUTTING_DOWN')
      await dialled.stream.send(encodeCells([as === 'relay' ? proof(this.#options, from.publicKey, publicKey) : nothing]))
      return dialled
    } catch (error) {
      dialled.stream.abort(toMeshError(error))
      throw error
    }
  }

  async #runOpened(opened: Opened, peerId: string, make: MakeHandler): Promise<void> {
    const { key, link, from, leave, closed } = opened
    try {
      await link.run(make)
    } catch (thrown) {
      const error = toMeshError(thrown)
      if (isMeshError(error, 'CIRCUIT_VIOLATION') || isMeshError(error, 'MESSAGE_MALFORMED'))
        this.#options.onRefused?.({ protocol: 'onion', peerId, error })
    } finally {
      this.#opened.delete(opened)
      if (this.#current.get(key) === opened) this.#current.delete(key)
      // The peer has closed, too, or had its time to do so.
      await closed
      await leave()
      await this.#keys.release(from)
    }
  }

  async #accept(stream: FrameStream, make: MakeHandler): Promise<void> {
    const { peerId } = stream
    if (this.#options.isPaired(peerId)) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'a link comes from the key of a peer' })
    const peer = peerIdFromString(peerId)
    const connections = [...this.#options.libp2p.getConnections(peer)]
    add(this.#linkPeers, peerId, 1)
    try {
      await this.#runAccepted(stream, make)
      await stream.close()
    } catch (error) {
      stream.abort(toMeshError(error))
      throw error
    } finally {
      await stream.closed
      // Its peer has no other business here.
      await hangUp(this.#options.libp2p, peer, connections)
      this.#options.timers.schedule(forgetMs, () => add(this.#linkPeers, peerId, -1))
    }
  }

  async #runAccepted(stream: FrameStream, make: MakeHandler): Promise<void> {
    const frames = stream.frames()[Symbol.asyncIterator]()
    const first = await frames.next()
    if (first.done === true) return
    const cells = decodeCells(first.value)
    const peer = this.#peerOf(cells[0], stream)
    const prefix = peer.kind === 'client' ? peer.prefix : undefined
    const { accepted = maxAcceptedLinks, clientsOfPrefix = maxClientsOfPrefix } = this.#options.limits ?? {}
    if (this.#accepted.size >= accepted && !this.#makeRoom(peer.prefix)) throw tooMany(`over ${accepted} links`)
    if (prefix !== undefined && (this.#clientsOfPrefix.get(prefix) ?? 0) >= clientsOfPrefix)
      throw tooMany(`over ${clientsOfPrefix} links of clients in one network`)
    const link = this.#makeLink({ opener: 'peer', peer, stream, frames })
    this.#accepted.add(link)
    if (prefix !== undefined) add(this.#clientsOfPrefix, prefix, 1)
    try {
      await link.run(make, peer.kind === 'relay' ? cells.slice(1) : cells)
    } finally {
      this.#accepted.delete(link)
      if (prefix !== undefined) add(this.#clientsOfPrefix, prefix, -1)
    }
  }

  /**
   * Ends a link of the network that has most of them, for one of a network that has few: any key proves itself, so that keys alone could hold all places. It is
   * the one over which no circuit ran for longest. False when the network that asks has as many.
   */
  #makeRoom(prefix: string): boolean {
    const byPrefix = new Map<string, FrameLink[]>()
    for (const link of this.#accepted) byPrefix.set(link.peer.prefix, [...(byPrefix.get(link.peer.prefix) ?? []), link])
    const [crowd = []] = [...byPrefix.values()].sort((a, b) => b.length - a.length)
    if (crowd.length <= (byPrefix.get(prefix)?.length ?? 0) + 1) return false
    const [idle] = crowd.toSorted((a, b) => b.idleMs - a.idleMs)
    if (idle === undefined) return false
    this.#accepted.delete(idle)
    idle.close(tooMany('others of its network have most of the links'))
    return true
  }

  #peerOf(first: Cell | undefined, { publicKey, remoteHost = '' }: FrameStream): LinkPeer {
    const prefix = addressPrefix(remoteHost)
    if (first?.command !== cellCommands.link || !isLinkProof(first.body)) return { kind: 'client', prefix }
    const { signer, verifier, clock } = this.#options
    const proved = provedKey(verifier, first.body, { linkKey: publicKey, acceptor: signer.publicKey, now: clock.wall() })
    return { kind: 'relay', publicKey: proved, prefix }
  }

  #makeLink(link: Pick<FrameLinkOptions, 'opener' | 'peer' | 'stream' | 'frames'>): FrameLink {
    return new FrameLink({ ...link, id: this.#nextId++, now: () => this.#options.clock.monotonic() })
  }

  #checkLater(): void {
    this.#cancelCheck = this.#options.timers.schedule(checkMs, () => {
      this.#closeIdle()
      this.#checkLater()
    })
  }

  #closeIdle(): void {
    for (const link of this.#accepted) if (link.idleMs >= acceptedIdleMs) link.close()
    for (const opened of this.#opened) {
      opened.link.beat()
      if (opened.link.idleMs >= (this.#isGood(opened) ? idleMs : 1)) opened.link.close()
    }
  }
}

const nothing: Cell = { circuit: 0, command: cellCommands.padding, body: new Uint8Array(cellSizes.body) }

const proof = ({ signer, clock }: CellLinksOptions, linkKey: Uint8Array, acceptor: Uint8Array): Cell => ({
  circuit: 0,
  command: cellCommands.link,
  body: proveLink(signer, { linkKey, acceptor, now: clock.wall() })
})

const isOfRelay = (key: string): boolean => key.startsWith('relay ')

const tooMany = (reason: string): MeshError => new MeshError('PROTOCOL_LIMIT', { protocol: 'onion', reason })

function add(counts: Map<string, number>, key: string, more: number): void {
  const count = (counts.get(key) ?? 0) + more
  if (count > 0) counts.set(key, count)
  else counts.delete(key)
}
