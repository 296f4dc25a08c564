import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { equalBytes, MeshError } from '../core/base/index.ts'
import { shortIdOf } from '../core/peers/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import { checkAlias, isTaken } from './alias.ts'
import type { Contact, ContactChange, Contacts, PendingPeer } from './contacts-types.ts'
import { heldLimits } from './inbox-limits.ts'
import type { LogRecord, ReceivedMessage } from './mesh.ts'
import type { MeshInbox } from './mesh-inbox.ts'
import { keyOf, type PeerBook } from './peer-book.ts'
import type { HeldSource, PairRecord, Platform } from './ports.ts'
import { type ProtocolHost, shortPeerId } from './protocol-host.ts'

export interface ContactServiceOptions {
  readonly libp2p: Libp2p
  readonly platform: Pick<Platform, 'clock' | 'peerStore' | 'trustStore' | 'deliveryStore'>
  readonly options: MeshOptions
  readonly book: PeerBook
  readonly host: ProtocolHost
  readonly inbox: MeshInbox
  readonly log: (record: LogRecord) => void
  /** A peer is paired: keep it connected, release its held messages; resolves with how many these were. */
  readonly onPaired: (pair: PairRecord) => Promise<number>
  /** A peer is kept connected no longer. */
  readonly onUnpaired: (peerId: string) => void
}

const maxShown = 1_000
const defaultPending = 100
const maxPending = 1_000
/** Messages of strangers that are given out at once. */
const maxShownBytes = 8_388_608
/** Messages of the outbox that are looked through to say how many go to one peer. */
const maxQueued = 10_000

/** Decides about peers, and carries it out: in the store first, then in the book, then in the network. */
export class ContactService implements Contacts {
  readonly #options: ContactServiceOptions

  constructor(options: ContactServiceOptions) {
    this.#options = options
  }

  /** Ends the connections that blocked peers made before this node knew of them. */
  start(): void {
    const { book, libp2p } = this.#options
    for (const { peerId } of book.blocked) void libp2p.hangUp(peerIdFromString(peerId)).catch(() => undefined)
  }

  list(): Promise<readonly Contact[]> {
    const { book } = this.#options
    const ids = book.list().flatMap(({ peerId, blocked }) => (blocked || book.recordOf(peerId) !== undefined ? [peerId] : []))
    return Promise.resolve(ids.map((peerId) => this.#contact(peerId)))
  }

  async pending({ show = false, limit = defaultPending }: { readonly show?: boolean; readonly limit?: number } = {}): Promise<
    readonly PendingPeer[]
  > {
    const found = await this.#options.platform.trustStore.heldSources()
    const peers: PendingPeer[] = []
    let shownBytes = 0
    for (const source of found.slice(0, Math.min(maxPending, Math.max(1, limit)))) {
      shownBytes += source.bytes
      peers.push(await this.#pendingPeer(source, show && shownBytes <= maxShownBytes))
    }
    return peers
  }

  async #pendingPeer({ source, messages, bytes, since, types }: HeldSource, show: boolean): Promise<PendingPeer> {
    const { book, options } = this.#options
    const { peerId, name } = book.reference(source)
    const { claimedName, connected, blocked } = book.info(peerId)
    const { messages: maxMessages, bytes: maxBytes } = heldLimits(options)
    const held = show ? await this.#heldOf(peerId) : []
    return { peerId, name, claimedName, connected, blocked, messages, bytes, maxMessages, maxBytes, since, types, held }
  }

  async approve(name: string, { alias, commands }: { readonly alias?: string; readonly commands?: boolean } = {}): Promise<ContactChange> {
    const { platform, book, onPaired } = this.#options
    const peerId = await this.#peerId(name)
    const before = book.recordOf(peerId)
    if (alias !== undefined && alias !== '') checkAlias(alias, this.#others(peerId))
    await this.#unblock(peerId)
    const { claimedName, addresses } = book.info(peerId)
    const pair: PairRecord = {
      publicKey: keyOf(peerId),
      peerId,
      name: before?.name ?? (claimedName === undefined || isTaken(claimedName, this.#others(peerId)) ? '' : claimedName),
      alias: alias ?? before?.alias ?? '',
      addresses: before?.addresses ?? addresses.slice(0, 16),
      pairedAt: before?.pairedAt ?? platform.clock.wall(),
      commands: commands ?? before?.commands ?? false
    }
    await platform.peerStore.savePair(pair)
    this.#log('peer.approved', peerId, { commands: pair.commands })
    return this.#change(peerId, { released: await onPaired(pair) })
  }

  async rename(name: string, alias: string): Promise<ContactChange> {
    const pair = this.#paired(await this.#peerId(name))
    if (alias !== '') checkAlias(alias, this.#others(pair.peerId))
    await this.#save({ ...pair, alias })
    return this.#change(pair.peerId)
  }

  async trust(name: string, { commands }: { readonly commands?: boolean } = {}): Promise<ContactChange> {
    const { book, onPaired } = this.#options
    const peerId = await this.#peerId(name)
    const wasBlocked = book.isBlocked(peerId)
    const pair = book.recordOf(peerId)
    if (pair === undefined && (commands === true || !wasBlocked)) throw new MeshError('PEER_NOT_PAIRED', { peer: book.referenceOf(peerId).name })
    await this.#unblock(peerId)
    if (pair === undefined) return this.#change(peerId)
    if (commands !== undefined) await this.#save({ ...pair, commands })
    this.#log('peer.rights', peerId, { commands: commands ?? pair.commands })
    return this.#change(peerId, wasBlocked ? { released: await onPaired(this.#paired(peerId)) } : {})
  }

  async block(name: string, { deleteHeld = false }: { readonly deleteHeld?: boolean } = {}): Promise<ContactChange> {
    const { platform, book, libp2p, host, onUnpaired } = this.#options
    const peerId = await this.#peerId(name)
    const publicKey = keyOf(peerId)
    if (!book.isBlocked(peerId)) {
      const known = book.recordOf(peerId)?.name ?? book.info(peerId).claimedName ?? ''
      const record = { publicKey, peerId, name: known, blockedAt: platform.clock.wall() }
      await platform.trustStore.block(record)
      book.block(record)
      this.#log('peer.blocked', peerId, {})
    }
    onUnpaired(peerId)
    host.closeAll(new MeshError('NOT_ALLOWED', { peer: 'this node' }), peerId)
    await libp2p.hangUp(peerIdFromString(peerId)).catch(() => undefined)
    return this.#change(peerId, { deleted: deleteHeld ? await platform.trustStore.dropHeld(publicKey) : 0 })
  }

  async remove(name: string): Promise<ContactChange> {
    const { platform, book, onUnpaired } = this.#options
    const peerId = await this.#peerId(name)
    const { publicKey } = this.#paired(peerId)
    await platform.trustStore.removePair(publicKey)
    book.unpair(peerId)
    onUnpaired(peerId)
    this.#log('peer.removed', peerId, {})
    return this.#change(peerId)
  }

  /** Whom a text means here: a paired peer as everywhere; of others a whole id, or the short id of one that is known or of which messages are held. */
  async #peerId(name: string): Promise<string> {
    const { book, libp2p } = this.#options
    const end = shortIdOf(name)
    const peerId = end === undefined ? book.resolve(name).peerId : await this.#endingIn(end, name)
    if (peerId === libp2p.peerId.toString()) throw new MeshError('USAGE', { problem: `${name} is this node itself` })
    return peerId
  }

  async #endingIn(end: string, name: string): Promise<string> {
    const { book, platform, libp2p } = this.#options
    const held = (await platform.trustStore.heldSources()).map(({ source }) => book.reference(source).peerId)
    const found = new Set([...book.list().map(({ peerId }) => peerId), ...held].filter((peerId) => peerId.endsWith(end)))
    const own = libp2p.peerId.toString()
    const [peerId = own.endsWith(end) ? own : undefined] = found
    if (peerId === undefined) throw new MeshError('PEER_UNKNOWN', { name, nearest: [] })
    if (found.size > 1) throw new MeshError('NAME_AMBIGUOUS', { name, candidates: [...found].slice(0, 10) })
    return peerId
  }

  #paired(peerId: string): PairRecord {
    const { book } = this.#options
    const pair = book.recordOf(peerId)
    if (pair === undefined) throw new MeshError('PEER_NOT_PAIRED', { peer: book.referenceOf(peerId).name })
    return pair
  }

  #others(peerId: string): readonly PairRecord[] {
    return this.#options.book.records.filter((pair) => pair.peerId !== peerId)
  }

  async #save(pair: PairRecord): Promise<void> {
    await this.#options.platform.peerStore.savePair(pair)
    this.#options.book.pair(pair)
  }

  async #unblock(peerId: string): Promise<void> {
    const { book, platform } = this.#options
    if (!book.isBlocked(peerId)) return
    await platform.trustStore.unblock(keyOf(peerId))
    book.unblock(peerId)
    this.#log('peer.unblocked', peerId, {})
  }

  async #heldOf(peerId: string): Promise<readonly ReceivedMessage[]> {
    return (await this.#options.inbox.list({ from: peerId, states: ['held'], limit: maxShown })).messages
  }

  #contact(peerId: string): Contact {
    const { book } = this.#options
    const { name, alias, paired, commands, blocked, connected } = book.info(peerId)
    const pair = book.recordOf(peerId)
    return { peerId, name, alias, pinnedName: pair?.name ?? '', paired, commands, blocked, connected, since: pair?.pairedAt }
  }

  /** What became of a peer, with what waits of it and for it. */
  async #change(
    peerId: string,
    { released = 0, deleted = 0 }: { readonly released?: number; readonly deleted?: number } = {}
  ): Promise<ContactChange> {
    const { platform, inbox } = this.#options
    const publicKey = keyOf(peerId)
    const held = (await platform.trustStore.heldSources()).find(({ source }) => equalBytes(source, publicKey))?.messages ?? 0
    const { messages } = await inbox.list({ from: peerId, states: ['unread'], limit: maxShown })
    const queued = await platform.deliveryStore.listOutbox({ states: ['accepted', 'sent'], destination: publicKey, limit: maxQueued })
    return { ...this.#contact(peerId), released, held, deleted, unread: messages.length, queued: queued.length }
  }

  #log(event: string, peerId: string, fields: LogRecord['fields']): void {
    this.#options.log({ level: 'info', event, fields: { peer: shortPeerId(peerId), ...fields } })
  }
}
