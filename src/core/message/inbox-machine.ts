import { earliest, isMeshError, type Machine, type MeshError, type Millis, toMeshError } from '../base/index.ts'
import { isControlType } from '../base/control-type.ts'
import { remainingLifeMs } from './age.ts'
import { checkKey, type OpenBatch, openBatch } from './batch.ts'
import { decodeEnvelope, readEnvelopeIdentity } from './envelope.ts'
import { InboxFlow } from './inbox-flow.ts'
import { GossipReceipts } from './gossip-receipts.ts'
import type { ArrivedMessage, InboxInput, InboxOptions, InboxOutput, InboxPeer } from './inbox-types.ts'
import { loopLimits } from './loop-guard.ts'
import { ReceiptQueue } from './receipt-queue.ts'
import { type Receipt, type ReceiptSubject, sealReceipts } from './receipts.ts'
import { nobleSha256, type Sha256 } from './sha256.ts'
import type { AdmissionLimits, AdmitOutcome, InboundMessage, Instant } from './store-port.ts'
import type { Envelope, RefusalCode, Via } from './types.ts'
import { countVolatile, decodeVolatile, type VolatileMessage } from './volatile.ts'

/** What came by gossip belongs to no stream. */
const noStream = -1
/** With so many batches at the store, what comes by gossip is left to the sealed one that follows. */
const maxPendingGossip = 1_024

type Input<Type extends InboxInput['type']> = Extract<InboxInput, { type: Type }>

interface Decoded {
  readonly message: InboundMessage
  readonly envelope: Envelope
}

/** The stream over which a batch came. */
interface Link {
  readonly stream: number
  readonly via: Via
}

interface Arrival extends Link {
  readonly peer: InboxPeer
  readonly at: Instant
}

/** Where receipts go: to the stream to which they belong, or to any of that route. */
interface Addressee {
  readonly stream: number | undefined
  readonly via: Via
  readonly publicKey: Uint8Array
}

/** A batch that is at the store. */
interface PendingBatch extends Link {
  readonly peer: InboxPeer
  readonly decoded: readonly Decoded[]
  readonly isGossip?: boolean
  /** Refusals of messages that could not be given to the store. */
  readonly refused: readonly Receipt[]
}

/**
 * The recipient's side of durable delivery. What it promises: a receipt is signed only after the store said that its message is
 * committed; the source is the peer that the connection authenticated; a repeat gets the same receipt and is never new.
 */
export class InboxMachine implements Machine<InboxInput, InboxOutput> {
  readonly #options: InboxOptions
  readonly #sha256: Sha256
  readonly #flow = new InboxFlow()
  readonly #receipts = new ReceiptQueue()
  readonly #gossipReceipts = new GossipReceipts()
  readonly #pending = new Map<number, PendingBatch>()
  #out: InboxOutput[] = []
  #token = 0
  #isHalted = false

  constructor(options: InboxOptions) {
    this.#options = options
    this.#sha256 = options.sha256 ?? nobleSha256
  }

  get wakeAt(): Millis | undefined {
    return this.#isHalted ? undefined : earliest(this.#flow.wakeAt, this.#gossipReceipts.wakeAt)
  }

  /** Batches that wait for the store. */
  get pendingBatches(): number {
    return this.#pending.size
  }

  handle(input: InboxInput, now: Millis): readonly InboxOutput[] {
    if (this.#isHalted) return []
    this.#take(input, now)
    for (const output of this.#flow.advance(now)) this.#out.push(output)
    for (const { publicKey, via, receipts } of this.#receipts.drain()) this.#send({ stream: undefined, via, publicKey }, receipts)
    for (const { publicKey, via, receipts } of this.#gossipReceipts.drain(now)) this.#send({ stream: undefined, via, publicKey }, receipts)
    const out = this.#out
    this.#out = []
    return out
  }

  #take(input: InboxInput, now: Millis): void {
    switch (input.type) {
      case 'batch':
        return this.#batch(input, now)
      case 'volatile':
        return this.#volatile(input, now)
      case 'gossip':
        return this.#gossip(input)
      case 'admitted':
        return this.#admitted(input, now)
      case 'admit-failed':
        return this.#admitFailed(input)
      case 'stream-closed':
        return this.#flow.close(input.stream)
      case 'acked':
        return this.#acked(input)
      case 'released':
        return this.#released(input)
      case 'peer-connected':
        return this.#receipts.connected(input)
      case 'peer-disconnected':
        return this.#receipts.disconnected(input)
      case 'wake':
        return
    }
  }

  #batch(input: Input<'batch'>, now: Millis): void {
    const { stream, via, peer, frame, at } = input
    const { signer, verifier } = this.#options
    try {
      const batch = openBatch(frame, { peer: peer.publicKey, self: signer.publicKey }, { verifier, sha256: this.#sha256 })
      const pending = this.#decodeAll(batch, { stream, via, peer, at })
      this.#flow.count({ stream, peer, messages: batch.header.size }, now)
      this.#admit(pending, { floor: batch.header.floor, bytes: frame.length })
    } catch (thrown) {
      this.#out.push({ type: 'misbehaved', stream, publicKey: peer.publicKey, error: toMeshError(thrown) })
    }
  }

  #decodeAll(batch: OpenBatch, from: Arrival): PendingBatch {
    const decoded: Decoded[] = []
    const refused: Receipt[] = []
    for (const index of batch.envelopes.keys()) {
      const result = this.#decodeOne(batch, index, from)
      if ('state' in result) refused.push(result)
      else decoded.push(result)
    }
    return { stream: from.stream, via: from.via, peer: from.peer, decoded, refused }
  }

  /** One message of a verified batch; a refusal when it is of another version or malformed, and still can be named. */
  #decodeOne(batch: OpenBatch, index: number, { via, peer, at: received }: Arrival): Decoded | Receipt {
    const { header } = batch
    const bytes = batch.envelopes[index] ?? new Uint8Array()
    const digest = this.#sha256(bytes)
    let envelope: Envelope
    try {
      envelope = decodeEnvelope(bytes)
    } catch (thrown) {
      return refusalOf(bytes, digest, toMeshError(thrown))
    }
    checkKey('The source of an envelope', envelope.source.key, header.source)
    checkKey('The destination of an envelope', envelope.destination.key, header.destination)
    const { epoch, sequence, id, type, priority } = envelope
    checkKey('The epoch of an envelope', epoch, header.epoch)
    if (sequence === 0) return { id, digest, epoch, sequence, state: 'refused', code: 'MESSAGE_MALFORMED' }
    if ((envelope.thread?.hop ?? 0) > loopLimits.hops) return { id, digest, epoch, sequence, state: 'refused', code: 'HOP_LIMIT' }
    const message: InboundMessage = {
      source: header.source,
      via,
      epoch,
      sequence,
      id,
      type,
      priority,
      digest,
      envelope: bytes,
      proof: batch.proof(index),
      received,
      ttlMs: remainingLifeMs(envelope, header.sentAt),
      ...(envelope.group === undefined ? {} : { standing: peer.standing?.(envelope.group) ?? 'unknown' }),
      ...(isControlType(envelope.contentType) ? { control: true } : {})
    }
    return { message, envelope }
  }

  #admit(pending: PendingBatch, batch: { readonly floor: number; readonly bytes: number }): void {
    if (pending.decoded.length === 0) return this.#answer(pending, pending.refused)
    const token = ++this.#token
    this.#pending.set(token, pending)
    this.#flow.open(pending.stream, batch.bytes)
    const messages = pending.decoded.map(({ message }) => message)
    this.#out.push({ type: 'admit', token, messages, floor: batch.floor, limits: pending.peer.limits })
  }

  /** The commit is done: now, and never before, the receipts are signed. */
  #admitted(input: Input<'admitted'>, now: Millis): void {
    const pending = this.#close(input.token)
    if (pending === undefined) return
    const receipts: Receipt[] = [...pending.refused]
    const arrived: ArrivedMessage[] = []
    for (const [index, decoded] of pending.decoded.entries()) {
      const outcome = input.outcomes[index]
      if (outcome === undefined) continue
      receipts.push(receiptOf(decoded.message, outcome))
      const fresh = arrival(decoded, outcome)
      if (fresh !== undefined) arrived.push(fresh)
    }
    const { publicKey } = pending.peer
    if (arrived.length > 0) this.#out.push({ type: 'arrived', publicKey, messages: arrived })
    if (pending.isGossip !== true) return this.#answer(pending, receipts)
    for (const receipt of receipts) if (receipt.state !== 'refused') this.#gossipReceipts.add({ publicKey, via: pending.via }, receipt, now)
  }

  #admitFailed(input: Input<'admit-failed'>): void {
    const pending = this.#close(input.token)
    if (input.error.code === 'STORE_FAILED') this.#isHalted = true
    if (pending === undefined || pending.isGossip === true || input.error.code !== 'DISK_FULL') return
    // Nothing was stored: the sender is told so, and tries again later.
    const refused = pending.decoded.map(({ message }) => refuse(message, 'DISK_FULL'))
    this.#answer(pending, [...pending.refused, ...refused])
  }

  #gossip({ peer, message, envelope }: Input<'gossip'>): void {
    if (this.#pending.size >= maxPendingGossip) return
    const token = ++this.#token
    this.#pending.set(token, { stream: noStream, via: message.via, peer, decoded: [{ message, envelope }], refused: [], isGossip: true })
    this.#out.push({ type: 'admit', token, messages: [message], floor: 0, limits: peer.limits })
  }

  #close(token: number): PendingBatch | undefined {
    const pending = this.#pending.get(token)
    if (pending === undefined) return undefined
    this.#pending.delete(token)
    this.#flow.done(pending.stream)
    return pending
  }

  #answer(pending: PendingBatch, receipts: readonly Receipt[]): void {
    if (receipts.length > 0) this.#send({ stream: pending.stream, via: pending.via, publicKey: pending.peer.publicKey }, receipts)
    const counts = new Map<RefusalCode, number>()
    for (const { code } of receipts) if (code !== undefined) counts.set(code, (counts.get(code) ?? 0) + 1)
    for (const [code, messages] of counts) this.#out.push({ type: 'refused', code, delivery: 'durable', messages })
  }

  #send(to: Addressee, receipts: readonly Receipt[]): void {
    this.#out.push({ type: 'receipts', ...to, frame: sealReceipts(to.publicKey, receipts, this.#options.signer) })
  }

  #acked(input: Input<'acked'>): void {
    for (const { changed, epoch, digest, source, via, id, sequence } of input.outcomes) {
      if (!changed || epoch === undefined || digest === undefined) continue
      this.#receipts.add({ publicKey: source, via }, { id, digest, epoch, sequence, state: 'read', code: undefined })
    }
  }

  #released(input: Input<'released'>): void {
    for (const { source, via, id, digest, epoch, sequence } of input.rows)
      this.#receipts.add({ publicKey: source, via }, { id, digest, epoch, sequence, state: 'stored', code: undefined })
  }

  #volatile(input: Input<'volatile'>, now: Millis): void {
    const { stream, peer, frame } = input
    const { publicKey, limits } = peer
    try {
      // What nobody will read is not decoded: a frame of the smallest messages costs a hundred times what it costs to send.
      const count = countVolatile(frame)
      // There is no inbox in which a stranger's could wait to be approved.
      if (!limits.paired) this.#drop('NOT_PAIRED', count)
      else if (!this.#flow.takeVolatile(peer, count, now)) this.#drop('PROTOCOL_LIMIT', count)
      else this.#giveVolatile(publicKey, decodeVolatile(frame), limits)
    } catch (thrown) {
      this.#out.push({ type: 'misbehaved', stream, publicKey, error: toMeshError(thrown) })
    }
  }

  #giveVolatile(publicKey: Uint8Array, decoded: readonly VolatileMessage[], { commands }: AdmissionLimits): void {
    const messages = commands ? decoded : decoded.filter(({ type }) => type !== 'Command')
    if (messages.length > 0) this.#out.push({ type: 'volatile', publicKey, messages })
    if (messages.length < decoded.length) this.#drop('COMMAND_NOT_ALLOWED', decoded.length - messages.length)
  }

  #drop(code: 'NOT_PAIRED' | 'PROTOCOL_LIMIT' | 'COMMAND_NOT_ALLOWED', messages: number): void {
    this.#out.push({ type: 'refused', code, delivery: 'volatile', messages })
  }
}

/** @throws {MeshError} `error` itself, when the message cannot even be named. */
function refusalOf(bytes: Uint8Array, digest: Uint8Array, error: MeshError): Receipt {
  const identity = readEnvelopeIdentity(bytes)
  if (identity === undefined) throw error
  const { id, epoch, sequence } = identity
  const code = isMeshError(error, 'UNSUPPORTED_VERSION') ? 'UNSUPPORTED_VERSION' : 'MESSAGE_MALFORMED'
  return { id, digest, epoch, sequence, state: 'refused', code }
}

function refuse({ id, digest, epoch, sequence }: ReceiptSubject, code: RefusalCode): Receipt {
  return { id, digest, epoch, sequence, state: 'refused', code }
}

function receiptOf(message: InboundMessage, outcome: AdmitOutcome): Receipt {
  if (outcome.outcome === 'refused') return refuse(message, outcome.code)
  const { id, digest, epoch, sequence } = message
  return { id, digest, epoch, sequence, state: outcome.outcome, code: undefined }
}

function arrival({ message, envelope }: Decoded, outcome: AdmitOutcome): ArrivedMessage | undefined {
  if (outcome.outcome === 'refused' || outcome.outcome === 'read' || outcome.repeat) return undefined
  return { message, envelope, position: outcome.position, state: outcome.outcome === 'held' ? 'held' : 'unread' }
}
