import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { isMeshError, MeshError, type WallMillis } from '../core/base/index.ts'
import type { GroupMark } from '../core/message/index.ts'
import { type Card, isPeerId, type NameBook, type ResolvedName, resolveName } from '../core/peers/index.ts'
import type { ConnectionPath } from '../core/nat/index.ts'
import type { Standing } from './inbox-limits.ts'
import type { DiscoveryMethod, PeerInfo, PeerReference, ReceivedGroup } from './mesh.ts'
import { peerIdOfKey } from './peer-keys.ts'
import type { BlockedRecord, PairRecord } from './ports.ts'
import { rawPublicKey } from './protocol-host.ts'
import type { Sender } from './received.ts'

/** A destination as it was resolved. */
export interface Resolved {
  readonly peerId: string
  readonly publicKey: Uint8Array
  /** The agent label that was named; empty when the peer itself was. */
  readonly label: string
  /** The multiaddr that was given, to be dialled. */
  readonly address: string | undefined
}

/** What was learnt of a peer; only what is given changes. */
export interface PeerFacts {
  /** Its verified card. */
  readonly card?: Card
  readonly rttMs?: number
  readonly foundBy?: DiscoveryMethod
}

interface KnownPeer {
  card: Card | undefined
  rttMs: number | undefined
  lastSeen: WallMillis
  readonly foundBy: Set<DiscoveryMethod>
}

export interface PeerBookOptions {
  /** What a message of this peer says of its group. */
  readonly groupOf: (mark: GroupMark, from: { readonly source: Uint8Array; readonly own: string }) => ReceivedGroup
  readonly ownPeerId: string
  /** What this node calls itself; '' = nothing. */
  readonly ownName: string
  readonly pairs: readonly PairRecord[]
  readonly blocked: readonly BlockedRecord[]
  /** How a peer is reached; undefined while it is not connected. */
  readonly pathTo: (peerId: string) => ConnectionPath | undefined
  readonly wall: () => WallMillis
  /** The comparison words of the pairing with a peer, while they are kept. */
  readonly wordsOf?: (peerId: string) => readonly string[] | undefined
}

/** Strangers remembered; beyond it the one not seen for longest is forgotten. Paired peers do not count. */
const maxStrangers = 4_096
const maxCachedKeys = 4_096

/** Everything that is known of peers, and whom a name means. */
export class PeerBook {
  readonly #options: PeerBookOptions
  readonly #pairs = new Map<string, PairRecord>()
  readonly #blocked = new Map<string, BlockedRecord>()
  readonly #known = new Map<string, KnownPeer>()
  readonly #references = new Map<string, PeerReference>()

  constructor(options: PeerBookOptions) {
    this.#options = options
    for (const pair of options.pairs) this.#pairs.set(pair.peerId, pair)
    for (const blocked of options.blocked) this.#blocked.set(blocked.peerId, blocked)
  }

  /** Paired peers but those that are blocked. */
  get pairs(): readonly PairRecord[] {
    return [...this.#pairs.values()].filter(({ peerId }) => !this.isBlocked(peerId))
  }

  /** All paired peers, blocked ones too. */
  get records(): readonly PairRecord[] {
    return [...this.#pairs.values()]
  }

  get blocked(): readonly BlockedRecord[] {
    return [...this.#blocked.values()]
  }

  get knownCount(): number {
    return this.#known.size
  }

  /** Peers that are paired with us, by public key. */
  isPaired(publicKey: Uint8Array): boolean {
    return this.pairOf(peerIdOfKey(publicKey)) !== undefined
  }

  /** What is known of a paired peer; of one that is blocked nothing. */
  pairOf(peerId: string): PairRecord | undefined {
    return this.isBlocked(peerId) ? undefined : this.#pairs.get(peerId)
  }

  /** How this node stands to a peer. */
  standingOf(publicKey: Uint8Array): Standing {
    const peerId = peerIdOfKey(publicKey)
    const pair = this.pairOf(peerId)
    return { paired: pair !== undefined, commands: pair?.commands === true, blocked: this.isBlocked(peerId) }
  }

  /** As `pairOf`, though the peer may be blocked. */
  recordOf(peerId: string): PairRecord | undefined {
    return this.#pairs.get(peerId)
  }

  isBlocked(peerId: string): boolean {
    return this.#blocked.has(peerId)
  }

  /** Whether the peer was not known before. */
  learn(peerId: string, facts: PeerFacts): boolean {
    if (peerId === this.#options.ownPeerId) return false
    const before = this.#known.get(peerId)
    const peer = before ?? { card: undefined, rttMs: undefined, lastSeen: this.#options.wall(), foundBy: new Set<DiscoveryMethod>() }
    // Back to the end: the first of the map is the one not seen for longest.
    this.#known.delete(peerId)
    this.#known.set(peerId, peer)
    peer.lastSeen = this.#options.wall()
    if (facts.card !== undefined && facts.card.issuedAt >= (peer.card?.issuedAt ?? 0)) peer.card = facts.card
    if (facts.rttMs !== undefined) peer.rttMs = facts.rttMs
    if (facts.foundBy !== undefined) peer.foundBy.add(facts.foundBy)
    this.#forget()
    return before === undefined
  }

  pair(record: PairRecord): void {
    this.#pairs.set(record.peerId, record)
    this.#references.delete(record.peerId)
  }

  unpair(peerId: string): void {
    this.#pairs.delete(peerId)
    this.#references.delete(peerId)
  }

  block(record: BlockedRecord): void {
    this.#blocked.set(record.peerId, record)
    this.#references.delete(record.peerId)
  }

  unblock(peerId: string): void {
    this.#blocked.delete(peerId)
    this.#references.delete(peerId)
  }

  /** Whom a text means to us: a name only a stranger claims is nobody's (rules S5). @throws {MeshError} PEER_UNKNOWN, NAME_AMBIGUOUS, ADDRESS_INVALID, USAGE (this node's own) */
  resolve(name: string): Resolved {
    const { claimed, ...resolved } = this.find(name)
    if (claimed) throw new MeshError('PEER_UNKNOWN', { name, nearest: [], claimedBy: [resolved.peerId] })
    return resolved
  }

  /** As `resolve`, but a stranger who claims the name is found as well: to show it, never to trust it. */
  find(name: string): Resolved & { readonly claimed: boolean } {
    if (isPeerId(name)) return { peerId: name, publicKey: keyOf(name), label: '', address: undefined, claimed: false }
    const paired = [...this.#pairs.values()].map(({ peerId, name: pinned, alias }) => ({
      peerId,
      name: pinned,
      alias,
      labels: this.#known.get(peerId)?.card?.labels ?? []
    }))
    const claims = [...this.#known]
      .filter(([peerId]) => this.recordOf(peerId) === undefined)
      .map(([peerId, { card }]) => ({ peerId, name: card?.name ?? '', labels: card?.labels ?? [] }))
    const { peerId, by, address, claimed } = this.#resolveName(name, { paired, claims })
    if (address !== undefined) checkAddress(address)
    return { peerId, publicKey: keyOf(peerId), label: by === 'label' ? name : '', address, claimed }
  }

  /** As `resolveName`; who is nobody else, but is what this node is called, is told so. */
  #resolveName(name: string, known: NameBook): ResolvedName {
    try {
      return resolveName(name, known)
    } catch (error) {
      if (isMeshError(error, 'PEER_UNKNOWN') && this.#isOwn(name)) throw new MeshError('USAGE', { problem: `${name} is this node itself` })
      throw error
    }
  }

  #isOwn(name: string): boolean {
    const { ownPeerId, ownName } = this.#options
    try {
      resolveName(name, { paired: [{ peerId: ownPeerId, name: ownName, alias: '', labels: [] }], claims: [] })
      return true
    } catch {
      return false
    }
  }

  reference(publicKey: Uint8Array): PeerReference {
    return this.referenceOf(peerIdOfKey(publicKey))
  }

  referenceOf(peerId: string): PeerReference {
    const known = this.#references.get(peerId)
    if (known !== undefined) return known
    const pair = this.recordOf(peerId)
    const reference = { peerId, name: pair === undefined ? shortName(peerId) : nameOf(pair) }
    evictFirst(this.#references, maxCachedKeys)
    this.#references.set(peerId, reference)
    return reference
  }

  sender(publicKey: Uint8Array): Sender {
    return {
      source: this.reference(publicKey),
      paired: this.isPaired(publicKey),
      groupOf: (mark, own) => this.#options.groupOf(mark, { source: publicKey, own })
    }
  }

  info(peerId: string): PeerInfo {
    const pair = this.recordOf(peerId)
    const blocked = this.isBlocked(peerId)
    const known = this.#known.get(peerId)
    const path = this.#options.pathTo(peerId)
    return {
      peerId,
      name: pair === undefined ? shortName(peerId) : nameOf(pair),
      alias: pair === undefined || pair.alias === '' ? undefined : pair.alias,
      claimedName: known?.card === undefined || known.card.name === '' ? undefined : known.card.name,
      paired: pair !== undefined && !blocked,
      commands: pair !== undefined && !blocked && pair.commands,
      blocked,
      connected: path !== undefined,
      path,
      addresses: known?.card?.addresses ?? pair?.addresses ?? [],
      features: known?.card?.features ?? [],
      labels: known?.card?.labels ?? [],
      rttMs: known?.rttMs,
      lastSeen: known?.lastSeen,
      foundBy: [...(known?.foundBy ?? [])],
      words: pair === undefined ? undefined : this.#options.wordsOf?.(peerId)
    }
  }

  /** Paired peers first, then the others, each by name. */
  list(): readonly PeerInfo[] {
    const ids = new Set([...this.#pairs.keys(), ...this.#blocked.keys(), ...this.#known.keys()])
    return [...ids]
      .map((peerId) => this.info(peerId))
      .sort((a, b) => Number(b.paired) - Number(a.paired) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  }

  #forget(): void {
    if (this.#known.size <= maxStrangers) return
    for (const peerId of this.#known.keys()) {
      if (this.recordOf(peerId) !== undefined) continue
      this.#known.delete(peerId)
      return
    }
  }
}

const keys = new Map<string, Uint8Array>()

/** The raw key in the id of an Ed25519 peer. @throws {MeshError} ADDRESS_INVALID */
export function keyOf(peerId: string): Uint8Array {
  const known = keys.get(peerId)
  if (known !== undefined) return known
  const key = rawPublicKey(parsePeerId(peerId))
  evictFirst(keys, maxCachedKeys)
  keys.set(peerId, key)
  return key
}

/** Whether `keyOf` has met this peer id: then it is one. */
export const isKnownPeerId = (text: string): boolean => keys.has(text)

function parsePeerId(text: string): PeerId {
  try {
    return peerIdFromString(text)
  } catch (cause) {
    throw new MeshError('ADDRESS_INVALID', { address: text.slice(0, 100), reason: 'not a peer id' }, { cause })
  }
}

function checkAddress(address: string): void {
  try {
    multiaddr(address)
  } catch (cause) {
    throw new MeshError(
      'ADDRESS_INVALID',
      { address: address.slice(0, 300), reason: cause instanceof Error ? cause.message : 'no multiaddr' },
      { cause }
    )
  }
}

function evictFirst(cache: Map<string, unknown>, max: number): void {
  if (cache.size >= max) cache.delete(cache.keys().next().value ?? '')
}

const nameOf = ({ alias, name, peerId }: PairRecord): string => alias || name || shortName(peerId)

/** The part of a peer id that differs, short. */
const shortName = (peerId: string): string => `…${peerId.slice(-8)}`
