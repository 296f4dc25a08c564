import { type Clock, isMeshError, type MeshError, type Millis, millis, toHex, toMeshError, type WallMillis, wallMillis } from '../core/base/index.ts'
import {
  type AdmissionLimits,
  type ArrivedMessage,
  decodeEnvelope,
  frameKind,
  type InboundMessage,
  type InboxInput,
  InboxMachine,
  type InboxOutput,
  type InboxPeer,
  type InboxRow,
  type Instant,
  type MessageDraft,
  type OutboxEntry,
  type OutboxInput,
  OutboxMachine,
  type OutboxOutput,
  remainingLifeMs,
  type Via
} from '../core/message/index.ts'
import { MemoryDeliveryStore, MemoryDisk } from './memory-store.ts'
import { nativeSha256, SimulatedSigner, simulatedVerifier } from './simulated-keys.ts'
import type { Simulator } from './simulator.ts'

/** A stream between two simulated nodes; `from` opened it. */
export interface SimulatedLink {
  readonly id: number
  readonly from: number
  readonly to: number
  readonly via: Via
  isOpen: boolean
}

/** The node with this key, over one of the routes. */
export interface SimulatedRoute {
  readonly publicKey: Uint8Array
  readonly via: Via
}

/** What a simulated node needs of the others. */
export interface DeliveryWorld {
  readonly simulator: Simulator
  /** Opens a link of that route to a node; calls back with it, or with undefined. */
  connect(from: number, to: SimulatedRoute, done: (link: SimulatedLink | undefined) => void): void
  /** Sends a frame over a link to its other end. */
  transfer(link: SimulatedLink, from: number, frame: Uint8Array): void
  closeLink(link: SimulatedLink): void
  /** A link of that route between the two that can carry receipts. */
  linkBetween(a: number, to: SimulatedRoute): SimulatedLink | undefined
  /** An open link by its number. */
  link(id: number): SimulatedLink | undefined
  limitsOf(node: number, publicKey: Uint8Array): AdmissionLimits
  onState(node: number, entry: OutboxEntry): void
  onArrived(node: number, messages: readonly ArrivedMessage[]): void
  /** A thing that never happens among honest nodes. */
  onViolation(text: string): void
  /** Something was thrown where nobody waits for it. */
  onThrown(thrown: unknown): void
}

export interface DeliveryNodeOptions {
  readonly index: number
  readonly world: DeliveryWorld
  readonly maxCommitMs: number
  readonly outboxMaxMessages: number
  /** Makes the machine of a life; tests put faulty ones in. */
  readonly makeInbox?: (options: ConstructorParameters<typeof InboxMachine>[0]) => InboxMachine
}

interface Life {
  readonly store: MemoryDeliveryStore
  readonly outbox: OutboxMachine
  readonly inbox: InboxMachine
  readonly calls: Map<number, (result: OutboxEntry | MeshError) => void>
  readonly paused: Map<number, (() => void)[]>
  cancelOutboxWake: (() => void) | undefined
  cancelInboxWake: (() => void) | undefined
}

const wallStart = 1_700_000_000_000

/** A simulated machine with its disk, its clocks and, while it is up, the real delivery machines. */
export class DeliveryNode implements Clock {
  readonly index: number
  readonly publicKey: Uint8Array
  readonly disk: MemoryDisk
  readonly #options: DeliveryNodeOptions
  readonly #simulator: Simulator
  #life: Life | undefined
  #bootOrigin = 0
  #boots = 0
  #lastCall = 0
  /** What the wall clock is off by. */
  wallOffsetMs = 0

  constructor(options: DeliveryNodeOptions) {
    this.#options = options
    this.#simulator = options.world.simulator
    this.index = options.index
    this.publicKey = this.#simulator.random.bytes(32)
    this.disk = new MemoryDisk(this.#simulator.random.bytes(16))
    this.reboot()
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  get bootId(): string {
    return `boot ${this.index}.${this.#boots}`
  }

  monotonic(): Millis {
    return millis(this.#simulator.now - this.#bootOrigin)
  }

  wall(): WallMillis {
    return wallMillis(wallStart + this.#simulator.now + this.wallOffsetMs)
  }

  instant(): Instant {
    return { bootId: this.bootId, monotonic: this.monotonic(), wall: this.wall() }
  }

  get queued(): number {
    return this.#life?.outbox.counts.queued ?? 0
  }

  /** The machine itself starts anew: its monotonic clock has another origin. */
  reboot(): void {
    this.#boots++
    this.#bootOrigin = this.#simulator.now - this.#simulator.random.integer(0, 1_000_000)
  }

  async start(): Promise<void> {
    const { maxCommitMs, outboxMaxMessages } = this.#options
    const store = new MemoryDeliveryStore(this.#simulator, this.disk, { maxCommitMs })
    const recovery = await store.recoverOutbox()
    const tools = { signer: new SimulatedSigner(this.publicKey), verifier: simulatedVerifier, sha256: nativeSha256 }
    const outbox = new OutboxMachine({
      ...tools,
      recovery,
      at: this.instant(),
      random: this.#simulator.random,
      maxMessages: outboxMaxMessages,
      maxBytes: 1_000_000_000
    })
    const inbox = this.#options.makeInbox?.(tools) ?? new InboxMachine(tools)
    this.#life = { store, outbox, inbox, calls: new Map(), paused: new Map(), cancelOutboxWake: undefined, cancelInboxWake: undefined }
    this.#outbox({ type: 'start' })
  }

  /** Kill -9: what is not on the disk is gone. */
  crash(): void {
    this.#life?.store.crash()
    this.#life?.cancelOutboxWake?.()
    this.#life?.cancelInboxWake?.()
    this.#life = undefined
  }

  failNextCommit(isApplied: boolean): void {
    this.#life?.store.failNextCommit(isApplied)
  }

  /** Submits a message; `done` is called only if the node lives to answer. */
  submit(draft: MessageDraft, done: (result: OutboxEntry | MeshError) => void, parkMs?: number): void {
    const call = ++this.#lastCall
    this.#life?.calls.set(call, done)
    this.#outbox({ type: 'submit', call, draft, at: this.instant(), ...(parkMs === undefined ? {} : { parkMs }) })
  }

  /** A message that was parked was given to everybody at once, or to nobody. */
  gossiped(id: string, isGiven: boolean): void {
    this.#outbox({ type: 'gossiped', ids: [id], isGiven })
  }

  /** Such a message arrives: the very envelope that its sender has for this node. */
  hear(bytes: Uint8Array, sentAt: WallMillis): void {
    const envelope = decodeEnvelope(bytes)
    const { epoch, sequence, id, type, priority, source } = envelope
    const message: InboundMessage = {
      ...{ epoch, sequence, id, type, priority, source: source.key, via: 'direct', envelope: bytes },
      ...{ digest: nativeSha256(bytes), proof: new Uint8Array(0), received: this.instant(), ttlMs: remainingLifeMs(envelope, sentAt) }
    }
    this.#inbox({ type: 'gossip', peer: this.#peer(source.key), message, envelope })
  }

  cancel(id: string, done: (result: OutboxEntry | MeshError) => void): void {
    const call = ++this.#lastCall
    this.#life?.calls.set(call, done)
    this.#outbox({ type: 'cancel', call, id })
  }

  /** Lists what is unread, as handed out. Resolves only if the node lives to answer. */
  read(limit: number): Promise<readonly InboxRow[]> | undefined {
    return this.#life?.store.listInbox({ after: 0, limit, types: undefined, source: undefined, states: ['unread'], handOut: true })
  }

  async ack(messages: readonly { readonly source: Uint8Array; readonly id: string }[]): Promise<void> {
    const life = this.#life
    const outcomes = await life?.store.ack(messages)
    if (outcomes !== undefined && life === this.#life) this.#inbox({ type: 'acked', outcomes })
  }

  async release(source: Uint8Array): Promise<void> {
    const life = this.#life
    const rows = await life?.store.release(source)
    if (rows !== undefined && life === this.#life) this.#inbox({ type: 'released', rows })
  }

  onFrame(link: SimulatedLink, publicKey: Uint8Array, frame: Uint8Array): void {
    const life = this.#life
    if (life === undefined) return
    const waiting = life.paused.get(link.id)
    if (waiting !== undefined) waiting.push(() => this.onFrame(link, publicKey, frame))
    else if (frameKind(frame) === 'receipts') this.#outbox({ type: 'receipts', source: publicKey, frame })
    else this.#inbox({ type: 'batch', stream: link.id, via: link.via, peer: this.#peer(publicKey), frame, at: this.instant() })
  }

  onLinkOpen({ publicKey, via }: SimulatedRoute): void {
    this.#inbox({ type: 'peer-connected', publicKey, via })
    this.#outbox({ type: 'reachable', destination: publicKey, via })
  }

  onLinkClosed(link: SimulatedLink, publicKey: Uint8Array): void {
    this.#inbox({ type: 'stream-closed', stream: link.id })
    this.#life?.paused.delete(link.id)
    const { via } = link
    if (link.from === this.index || via === 'onion') this.#outbox({ type: 'disconnected', destination: publicKey, via, link: link.id })
    if (this.#options.world.linkBetween(this.index, { publicKey, via }) === undefined) this.#inbox({ type: 'peer-disconnected', publicKey, via })
  }

  #peer(publicKey: Uint8Array): InboxPeer {
    return { publicKey, limits: this.#options.world.limitsOf(this.index, publicKey), messagesPerSecond: 1_000 }
  }

  #outbox(input: OutboxInput): void {
    const life = this.#life
    if (life === undefined) return
    for (const output of life.outbox.handle(input, this.monotonic())) if (life === this.#life) this.#performOutbox(output, life)
    life.cancelOutboxWake?.()
    life.cancelOutboxWake = this.#wake(life.outbox.wakeAt, () => this.#outbox({ type: 'wake' }))
  }

  #inbox(input: InboxInput): void {
    const life = this.#life
    if (life === undefined) return
    for (const output of life.inbox.handle(input, this.monotonic())) if (life === this.#life) this.#performInbox(output, life)
    life.cancelInboxWake?.()
    life.cancelInboxWake = this.#wake(life.inbox.wakeAt, () => this.#inbox({ type: 'wake' }))
  }

  #wake(at: Millis | undefined, run: () => void): (() => void) | undefined {
    const life = this.#life
    if (at === undefined || life === undefined) return undefined
    return this.#simulator.schedule(at - this.monotonic(), () => {
      if (life === this.#life) run()
    })
  }

  #performOutbox(output: OutboxOutput, life: Life): void {
    const { store } = life
    const { world } = this.#options
    switch (output.type) {
      case 'enqueue':
        return this.#when(store.enqueue(output.row), {
          done: (outcome) => this.#outbox({ type: 'enqueued', results: [{ call: output.call, outcome }] }),
          failed: (error) => this.#outbox({ type: 'enqueue-failed', call: output.call, error })
        })
      case 'load':
        return this.#when(store.loadOutbox(output.ids), {
          done: (rows) => this.#outbox({ type: 'loaded', token: output.token, rows }),
          failed: (error) => this.#outbox({ type: 'load-failed', token: output.token, error })
        })
      case 'settle':
        return this.#when(store.settle(output.changes), {
          done: () => this.#outbox({ type: 'settled', token: output.token }),
          failed: (error) => this.#outbox({ type: 'settle-failed', token: output.token, error })
        })
      case 'save-retry':
        return this.#when(store.saveRetry(output.retry), { done: () => undefined, failed: () => undefined })
      case 'connect':
        return this.#connect({ publicKey: output.destination, via: output.via })
      case 'send':
        return this.#send(output.link, output.frame)
      case 'reset':
        return this.#reset(output.link)
      case 'submitted':
      case 'cancelled':
        return this.#answer(life, output.call, output.entry)
      case 'rejected':
        return this.#answer(life, output.call, output.error)
      case 'state':
        return world.onState(this.index, output.entry)
      case 'misbehaved':
        return world.onViolation(`node ${this.index} refused receipts: ${output.error.message}`)
      case 'retried':
        return
    }
  }

  #performInbox(output: InboxOutput, life: Life): void {
    const { world } = this.#options
    switch (output.type) {
      case 'admit':
        return this.#when(life.store.admit(output.messages, output.floor, output.limits), {
          done: (outcomes) => this.#inbox({ type: 'admitted', token: output.token, outcomes }),
          failed: (error) => this.#inbox({ type: 'admit-failed', token: output.token, error })
        })
      case 'receipts': {
        const link = world.linkBetween(this.index, output)
        if (link !== undefined) world.transfer(link, this.index, output.frame)
        return
      }
      case 'arrived':
        return world.onArrived(this.index, output.messages)
      case 'pause':
        life.paused.set(output.stream, [])
        return
      case 'resume':
        return this.#resume(life, output.stream)
      case 'misbehaved':
        return world.onViolation(`node ${this.index} refused a frame: ${output.error.message}`)
      case 'volatile':
      case 'refused':
        return
    }
  }

  #resume(life: Life, stream: number): void {
    const waiting = life.paused.get(stream) ?? []
    life.paused.delete(stream)
    for (const run of waiting) this.#simulator.schedule(0, run)
  }

  #connect(to: SimulatedRoute): void {
    const life = this.#life
    const { world } = this.#options
    const { publicKey: destination, via } = to
    const connected = ({ id }: SimulatedLink): void =>
      this.#outbox({ type: 'connected', destination, via, link: id, path: via === 'onion' ? 'onion' : 'direct' })
    // Over circuits, whoever is called can answer over the circuit of the caller.
    const theirs = via === 'onion' ? world.linkBetween(this.index, to) : undefined
    if (theirs !== undefined) return connected(theirs)
    world.connect(this.index, to, (link) => {
      // The process that asked is gone, and its end of the stream with it.
      if (life !== this.#life) return link === undefined ? undefined : world.closeLink(link)
      if (link === undefined) this.#outbox({ type: 'unreachable', destination, via })
      else connected(link)
    })
  }

  #send(id: number, frame: Uint8Array): void {
    const { world } = this.#options
    const link = world.link(id)
    if (link !== undefined) world.transfer(link, this.index, frame)
  }

  #reset(id: number): void {
    const { world } = this.#options
    const link = world.link(id)
    if (link !== undefined) world.closeLink(link)
  }

  #answer(life: Life, call: number, result: OutboxEntry | MeshError): void {
    life.calls.get(call)?.(result)
    life.calls.delete(call)
  }

  #when<Result>(promise: Promise<Result>, then: { readonly done: (result: Result) => void; readonly failed: (error: MeshError) => void }): void {
    const life = this.#life
    promise
      .then(
        (result) => {
          if (life === this.#life) then.done(result)
        },
        (thrown: unknown) => {
          if (life !== this.#life) return
          then.failed(toMeshError(thrown))
          this.onStoreError(thrown)
        }
      )
      .catch((thrown: unknown) => this.#options.world.onThrown(thrown))
  }

  /** After STORE_FAILED nobody knows what is on the disk: the process ends, and the next one reads it. False for other errors but DISK_FULL. */
  onStoreError(thrown: unknown): boolean {
    if (isMeshError(thrown, 'STORE_FAILED')) this.crash()
    return isMeshError(thrown, 'STORE_FAILED') || isMeshError(thrown, 'DISK_FULL')
  }

  toString(): string {
    return `node ${this.index} (${toHex(this.publicKey.subarray(0, 4))})`
  }
}
