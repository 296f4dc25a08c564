import { isMeshError, MeshError, toHex, toMeshError } from '../core/base/index.ts'
import {
  type AckOutcome,
  type EnqueueOutcome,
  type Envelope,
  type InboxInput,
  type InboundMessage,
  InboxMachine,
  type InboxOutput,
  type InboxReader,
  type InboxRow,
  type Instant,
  type MessageDraft,
  type OutboxCounts,
  type OutboxEntry,
  type OutboxInput,
  OutboxMachine,
  type OutboxOutput,
  frameKinds,
  type Via,
  type VolatileMessage
} from '../core/message/index.ts'
import { DeliveryCalls, type CallResult, type Submitted } from './delivery-calls.ts'
import type { DeliveryOptions } from './delivery-options.ts'
import { Driver } from './drive.ts'
import { type MessageLink, MessageLinks } from './message-links.ts'
import { peerIdOfKey } from './peer-keys.ts'
import { shortPeerId } from './protocol-host.ts'
import { ReadingGates } from './reading-gates.ts'
import { type VolatileBatch, type VolatileRecipient, VolatileSender } from './volatile-sender.ts'
import { WayWatch } from './way-watch.ts'

/** The exit codes of what is wrong with keys, signatures and handshakes, and of what this node was told not to do, or cannot, for the sake of privacy. */
const toldExitCodes: readonly number[] = [8, 10]

/** Runs the outbox and the inbox machine over the message streams and the store. */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #links: MessageLinks
  readonly #volatile: VolatileSender
  readonly #machine: OutboxMachine
  readonly #outbox: Driver<OutboxInput, OutboxOutput>
  readonly #inbox: Driver<InboxInput, InboxOutput>
  readonly #calls = new DeliveryCalls()
  readonly #gates = new ReadingGates()
  /** Told when the directory of relays has changed. */
  readonly ways: WayWatch
  /** Destinations whose link ends and shall be opened anew. */
  readonly #reopening = new Set<string>()
  #enqueued: { readonly call: number; readonly outcome: EnqueueOutcome }[] = []
  #poisoned = false
  #stopped = false

  constructor(options: DeliveryOptions) {
    this.#options = options
    const { platform, sessions, tracker, recovery } = options
    const { clock, timers, signer, verifier, sha256 } = platform
    this.#machine = new OutboxMachine({ recovery, at: this.now(), random: platform.random, signer, verifier, sha256, ...options.outboxLimits })
    this.#outbox = new Driver(this.#machine, { clock, timers, perform: (output) => this.#performOutbox(output) })
    this.#inbox = new Driver(new InboxMachine({ signer, verifier, sha256 }), { clock, timers, perform: (output) => this.#performInbox(output) })
    this.#links = new MessageLinks({
      ...{ sessions, tracker, clock },
      onFrame: (link, frame) => this.#onFrame(link, frame),
      onOpened: (link) => this.#connected(link),
      onClosed: (link) => this.#onClosed(link),
      onPresence: (publicKey, via, isThere) => this.#onPresence(publicKey, via, isThere)
    })
    this.#volatile = new VolatileSender(this.#links, options.platform.clock)
    this.ways = new WayWatch({
      check: (publicKey) => sessions.checkOnion(publicKey),
      onWay: (publicKey) => this.reachable(publicKey, 'onion')
    })
  }

  get counts(): OutboxCounts {
    return this.#machine.counts
  }

  now(): Instant {
    const { clock } = this.#options.platform
    return { bootId: clock.bootId, monotonic: clock.monotonic(), wall: clock.wall() }
  }

  /** Serves peers, and goes on with what an earlier process left. */
  async start(): Promise<void> {
    await this.#links.start()
    this.#outbox.input({ type: 'start' })
  }

  /** Ends all streams and answers every open call with SHUTTING_DOWN. What was accepted stays in the store. */
  stop(): void {
    this.#stopped = true
    this.#outbox.stop()
    this.#inbox.stop()
    this.#gates.openAll()
    this.#links.stop()
    this.#calls.rejectAll(new MeshError('SHUTTING_DOWN'))
  }

  /** Puts a message into the outbox; resolves after its commit. @throws {MeshError} QUOTA, ID_CONFLICT, BODY_TOO_LARGE, DISK_FULL … */
  submit(draft: MessageDraft, park?: { readonly at: Instant; readonly parkMs: number }): Promise<Submitted> {
    const at = this.now()
    return this.#call<Submitted>((call) => ({ type: 'submit', call, draft, at, ...park }))
  }

  /** Messages that were parked were gossiped, or there was nobody to give them to. */
  gossiped(ids: readonly string[], isGiven: boolean): void {
    this.#outbox.input({ type: 'gossiped', ids, isGiven })
  }

  /** A message to a group came by gossip. */
  heard(message: InboundMessage, envelope: Envelope): void {
    this.#inbox.input({ type: 'gossip', peer: this.#options.limitsOf(message.source), message, envelope })
  }

  /** Resolves after the cancellation's commit. @throws {MeshError} MESSAGE_UNKNOWN, NOT_CANCELLABLE */
  async cancel(id: string): Promise<OutboxEntry> {
    const { entry } = await this.#call<{ readonly entry: OutboxEntry }>((call) => ({ type: 'cancel', call, id }))
    return entry
  }

  /** Tries now what waits for its next attempt; resolves with the number of messages. */
  async retry(id: string | undefined): Promise<number> {
    const { count } = await this.#call<{ readonly count: number }>((call) => ({ type: 'retry', call, id }))
    return count
  }

  /** Puts a message into the frame that leaves next. @throws {MeshError} SHUTTING_DOWN, and as `VolatileSender.send` */
  sendVolatile(recipient: VolatileRecipient, message: VolatileMessage): VolatileBatch {
    if (this.#stopped) throw new MeshError('SHUTTING_DOWN')
    return this.#volatile.send(recipient, message)
  }

  /** Acknowledges messages of the inbox, for one reader or for everybody, and tells the senders of those that are read. */
  async ack(messages: readonly { readonly source: Uint8Array; readonly id: string }[], reader?: InboxReader): Promise<readonly AckOutcome[]> {
    return this.tellRead(await this.#stored(this.#options.platform.deliveryStore.ack(messages, reader)))
  }

  /** Tells the senders of messages that are read by now. */
  tellRead(outcomes: readonly AckOutcome[]): readonly AckOutcome[] {
    this.#inbox.input({ type: 'acked', outcomes })
    this.#tellOverCircuits(outcomes.filter(({ changed }) => changed))
    return outcomes
  }

  /** Delivers what was held of a peer that is paired now; returns its rows. */
  async release(publicKey: Uint8Array): Promise<readonly InboxRow[]> {
    const rows = await this.#stored(this.#options.platform.deliveryStore.release(publicKey))
    this.#inbox.input({ type: 'released', rows })
    this.#tellOverCircuits(rows)
    return rows
  }

  /** The same for what it sent to a group. */
  async releaseGroup(publicKey: Uint8Array, group: Uint8Array): Promise<readonly InboxRow[]> {
    const rows = await this.#stored(this.#options.platform.deliveryStore.releaseGroup(publicKey, group))
    this.#inbox.input({ type: 'released', rows })
    this.#tellOverCircuits(rows)
    return rows
  }

  /** Receipts of what came over circuits wait for one with the sender: it is made for them, and where that fails they go on waiting. */
  #tellOverCircuits(messages: readonly { readonly source: Uint8Array; readonly via: Via }[]): void {
    const sources = messages.filter(({ via, source }) => via === 'onion' && this.#links.any(source, via) === undefined)
    for (const { source, via } of sources) this.#links.open(source, via).catch(() => undefined)
  }

  /** The peer is there: it connected, was discovered or paired. */
  peerConnected(publicKey: Uint8Array): void {
    this.reachable(publicKey, 'direct')
    if (!this.#options.onionRouting) this.#inbox.input({ type: 'peer-connected', publicKey, via: 'direct' })
  }

  /** There may be a way to the peer now: what waits for that route is tried. */
  reachable(publicKey: Uint8Array, via: Via): void {
    this.#outbox.input({ type: 'reachable', destination: publicKey, via })
  }

  /** A better connection to the peer, or a fresh circuit, is there: the messages of that route take it from now on. @throws {MeshError} when no session opens over it */
  move(publicKey: Uint8Array, via: Via): Promise<void> {
    return this.#links.renew(publicKey, via)
  }

  /** Whether there is a way to a peer over circuits now. @throws {MeshError} as `OnionStreams.check` */
  checkOnion(publicKey: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#links.any(publicKey, 'onion') === undefined ? this.#options.sessions.checkOnion(publicKey, signal) : Promise.resolve()
  }

  peerDisconnected(publicKey: Uint8Array): void {
    if (!this.#options.onionRouting) this.#inbox.input({ type: 'peer-disconnected', publicKey, via: 'direct' })
  }

  /** Where no connection tells whether a peer can be told something, an open link does. */
  #onPresence(publicKey: Uint8Array, via: Via, isThere: boolean): void {
    if (via === 'direct' && !this.#options.onionRouting) return
    this.#inbox.input({ type: isThere ? 'peer-connected' : 'peer-disconnected', publicKey, via })
    if (isThere && via === 'onion') this.reachable(publicKey, via)
  }

  #connected({ stream: { publicKey, path, capacityBytes }, number, via }: MessageLink): void {
    if (via === 'onion') this.ways.connected(publicKey)
    this.#outbox.input({ type: 'connected', destination: publicKey, via, link: number, path, capacityBytes })
  }

  #call<Result extends CallResult>(input: (call: number) => OutboxInput): Promise<Result> {
    if (this.#stopped) return Promise.reject(new MeshError('SHUTTING_DOWN'))
    if (this.#poisoned) return Promise.reject(new MeshError('STORE_FAILED'))
    return this.#calls.make<Result>((call) => this.#outbox.input(input(call)))
  }

  // The machine's switch: one line a case, what is longer stands below.
  #performOutbox(output: OutboxOutput): void {
    switch (output.type) {
      case 'enqueue':
        return this.#enqueue(output)
      case 'submitted':
        if (!output.duplicate) this.#options.onAccepted(output.entry)
        return this.#calls.answer(output.call, output)
      case 'cancelled':
      case 'retried':
        return this.#calls.answer(output.call, output)
      case 'rejected':
        return this.#calls.reject(output.call, output.error)
      case 'load':
        return this.#load(output)
      case 'send':
        return this.#sendBatch(output)
      case 'settle':
        return this.#settle(output)
      case 'state':
        return this.#options.onState(output.entry)
      case 'connect':
        return this.#connect(output.destination, output.via)
      case 'save-retry':
        return this.#track('saving a retry', this.#options.platform.deliveryStore.saveRetry(output.retry))
      case 'reset':
        return this.#links.get(output.link)?.stream.abort(new MeshError('TIMEOUT', { operation: 'the receipt of a message', timeoutMs: 30_000 }))
      case 'misbehaved':
        return this.#misbehaved(this.#links.get(output.stream ?? 0), output.source, output.error)
      default:
        return output satisfies never
    }
  }

  #performInbox(output: InboxOutput): void {
    switch (output.type) {
      case 'admit':
        return this.#admit(output)
      case 'receipts':
        return this.#sendReceipts(output)
      case 'arrived':
        return this.#options.onArrived(output.publicKey, output.messages)
      case 'volatile':
        return this.#options.onVolatile(output.publicKey, output.messages)
      case 'pause':
        return this.#links.get(output.stream) === undefined ? undefined : this.#gates.pause(output.stream)
      case 'resume':
        return this.#gates.resume(output.stream)
      case 'misbehaved':
        return this.#misbehaved(this.#links.get(output.stream), output.publicKey, output.error)
      case 'refused':
        return this.#options.onRefused(output)
      default:
        return output satisfies never
    }
  }

  #enqueue({ call, row }: Extract<OutboxOutput, { type: 'enqueue' }>): void {
    this.#stored(this.#options.platform.deliveryStore.enqueue(row)).then(
      (outcome) => {
        // What one commit wrote resolves in one turn: it goes to the machine, and so to the peer, together.
        if (this.#enqueued.push({ call, outcome }) === 1) queueMicrotask(() => queueMicrotask(() => this.#giveEnqueued()))
      },
      (error: unknown) => this.#outbox.input({ type: 'enqueue-failed', call, error: toMeshError(error) })
    )
  }

  #giveEnqueued(): void {
    const results = this.#enqueued
    this.#enqueued = []
    this.#outbox.input({ type: 'enqueued', results })
  }

  #load({ token, ids }: Extract<OutboxOutput, { type: 'load' }>): void {
    this.#stored(this.#options.platform.deliveryStore.loadOutbox(ids)).then(
      (rows) => this.#outbox.input({ type: 'loaded', token, rows }),
      (error: unknown) => this.#outbox.input({ type: 'load-failed', token, error: toMeshError(error) })
    )
  }

  #settle({ token, changes }: Extract<OutboxOutput, { type: 'settle' }>): void {
    this.#stored(this.#options.platform.deliveryStore.settle(changes)).then(
      () => this.#outbox.input({ type: 'settled', token }),
      (error: unknown) => this.#outbox.input({ type: 'settle-failed', token, error: toMeshError(error) })
    )
  }

  #admit({ token, messages, floor, limits }: Extract<InboxOutput, { type: 'admit' }>): void {
    this.#stored(this.#options.platform.deliveryStore.admit(messages, floor, limits)).then(
      (outcomes) => this.#inbox.input({ type: 'admitted', token, outcomes }),
      (error: unknown) => this.#inbox.input({ type: 'admit-failed', token, error: toMeshError(error) })
    )
  }

  #connect(destination: Uint8Array, via: Via): void {
    // The machine was told of a link when it opened. Where it asks nevertheless, that one is ending: the next one follows it.
    if (this.#links.outbound(destination, via) !== undefined) {
      this.#reopening.add(`${via} ${toHex(destination)}`)
      return
    }
    const theirs = this.#links.ready(destination, via)
    if (theirs !== undefined) return this.#connected(theirs)
    this.#links.open(destination, via).catch((error: unknown) => {
      // A peer that is away is nothing new. That no session with it is safe, or no circuit can be made, is: the messages wait, and only the log can say why.
      if (isMeshError(error) && toldExitCodes.includes(error.exitCode))
        this.#options.tracker.track(`a session for messages to ${shortPeerId(peerIdOfKey(destination))}`, Promise.reject(error))
      if (via === 'onion') this.ways.failed(destination, error)
      this.#outbox.input({ type: 'unreachable', destination, via })
    })
  }

  /** The last place at which a message could take the wrong way: there it is stopped, and the machine never errs here. */
  #sendBatch({ destination, via, link, frame }: Extract<OutboxOutput, { type: 'send' }>): void {
    const found = this.#links.get(link)
    if (found === undefined || found.via === via) return this.#send(found, frame)
    const reason = `a message to ${shortPeerId(peerIdOfKey(destination))} was about to leave ${found.via === 'direct' ? 'directly' : 'over a circuit'}`
    found.stream.abort(new MeshError('INTERNAL', { reason }))
  }

  #sendReceipts({ stream, via, publicKey, frame }: Extract<InboxOutput, { type: 'receipts' }>): void {
    const link = (stream === undefined ? undefined : this.#links.get(stream)) ?? this.#links.any(publicKey, via)
    if (link !== undefined) return this.#send(link, frame)
    if (via === 'direct' && this.#options.onionRouting) return
    this.#links.open(publicKey, via).then(
      (opened) => this.#send(opened, frame),
      // The sender asks again, and gets the same receipt.
      () => undefined
    )
  }

  #send(link: MessageLink | undefined, frame: Uint8Array): void {
    // A stream that fails here ends, and `disconnected` tells the machine.
    if (link === undefined) return
    this.#links.used(link)
    link.stream.send(frame).catch((error: unknown) => link.stream.abort(toMeshError(error)))
  }

  async #onFrame(link: MessageLink, frame: Uint8Array): Promise<void> {
    const { stream, number, via } = link
    const { publicKey } = stream
    switch (frame[0]) {
      case frameKinds.batch:
        this.#inbox.input({ type: 'batch', stream: number, via, peer: this.#options.limitsOf(publicKey), frame, at: this.now() })
        break
      case frameKinds.volatile:
        this.#inbox.input({ type: 'volatile', stream: number, peer: this.#options.limitsOf(publicKey), frame })
        break
      case frameKinds.receipts:
        this.#outbox.input({ type: 'receipts', source: publicKey, stream: number, frame })
        break
      default:
        throw new MeshError('MESSAGE_MALFORMED', { what: 'message frame', reason: `unknown kind ${frame[0]}`, offset: 0 })
    }
    await this.#gates.wait(number)
  }

  #onClosed({ stream, number, outbound, via }: MessageLink): void {
    this.#gates.resume(number)
    this.#inbox.input({ type: 'stream-closed', stream: number })
    const destination = stream.publicKey
    // A link that the peer opened may have carried messages to it as well: see `MessageLinks.ready`.
    if (outbound || via === 'onion') this.#outbox.input({ type: 'disconnected', destination, via, link: number })
    if (outbound && this.#reopening.delete(`${via} ${toHex(destination)}`) && !this.#stopped) this.#connect(destination, via)
  }

  #misbehaved(link: MessageLink | undefined, publicKey: Uint8Array, error: MeshError): void {
    link?.stream.abort(error)
    this.#options.onMisbehaved(publicKey, error)
  }

  /** The store's answer; a poisoned store ends the node. */
  async #stored<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (isMeshError(error, 'STORE_FAILED') && !this.#poisoned) {
        this.#poisoned = true
        this.#options.onFatal(error)
      }
      throw error
    }
  }

  #track(what: string, work: Promise<unknown>): void {
    this.#options.tracker.track(what, this.#stored(work))
  }
}
