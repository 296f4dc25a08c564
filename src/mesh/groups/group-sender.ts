import { type ErrorReport, MeshError, toHex, toMeshError, wallMillis } from '../../core/base/index.ts'
import { groupLimits, memberMessageId } from '../../core/group/index.ts'
import { invalidOption, isMessageId, type MessageDraft, type OutboxEntry, type OutboxState, type ThreadMark } from '../../core/message/index.ts'
import { startDeadline, within } from '../deadline.ts'
import type { Delivery } from '../delivery.ts'
import type { Submitted } from '../delivery-calls.ts'
import type { SendOptions, SendReport } from '../mesh.ts'
import { type MeshOutbox, ownCopy, type Recipient } from '../mesh-outbox.ts'
import type { PeerBook } from '../peer-book.ts'
import type { Platform } from '../ports.ts'
import { sendReport, settledStates } from '../send-report.ts'
import type { Cause, Threads } from '../threads.ts'
import type { GroupBook } from './group-book.ts'
import type { MemberReport } from './group-info.ts'
import type { GroupCarrier, KnownGroup } from './group-types.ts'

const defaultTimeoutMs = 10_000

export interface GroupSenderOptions {
  readonly platform: Pick<Platform, 'clock' | 'timers' | 'deliveryStore'>
  readonly delivery: Pick<Delivery, 'submit' | 'cancel'>
  readonly outbox: MeshOutbox
  readonly threads: Threads
  readonly peers: PeerBook
  readonly groups: GroupBook
  /** For groups of more than 32 members. */
  readonly carrier: GroupCarrier
}

/** How a message is sent to a group. */
export interface GroupCall {
  readonly options: SendOptions
  /** The message because of which it is sent, where the caller has it. */
  readonly cause?: Cause | undefined
}

type Outcome = PromiseSettledResult<Submitted>

/** Sends to all members of a group: an ordinary durable message for each, with ids that are derived from the one that the message has for all. */
export class GroupSender {
  readonly #options: GroupSenderOptions

  constructor(options: GroupSenderOptions) {
    this.#options = options
  }

  /**
   * Resolves when all members have the wanted state, or with what is true when the time is over.
   * @throws {MeshError} GROUP_NOT_MEMBER, LOOP_GUARD, HOP_LIMIT, and what every member's message was refused with
   */
  async send(group: KnownGroup, content: string | Uint8Array, { options, cause }: GroupCall): Promise<SendReport> {
    const { record } = group.signed
    if (group.state !== 'joined') throw new MeshError('GROUP_NOT_MEMBER', { group: record.name })
    if (options.delivery === 'volatile') throw new MeshError('USAGE', { problem: `${record.name} is a group: what is sent to it is stored` })
    const members = this.#options.groups.others(group)
    if (members.length === 0) throw new MeshError('USAGE', { problem: `${record.name} has no other members yet` })
    const message = options.id ?? this.#options.outbox.nextId()
    if (!isMessageId(message)) throw invalidOption('id', message, '1 to 64 of A-Z a-z 0-9 . _ -')
    const mark = { id: record.id, epoch: record.epoch, message }
    const own = ownCopy(content)
    const unmarked = members.map(({ key }) => {
      const id = memberMessageId({ group: record.id, message, member: key })
      return this.#options.outbox.draft(this.#recipient(key), own, { ...options, id })
    })
    await this.#checkRoutes(members, options)
    const thread = await this.#thread(message, options, cause)
    const drafts = unmarked.map((draft): MessageDraft => ({ ...draft, group: mark, thread }))
    const watches = drafts.map(({ id }) => this.#options.outbox.settled(id))
    try {
      const outcomes = await this.#submit(group, drafts)
      this.#checkOutcomes(outcomes, thread)
      if (options.waitFor !== 'accepted') await this.#wait(outcomes, { watches, options })
      return await this.#report(message, drafts, outcomes)
    } finally {
      for (const watch of watches) watch.stop()
    }
  }

  /** What became of a message, by the id that it has for all; undefined when there is none. */
  async find(message: string): Promise<SendReport | undefined> {
    const entries = await this.#rows(message)
    return entries.length === 0 ? undefined : this.report(message, entries)
  }

  /** Rows of the outbox, those of one message to a group as one report at the place of the first. */
  async collapse(rows: readonly OutboxEntry[]): Promise<readonly SendReport[]> {
    const seen = new Set<string>()
    const reports: SendReport[] = []
    for (const row of rows) {
      const message = row.group?.message
      if (message === undefined) reports.push(this.#options.outbox.report(row))
      else if (!seen.has(message)) {
        seen.add(message)
        reports.push((await this.find(message)) ?? this.report(message, [row]))
      }
    }
    return reports
  }

  /** Gives up what has not been confirmed; undefined when no message has this id. @throws {MeshError} NOT_CANCELLABLE */
  async cancel(message: string): Promise<SendReport | undefined> {
    const before = await this.find(message)
    if (before?.members === undefined) return undefined
    const outcomes = await Promise.allSettled(before.members.map(({ id }) => this.#options.delivery.cancel(id)))
    const refused = outcomes.find((outcome) => outcome.status === 'rejected')
    if (refused !== undefined && outcomes.every(({ status }) => status === 'rejected')) throw toMeshError(refused.reason)
    return this.find(message)
  }

  /** One report of the rows that a message has. */
  report(message: string, entries: readonly OutboxEntry[], failed: readonly MemberReport[] = []): SendReport {
    const reports = entries.map((entry) => this.#memberReport(entry))
    const members = [...reports, ...failed]
    const [first] = entries
    const id = first?.group?.id ?? new Uint8Array()
    const known = this.#options.groups.find(toHex(id))
    const base = first === undefined ? undefined : sendReport(first, this.#options.peers.reference(first.destination))
    const now = this.#options.platform.clock.wall()
    const paths = new Set(members.map(({ path }) => path))
    return {
      id: message,
      to: members.map(({ peer }) => peer),
      type: base?.type ?? 'Thought',
      priority: base?.priority ?? 0,
      status: statusOf(members),
      via: base?.via ?? 'direct',
      path: paths.size === 1 ? members[0]?.path : undefined,
      ms: Math.max(0, ...members.map(({ ms }) => ms)),
      attempts: Math.max(0, ...members.map(({ attempts }) => attempts)),
      acceptedAt: base?.acceptedAt ?? now,
      expiresAt: base?.expiresAt ?? wallMillis(now),
      error: this.#errorOf(known?.signed.record.name ?? toHex(id).slice(0, 8), members),
      group: { id: toHex(id), name: known?.signed.record.name ?? '' },
      members
    }
  }

  #recipient(publicKey: Uint8Array): Recipient {
    return { peerId: this.#options.peers.reference(publicKey).peerId, publicKey, label: '' }
  }

  /** Over circuits: where none can be made to any member it is refused, as to a peer. */
  async #checkRoutes(members: readonly { readonly key: Uint8Array }[], options: SendOptions): Promise<void> {
    const { outbox } = this.#options
    if (outbox.routeOf(options) !== 'onion') return
    const checks = await Promise.allSettled(members.map(({ key }) => outbox.checkRoute(this.#recipient(key), options)))
    const refused = checks.find((check) => check.status === 'rejected')
    if (refused !== undefined && checks.every(({ status }) => status === 'rejected')) throw toMeshError(refused.reason)
  }

  #rows(message: string): Promise<readonly OutboxEntry[]> {
    const { deliveryStore } = this.#options.platform
    return deliveryStore.listOutbox({ states: undefined, destination: undefined, groupMessage: message, limit: groupLimits.members })
  }

  async #thread(message: string, options: SendOptions, known: Cause | undefined): Promise<ThreadMark> {
    const { threads } = this.#options
    const causeId = options.cause ?? options.inReplyTo
    const cause = known ?? (causeId === undefined ? undefined : await threads.causeOf(causeId, new Uint8Array()))
    const mark = threads.enter({ id: message, automatic: options.automatic === true, allow: options.allow === true, cause })
    // All members see one conversation, whatever the id that the message has for each.
    return mark ?? { root: message, hop: 0, automatic: false }
  }

  #submit(group: KnownGroup, drafts: readonly MessageDraft[]): Promise<readonly Outcome[]> {
    const { carrier, delivery } = this.#options
    if (group.signed.record.members.length > groupLimits.directMembers) return carrier.submit(group, drafts)
    return Promise.allSettled(drafts.map((draft) => delivery.submit(draft)))
  }

  #checkOutcomes(outcomes: readonly Outcome[], thread: ThreadMark): void {
    const isNew = outcomes.some((outcome) => outcome.status === 'fulfilled' && !outcome.value.duplicate)
    if (!isNew) this.#options.threads.takeBack(thread)
    const refused = outcomes.find((outcome) => outcome.status === 'rejected')
    const conflict = outcomes.find((outcome) => outcome.status === 'rejected' && toMeshError(outcome.reason).code === 'ID_CONFLICT')
    if (conflict?.status === 'rejected') throw toMeshError(conflict.reason)
    if (refused?.status === 'rejected' && outcomes.every(({ status }) => status === 'rejected')) throw toMeshError(refused.reason)
  }

  /** Until every member's message is settled, or the time is over. A caller's abort rejects: the messages stay queued. */
  async #wait(
    outcomes: readonly Outcome[],
    { watches, options }: { readonly watches: readonly { readonly promise: Promise<OutboxEntry> }[]; readonly options: SendOptions }
  ): Promise<void> {
    const open = watches.filter((_, index) => {
      const outcome = outcomes[index]
      return outcome?.status === 'fulfilled' && !settledStates.has(outcome.value.entry.state)
    })
    using deadline = startDeadline(this.#options.platform.timers, {
      operation: 'message',
      timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
      signal: options.signal
    })
    try {
      await within(deadline, Promise.all(open.map(({ promise }) => promise)))
    } catch (error) {
      if (options.signal?.aborted === true) throw error
    }
  }

  async #report(message: string, drafts: readonly MessageDraft[], outcomes: readonly Outcome[]): Promise<SendReport> {
    const entries = await this.#rows(message)
    const ids = new Set(drafts.map(({ id }) => id))
    const failed = drafts.flatMap(({ id, destination }, index): readonly MemberReport[] => {
      const outcome = outcomes[index]
      if (outcome?.status !== 'rejected') return []
      const error = toMeshError(outcome.reason).report()
      return [{ peer: this.#options.peers.reference(destination.key), id, status: 'failed', path: undefined, ms: 0, attempts: 0, error }]
    })
    return this.report(
      message,
      entries.filter(({ id }) => ids.has(id)),
      failed
    )
  }

  #memberReport(entry: OutboxEntry): MemberReport {
    const peer = this.#options.peers.reference(entry.destination)
    const { id, status, path, ms, attempts, error } = sendReport(entry, peer)
    return { peer, id, status, path, ms, attempts, error }
  }

  #errorOf(group: string, members: readonly MemberReport[]): ErrorReport | undefined {
    const missing = members.filter(({ status }) => !reached.has(status))
    if (missing.length === 0) return undefined
    const details = { group, stored: members.length - missing.length, members: members.length, missing: namesOf(missing) }
    return new MeshError('GROUP_INCOMPLETE', details).report()
  }
}

const maxNamed = 8

function namesOf(members: readonly MemberReport[]): string {
  const names = members.slice(0, maxNamed).map(({ peer, status, error }) => `${peer.name} (${error?.code ?? status})`)
  return [...names, ...(members.length > maxNamed ? [`${members.length - maxNamed} more`] : [])].join(', ')
}

/** The states in which a member's agent has the message before it. */
const reached: ReadonlySet<OutboxState> = new Set(['stored', 'read'])

/** The worst first: what a whole message is said to be. */
const worstFirst: readonly OutboxState[] = ['failed', 'expired-unknown', 'accepted', 'sent', 'held', 'stored', 'read']
const statusOf = (members: readonly MemberReport[]): OutboxState =>
  worstFirst.find((state) => members.some(({ status }) => status === state)) ?? 'failed'
