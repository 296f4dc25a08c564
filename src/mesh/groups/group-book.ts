import { equalBytes, MeshError, toHex } from '../../core/base/index.ts'
import { groupLimits, isMember } from '../../core/group/index.ts'
import type { GroupMark, GroupStanding } from '../../core/message/index.ts'
import type { GroupDirectory, KnownGroup } from './group-types.ts'

const idPrefixPattern = /^[0-9a-f]{6,32}$/
const maxShown = 10

/** The groups that this node is or was in, by id and by name. */
export class GroupBook implements GroupDirectory {
  readonly #ownKey: Uint8Array
  readonly #groups = new Map<string, KnownGroup>()
  /** The keys of the members of each group, in hex: large groups are asked for every message. */
  readonly #members = new Map<string, ReadonlySet<string>>()

  constructor(ownKey: Uint8Array) {
    this.#ownKey = ownKey
  }

  /** Groups that this node is in, by name. */
  get groups(): readonly KnownGroup[] {
    return [...this.#groups.values()].filter(({ state }) => state === 'joined').toSorted(byName)
  }

  /** Also those that it was in. */
  get all(): readonly KnownGroup[] {
    return [...this.#groups.values()].toSorted(byName)
  }

  /** Whether a text is the name of a group that this node was in, and of none that it is in. */
  wasIn(text: string): boolean {
    const name = text.startsWith('@') ? text.slice(1) : text
    const named = this.all.filter(({ signed }) => signed.record.name === name)
    return named.length > 0 && named.every(({ state }) => state !== 'joined')
  }

  get isFull(): boolean {
    return this.groups.length >= groupLimits.groups
  }

  find(id: string): KnownGroup | undefined {
    return this.#groups.get(id)
  }

  put(group: KnownGroup): void {
    const id = toHex(group.signed.record.id)
    this.#groups.set(id, group)
    this.#members.set(id, new Set(group.signed.record.members.map(({ key }) => toHex(key))))
  }

  delete(id: Uint8Array): void {
    this.#groups.delete(toHex(id))
    this.#members.delete(toHex(id))
  }

  isMember(id: string, publicKey: Uint8Array): boolean {
    return this.#groups.get(id)?.state === 'joined' && this.isListed(id, publicKey)
  }

  /** Whether the record that is known lists a peer, also of a group that this node is not in any more. */
  isListed(id: string, publicKey: Uint8Array): boolean {
    return this.#members.get(id)?.has(toHex(publicKey)) === true
  }

  /** How a peer stands to the group that its message names, as far as this node knows the group. */
  standing({ id, epoch }: GroupMark, source: Uint8Array): GroupStanding {
    const key = toHex(id)
    const group = this.#groups.get(key)
    if (this.isMember(key, source)) return 'member'
    if (group === undefined || epoch > group.signed.record.epoch) return 'unknown'
    return 'outside'
  }

  /** Whether a peer shares a group with this node. */
  sharesGroup(publicKey: Uint8Array): boolean {
    return this.groups.some(({ signed }) => isMember(signed.record, publicKey))
  }

  /**
   * The group that a text means: its name, also with an @ before it, or, only behind an @, six digits of its id or more.
   * @throws {MeshError} NAME_AMBIGUOUS when there are several; GROUP_UNKNOWN when an @ says that it is a group, and there is none
   */
  resolve(text: string): KnownGroup | undefined {
    const isGroup = text.startsWith('@')
    const name = isGroup ? text.slice(1) : text
    const named = this.groups.filter(({ signed }) => signed.record.name === name)
    const found =
      named.length > 0 || !isGroup || !idPrefixPattern.test(name)
        ? named
        : this.groups.filter(({ signed }) => toHex(signed.record.id).startsWith(name))
    if (found.length > 1) {
      const candidates = found.slice(0, maxShown).map(({ signed }) => `@${toHex(signed.record.id)}`)
      throw new MeshError('NAME_AMBIGUOUS', { name: text, candidates })
    }
    if (found.length === 0 && isGroup) throw new MeshError('GROUP_UNKNOWN', { group: name })
    return found[0]
  }

  /** As `resolve`, for what must be a group. @throws {MeshError} GROUP_UNKNOWN, NAME_AMBIGUOUS */
  require(text: string): KnownGroup {
    const group = this.resolve(text)
    if (group === undefined) throw new MeshError('GROUP_UNKNOWN', { group: text })
    return group
  }

  /** The members of a group but this node. */
  others({ signed }: KnownGroup): KnownGroup['signed']['record']['members'] {
    return signed.record.members.filter(({ key }) => !equalBytes(key, this.#ownKey))
  }
}

const byName = (a: KnownGroup, b: KnownGroup): number =>
  a.signed.record.name < b.signed.record.name ? -1 : a.signed.record.name > b.signed.record.name ? 1 : 0
