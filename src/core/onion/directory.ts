import { ByteReader, ByteWriter, type Bytes, type WallMillis, compareBytes, concat, toHex, wallMillis } from '../base/index.ts'
import { addressNetworks } from './address-network.ts'
import { descriptorLimits, type OnionDescriptor, parseDescriptor, timeProblem } from './descriptor.ts'
import { descriptorId, DirectoryDigests } from './directory-digests.ts'
import { type Seen, SeenTimes } from './seen-times.ts'

/** A member of circuits as this node knows it. */
export interface DirectoryEntry {
  readonly descriptor: OnionDescriptor
  /** The descriptor as it was signed. */
  readonly bytes: Uint8Array
  /** 8 bytes that name these bytes. */
  readonly id: Uint8Array
  /** When this node saw the key for the first time, by its own wall clock. */
  readonly firstSeen: WallMillis
}

/**
 * What became of a descriptor, or would. `known`: the same bytes are here; `older`: a later one is here; `future` and `expired`: its times do not hold;
 * `full`: it would be the first to go.
 */
export type Offer = 'new' | 'newer' | 'known' | 'older' | 'future' | 'expired' | 'full'

export interface DirectoryOptions {
  /** Guards, trust roots and relays in use never make room for others. Asked with the 32-byte key. */
  readonly isProtected: (publicKey: Uint8Array) => boolean
  /** Default 8,192. */
  readonly maxEntries?: number
}

/** An entry, and what it shares with others: networks of its addresses, and whom it names as family. */
interface Held {
  readonly entry: DirectoryEntry
  readonly groups: readonly string[]
}

const savedVersion = 1
/** Younger than this, a key goes before all that are not (rule O6). */
const youngMs = 86_400_000
/** Times are kept for so many keys for each that can be listed. */
const seenForEach = 4

/**
 * Everything that this node knows of the members of circuits: the newest verified descriptor of each key. Pure; whoever fills it verifies signatures first.
 * Full, it gives up the newest of the most crowded network or family, of those not yet seen for a day when there are any, never a protected one.
 */
export class OnionDirectory {
  readonly #options: DirectoryOptions
  readonly #max: number
  readonly #held = new Map<string, Held>()
  /** How many there are of each group. */
  readonly #groups = new Map<string, number>()
  readonly #digests = new DirectoryDigests()
  /** Ids of descriptors, and the keys of their entries. */
  readonly #ids = new Map<string, string>()
  readonly #seen: SeenTimes

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#max = options.maxEntries ?? 8_192
    this.#seen = new SeenTimes(seenForEach * this.#max, (key) => this.#held.has(key))
  }

  get size(): number {
    return this.#held.size
  }

  get(publicKey: Uint8Array): DirectoryEntry | undefined {
    return this.#held.get(toHex(publicKey))?.entry
  }

  /** Whether the next new key pushes one out. */
  get isFull(): boolean {
    return this.#held.size >= this.#max
  }

  /** All entries, expired ones until the next `expire`. */
  entries(): readonly DirectoryEntry[] {
    return Array.from(this.#held.values(), ({ entry }) => entry)
  }

  /** Whether the descriptor with this id is here. */
  has(id: Uint8Array): boolean {
    return this.#ids.has(toHex(id))
  }

  /** When a key was listed; for one that is listed the last time is its last descriptor's coming. undefined when it was never seen, or is away for 30 days. */
  seen(publicKey: Uint8Array): Seen | undefined {
    return this.#seen.get(toHex(publicKey))
  }

  /** What `add` would say, as far as it costs nothing: asked before a signature is verified. */
  judge(descriptor: OnionDescriptor, bytes: Uint8Array, now: WallMillis): Exclude<Offer, 'full'> {
    const problem = timeProblem(descriptor, now)
    if (problem !== undefined) return problem
    const held = this.get(descriptor.publicKey)
    if (held === undefined) return 'new'
    // Two of one number: the same one of them holds at every node, so that views agree.
    const order = descriptor.sequence - held.descriptor.sequence || compareBytes(bytes, held.bytes)
    if (order === 0) return 'known'
    return order > 0 ? 'newer' : 'older'
  }

  /** Takes a verified descriptor in, with its bytes. */
  add(descriptor: OnionDescriptor, bytes: Uint8Array, now: WallMillis): Offer {
    const offer = this.judge(descriptor, bytes, now)
    if (offer !== 'new' && offer !== 'newer') return offer
    const key = toHex(descriptor.publicKey)
    this.#remove(key)
    this.#put(key, { descriptor, bytes, id: descriptorId(bytes), firstSeen: this.#seen.note(key, now) })
    if (this.#held.size <= this.#max) return offer
    const victim = this.#mostDispensable(now) ?? key
    this.#remove(victim)
    return victim === key ? 'full' : offer
  }

  /** Removes what expired. Whose they were. */
  expire(now: WallMillis): readonly Uint8Array[] {
    const expired: Uint8Array[] = []
    for (const [key, { entry }] of this.#held) {
      if (timeProblem(entry.descriptor, now) !== 'expired') continue
      expired.push(entry.descriptor.publicKey)
      this.#remove(key)
    }
    this.#seen.expire(now)
    return expired
  }

  /** Digests of the view in 256 buckets by the first byte of the key, 2,048 bytes; see docs/wire/onion.md. */
  summary(): Bytes {
    return this.#digests.summary()
  }

  /** The ids in these buckets. */
  idsIn(buckets: readonly number[]): readonly Uint8Array[] {
    return this.#digests.ids(buckets)
  }

  /** What whoever has `ids` in these buckets lacks, and which of them are not here. */
  compare(
    buckets: readonly number[],
    ids: readonly Uint8Array[]
  ): { readonly lacking: readonly Uint8Array[]; readonly unknown: readonly Uint8Array[] } {
    const theirs = new Set(ids.map(toHex))
    const lacking = this.idsIn(buckets).filter((id) => !theirs.has(toHex(id)))
    return { lacking: lacking.flatMap((id) => this.entryOf(id)?.bytes ?? []), unknown: ids.filter((id) => !this.has(id)) }
  }

  /** The entry with this id. */
  entryOf(id: Uint8Array): DirectoryEntry | undefined {
    return this.#held.get(this.#ids.get(toHex(id)) ?? '')?.entry
  }

  /** Everything, for `restore`: u8 version ‖ the times ‖ u32 how many ‖ the descriptors, each behind its length as u16. */
  save(): Bytes {
    const writer = new ByteWriter(1_024).u8(savedVersion)
    this.#seen.write(writer)
    writer.u32(this.#held.size)
    for (const { entry } of this.#held.values()) writer.prefixed16(entry.bytes)
    return writer.finish()
  }

  /** Takes over what an earlier process saved, on this node: signatures were verified then. What expired is left out. @throws {MeshError} MESSAGE_MALFORMED */
  restore(bytes: Uint8Array, now: WallMillis): void {
    const reader = new ByteReader(bytes, 'saved onion directory')
    if (reader.u8() !== savedVersion) throw reader.malformed('another version')
    this.#seen.read(reader, now)
    const count = reader.u32()
    if (count > this.#max) throw reader.malformed(`${count} descriptors, at most ${this.#max}`)
    for (let index = 0; index < count; index++) {
      const saved = reader.prefixed16(descriptorLimits.bytes).slice()
      const { descriptor } = parseDescriptor(saved)
      const lastSeen = this.seen(descriptor.publicKey)?.lastSeen ?? now
      if (this.judge(descriptor, saved, now) === 'new') this.add(descriptor, saved, wallMillis(Math.min(lastSeen, now)))
    }
    reader.end()
    this.#seen.expire(now)
  }

  #put(key: string, entry: DirectoryEntry): void {
    const groups = groupsOf(entry.descriptor)
    this.#held.set(key, { entry, groups })
    this.#ids.set(toHex(entry.id), key)
    this.#digests.add(entry.descriptor.publicKey, entry.id)
    for (const group of groups) this.#groups.set(group, this.#sizeOf(group) + 1)
  }

  #remove(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#ids.delete(toHex(held.entry.id))
    this.#digests.delete(held.entry.descriptor.publicKey, held.entry.id)
    for (const group of held.groups) {
      const left = this.#sizeOf(group) - 1
      if (left > 0) this.#groups.set(group, left)
      else this.#groups.delete(group)
    }
  }

  #sizeOf(group: string): number {
    return this.#groups.get(group) ?? 0
  }

  /** Who makes room. A flood of keys under many addresses pushes out itself, and nobody who was here for a day. */
  #mostDispensable(now: WallMillis): string | undefined {
    let worst: { readonly key: string; readonly claim: Claim } | undefined
    for (const [key, { entry, groups }] of this.#held) {
      const isYoung = now - entry.firstSeen < youngMs
      const claim: Claim = { isYoung, crowd: Math.max(...groups.map((group) => this.#sizeOf(group))), firstSeen: entry.firstSeen }
      if (worst !== undefined && isWeaker(worst.claim, claim)) continue
      if (!this.#options.isProtected(entry.descriptor.publicKey)) worst = { key, claim }
    }
    return worst?.key
  }
}

/** What speaks for an entry when there is no room for all. */
interface Claim {
  readonly isYoung: boolean
  /** Members of the largest group that it belongs to. */
  readonly crowd: number
  readonly firstSeen: WallMillis
}

/** Whether `a` goes before `b`; of equals the later arrival goes. */
function isWeaker(a: Claim, b: Claim): boolean {
  if (a.isYoung !== b.isYoung) return a.isYoung
  if (a.crowd !== b.crowd) return a.crowd > b.crowd
  return a.firstSeen > b.firstSeen
}

/** Its networks, and its family, which is one when all of it name each other. Whoever names an honest relay crowds nobody but its own kind. */
function groupsOf({ addresses, family, publicKey }: OnionDescriptor): readonly string[] {
  const networks = addressNetworks(addresses)
  if (family.length === 0) return networks
  const members = [...family.filter((each) => compareBytes(each, publicKey) !== 0), publicKey].sort(compareBytes)
  return [...networks, `family:${toHex(descriptorId(concat(...members)))}`]
}
