import { equalBytes, MeshError, type Random, toHex } from '../../core/base/index.ts'
import {
  decodeGroupKey,
  encodeGroupKey,
  epochKeyBytes,
  type EpochSecret,
  type GroupCrypto,
  type GroupKeyMessage,
  groupFrameLimits,
  groupLimits,
  type GroupRecord,
  groupTag,
  isAdmin,
  membersDigest
} from '../../core/group/index.ts'
import type { GroupChange, GroupDirectory, KnownGroup } from './group-types.ts'

/** The key of one epoch as it is kept. */
export interface StoredGroupKey extends GroupKeyMessage {
  /** See `groupTag`; names it. */
  readonly tag: Uint8Array
  /** Who made it, raw Ed25519: it counts while that is an admin. */
  readonly maker: Uint8Array
  /** No frame of ours under it has this counter or a higher one. */
  readonly counter: number
  /** Whether what the members must be told of it is in the outbox; true for a key of somebody else. */
  readonly isTold: boolean
}

/** Where keys of groups are kept. Changes resolve after COMMIT with synchronous=FULL. */
export interface GroupKeyStore {
  groupKeys(): Promise<readonly StoredGroupKey[]>
  /** Adds a key; of one that is there, only the counter and `isTold` rise. */
  saveGroupKey(key: StoredGroupKey): Promise<void>
  dropGroupKeys(tags: readonly Uint8Array[]): Promise<void>
}

export interface GroupKeysOptions {
  readonly crypto: GroupCrypto
  readonly random: Random
  readonly store: GroupKeyStore
  readonly directory: GroupDirectory
  /** Our own raw Ed25519 key. */
  readonly ownKey: Uint8Array
  /** Puts a key for one member into the outbox; the same key for the same member has the same effect once. Resolves after the commit. */
  readonly tell: (member: Uint8Array, key: StoredGroupKey, body: Uint8Array) => Promise<void>
}

/** Epochs before the newest one of which messages are still read: they may be on their way. */
const epochsBack = 2
/** Keys of one group that are in use, and as many of epochs to come; and in all those of groups or epochs that this node has yet to hear of: the oldest go first. */
const maxKeysOfGroup = 8
const maxEarlyKeys = 64
/** Counters are reserved by so many, so that not every frame waits for a commit of its own. */
const reserve = 256

interface HeldKey {
  stored: StoredGroupKey
  next: number
  reserved: number
}

/** The keys of large groups: made by whoever signed the record, told to each member in its session, and renewed with every change of members. */
export class GroupKeys {
  readonly #options: GroupKeysOptions
  readonly #keys = new Map<string, HeldKey>()

  constructor(options: GroupKeysOptions) {
    this.#options = options
  }

  /** Takes over what an earlier process kept. */
  async load(): Promise<void> {
    for (const stored of await this.#options.store.groupKeys()) this.#hold(stored)
  }

  /** A record is new here, or the node has started: an epoch of ours gets its key, and keys that nobody needs any more are forgotten. */
  async changed({ group, isOwn }: GroupChange): Promise<void> {
    const { record } = group.signed
    await this.#drop([...this.#of(record.id)].filter(({ epoch }) => group.state !== 'joined' || epoch < record.epoch - epochsBack))
    if (!isOwn || group.state !== 'joined' || record.members.length <= groupLimits.directMembers) return
    const key = this.#newest(group) ?? (await this.#make(record))
    if (!key.isTold) await this.#tellAll(record, key)
  }

  /** Takes the key that an admin made. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, GROUP_NOT_ADMIN */
  async learn({ source, body }: { readonly source: Uint8Array; readonly body: Uint8Array }): Promise<void> {
    const message = decodeGroupKey(body)
    const tag = groupTag(this.#options.crypto, message)
    if (this.#keys.has(toHex(tag))) return
    const group = this.#options.directory.find(toHex(message.group))
    const isEarly = group === undefined || message.epoch > group.signed.record.epoch
    if (group !== undefined && !isEarly && !isAdminOf(group, source)) throw new MeshError('GROUP_NOT_ADMIN', { group: group.signed.record.name })
    await this.#makeRoom(message, isEarly)
    await this.#keep({ ...message, tag, maker: source, counter: 0, isTold: true })
  }

  /** The key under which messages of a group are sealed now; undefined while there is none, or the members have yet to be told: then each gets its own message. */
  current(group: KnownGroup): StoredGroupKey | undefined {
    const key = group.state === 'joined' ? this.#newest(group) : undefined
    return key?.isTold === true ? key : undefined
  }

  /** The key of a frame, with the group that it belongs to; undefined when this node is not meant, or not any more. */
  find(tag: Uint8Array): { readonly key: StoredGroupKey; readonly group: KnownGroup } | undefined {
    const key = this.#keys.get(toHex(tag))?.stored
    const group = key === undefined ? undefined : this.#options.directory.find(toHex(key.group))
    if (key === undefined || group === undefined || group.state !== 'joined' || !isAdminOf(group, key.maker)) return undefined
    const { epoch } = group.signed.record
    return key.epoch > epoch || key.epoch < epoch - epochsBack ? undefined : { key, group }
  }

  /** A counter of ours that no frame under this key has, nor will have after any restart. @throws {MeshError} PROTOCOL_LIMIT, STORE_FAILED, DISK_FULL */
  async counter({ tag }: StoredGroupKey): Promise<number> {
    const held = this.#keys.get(toHex(tag))
    if (held === undefined) throw new MeshError('INTERNAL', { reason: 'the key of a group is gone' })
    const counter = held.next
    held.next += 1
    if (counter >= groupFrameLimits.counter) throw new MeshError('PROTOCOL_LIMIT', { protocol: 'a group key', reason: 'it was used up' })
    if (counter >= held.reserved) {
      const reserved = counter + reserve
      await this.#options.store.saveGroupKey({ ...held.stored, counter: reserved })
      held.reserved = Math.max(held.reserved, reserved)
    }
    return counter
  }

  #newest({ signed: { record } }: KnownGroup): StoredGroupKey | undefined {
    return [...this.#of(record.id)].find((key) => isFor(key, record) && isAdmin(record, key.maker))
  }

  async #make(record: GroupRecord): Promise<StoredGroupKey> {
    const { random, crypto, ownKey } = this.#options
    const secret: EpochSecret = { key: random.bytes(epochKeyBytes), group: record.id, epoch: record.epoch }
    const slot = record.members.findIndex(({ key }) => equalBytes(key, ownKey))
    const stored = {
      ...secret,
      members: membersDigest(record.members),
      slot,
      tag: groupTag(crypto, secret),
      maker: ownKey,
      counter: 0,
      isTold: false
    }
    await this.#keep(stored)
    return stored
  }

  async #tellAll({ members }: GroupRecord, key: StoredGroupKey): Promise<void> {
    const { ownKey, tell, store } = this.#options
    const others = [...members.entries()].filter(([, member]) => !equalBytes(member.key, ownKey))
    await Promise.all(others.map(([slot, member]) => tell(member.key, key, encodeGroupKey({ ...key, slot }))))
    const held = this.#keys.get(toHex(key.tag))
    const told = { ...key, isTold: true }
    if (held !== undefined) held.stored = told
    await store.saveGroupKey(told)
  }

  async #makeRoom({ group }: GroupKeyMessage, isEarly: boolean): Promise<void> {
    const early = [...this.#keys.values()].map(({ stored }) => stored).filter((key) => this.#isEarly(key))
    // Who made a key of an epoch to come cannot be judged yet: it takes the place of another such one, never of one that is in use.
    const ofGroup = [...this.#of(group)].filter((key) => this.#isEarly(key) === isEarly)
    await this.#drop([
      ...(isEarly ? early.slice(0, Math.max(0, early.length + 1 - maxEarlyKeys)) : []),
      ...ofGroup.slice(0, Math.max(0, ofGroup.length + 1 - maxKeysOfGroup))
    ])
  }

  #isEarly({ group, epoch }: StoredGroupKey): boolean {
    const known = this.#options.directory.find(toHex(group))
    return known === undefined || epoch > known.signed.record.epoch
  }

  /** In the order in which they came. */
  *#of(group: Uint8Array): Generator<StoredGroupKey> {
    for (const { stored } of this.#keys.values()) if (equalBytes(stored.group, group)) yield stored
  }

  async #keep(stored: StoredGroupKey): Promise<void> {
    await this.#options.store.saveGroupKey(stored)
    this.#hold(stored)
  }

  #hold(stored: StoredGroupKey): void {
    this.#keys.set(toHex(stored.tag), { stored, next: stored.counter, reserved: stored.counter })
  }

  async #drop(keys: readonly StoredGroupKey[]): Promise<void> {
    if (keys.length === 0) return
    for (const { tag } of keys) this.#keys.delete(toHex(tag))
    await this.#options.store.dropGroupKeys(keys.map(({ tag }) => tag))
  }
}

const isFor = (key: StoredGroupKey, record: GroupRecord): boolean =>
  key.epoch === record.epoch && equalBytes(key.members, membersDigest(record.members))

/** By the record of now or the one before: what an admin made who is none any more may still be on its way. */
const isAdminOf = ({ signed, before }: KnownGroup, key: Uint8Array): boolean =>
  [signed, before].some((each) => each !== undefined && isAdmin(each.record, key))
