import type { Libp2p } from '@libp2p/interface'
import { isLoopback, isPrivate } from '@libp2p/utils'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import {
  ByteWriter,
  type Clock,
  MeshError,
  type Random,
  type Signer,
  type Verifier,
  compareBytes,
  toHex,
  wallMillis,
  isMeshError,
  randomFraction,
  utf8
} from '../core/base/index.ts'
import { type Card, cardLimits, decodeCard, encodeCard } from '../core/peers/index.ts'
import { isCircuit } from './connections.ts'
import type { FrameStream } from './frame-stream.ts'
import { cardInAnswer, KeptCards } from './kept-cards.ts'
import type { LogRecord } from './mesh.ts'
import { gossipTopic } from './network-ids.ts'
import { keyOf } from './peer-book.ts'
import { peerIdOfKey } from './peer-keys.ts'
import type { Timers } from './ports.ts'
import { type ProtocolHost, shortPeerId } from './protocol-host.ts'
import { FrameExchange } from './request.ts'
import { TokenBuckets } from './token-buckets.ts'

export type GossipVerdict = 'accept' | 'ignore' | 'reject'

/** Gossip, as far as this software uses it. `from` is the peer id whose signature on the message verified, `via` the neighbour that handed it over. */
export interface GossipPort {
  subscribe(topic: string, handler: (from: string, data: Uint8Array, via: string) => GossipVerdict): void
  /** How many peers it was given to. */
  publish(topic: string, data: Uint8Array): Promise<number>
}

export interface CardServiceOptions {
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  readonly gossip: GossipPort
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly signer: Signer
  readonly verifier: Verifier
  readonly sha256: (bytes: Uint8Array) => Uint8Array
  readonly network: string
  readonly log: (record: LogRecord) => void
  /** What our card says, asked whenever it is issued; '' = no name. */
  readonly describe: () => { readonly name: string; readonly labels: readonly string[]; readonly features: readonly string[] }
  /** A card that was verified to belong to `peerId`, new or newer than the last one. */
  readonly onCard?: (peerId: string, card: Card) => void
  /** How often our card is announced and our name published, default 600,000 ms; the first announcements come sooner. */
  readonly announceMs?: number
}

/** `mine`: which card do you have of me? */
const requestKind = { plain: 1, withCard: 2, mine: 3 } as const
/** Own cards whose signatures are remembered. */
const maxIssued = 256
const maxCached = 4_096
const fetchTimeoutMs = 5_000
/** A card is signed anew after this, so that a peer that kept it knows it for current. */
const reissueMs = 3_600_000
const firstAnnouncesMs = [1_000, 5_000, 30_000] as const
const firstProvideMs = 5_000
const nextProvideMs = 20_000
const provideTimeoutMs = 30_000
/** Announcements taken from one signer in a second. */
const announcesPerSecond = 0.2
/** Announcements taken from one neighbour in a second, with a burst of ten times as many: signers cost nothing to make. */
const relaysPerSecond = 25
const rawCodec = 0x55
const sha256Code = 0x12

/** Our own card, and those of others: served, fetched, announced by gossip, and found by name through the DHT. */
export class CardService {
  readonly #options: CardServiceOptions
  readonly #cache = new Map<string, Card>()
  readonly #announceRate: TokenBuckets
  readonly #relayRate: TokenBuckets
  readonly #stopped = new AbortController()
  #own: { readonly bytes: Uint8Array; readonly card: Card; readonly at: number } | undefined
  readonly #kept = new KeptCards()
  readonly #issued = new Set<string>()
  #earliestIssue = 0
  #cancelAnnounce: () => void = () => undefined
  #announces = 0
  #cancelProvide: () => void = () => undefined
  #lastProvide: { readonly at: number; readonly peers: number } | undefined

  constructor(options: CardServiceOptions) {
    this.#options = options
    this.#announceRate = new TokenBuckets({ clock: options.clock, perSecond: announcesPerSecond, burst: 5, maxKeys: maxCached })
    this.#relayRate = new TokenBuckets({ clock: options.clock, perSecond: relaysPerSecond, burst: 10 * relaysPerSecond })
  }

  /** Serves our card and begins to announce it. */
  async start(): Promise<void> {
    const { host, gossip, network, libp2p } = this.#options
    await host.serve('card', (stream) => this.#serve(stream))
    gossip.subscribe(gossipTopic(network, 'cards'), (from, data, via) => this.#heard({ from, via }, data))
    libp2p.addEventListener('self:peer:update', this.#onSelfUpdate)
    this.#scheduleAnnounce()
    this.#scheduleProvide(firstProvideMs)
  }

  stop(): void {
    this.#options.libp2p.removeEventListener('self:peer:update', this.#onSelfUpdate)
    this.#cancelAnnounce()
    this.#cancelProvide()
    this.#stopped.abort()
  }

  /** Our signed card as it is now. */
  own(): Uint8Array {
    const { clock, libp2p, network, signer, describe } = this.#options
    const addresses = bestFirst(libp2p.getMultiaddrs()).map(String)
    const said = { ...describe(), addresses }
    const last = this.#own
    if (last !== undefined && clock.monotonic() - last.at < reissueMs && JSON.stringify(said) === JSON.stringify(saidOf(last.card))) return last.bytes
    const card: Card = { network, publicKey: signer.publicKey, issuedAt: wallMillis(Math.max(clock.wall(), this.#earliestIssue)), ...said }
    const bytes = encodeCard(card, signer)
    this.#own = { bytes, card, at: clock.monotonic() }
    this.#issued.add(signatureOf(bytes))
    if (this.#issued.size > maxIssued) this.#issued.delete(this.#issued.values().next().value ?? '')
    return bytes
  }

  /** The card of a peer, if one was verified before. */
  get(peerId: string): Card | undefined {
    return this.#cache.get(peerId)
  }

  /** Fetches the card of a peer over its connection; ours goes with the request. @throws {MeshError} PEER_UNREACHABLE, TIMEOUT, IDENTITY_MISMATCH, SIGNATURE_INVALID, MESSAGE_MALFORMED … */
  async fetch(peerId: string, signal?: AbortSignal): Promise<Card> {
    return (await this.visit(peerId, signal)).card
  }

  /** Fetches the card of a peer, and how long it took to answer on the open stream. @throws as fetch */
  async visit(peerId: string, signal?: AbortSignal): Promise<{ readonly card: Card; readonly rttMs: number }> {
    const { host, timers, clock } = this.#options
    const stream = await host.open(peerId, 'card', signal)
    try {
      const exchange = new FrameExchange(stream, {
        operation: 'fetching a card',
        timeoutMs: fetchTimeoutMs,
        timers,
        ...(signal === undefined ? {} : { signal })
      })
      const askedAt = clock.monotonic()
      const answer = await exchange.request(new ByteWriter().u8(requestKind.withCard).raw(this.own()).finish())
      return { rttMs: clock.monotonic() - askedAt, card: this.#take(answer, stream.publicKey) }
    } finally {
      void stream.close()
    }
  }

  /** The card that a connected peer has of this node, and whether this process issued it; undefined when the peer has none. @throws as fetch */
  async seenBy(peerId: string, signal?: AbortSignal): Promise<{ readonly card: Card; readonly isOurs: boolean } | undefined> {
    const { host, timers, network, verifier, signer } = this.#options
    const stream = await host.open(peerId, 'card', signal)
    try {
      const exchange = new FrameExchange(stream, {
        operation: 'asking for our own card',
        timeoutMs: fetchTimeoutMs,
        timers,
        ...(signal === undefined ? {} : { signal })
      })
      const bytes = cardInAnswer(await exchange.request(Uint8Array.of(requestKind.mine)))
      if (bytes === undefined) return undefined
      return { card: decodeCard(bytes, { network, publicKey: signer.publicKey, verifier }), isOurs: this.#issued.has(signatureOf(bytes)) }
    } finally {
      void stream.close()
    }
  }

  /** When our card was issued last. */
  get issuedAt(): number {
    this.own()
    return this.#own?.card.issuedAt ?? 0
  }

  /** Issues our card anew, later than `issuedAt`, whatever the clock says. */
  outdo(issuedAt: number): void {
    this.#earliestIssue = issuedAt + 1
    this.#own = undefined
  }

  /** Verifies a card that came from the peer with `publicKey` and keeps it. */
  #take(bytes: Uint8Array, publicKey: Uint8Array): Card {
    const { network, verifier } = this.#options
    const card = decodeCard(bytes, { network, publicKey, verifier })
    this.#keep(peerIdOfKey(publicKey), card, bytes)
    return card
  }

  /** Puts the name and the labels of this node into the DHT. How many of them were taken. */
  async provide(signal?: AbortSignal): Promise<number> {
    const { libp2p, describe, log } = this.#options
    const { name, labels } = describe()
    let provided = 0
    for (const each of new Set([name, ...labels])) {
      if (each === '') continue
      try {
        await libp2p.contentRouting.provide(this.#cidOf(each), { signal: this.#limit(signal, provideTimeoutMs) })
        provided += 1
      } catch (error) {
        log({ level: 'debug', event: 'name.not-provided', fields: { name: each, reason: reasonOf(error) } })
      }
    }
    return provided
  }

  /**
   * Who in the network has a card with this name or label: provider records say where to ask, the cards themselves decide.
   * At most `count` (default 8) cards. What comes back are claims.
   */
  async find(
    name: string,
    options: { readonly count?: number; readonly signal?: AbortSignal } = {}
  ): Promise<readonly { readonly peerId: string; readonly card: Card }[]> {
    const { libp2p, log } = this.#options
    const { count = 8 } = options
    const signal = this.#limit(options.signal, provideTimeoutMs)
    const found = new Map<string, Card>()
    const asked = new Set<string>()
    try {
      for await (const provider of libp2p.contentRouting.findProviders(this.#cidOf(name), { signal })) {
        const peerId = provider.id.toString()
        if (asked.has(peerId) || peerId === libp2p.peerId.toString()) continue
        asked.add(peerId)
        if (provider.multiaddrs.length > 0)
          await libp2p.peerStore.merge(provider.id, { multiaddrs: provider.multiaddrs.slice(0, cardLimits.addresses) })
        const card = await this.fetch(peerId, signal).catch(() => undefined)
        if (card !== undefined && (card.name === name || card.labels.includes(name))) found.set(peerId, card)
        if (found.size >= count || asked.size >= 4 * count) break
      }
    } catch (error) {
      if (options.signal?.aborted === true) throw new MeshError('ABORTED', { operation: 'finding a name' }, { cause: error })
      log({ level: 'debug', event: 'name.search-ended', fields: { name, reason: reasonOf(error) } })
    }
    return [...found].map(([peerId, card]) => ({ peerId, card }))
  }

  /** What we say of ourselves is another thing now: it is announced, and provided in the DHT, soon. */
  changed(): void {
    this.#announces = 0
    this.#scheduleAnnounce()
    this.#lastProvide = undefined
    this.#cancelProvide()
    this.#scheduleProvide(firstProvideMs)
  }

  /** Announces our card by gossip. How many peers got it from us. */
  async announce(): Promise<number> {
    const { gossip, network } = this.#options
    return gossip.publish(gossipTopic(network, 'cards'), this.own())
  }

  async #serve(stream: FrameStream): Promise<void> {
    for await (const frame of stream.frames()) {
      const kind = frame[0]
      if (kind === requestKind.mine && frame.length === 1) {
        await stream.send(this.#kept.answer(peerIdOfKey(stream.publicKey)))
        continue
      }
      if (kind === requestKind.withCard) this.#take(frame.subarray(1), stream.publicKey)
      else if (kind !== requestKind.plain || frame.length !== 1)
        throw new MeshError('MESSAGE_MALFORMED', { what: 'card request', reason: `kind ${kind}`, offset: 0 })
      await stream.send(this.own())
    }
  }

  // Cheap checks first: size and rate, then the format, then the signature.
  #heard({ from, via }: { readonly from: string; readonly via: string }, data: Uint8Array): GossipVerdict {
    if (data.length > cardLimits.bytes) return 'reject'
    if (!this.#relayRate.take(via)) return 'ignore'
    if (!this.#announceRate.take(from)) return 'ignore'
    try {
      this.#take(data, keyOf(from))
      return 'accept'
    } catch (error) {
      const code = isMeshError(error) ? error.code : 'INTERNAL'
      this.#options.log({ level: 'debug', event: 'gossip.card-refused', fields: { peer: shortPeerId(from), code } })
      return 'reject'
    }
  }

  #keep(peerId: string, card: Card, bytes: Uint8Array): void {
    const before = this.#cache.get(peerId)
    if (before !== undefined && before.issuedAt > card.issuedAt) return
    this.#cache.delete(peerId)
    if (this.#cache.size >= maxCached) this.#cache.delete(this.#cache.keys().next().value ?? '')
    this.#cache.set(peerId, card)
    if (this.#options.libp2p.getConnections(peerIdFromString(peerId)).length > 0) this.#kept.keep(peerId, bytes)
    else this.#kept.forget(peerId)
    if (before === undefined || before.issuedAt < card.issuedAt) this.#options.onCard?.(peerId, card)
  }

  /** The key under which a name is in the DHT: SHA-256 of lp(network) ‖ lp(name), as a raw CID. */
  #cidOf(name: string): CID {
    const { network, sha256 } = this.#options
    const digest = sha256(new ByteWriter().prefixed32(utf8(network)).prefixed32(utf8(name)).finish())
    return CID.createV1(rawCodec, createDigest(sha256Code, digest))
  }

  #limit(signal: AbortSignal | undefined, timeoutMs: number): AbortSignal {
    const signals = [this.#stopped.signal, AbortSignal.timeout(timeoutMs)]
    return AbortSignal.any(signal === undefined ? signals : [...signals, signal])
  }

  readonly #onSelfUpdate = (): void => {
    const before = this.#own?.bytes
    if (before === undefined || compareBytes(before, this.own()) === 0) return
    this.#announces = 0
    this.#scheduleAnnounce()
  }

  // Soon after the start, when the first peers are there, then now and then.
  #scheduleAnnounce(): void {
    const { timers, announceMs = 600_000 } = this.#options
    this.#cancelAnnounce()
    const delayMs = Math.min(announceMs, firstAnnouncesMs[this.#announces] ?? announceMs)
    this.#announces += 1
    this.#cancelAnnounce = timers.schedule(delayMs, () => {
      void this.#announceAll()
      this.#scheduleAnnounce()
    })
  }

  async #announceAll(): Promise<void> {
    const { libp2p, log } = this.#options
    if (libp2p.getPeers().length === 0 || this.#stopped.signal.aborted) return
    try {
      await this.announce()
    } catch (error) {
      log({ level: 'debug', event: 'card.not-announced', fields: { reason: reasonOf(error) } })
    }
  }

  // Spread out: a record costs a walk and a stream to each of twenty peers. It is put again when there are many more peers than the last time.
  #scheduleProvide(delayMs: number): void {
    const { timers, random, announceMs = 600_000 } = this.#options
    this.#cancelProvide = timers.schedule(delayMs * (1 + randomFraction(random)), () => {
      void this.#provideWhenDue().finally(() => {
        if (!this.#stopped.signal.aborted) this.#scheduleProvide(Math.min(announceMs, nextProvideMs))
      })
    })
  }

  async #provideWhenDue(): Promise<void> {
    const { clock, libp2p, announceMs = 600_000 } = this.#options
    const peers = libp2p.getPeers().length
    const last = this.#lastProvide
    const due = last === undefined || clock.monotonic() - last.at >= announceMs || peers >= 2 * last.peers
    if (peers === 0 || !due) return
    if ((await this.provide()) > 0) this.#lastProvide = { at: clock.monotonic(), peers }
  }
}

/** A card has room for twelve: public addresses, then those over relays, then those of the local network, and of this machine. */
const bestFirst = (addresses: readonly Multiaddr[]): readonly Multiaddr[] => [...addresses].sort((a, b) => rankOf(a) - rankOf(b))

function rankOf(address: Multiaddr): number {
  if (isCircuit(address)) return 1
  if (isLoopback(address)) return 3
  return isPrivate(address) ? 2 : 0
}

/** The last 64 bytes of a card are its signature. */
const signatureOf = (card: Uint8Array): string => toHex(card.subarray(-64))

const saidOf = ({ name, labels, features, addresses }: Card): Pick<Card, 'name' | 'labels' | 'features' | 'addresses'> => ({
  name,
  labels,
  features,
  addresses
})
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message.slice(0, 200) : String(error))
