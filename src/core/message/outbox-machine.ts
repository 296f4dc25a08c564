import { after, earliest, equalBytes, type Machine, MeshError, type Millis, toMeshError, wallMillis } from '../base/index.ts'
import { isControlType } from '../base/control-type.ts'
import { expiryOf } from './age.ts'
import { checkDraft, contentDigest, encodeEnvelope } from './envelope.ts'
import { Destination, mapKey } from './outbox-destination.ts'
import { canUpgrade, Entry, isEnd } from './outbox-entry.ts'
import type { Lane } from './outbox-lane.ts'
import { OutboxLedger } from './outbox-ledger.ts'
import { OutboxParking } from './outbox-parking.ts'
import { OutboxSender } from './outbox-sender.ts'
import { haltedAnswer } from './outbox-halted.ts'
import type { MessageDraft, OutboxCounts, OutboxInput, OutboxOptions, OutboxOutput } from './outbox-types.ts'
import { openReceipts, type Receipt } from './receipts.ts'
import { nobleSha256, type Sha256 } from './sha256.ts'
import type { EnqueueOutcome, OutboxEntry, OutboxRow } from './store-port.ts'
import type { RefusalCode } from './types.ts'

/** Receipts of messages that are no longer in memory are looked up; frames beyond so many at a time are dropped. */
const maxLookups = 64

/** Refusals that may be over soon: the message is sent again until its ttl. */
const retryableRefusals: ReadonlySet<RefusalCode> = new Set(['QUOTA', 'DISK_FULL', 'PROTOCOL_LIMIT'])

type Input<Type extends OutboxInput['type']> = Extract<OutboxInput, { type: Type }>

type Lookup =
  | { readonly what: 'receipts'; readonly source: Uint8Array; readonly receipts: readonly Receipt[] }
  | { readonly what: 'cancel'; readonly call: number; readonly id: string }

/**
 * The sender's side of durable delivery. What it promises: `submitted` only after the commit; every message ends in one state, by
 * ttl + 60 s; nothing is lost by a lost connection, a full disk or a restart; an end is told only after its commit.
 */
export class OutboxMachine implements Machine<OutboxInput, OutboxOutput> {
  readonly #options: OutboxOptions
  readonly #sha256: Sha256
  readonly #ledger = new OutboxLedger()
  readonly #sender: OutboxSender
  readonly #parking = new OutboxParking(this.#ledger)
  readonly #submits = new Map<number, Entry>()
  readonly #lookups = new Map<number, Lookup>()
  #isHalted = false

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#sha256 = options.sha256 ?? nobleSha256
    this.#sender = new OutboxSender(options, this.#ledger, this.#sha256)
    const { pending, sequences, retries } = options.recovery
    for (const { destination, sequence } of sequences) this.#ledger.destinations.set(mapKey(destination), new Destination(destination, sequence + 1))
    const open = pending.filter((row) => !isEnd(row.state)).toSorted((a, b) => a.sequence - b.sequence)
    for (const row of open) this.#recover(row)
    for (const retry of retries) this.#sender.restore(retry)
  }

  #recover(row: OutboxEntry): void {
    const lane = this.#ledger.laneOf(row.destination, row.via)
    lane.destination.restore(row.sequence, lane)
    const entry = new Entry({ row, lane, deadline: expiryOf(row, this.#options.at) })
    this.#ledger.add(entry)
    this.#ledger.open(entry)
  }

  get wakeAt(): Millis | undefined {
    return this.#isHalted ? undefined : earliest(this.#ledger.wakeAt, this.#sender.wakeAt, this.#parking.wakeAt)
  }

  get counts(): OutboxCounts {
    const { queued, queuedDirect, queuedBytes, flying } = this.#ledger
    return { queued, direct: queuedDirect, bytes: queuedBytes, inFlight: flying }
  }

  handle(input: OutboxInput, now: Millis): readonly OutboxOutput[] {
    if (this.#isHalted) return haltedAnswer(input)
    this.#ledger.expire(now)
    this.#take(input, now)
    this.#sender.kickAll(this.#parking.release(now), now)
    this.#sender.advance(now)
    this.#sender.flush(now)
    return this.#ledger.takeOutputs()
  }

  #take(input: OutboxInput, now: Millis): void {
    switch (input.type) {
      case 'start':
        return this.#sender.kickAll(this.#ledger.lanes(), now)
      case 'submit':
        return this.#submit(input, now)
      case 'enqueued':
        return this.#enqueued(input, now)
      case 'gossiped':
        return this.#sender.kickAll(this.#parking.gossiped(input), now)
      case 'enqueue-failed':
        return this.#enqueueFailed(input)
      case 'connected':
        return this.#sender.connected(input, now)
      case 'disconnected':
        return this.#sender.disconnected(input, now)
      case 'unreachable':
        return this.#sender.unreachable(input, now)
      case 'reachable':
        return this.#sender.reachable(input, now)
      case 'loaded':
        return this.#loaded(input, now)
      case 'load-failed':
        return this.#loadFailed(input, now)
      case 'receipts':
        return this.#receipts(input, now)
      case 'settled':
        this.#ledger.settled(input.token)
        return this.#sender.marked(input.token, now)
      case 'settle-failed':
        return this.#settleFailed(input, now)
      case 'cancel':
        return this.#cancel(input, now)
      case 'retry':
        return this.#retry(input, now)
      case 'wake':
        return
    }
  }

  #submit(input: Input<'submit'>, now: Millis): void {
    const { call, draft } = input
    try {
      checkDraft(draft)
      const digest = contentDigest(draft, this.#sha256)
      const known = this.#ledger.find(draft.id)
      if (known === undefined) this.#accept({ input, digest }, now)
      else this.#repeat(known, { call, digest })
    } catch (thrown) {
      this.#ledger.emit({ type: 'rejected', call, error: toMeshError(thrown) })
    }
  }

  #repeat(known: Entry, submit: { readonly call: number; readonly digest: Uint8Array }): void {
    if (!equalBytes(known.row.digest, submit.digest)) throw new MeshError('ID_CONFLICT', { id: known.id })
    if (known.stage === 'enqueuing') known.calls.push(submit.call)
    else this.#ledger.emit({ type: 'submitted', call: submit.call, entry: known.snapshot(), duplicate: true })
  }

  #accept(submit: { readonly input: Input<'submit'>; readonly digest: Uint8Array }, now: Millis): void {
    const { draft, at, call } = submit.input
    this.#checkQuota(draft)
    const lane = this.#ledger.laneOf(draft.destination.key, draft.via)
    const { destination } = lane
    const sequence = destination.takeSequence(lane)
    const envelope = this.#envelope(submit.input, sequence)
    const { id, via, type, priority } = draft
    const ttlMs = draft.ttlS * 1_000
    const row = {
      id,
      via,
      destination: destination.publicKey,
      sequence,
      type,
      priority,
      ttlMs,
      accepted: at,
      digest: submit.digest,
      attempts: 0,
      path: '',
      failure: '',
      settledMs: 0,
      ...(draft.group === undefined || draft.group.message === id ? {} : { group: { id: draft.group.id, message: draft.group.message } }),
      ...(isControlType(draft.contentType) ? { control: true } : {})
    } as const
    const entry = new Entry({ row: { ...row, state: 'accepted', bytes: envelope.length }, lane, deadline: after(now, ttlMs) })
    if (submit.input.parkMs !== undefined) this.#parking.choose(entry, { parkMs: submit.input.parkMs, digest: this.#sha256(envelope) })
    // With a stream at hand it is written as sent right away: one commit less, and a crash never makes "sent" look like "never sent".
    entry.committed = entry.parkMs > 0 || (lane.canCarry(entry.bytes) && lane.retryAt === undefined) ? 'sent' : 'accepted'
    entry.wanted = entry.committed
    entry.calls.push(call)
    this.#ledger.add(entry)
    this.#ledger.cache(entry, envelope)
    this.#submits.set(call, entry)
    this.#ledger.emit({ type: 'enqueue', call, row: { ...row, state: entry.committed, envelope } })
  }

  #checkQuota(draft: MessageDraft): void {
    const { maxMessages, maxBytes } = this.#options
    const { queued, queuedBytes } = this.#ledger
    if (queued >= maxMessages) throw new MeshError('QUOTA', { where: 'The outbox', reason: `${maxMessages} messages wait` })
    if (queuedBytes + draft.body.length > maxBytes) throw new MeshError('QUOTA', { where: 'The outbox', reason: `${queuedBytes} bytes wait` })
  }

  #envelope(input: Input<'submit'>, sequence: number): Uint8Array {
    const { label, ...fields } = input.draft
    const { recovery, signer } = this.#options
    const timestamp = wallMillis(Math.max(0, Math.floor(input.at.wall)))
    return encodeEnvelope({
      ...fields,
      version: 1,
      source: { kind: 'peer', key: signer.publicKey, label },
      epoch: recovery.epoch,
      sequence,
      timestamp
    })
  }

  #enqueued(input: Input<'enqueued'>, now: Millis): void {
    const touched = new Set<Lane>()
    for (const { call, outcome } of input.results) {
      const entry = this.#submits.get(call)
      this.#submits.delete(call)
      if (entry === undefined) continue
      if (outcome.outcome !== 'accepted') {
        this.#notInserted(entry, outcome)
        continue
      }
      touched.add(entry.lane)
      this.#inserted(entry, now)
    }
    this.#sender.kickAll(touched, now)
  }

  #inserted(entry: Entry, now: Millis): void {
    this.#parking.open(entry, now)
    const snapshot = entry.snapshot()
    for (const [index, call] of entry.calls.entries()) this.#ledger.emit({ type: 'submitted', call, entry: snapshot, duplicate: index > 0 })
    if (entry.cancelCall !== undefined) this.#ledger.end(entry, { state: 'failed', failure: 'CANCELLED' }, now)
  }

  #notInserted(entry: Entry, outcome: Exclude<EnqueueOutcome, { outcome: 'accepted' }>): void {
    entry.destination.giveBack(entry.sequence)
    this.#abandon(entry)
    for (const call of entry.calls) {
      if (outcome.outcome === 'conflict') this.#ledger.emit({ type: 'rejected', call, error: new MeshError('ID_CONFLICT', { id: entry.id }) })
      else this.#ledger.emit({ type: 'submitted', call, entry: outcome.row, duplicate: true })
    }
    if (entry.cancelCall !== undefined)
      this.#rejectCancel({ call: entry.cancelCall, id: entry.id }, outcome.outcome === 'duplicate' ? outcome.row : undefined)
  }

  #enqueueFailed(input: Input<'enqueue-failed'>): void {
    const entry = this.#submits.get(input.call)
    this.#submits.delete(input.call)
    this.#haltOn(input.error)
    if (entry === undefined) return
    this.#abandon(entry)
    for (const call of entry.calls) this.#ledger.emit({ type: 'rejected', call, error: input.error })
    if (entry.cancelCall !== undefined) this.#rejectCancel({ call: entry.cancelCall, id: entry.id }, undefined)
  }

  /** Forgets an entry that is not in the store. */
  #abandon(entry: Entry): void {
    entry.stage = 'ended'
    entry.destination.release(entry.sequence, entry.lane)
    this.#ledger.forget(entry)
  }

  /** After STORE_FAILED nobody knows what is on the disk: nothing more is done until a new process has read it. */
  #haltOn(error: MeshError): void {
    if (error.code === 'STORE_FAILED') this.#isHalted = true
  }

  #settleFailed(input: Input<'settle-failed'>, now: Millis): void {
    this.#haltOn(input.error)
    this.#ledger.settleFailed(input.token, now)
    this.#sender.markFailed(input.token)
  }

  #loaded(input: Input<'loaded'>, now: Millis): void {
    if (this.#sender.loaded(input.token, input.rows, now)) return
    const lookup = this.#lookups.get(input.token)
    this.#lookups.delete(input.token)
    if (lookup?.what === 'cancel') this.#rejectCancel(lookup, input.rows[0])
    else if (lookup?.what === 'receipts') this.#lookedUp(lookup, input.rows, now)
  }

  #loadFailed(input: Input<'load-failed'>, now: Millis): void {
    this.#haltOn(input.error)
    if (this.#sender.loadFailed(input.token, now)) return
    const lookup = this.#lookups.get(input.token)
    this.#lookups.delete(input.token)
    if (lookup?.what === 'cancel') this.#ledger.emit({ type: 'rejected', call: lookup.call, error: input.error })
  }

  #receipts(input: Input<'receipts'>, now: Millis): void {
    const { signer, verifier } = this.#options
    const { source } = input
    try {
      // Before they are decoded, which costs far more than sending them: who never got a message has no receipt to give.
      if (this.#ledger.destinations.get(mapKey(source))?.isUnused !== false)
        throw new MeshError('MESSAGE_MALFORMED', { what: 'receipts', reason: 'nothing was ever sent to this peer' })
      const { receipts } = openReceipts(input.frame, { peer: source, self: signer.publicKey }, verifier)
      this.#applyAll(source, receipts, now)
    } catch (thrown) {
      this.#ledger.emit({ type: 'misbehaved', source, stream: input.stream, error: toMeshError(thrown) })
    }
  }

  #applyAll(source: Uint8Array, receipts: readonly Receipt[], now: Millis): void {
    const unknown: Receipt[] = []
    for (const receipt of receipts) {
      const entry = this.#ledger.find(receipt.id)
      if (entry?.envelopeDigest === undefined) unknown.push(receipt)
      else if (this.#isAbout(receipt, { row: entry.row, digest: entry.envelopeDigest, source })) this.#apply(entry, receipt, now)
    }
    if (unknown.length > 0) this.#lookUp(source, unknown)
  }

  /** Asks the store about receipts of messages that are not in memory: they ended before, or this process has not sent them. */
  #lookUp(source: Uint8Array, receipts: readonly Receipt[]): void {
    const ours = receipts.filter((receipt) => equalBytes(receipt.epoch, this.#options.recovery.epoch))
    if (ours.length === 0 || this.#lookups.size >= maxLookups) return
    const token = this.#ledger.nextToken()
    this.#lookups.set(token, { what: 'receipts', source, receipts: ours })
    this.#ledger.emit({ type: 'load', token, ids: ours.map(({ id }) => id) })
  }

  #lookedUp(lookup: Extract<Lookup, { what: 'receipts' }>, rows: readonly OutboxRow[], now: Millis): void {
    const { source } = lookup
    const byId = new Map(rows.map((row) => [row.id, row]))
    for (const receipt of lookup.receipts) {
      const row = byId.get(receipt.id)
      if (row === undefined) continue
      // A row whose envelope was dropped is still named by epoch, sequence and destination.
      const digest = row.envelope.length > 0 ? this.#sha256(row.envelope) : receipt.digest
      if (!this.#isAbout(receipt, { row, digest, source })) continue
      const entry = this.#ledger.find(row.id) ?? this.#endedEntry(row)
      if (entry.stage !== 'enqueuing') this.#apply(entry, receipt, now)
    }
  }

  #endedEntry(row: OutboxRow): Entry {
    const { envelope, ...rest } = row
    const entry = new Entry({
      row: { ...rest, bytes: envelope.length },
      lane: this.#ledger.laneOf(row.destination, row.via),
      deadline: expiryOf(row, this.#options.at)
    })
    entry.stage = 'ended'
    return entry
  }

  /** Whether the receipt speaks of this very message: same recipient, epoch, sequence and bytes. */
  #isAbout(receipt: Receipt, message: { readonly row: Entry['row'] | OutboxRow; readonly digest: Uint8Array; readonly source: Uint8Array }): boolean {
    return (
      receipt.sequence === message.row.sequence &&
      equalBytes(receipt.epoch, this.#options.recovery.epoch) &&
      equalBytes(message.row.destination, message.source) &&
      equalBytes(receipt.digest, message.digest)
    )
  }

  #apply(entry: Entry, receipt: Receipt, now: Millis): void {
    if (entry.stage === 'ended') {
      if (canUpgrade(entry.state, receipt.state === 'refused' ? 'failed' : receipt.state)) this.#upgrade(entry, receipt, now)
      return
    }
    if (receipt.state === 'refused' && retryableRefusals.has(receipt.code)) return this.#refusedForNow(entry, receipt.code, now)
    this.#sender.answered(entry.lane, now)
    if (receipt.state === 'refused') this.#ledger.end(entry, { state: 'failed', failure: receipt.code }, now)
    else this.#ledger.end(entry, { state: receipt.state, failure: '' }, now)
  }

  #upgrade(entry: Entry, receipt: Receipt, now: Millis): void {
    if (receipt.state !== 'refused') this.#ledger.end(entry, { state: receipt.state, failure: '' }, now)
  }

  #refusedForNow(entry: Entry, code: RefusalCode, now: Millis): void {
    entry.lane.lastReceiptAt = now
    entry.lastRefusal = code
    if (entry.stage !== 'ready') this.#ledger.requeue(entry)
    this.#sender.fail(entry.lane, now)
  }

  #cancel(input: Input<'cancel'>, now: Millis): void {
    const { call, id } = input
    const entry = this.#ledger.find(id)
    if (entry === undefined) {
      const token = this.#ledger.nextToken()
      this.#lookups.set(token, { what: 'cancel', call, id })
      this.#ledger.emit({ type: 'load', token, ids: [id] })
    } else if (entry.stage === 'ended' || entry.cancelCall !== undefined) this.#rejectCancel(input, entry.snapshot())
    else {
      entry.cancelCall = call
      if (entry.stage !== 'enqueuing') this.#ledger.end(entry, { state: 'failed', failure: 'CANCELLED' }, now)
    }
  }

  #rejectCancel({ call, id }: { readonly call: number; readonly id: string }, row: OutboxEntry | OutboxRow | undefined): void {
    const error = row === undefined ? new MeshError('MESSAGE_UNKNOWN', { id }) : new MeshError('NOT_CANCELLABLE', { id, state: row.state })
    this.#ledger.emit({ type: 'rejected', call, error })
  }

  #retry(input: Input<'retry'>, now: Millis): void {
    const entry = input.id === undefined ? undefined : this.#ledger.find(input.id)
    if (input.id !== undefined && entry === undefined) {
      this.#ledger.emit({ type: 'rejected', call: input.call, error: new MeshError('MESSAGE_UNKNOWN', { id: input.id }) })
      return
    }
    let count = 0
    for (const lane of entry === undefined ? this.#ledger.lanes() : [entry.lane]) {
      count += lane.readyCount
      if (lane.readyCount > 0) this.#sender.hurry(lane, now)
    }
    this.#ledger.emit({ type: 'retried', call: input.call, count })
  }
}
