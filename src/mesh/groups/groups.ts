import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { isControlType } from '../../core/base/control-type.ts'
import { equalBytes, MeshError, toHex } from '../../core/base/index.ts'
import { type GroupMember, isGroupName } from '../../core/group/index.ts'
import type { Envelope, GroupMark, Via } from '../../core/message/index.ts'
import type { GossipPort } from '../cards.ts'
import type { Delivery } from '../delivery.ts'
import type { LogRecord, SendReport } from '../mesh.ts'
import type { MeshOutbox } from '../mesh-outbox.ts'
import type { PeerBook } from '../peer-book.ts'
import type { Platform } from '../ports.ts'
import { shortPeerId } from '../protocol-host.ts'
import type { Threads } from '../threads.ts'
import { TokenBuckets } from '../token-buckets.ts'
import type { Tracker } from '../tracker.ts'
import { ControlDesk } from './control-desk.ts'
import type { GroupBook } from './group-book.ts'
import type { GroupInfo, Groups, ReceivedGroup } from './group-info.ts'
import type { GroupFrameEvent } from './group-gossip.ts'
import { type GroupCall, GroupSender } from './group-sender.ts'
import { GroupService, memberAddresses } from './group-service.ts'
import { GroupTeller } from './group-teller.ts'
import type { KnownGroup } from './group-types.ts'
import { LargeGroups } from './large-groups.ts'

export interface MeshGroupsOptions {
  readonly libp2p: Libp2p
  readonly platform: Platform
  readonly delivery: Delivery
  readonly outbox: MeshOutbox
  readonly threads: Threads
  readonly peers: PeerBook
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  readonly via: Via
  /** This node's own name and addresses. */
  readonly self: () => { readonly name: string; readonly addresses: readonly string[] }
  /** Whether addresses of peers may be said and used: not where circuits are the rule. */
  readonly showsAddresses: boolean
  /** Delivers what a member sent to a group, and was held. */
  readonly release: (member: Uint8Array, group: Uint8Array) => Promise<void>
  readonly gossip: GossipPort
  readonly network: string
  readonly onFrame: (event: GroupFrameEvent) => void
}

/** Addresses of members that are taken from records: four full groups at once, and one member in a second. */
const placesOfMembers = { perSecond: 1, burst: 4_096 } as const

/** The groups of a node, put together: what its users call, and what delivery asks. */
export class MeshGroups implements Groups {
  readonly book: GroupBook
  /** Handles control messages of all kinds. */
  readonly desk: ControlDesk
  readonly sender: GroupSender
  readonly #options: MeshGroupsOptions
  readonly #service: GroupService
  readonly #large: LargeGroups
  readonly #ownKey: Uint8Array
  readonly #places: TokenBuckets

  constructor(options: MeshGroupsOptions, book: GroupBook) {
    this.#options = options
    this.book = book
    const { platform, delivery, outbox, threads, peers, tracker, log, via } = options
    this.#ownKey = platform.signer.publicKey
    this.#places = new TokenBuckets({ clock: platform.clock, ...placesOfMembers })
    this.desk = new ControlDesk({
      ...{ platform, delivery, tracker },
      onRefused: (source, error) =>
        log({ level: 'warn', event: error.code, fields: { peer: shortPeerId(peers.reference(source).peerId), reason: error.message } })
    })
    this.#large = new LargeGroups({ ...options, directory: book, desk: this.desk })
    this.#service = new GroupService({
      ...{ platform, book, tracker, log, desk: this.desk },
      onChange: (change) => this.#large.changed(change),
      teller: new GroupTeller({ platform, delivery, via }),
      describe: (publicKey) => this.#describe(publicKey),
      nameProblem: (name) => this.#nameProblem(name),
      onMembers: (members) => this.#remember(members),
      release: (members, group) => this.#release(members, group)
    })
    this.sender = new GroupSender({ ...{ platform, delivery, outbox, threads, peers, carrier: this.#large.carrier }, groups: book })
  }

  /** Before anything arrives. */
  async load(): Promise<void> {
    await this.#service.load()
    await this.#large.load()
  }

  start(): Promise<void> {
    this.#large.start()
    return this.#service.start()
  }

  stop(): void {
    this.desk.stop()
  }

  async create(name: string, { members = [] }: { readonly members?: readonly string[] } = {}): Promise<GroupInfo> {
    return this.#info(await this.#service.create(name, this.#keys(members)))
  }

  async add(group: string, members: readonly string[], { admin = false }: { readonly admin?: boolean } = {}): Promise<GroupInfo> {
    return this.#info(await this.#service.edit(group, { add: this.#keys(members), admins: admin }))
  }

  async remove(group: string, members: readonly string[]): Promise<GroupInfo> {
    return this.#info(await this.#service.edit(group, { remove: members.map((member) => this.#memberKey(group, member)) }))
  }

  list(): Promise<readonly GroupInfo[]> {
    return Promise.resolve(this.book.all.map((group) => this.#info(group)))
  }

  async get(group: string): Promise<GroupInfo> {
    return this.#info(this.book.require(group))
  }

  async leave(group: string): Promise<GroupInfo> {
    return this.#info(await this.#service.leave(group))
  }

  async end(group: string): Promise<GroupInfo> {
    return this.#info(await this.#service.edit(group, { end: true }))
  }

  /** The group that a destination means; undefined when it means none. @throws {MeshError} NAME_AMBIGUOUS when a peer has that name too, GROUP_UNKNOWN, GROUP_NOT_MEMBER */
  destination(text: string): KnownGroup | undefined {
    if (this.book.wasIn(text) && (text.startsWith('@') || this.#peerOf(text) === undefined)) throw new MeshError('GROUP_NOT_MEMBER', { group: text })
    const group = this.book.resolve(text)
    if (group === undefined || text.startsWith('@')) return group
    const peerId = this.#peerOf(text)
    if (peerId === undefined) return group
    throw new MeshError('NAME_AMBIGUOUS', { name: text, candidates: [`@${toHex(group.signed.record.id)}`, peerId] })
  }

  /** The group as whose member a peer that is not paired can be answered; undefined when it is none. */
  memberOf(group: string, publicKey: Uint8Array): Omit<GroupMark, 'message'> | undefined {
    const { peers } = this.#options
    const known = this.book.find(group)
    if (known === undefined || !this.book.isMember(group, publicKey) || peers.isPaired(publicKey)) return undefined
    return { id: known.signed.record.id, epoch: known.signed.record.epoch }
  }

  send(group: KnownGroup, content: string | Uint8Array, call: GroupCall): Promise<SendReport> {
    return this.sender.send(group, content, call)
  }

  /** What a message says of its group, as this node knows it. */
  received({ id, epoch, message }: GroupMark, { source, own }: { readonly source: Uint8Array; readonly own: string }): ReceivedGroup {
    const key = toHex(id)
    const alone = message === own
    return { id: key, name: this.book.find(key)?.signed.record.name ?? '', epoch, message, alone, member: this.book.isListed(key, source) }
  }

  /** Messages that were committed to the inbox: this software's own are handled, of others the group is looked at. */
  arrived(source: Uint8Array, envelopes: readonly Envelope[]): void {
    if (envelopes.some(({ contentType }) => isControlType(contentType))) this.desk.poke()
    for (const { group, contentType } of envelopes) if (group !== undefined && !isControlType(contentType)) this.#service.saw(source, group)
  }

  #keys(names: readonly string[]): readonly Uint8Array[] {
    const { peers, libp2p } = this.#options
    return names.map((name) => {
      const { peerId, publicKey } = peers.resolve(name)
      if (peerId === libp2p.peerId.toString())
        throw new MeshError('USAGE', { problem: `${name} is this node itself, which is a member of its groups` })
      return publicKey
    })
  }

  /** A member by the names of peers, or else by its name in the record. */
  #memberKey(text: string, member: string): Uint8Array {
    const { signed } = this.book.require(text)
    try {
      return this.#options.peers.resolve(member).publicKey
    } catch (error) {
      const named = signed.record.members.filter(({ name }) => name === member)
      if (named.length !== 1 || named[0] === undefined) throw error
      return named[0].key
    }
  }

  #describe(key: Uint8Array): GroupMember {
    const { self, showsAddresses } = this.#options
    const { name, addresses } = equalBytes(key, this.#ownKey) ? self() : this.#known(key)
    return { key, name: isGroupName(name) ? name : '', addresses: showsAddresses ? memberAddresses(addresses) : [] }
  }

  #known(key: Uint8Array): { readonly name: string; readonly addresses: readonly string[] } {
    const { peers } = this.#options
    const { peerId } = peers.reference(key)
    const { claimedName, addresses } = peers.info(peerId)
    return { name: peers.recordOf(peerId)?.name ?? claimedName ?? '', addresses }
  }

  #nameProblem(name: string): string | undefined {
    const peerId = this.#peerOf(name)
    return peerId === undefined ? undefined : `${shortPeerId(peerId)} is reached under that name`
  }

  /** The paired peer that a text means. */
  #peerOf(text: string): string | undefined {
    try {
      const { peerId, claimed } = this.#options.peers.find(text)
      return claimed ? undefined : peerId
    } catch {
      return undefined
    }
  }

  /** Delivers what was held of these members. Each has a commit of its own: a record may name a thousand of which nothing is held. */
  async #release(members: readonly Uint8Array[], group: Uint8Array): Promise<void> {
    const { platform, release } = this.#options
    const held = new Set((await platform.trustStore.heldSources()).map(({ source }) => toHex(source)))
    for (const member of members) if (held.has(toHex(member))) await release(member, group)
  }

  /** Where members that are not paired may be reached; of so many in a time only, as whoever signs records can make members up. */
  #remember(members: readonly GroupMember[]): void {
    const { libp2p, peers, tracker, showsAddresses } = this.#options
    if (!showsAddresses) return
    for (const { key, addresses } of members) {
      const { peerId } = peers.reference(key)
      const own = addresses.filter((address) => address.endsWith(`/p2p/${peerId}`)).flatMap(parsed)
      if (own.length === 0 || peers.pairOf(peerId) !== undefined || !this.#places.take('all')) continue
      tracker.track('remembering where a member is', libp2p.peerStore.merge(peerIdFromString(peerId), { multiaddrs: own }))
    }
  }

  #info({ signed, state }: KnownGroup): GroupInfo {
    const { peers } = this.#options
    const { record } = signed
    const isAdminKey = (key: Uint8Array): boolean => record.mandate.admins.some((admin) => equalBytes(admin, key))
    const isIn = state === 'joined'
    const role = equalBytes(record.creator, this.#ownKey) ? 'creator' : isAdminKey(this.#ownKey) ? 'admin' : 'member'
    return {
      id: toHex(record.id),
      name: record.name,
      state,
      role: isIn ? role : 'none',
      creator: peers.reference(record.creator),
      epoch: record.epoch,
      sequence: record.sequence,
      changedAt: record.issuedAt,
      members: record.members.map(({ key, name }) => {
        const self = equalBytes(key, this.#ownKey)
        const { peerId, paired, connected } = peers.info(peers.reference(key).peerId)
        const shown = self ? this.#options.self().name || name : peers.reference(key).name
        return { peerId, name: shown, recordName: name, admin: isAdminKey(key), self, paired, connected }
      })
    }
  }
}

function parsed(address: string): ReturnType<typeof multiaddr>[] {
  try {
    return [multiaddr(address)]
  } catch {
    return []
  }
}
