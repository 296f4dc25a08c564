import { equalBytes, isMeshError, MeshError, type Signer, toHex } from '../../core/base/index.ts'
import {
  createGroup,
  decodeControl,
  decodeGroup,
  editGroup,
  groupContentTypes,
  type GroupEdit,
  groupLimits,
  type GroupMember,
  type GroupState,
  isAdmin,
  isGroupName,
  isMember,
  isMemberAddress,
  memberChange,
  type SignedGroup,
  succession,
  wasMadeKnowing
} from '../../core/group/index.ts'
import { type Envelope, type GroupMark } from '../../core/message/index.ts'
import type { LogRecord } from '../mesh.ts'
import type { Platform, StoredGroup } from '../ports.ts'
import type { Tracker } from '../tracker.ts'
import type { ControlDesk } from './control-desk.ts'
import { checkSubject, unlessFull } from './control-rules.ts'
import type { GroupBook } from './group-book.ts'
import type { GroupTeller } from './group-teller.ts'
import type { GroupChange, KnownGroup } from './group-types.ts'

export interface GroupServiceOptions {
  readonly platform: Pick<Platform, 'clock' | 'random' | 'signer' | 'verifier' | 'groupStore'>
  readonly book: GroupBook
  readonly teller: GroupTeller
  readonly desk: ControlDesk
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** A peer as a member that this node adds: its name and addresses as this node knows them. */
  readonly describe: (publicKey: Uint8Array) => GroupMember
  /** Why a name cannot be that of a group, as it means a peer; undefined when it can. */
  readonly nameProblem: (name: string) => string | undefined
  /** Where members may be reached. */
  readonly onMembers: (members: readonly GroupMember[]) => void
  /** Messages of these members to this group that were held are theirs to deliver now. */
  readonly release: (members: readonly Uint8Array[], group: Uint8Array) => Promise<void>
  /** For a record of this node's own it is called when the members have been told, and waited for: what it has to tell them is in the outbox then, too. */
  readonly onChange: (change: GroupChange) => Promise<void>
}

/** Records of its own in a row that a node remembers. */
const keptOwnRecords = 9
/** Groups that this node is in no more, and still remembers. */
const keptOldGroups = 64

/** The groups of this node: makes and changes its own, takes the records of others, and keeps all members told. Changes run one after the other. */
export class GroupService {
  readonly #options: GroupServiceOptions
  readonly #ownKey: Uint8Array
  /** Groups of which this node has changed the record and could not tell the members yet. */
  readonly #untold = new Set<string>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: GroupServiceOptions) {
    this.#options = options
    this.#ownKey = options.platform.signer.publicKey
    options.desk.assign(groupContentTypes.record, ({ source, envelope }) => this.#inTurn(() => this.#control(source, envelope)))
  }

  /** Reads what an earlier process left. Before anything arrives. */
  async load(): Promise<void> {
    const { platform, book, log } = this.#options
    for (const stored of await platform.groupStore.groups()) {
      try {
        book.put(this.#known(stored))
      } catch (error) {
        log({ level: 'error', event: 'STATE_CORRUPT', fields: { where: 'groups', id: toHex(stored.id), reason: String(error) } })
      }
    }
  }

  /** Tells those who depend on members, and goes on with what an earlier process began. */
  async start(): Promise<void> {
    const { platform, book, onChange, onMembers, tracker, desk } = this.#options
    for (const group of book.all) {
      if (group.state === 'joined') onMembers(book.others(group))
      void onChange({ group, before: undefined, isOwn: this.#isOwn(group.signed) })
    }
    for (const { id, told } of await platform.groupStore.groups()) {
      const group = book.find(toHex(id))
      if (!told && group !== undefined)
        tracker.track(
          'telling the members of a group',
          this.#inTurn(() => this.#tell(group))
        )
    }
    desk.poke()
  }

  /** @throws {MeshError} GROUP_EXISTS, GROUP_FULL, OPTION_INVALID */
  create(name: string, members: readonly Uint8Array[]): Promise<KnownGroup> {
    return this.#inTurn(async () => {
      const { platform, book, nameProblem, describe } = this.#options
      if (!isGroupName(name))
        throw new MeshError('OPTION_INVALID', {
          path: 'name',
          value: JSON.stringify(name.slice(0, 80)),
          allowed: '1 to 63 of A-Z a-z 0-9 . _ -, the first a letter or digit'
        })
      const reason = book.groups.some(({ signed }) => signed.record.name === name) ? 'there is a group of that name' : nameProblem(name)
      if (reason !== undefined) throw new MeshError('GROUP_EXISTS', { group: name, reason })
      if (book.isFull) throw new MeshError('GROUP_FULL', { group: 'This node', what: 'groups', max: groupLimits.groups })
      const keys = [...new Map([this.#ownKey, ...members].map((key) => [toHex(key), key])).values()]
      const plan = { name, salt: platform.random.bytes(groupLimits.saltBytes), members: keys.map(describe), issuedAt: platform.clock.wall() }
      return this.#commitOwn(createGroup(plan, this.#signer), undefined)
    })
  }

  /** Adds and removes members, as an admin. @throws {MeshError} GROUP_UNKNOWN, GROUP_NOT_ADMIN, GROUP_CREATOR_ONLY, GROUP_LAST_ADMIN, GROUP_FULL, GROUP_NOT_MEMBER */
  edit(
    text: string,
    edit: Pick<GroupEdit, 'remove' | 'end'> & { readonly add?: readonly Uint8Array[]; readonly admins?: boolean }
  ): Promise<KnownGroup> {
    return this.#inTurn(async () => {
      const { book, describe } = this.#options
      const group = book.require(text)
      const { record } = group.signed
      const stranger = edit.remove?.find((key) => !isMember(record, key))
      if (stranger !== undefined)
        throw new MeshError('GROUP_NOT_MEMBER', { group: record.name, peer: this.#options.describe(stranger).name || 'The peer' })
      const added = edit.add ?? []
      const add = added.filter((key) => !isMember(record, key)).map(describe)
      const next = this.#edited(group.signed, { ...edit, add, ...(edit.admins === true ? { promote: added } : {}) })
      return next === undefined ? group : this.#commitOwn(next, group)
    })
  }

  /** Leaves a group: at once for this node; its admins take it out of the record when they hear of it. @throws {MeshError} GROUP_UNKNOWN, GROUP_LAST_ADMIN */
  leave(text: string): Promise<KnownGroup> {
    return this.#inTurn(async () => {
      const group = this.#options.book.require(text)
      if (isAdmin(group.signed.record, this.#ownKey)) {
        const next = this.#edited(group.signed, { remove: [this.#ownKey] })
        if (next !== undefined) return this.#commitOwn(next, group)
      }
      const left = { ...group, state: 'left' } as const
      await this.#save(left, { told: false })
      await this.#tell(left)
      return left
    })
  }

  /** A message named a group, or an epoch of it, that this node does not know: its sender is asked for the record. */
  saw(source: Uint8Array, { id, epoch }: GroupMark): void {
    const known = this.#options.book.find(toHex(id))
    if (known !== undefined && (known.state !== 'joined' || known.signed.record.epoch >= epoch)) return
    this.#options.tracker.track('asking for the record of a group', this.#options.teller.ask(source, { id, epoch }))
  }

  get #signer(): Signer {
    return this.#options.platform.signer
  }

  #isOwn({ record }: SignedGroup): boolean {
    return equalBytes(record.author, this.#ownKey)
  }

  #edited(current: SignedGroup, edit: GroupEdit): SignedGroup | undefined {
    const { record } = current
    const leaves = edit.remove?.some((key) => equalBytes(key, this.#ownKey)) === true
    // An admin who goes strikes itself out only where it may: the creator's mandate is the creator's.
    const isGuest = leaves && !equalBytes(record.creator, this.#ownKey)
    const asked = isGuest ? { ...edit, keepsMandate: true } : edit
    return editGroup(current, { ...asked, issuedAt: this.#options.platform.clock.wall() }, this.#signer)
  }

  #known({ record, before, own, state, gone }: StoredGroup): KnownGroup {
    const decoded = (bytes: Uint8Array): SignedGroup => decodeGroup(bytes, this.#options.platform.verifier)
    return { signed: decoded(record), state, gone, before: before === undefined ? undefined : decoded(before), own: own.map(decoded) }
  }

  async #commitOwn(signed: SignedGroup, before: KnownGroup | undefined): Promise<KnownGroup> {
    const group = await this.#commit(signed, before)
    await this.#tell(group)
    await this.#options.onChange({ group, before: before?.signed, isOwn: true })
    return group
  }

  /** Makes a record the newest one, on the disk and then for all. */
  async #commit(signed: SignedGroup, before: KnownGroup | undefined): Promise<KnownGroup> {
    const { book, log, onMembers, onChange, release } = this.#options
    const { record } = signed
    const isOwn = this.#isOwn(signed)
    const group: KnownGroup = { signed, state: this.#stateOf(signed, before), before: before?.signed, own: ownAfter(signed, before, isOwn) }
    await this.#save(group, { told: !isOwn })
    const change = memberChange(record, before?.signed.record)
    log({
      level: 'info',
      event: 'group.changed',
      fields: {
        group: record.name,
        id: toHex(record.id),
        state: group.state,
        epoch: record.epoch,
        members: record.members.length,
        added: change.added.length,
        removed: change.removed.length
      }
    })
    if (group.state === 'joined') onMembers(book.others(group))
    if (!isOwn) void onChange({ group, before: before?.signed, isOwn })
    if (group.state !== 'joined') {
      await this.#forgetOld(group)
      return group
    }
    const added = record.members.filter(({ key }) => change.added.includes(toHex(key)) && !equalBytes(key, this.#ownKey)).map(({ key }) => key)
    if (added.length > 0) await release(added, record.id)
    return group
  }

  /** A record that has not heard yet of our leaving changes nothing of it; one that takes this node in anew, after another had left it out, does. */
  #stateOf(signed: SignedGroup, before: KnownGroup | undefined): GroupState {
    const { record } = signed
    if (record.members.length === 0) return 'ended'
    const isLeaving = before?.state === 'left' && (before.gone ?? 0) === 0
    if (!isMember(record, this.#ownKey)) return before?.state === 'left' || this.#isOwn(signed) ? 'left' : 'removed'
    return isLeaving && isMember(before.signed.record, this.#ownKey) ? 'left' : 'joined'
  }

  async #save(group: KnownGroup, { told }: { readonly told: boolean }): Promise<void> {
    await this.#options.platform.groupStore.saveGroup(storedOf(group, told))
    if (!told) this.#untold.add(toHex(group.signed.record.id))
    this.#options.book.put(group)
  }

  /** Puts into the outbox what others must hear of the group as it is now; what was said before is not said twice. */
  async #tell(group: KnownGroup): Promise<void> {
    const { teller, platform } = this.#options
    const { signed, before, state } = group
    if (this.#isOwn(signed)) await teller.record(signed, before)
    else if (state === 'left') await teller.leave(signed)
    await platform.groupStore.saveGroup(storedOf(group, true))
    this.#untold.delete(toHex(signed.record.id))
  }

  /** Says what could not be said before, as the outbox was full. What still cannot waits for the next occasion, and holds nothing else up. */
  async #tellRest(): Promise<void> {
    for (const group of this.#options.book.all) if (this.#untold.has(toHex(group.signed.record.id))) await unlessFull(this.#tell(group))
  }

  async #control(source: Uint8Array, { body, group: mark }: Envelope): Promise<void> {
    await this.#tellRest()
    const control = decodeControl(body)
    checkSubject(mark, control.kind === 'record' ? undefined : control.group)
    switch (control.kind) {
      case 'record':
        return this.#record(source, this.#markedRecord(control.record, mark))
      case 'removed':
        return this.#removed(source, control)
      case 'leave':
        return this.#memberLeaves(source, control.group)
      case 'ask':
        return this.#asked(source, control.group)
    }
  }

  #markedRecord(bytes: Uint8Array, mark: GroupMark | undefined): SignedGroup {
    const signed = decodeGroup(bytes, this.#options.platform.verifier)
    checkSubject(mark, signed.record.id)
    return signed
  }

  async #record(source: Uint8Array, signed: SignedGroup): Promise<void> {
    const { book } = this.#options
    const { record } = signed
    const known = book.find(toHex(record.id))
    if (known === undefined) return this.#first(source, signed)
    if (!isMember(record, source) && !isMember(known.signed.record, source) && !isAdmin(record, source))
      throw new MeshError('GROUP_NOT_MEMBER', { group: record.name, peer: 'The sender of its record' })
    if (record.sequence <= (known.gone ?? 0)) return
    const result = succession(signed, known.signed)
    if (result === 'broken') throw new MeshError('MESSAGE_MALFORMED', { what: 'group record', reason: 'it does not follow the one that is known' })
    if (result !== 'newer') return
    const group = await this.#commit(signed, known)
    await this.#again(group)
  }

  /** A group that was not known: this node is in it from now on, as the sender, who is paired or was approved, says. */
  async #first(source: Uint8Array, signed: SignedGroup): Promise<void> {
    const { book } = this.#options
    const { record } = signed
    if (record.members.length === 0) return
    if (!isMember(record, this.#ownKey) || !(isMember(record, source) || isAdmin(record, source)))
      throw new MeshError('GROUP_NOT_MEMBER', { group: record.name, peer: 'The sender of its record, or this node,' })
    if (book.isFull) throw new MeshError('GROUP_FULL', { group: 'This node', what: 'groups', max: groupLimits.groups })
    await this.#commit(signed, undefined)
  }

  /** What this node had changed at the same time as another admin, and which lost, is changed again; so is what a record says that has not heard of our leaving. */
  async #again(group: KnownGroup): Promise<void> {
    const { signed, own = [] } = group
    if (group.state === 'left' && isMember(signed.record, this.#ownKey)) return this.#tell(group)
    if (group.state !== 'joined') return
    try {
      const next = own.length === 0 ? undefined : this.#edited(signed, lostChanges(signed, own))
      if (next !== undefined) await this.#commitOwn(next, group)
      // Whom only the records had that lost was told by this node, and by nobody else, that it is a member.
      const told = new Map(own.flatMap(({ record }) => record.members).map(({ key }) => [toHex(key), key]))
      await this.#options.teller.gone(next ?? signed, [...told.values()])
    } catch (error) {
      // This node is no admin any more: what it wanted is not its to say.
      if (!isMeshError(error, 'GROUP_NOT_ADMIN') && !isMeshError(error, 'GROUP_CREATOR_ONLY')) throw error
    }
  }

  async #removed(source: Uint8Array, { group: id, sequence }: { readonly group: Uint8Array; readonly sequence: number }): Promise<void> {
    const { book, log, onChange } = this.#options
    const known = book.find(toHex(id))
    if (known === undefined || sequence <= Math.max(known.signed.record.sequence, known.gone ?? 0)) return
    if (!isAdmin(known.signed.record, source)) throw new MeshError('GROUP_NOT_ADMIN', { group: known.signed.record.name })
    log({ level: 'info', event: 'group.changed', fields: { group: known.signed.record.name, id: toHex(id), state: 'removed' } })
    const group: KnownGroup = { ...known, state: known.state === 'left' ? 'left' : 'removed', gone: sequence }
    await this.#save(group, { told: true })
    await this.#forgetOld(group)
    void onChange({ group, before: known.signed, isOwn: false })
  }

  /** Of groups that this node was in, the newest are remembered, the one that it just went out of among them: its members have yet to be told. */
  async #forgetOld(latest: KnownGroup): Promise<void> {
    const { book, platform } = this.#options
    const old = book.all
      .filter((group) => group.state !== 'joined' && group !== latest)
      .toSorted((a, b) => b.signed.record.issuedAt - a.signed.record.issuedAt)
    for (const { signed } of old.slice(keptOldGroups - 1)) {
      await platform.groupStore.deleteGroup(signed.record.id)
      book.delete(signed.record.id)
    }
  }

  async #memberLeaves(source: Uint8Array, id: Uint8Array): Promise<void> {
    const group = this.#options.book.find(toHex(id))
    if (group?.state !== 'joined' || !isMember(group.signed.record, source)) return
    const next = this.#edited(group.signed, { remove: [source] })
    if (next !== undefined) await this.#commitOwn(next, group)
  }

  async #asked(source: Uint8Array, id: Uint8Array): Promise<void> {
    const group = this.#options.book.find(toHex(id))
    if (group?.state === 'joined' && isMember(group.signed.record, source)) await unlessFull(this.#options.teller.answer(source, group.signed))
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

function storedOf({ signed, before, own = [], state, gone = 0 }: KnownGroup, told: boolean): StoredGroup {
  const { record, bytes } = signed
  return { id: record.id, record: bytes, before: before?.bytes, own: own.map((each) => each.bytes), state, gone, told }
}

/** What this node made one upon the other, once `signed` is the newest record: its own goes on, another one's that was made knowing it begins anew. */
function ownAfter(signed: SignedGroup, before: KnownGroup | undefined, isOwn: boolean): readonly SignedGroup[] {
  const { own = [] } = before ?? {}
  const last = own.at(-1)
  if (!isOwn) return last === undefined || wasMadeKnowing(signed, last) !== false ? [] : own
  const goesOn = last !== undefined && equalBytes(signed.record.previous, last.hash)
  return [...(goesOn ? own : before === undefined ? [] : [before.signed]), signed].slice(-keptOwnRecords)
}

/** What this node changed and a record of another admin does not know, so that it can be done again: from the newest of our records that it knows. */
function lostChanges(signed: SignedGroup, own: readonly SignedGroup[]): Required<Pick<GroupEdit, 'add' | 'remove'>> {
  const known = own.findLastIndex((each) => wasMadeKnowing(signed, each) === true)
  const add = new Map<string, GroupMember>()
  const remove = new Map<string, Uint8Array>()
  for (const [index, { record }] of own.entries()) {
    const base = own[index - 1]
    if (base === undefined || index <= known) continue
    const { added, removed } = memberChange(record, base.record)
    for (const member of record.members) if (added.includes(toHex(member.key))) add.set(toHex(member.key), member)
    for (const { key } of base.record.members) if (removed.includes(toHex(key))) remove.set(toHex(key), key)
    for (const key of added) remove.delete(key)
    for (const key of removed) add.delete(key)
  }
  return {
    add: [...add.values()].filter(({ key }) => !isMember(signed.record, key)),
    remove: [...remove.values()].filter((key) => isMember(signed.record, key))
  }
}

/** The addresses of a peer that fit into a record. */
export const memberAddresses = (addresses: readonly string[]): readonly string[] =>
  [...new Set(addresses)].filter(isMemberAddress).slice(0, groupLimits.addressesOfMember)
