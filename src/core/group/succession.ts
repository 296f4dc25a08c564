import { compareBytes, equalBytes, MeshError, type Signer, signingDomains, toHex, type WallMillis } from '../base/index.ts'
import { groupIdOf, mandateInput, signGroup } from './record.ts'
import { type GroupMandate, type GroupMember, type GroupRecord, type MemberChange, type SignedGroup, groupLimits } from './types.ts'

/** How far a sequence may run ahead of the one that is known. */
const maxJump = 65_536

/** Whether `record` names this key as a member. */
export const isMember = ({ members }: GroupRecord, key: Uint8Array): boolean => members.some((member) => equalBytes(member.key, key))

/** Whether `record` lets this key sign the next one: it is an admin, or the creator, who can always. */
export const isAdmin = ({ mandate, creator }: GroupRecord, key: Uint8Array): boolean =>
  equalBytes(creator, key) || mandate.admins.some((admin) => equalBytes(admin, key))

/** Why a record does not take the place of the one that is known; `same` and `older` are no fault of whoever sent it. */
export type Succession = 'newer' | 'same' | 'older' | 'broken'

/**
 * Whether `next`, whose signatures were verified, takes the place of `current`, a record of the same group. The higher mandate counts first, so that an admin whom the creator struck out
 * cannot run ahead of it; then the higher sequence; of two that were made at the same time the one with the lower hash. All nodes so end with the same one, whatever the order in which
 * records reach them.
 */
export function succession(next: SignedGroup, current: SignedGroup): Succession {
  if (!equalBytes(next.record.id, current.record.id)) return 'broken'
  if (equalBytes(next.hash, current.hash)) return 'same'
  if (equalBytes(next.record.previous, current.hash)) return isSoundStep(next.record, current.record) ? 'newer' : 'broken'
  if (next.record.sequence > current.record.sequence + maxJump) return 'broken'
  return order(next, current) > 0 ? 'newer' : 'older'
}

function order(a: SignedGroup, b: SignedGroup): number {
  return a.record.mandate.version - b.record.mandate.version || a.record.sequence - b.record.sequence || compareBytes(b.hash, a.hash)
}

/** A record that follows right after the one that is known: it counts on by one, and makes a new epoch exactly when the members change. */
function isSoundStep(next: GroupRecord, current: GroupRecord): boolean {
  const { added, removed } = memberChange(next, current)
  const epoch = current.epoch + (added.length + removed.length > 0 ? 1 : 0)
  return (
    next.sequence === current.sequence + 1 &&
    next.epoch === epoch &&
    next.mandate.version >= current.mandate.version &&
    current.members.length > 0 &&
    isAdmin(current, next.author)
  )
}

/** The beginning of a hash, as records name those before them. */
const beginning = (hash: Uint8Array): Uint8Array => hash.slice(0, groupLimits.ancestorBytes)

const ancestorsAfter = ({ record }: SignedGroup): readonly Uint8Array[] =>
  record.sequence === 1 ? [] : [beginning(record.previous), ...record.ancestors].slice(0, groupLimits.ancestors)

/** Whether `next` was made by somebody who knew `earlier`; undefined when it is too far back to tell. */
export function wasMadeKnowing({ record }: SignedGroup, earlier: SignedGroup): boolean | undefined {
  if (equalBytes(record.previous, earlier.hash)) return true
  if (record.ancestors.some((ancestor) => equalBytes(ancestor, beginning(earlier.hash)))) return true
  return record.sequence - earlier.record.sequence > groupLimits.ancestors ? undefined : false
}

/** Who came and who went from `before` to `next`; without `before` all are new. */
export function memberChange(next: GroupRecord, before: GroupRecord | undefined): MemberChange {
  const now = next.members.map(({ key }) => toHex(key))
  const then = (before?.members ?? []).map(({ key }) => toHex(key))
  const [nowSet, thenSet] = [new Set(now), new Set(then)]
  return { added: now.filter((key) => !thenSet.has(key)), removed: then.filter((key) => !nowSet.has(key)) }
}

/** What a new group is made of. */
export interface GroupPlan {
  readonly name: string
  /** 16 random bytes. */
  readonly salt: Uint8Array
  /** The creator is added when it is not among them. */
  readonly members: readonly GroupMember[]
  readonly issuedAt: WallMillis
}

/** The first record of a group. @throws {MeshError} GROUP_FULL, MESSAGE_MALFORMED */
export function createGroup(plan: GroupPlan, signer: Signer): SignedGroup {
  const creator = signer.publicKey
  const own = plan.members.some(({ key }) => equalBytes(key, creator)) ? [] : [{ key: creator, name: '', addresses: [] }]
  const identity = { creator, name: plan.name, salt: plan.salt }
  const mandate = signMandate(groupIdOf(identity), { version: 1, admins: [creator] }, signer)
  const previous = new Uint8Array(32)
  return sign(
    { ...identity, mandate, sequence: 1, epoch: 1, previous, ancestors: [], issuedAt: plan.issuedAt, members: [...own, ...plan.members] },
    signer
  )
}

/** What an admin wants to be different. */
export interface GroupEdit {
  /** Members that come; who is one already gets the name and the addresses that are given here. */
  readonly add?: readonly GroupMember[]
  readonly remove?: readonly Uint8Array[]
  /** Members that become admins: the creator's to say. */
  readonly promote?: readonly Uint8Array[]
  /** Ends the group. */
  readonly end?: boolean
  /** An admin who takes itself out is struck out of the mandate by the creator alone. */
  readonly keepsMandate?: boolean
}

/**
 * The record that follows `current` with this change, signed by an admin; undefined when it would change nothing.
 * @throws {MeshError} GROUP_NOT_ADMIN, GROUP_CREATOR_ONLY, GROUP_LAST_ADMIN, GROUP_FULL
 */
export function editGroup(current: SignedGroup, edit: GroupEdit & { readonly issuedAt: WallMillis }, signer: Signer): SignedGroup | undefined {
  const { record } = current
  const details = { group: record.name }
  if (!isAdmin(record, signer.publicKey)) throw new MeshError('GROUP_NOT_ADMIN', details)
  const members = edit.end === true ? [] : editedMembers(record, edit)
  const mandate = editedMandate(record, edit, signer)
  if (edit.end !== true && !mandate.admins.some((admin) => members.some(({ key }) => equalBytes(key, admin))))
    throw new MeshError('GROUP_LAST_ADMIN', details)
  const { added, removed } = memberChange({ ...record, members }, record)
  if (added.length + removed.length === 0 && mandate === record.mandate) return undefined
  return sign(
    {
      creator: record.creator,
      name: record.name,
      salt: record.salt,
      mandate,
      sequence: record.sequence + 1,
      epoch: record.epoch + (added.length + removed.length > 0 ? 1 : 0),
      previous: current.hash,
      ancestors: ancestorsAfter(current),
      issuedAt: edit.issuedAt,
      members
    },
    signer
  )
}

function editedMembers({ members }: GroupRecord, { add = [], remove = [] }: GroupEdit): readonly GroupMember[] {
  const kept = new Map(members.map((member) => [toHex(member.key), member]))
  for (const member of add) kept.set(toHex(member.key), member)
  for (const key of remove) kept.delete(toHex(key))
  return [...kept.values()]
}

/** Only the creator can change who the admins are: an admin who is removed must be struck out of the mandate as well. */
function editedMandate(record: GroupRecord, { remove = [], promote = [], keepsMandate = false }: GroupEdit, signer: Signer): GroupMandate {
  const isStruck = (key: Uint8Array): boolean => remove.some((each) => equalBytes(each, key))
  const newcomers = promote.filter((key) => !record.mandate.admins.some((admin) => equalBytes(admin, key)))
  if (keepsMandate || (newcomers.length === 0 && !record.mandate.admins.some(isStruck))) return record.mandate
  if (!equalBytes(signer.publicKey, record.creator)) throw new MeshError('GROUP_CREATOR_ONLY', { group: record.name })
  const admins = [...record.mandate.admins.filter((key) => !isStruck(key)), ...newcomers]
  if (admins.length === 0) throw new MeshError('GROUP_LAST_ADMIN', { group: record.name })
  if (admins.length > groupLimits.admins) throw new MeshError('GROUP_FULL', { group: record.name, what: 'admins', max: groupLimits.admins })
  return signMandate(record.id, { version: record.mandate.version + 1, admins: admins.toSorted(compareBytes) }, signer)
}

const signMandate = (id: Uint8Array, mandate: Omit<GroupMandate, 'signature'>, signer: Signer): GroupMandate => ({
  ...mandate,
  signature: signer.sign(signingDomains.group, mandateInput(id, mandate))
})

/** Signs with the members in order; their addresses, the longest part, are left out where the record would be too large with them. */
function sign(record: Omit<GroupRecord, 'id' | 'author'>, signer: Signer): SignedGroup {
  const { members, name } = record
  if (members.length > groupLimits.members) throw new MeshError('GROUP_FULL', { group: name, what: 'members', max: groupLimits.members })
  const ordered = members.toSorted((a, b) => compareBytes(a.key, b.key))
  const characters = ordered.reduce((sum, { addresses }) => sum + addresses.reduce((length, address) => length + address.length + 2, 0), 0)
  const plain = ordered.length * 104 + 4_096
  const isLarge = plain + characters > groupLimits.recordBytes
  return signGroup({ ...record, members: isLarge ? ordered.map((member) => ({ ...member, addresses: [] })) : ordered }, signer)
}
