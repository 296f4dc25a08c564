import { isControlType } from '../core/base/control-type.ts'
import { MeshError, utf8 } from '../core/base/index.ts'
import {
  invalidOption,
  isMessageId,
  type GroupMark,
  type MessageDraft,
  messageLimits,
  type OutboxEntry,
  type OutboxState,
  routes,
  type ThreadMark,
  Ulids,
  type Via,
  type VolatileMessage
} from '../core/message/index.ts'
import { startDeadline, within } from './deadline.ts'
import type { Delivery } from './delivery.ts'
import type { Submitted } from './delivery-calls.ts'
import type { Outbox, PeerReference, RouteOptions, SendOptions, SendReport } from './mesh.ts'
import type { PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import { sendReport, settledStates } from './send-report.ts'
import type { Cause, Threads } from './threads.ts'

const defaultTimeoutMs = 10_000
const defaultPriority = 5
const textType = 'text/plain; charset=utf-8'
const bytesType = 'application/octet-stream'

export interface MeshOutboxOptions {
  readonly platform: Platform
  readonly delivery: Delivery
  readonly book: PeerBook
  readonly threads: Threads
  /** The route of messages that name none. */
  readonly via: Via
}

/** Rows of the outbox that belong to one message to a group: its report, by the id that it has for all. */
interface GroupMessages {
  collapse(rows: readonly OutboxEntry[]): Promise<readonly SendReport[]>
  find(id: string): Promise<SendReport | undefined>
  cancel(id: string): Promise<SendReport | undefined>
}

function contentTypeOf(content: string | Uint8Array, { contentType }: SendOptions): string {
  if (contentType === undefined) return typeof content === 'string' ? textType : bytesType
  if (!isControlType(contentType)) return contentType
  throw new MeshError('OPTION_INVALID', {
    path: 'contentType',
    value: contentType.slice(0, 80),
    allowed: "a media type that is not one of this software's own"
  })
}

const noReport = (): Promise<undefined> => Promise.resolve(undefined)

/** Content that stays as it is though the caller's array changes while a way is looked for. */
export const ownCopy = (content: string | Uint8Array): string | Uint8Array => (typeof content === 'string' ? content : content.slice())

/** The id of the message because of which one is sent. @throws {MeshError} OPTION_INVALID */
function causeIn({ cause, inReplyTo }: SendOptions): string | undefined {
  if (cause !== undefined && !isMessageId(cause)) throw invalidOption('cause', cause, 'a message id')
  return cause ?? inReplyTo
}

/** Whom a message goes to. */
export interface Recipient {
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly label: string
  /** The group as whose member it is written to. */
  readonly group?: Omit<GroupMark, 'message'> | undefined
  /** The message because of which it is written to, where it is at hand. */
  readonly cause?: Cause | undefined
}

/** Sending: drafts from what callers give, and what became of them. */
export class MeshOutbox implements Outbox {
  readonly #options: MeshOutboxOptions
  readonly #ulids: Ulids
  /** What is known of messages to groups, whose rows belong together. */
  #groups: GroupMessages = { collapse: (rows) => Promise.resolve(rows.map((row) => this.report(row))), find: noReport, cancel: noReport }
  readonly #waiting = new Map<string, Set<(entry: OutboxEntry) => void>>()

  constructor(options: MeshOutboxOptions) {
    this.#options = options
    this.#ulids = new Ulids(options.platform.random)
  }

  /** Names who knows of messages to groups. */
  withGroups(groups: GroupMessages): void {
    this.#groups = groups
  }

  nextId(): string {
    return this.#ulids.next(this.#options.platform.clock.wall())
  }

  /** A state of the outbox was committed: wakes whoever waits for it. */
  changed(entry: OutboxEntry): void {
    for (const wake of this.#waiting.get(entry.id) ?? []) wake(entry)
  }

  /**
   * Sends durably: resolves when the wanted state is reached, or with what is true when the time is over.
   * @throws {MeshError} LOOP_GUARD, HOP_LIMIT and what `Delivery.submit` throws
   */
  async send(recipient: Recipient, content: string | Uint8Array, options: SendOptions): Promise<SendReport> {
    const isHidden = this.routeOf(options) === 'onion'
    const causeId = recipient.cause === undefined ? causeIn(options) : undefined
    const draft = this.draft(recipient, isHidden || causeId !== undefined ? ownCopy(content) : content, options)
    if (isHidden) await this.checkRoute(recipient, options)
    const cause = causeId === undefined ? recipient.cause : await this.#options.threads.causeOf(causeId, recipient.publicKey)
    const thread = this.#enter(draft.id, options, cause)
    const settled = this.settled(draft.id)
    try {
      const { entry } = await this.#submit(thread === undefined ? draft : { ...draft, thread })
      if (options.waitFor === 'accepted' || settledStates.has(entry.state)) return this.report(entry)
      return this.report(await this.#waitFor(settled.promise, { entry, options }))
    } finally {
      settled.stop()
    }
  }

  /** Hands a volatile message to the peer's stream; the content is copied at once. @throws {MeshError} NOT_PAIRED, PEER_UNREACHABLE, BODY_TOO_LARGE, OPTION_INVALID */
  async sendVolatile({ peerId, publicKey, label }: Recipient, content: string | Uint8Array, options: SendOptions): Promise<SendReport> {
    const { platform, book, delivery, threads } = this.#options
    const { clock } = platform
    if (book.pairOf(peerId) === undefined) throw new MeshError('NOT_PAIRED', { peer: book.referenceOf(peerId).name })
    const timestamp = clock.wall()
    const message: VolatileMessage = {
      id: options.id ?? this.#ulids.next(timestamp),
      type: options.type ?? 'Thought',
      label: options.label ?? '',
      toLabel: options.toLabel ?? label,
      inReplyTo: options.inReplyTo,
      expectsReply: options.expectsReply ?? false,
      priority: options.priority ?? defaultPriority,
      ttlS: options.ttlS ?? messageLimits.defaultTtlS,
      timestamp,
      contentType: contentTypeOf(content, options),
      body: typeof content === 'string' ? utf8(content) : content
    }
    const via = this.routeOf(options)
    const causeId = causeIn(options)
    this.#enter(message.id, options, causeId === undefined ? undefined : threads.volatileCauseOf(causeId))
    const { sent, begun } = delivery.sendVolatile({ peerId, publicKey, via }, message)
    const path = await sent
    return {
      id: message.id,
      to: [book.referenceOf(peerId)],
      type: message.type,
      priority: message.priority,
      status: 'sent',
      via,
      path,
      ms: clock.monotonic() - begun,
      attempts: 1,
      acceptedAt: timestamp,
      expiresAt: timestamp,
      error: undefined
    }
  }

  #enter(id: string, { automatic = false, allow = false }: SendOptions, cause: Cause | undefined): ThreadMark | undefined {
    return this.#options.threads.enter({ id, automatic, allow, cause })
  }

  /** What is no new message is not counted in its thread. */
  async #submit(draft: MessageDraft): Promise<Submitted> {
    const { delivery, threads } = this.#options
    try {
      const submitted = await delivery.submit(draft)
      if (submitted.duplicate) threads.takeBack(draft.thread)
      return submitted
    } catch (error) {
      threads.takeBack(draft.thread)
      throw error
    }
  }

  async list(
    query: { readonly states?: readonly OutboxState[]; readonly limit?: number; readonly to?: string } = {}
  ): Promise<readonly SendReport[]> {
    const destination = query.to === undefined ? undefined : this.#options.book.resolve(query.to).publicKey
    const rows = await this.#options.platform.deliveryStore.listOutbox({ states: query.states, destination, limit: query.limit ?? 100 })
    return this.#groups.collapse(rows)
  }

  async get(id: string): Promise<SendReport> {
    const [row] = await this.#options.platform.deliveryStore.loadOutbox([id])
    if (row !== undefined) return this.report({ ...row, bytes: row.envelope.length })
    const ofGroup = await this.#groups.find(id)
    if (ofGroup === undefined) throw new MeshError('MESSAGE_UNKNOWN', { id })
    return ofGroup
  }

  retry(id?: string): Promise<number> {
    return this.#options.delivery.retry(id)
  }

  async cancel(id: string): Promise<SendReport> {
    return (await this.#groups.cancel(id)) ?? this.report(await this.#options.delivery.cancel(id))
  }

  counts(): Promise<{ readonly queued: number; readonly bytes: number }> {
    const { queued, bytes } = this.#options.delivery.counts
    return Promise.resolve({ queued, bytes })
  }

  /** For a message over circuits: where none can be made it is refused, and neither waits in silence nor goes directly. @throws {MeshError} as `OnionStreams.check` */
  async checkRoute({ publicKey }: Recipient, options: SendOptions): Promise<void> {
    const { delivery, platform } = this.#options
    const { timeoutMs = defaultTimeoutMs, signal } = options
    using deadline = startDeadline(platform.timers, { operation: 'message', timeoutMs, signal })
    await delivery.checkOnion(publicKey, deadline.signal)
  }

  /** The route that a call names, or else this node's own. */
  routeOf({ via = this.#options.via }: RouteOptions): Via {
    if (!routes.includes(via)) throw new MeshError('OPTION_INVALID', { path: 'via', value: String(via).slice(0, 20), allowed: routes.join(' or ') })
    return via
  }

  /** A message for one recipient as callers describe it. @throws {MeshError} OPTION_INVALID */
  draft(recipient: Recipient, content: string | Uint8Array, options: SendOptions): MessageDraft {
    const id = options.id ?? this.nextId()
    return {
      id,
      ...(recipient.group === undefined ? {} : { group: { ...recipient.group, message: id } }),
      type: options.type ?? 'Thought',
      destination: { kind: 'peer', key: recipient.publicKey, label: options.toLabel ?? recipient.label },
      via: this.routeOf(options),
      label: options.label ?? '',
      inReplyTo: options.inReplyTo,
      expectsReply: options.expectsReply ?? false,
      priority: options.priority ?? defaultPriority,
      ttlS: options.ttlS ?? messageLimits.defaultTtlS,
      contentType: contentTypeOf(content, options),
      body: typeof content === 'string' ? utf8(content) : content
    }
  }

  /** The first settled state of a message, from now on. */
  settled(id: string): { readonly promise: Promise<OutboxEntry>; readonly stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<OutboxEntry>()
    const wake = (entry: OutboxEntry): void => {
      if (settledStates.has(entry.state)) resolve(entry)
    }
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting.add(wake))
    const stop = (): void => {
      waiting.delete(wake)
      if (waiting.size === 0) this.#waiting.delete(id)
    }
    return { promise, stop }
  }

  /** The settled entry; after the time-out what the store says then. A caller's abort rejects: the message stays queued. */
  async #waitFor(
    settled: Promise<OutboxEntry>,
    { entry, options }: { readonly entry: OutboxEntry; readonly options: SendOptions }
  ): Promise<OutboxEntry> {
    const { timers, deliveryStore, clock } = this.#options.platform
    const start = clock.monotonic()
    using deadline = startDeadline(timers, { operation: 'message', timeoutMs: options.timeoutMs ?? defaultTimeoutMs, signal: options.signal })
    try {
      return await within(deadline, settled)
    } catch (error) {
      if (options.signal?.aborted === true) throw error
      const [row] = await deliveryStore.loadOutbox([entry.id])
      const last = row === undefined ? entry : { ...row, bytes: row.envelope.length }
      return settledStates.has(last.state) ? last : { ...last, settledMs: Math.round(clock.monotonic() - start) }
    }
  }

  #reference(publicKey: Uint8Array): PeerReference {
    return this.#options.book.reference(publicKey)
  }

  /** An entry as callers get it. */
  report(entry: OutboxEntry): SendReport {
    return sendReport(entry, this.#reference(entry.destination))
  }
}
