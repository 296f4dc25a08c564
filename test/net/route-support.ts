import assert from 'node:assert/strict'
import { multiaddr } from '@multiformats/multiaddr'
import { byteLength, type Clock, concat, MeshError, millis, type Pieces, toHex, utf8 } from '../../src/core/base/index.ts'
import type { MessageDraft, OutboxEntry, Via } from '../../src/core/message/index.ts'
import { Delivery } from '../../src/mesh/delivery.ts'
import type { DeliveryOptions } from '../../src/mesh/delivery-options.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { nobodysKey, type OnionStreams } from '../../src/mesh/onion-streams.ts'
import { Sessions } from '../../src/mesh/sessions.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { identityOf } from '../../src/node/identity.ts'
import { createPlatform } from '../../src/node/platform.ts'
import { openPqKeys } from '../../src/node/pq-keys.ts'
import { openMemoryStores, type Stores } from '../../src/node/sqlite/stores.ts'
import { clock, random, startTestHost, type TestHost } from './support.ts'

type Named = Pick<FrameStream, 'peerId' | 'publicKey'>

/** One end of a stream in memory, as the end of a circuit is: frames in order, back-pressure left out. */
class CircuitStream implements FrameStream {
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly path = 'onion'
  readonly closed: Promise<void>
  readonly #end: () => void
  readonly #frames: Uint8Array[] = []
  #toOther: { readonly take: (frame: Uint8Array) => void; readonly finish: (error: MeshError | undefined) => void } | undefined
  #wake: () => void = () => undefined
  #isOver = false
  #error: MeshError | undefined

  constructor({ peerId, publicKey }: Named) {
    this.peerId = peerId
    this.publicKey = publicKey
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.#end = resolve
  }

  /** Two ends: the opener's, which names whom it called, and the other one, which names nobody. */
  static pair(called: Named): readonly [CircuitStream, CircuitStream] {
    const [near, far] = [new CircuitStream(called), new CircuitStream({ peerId: 'somebody', publicKey: nobodysKey })]
    near.#joinTo(far)
    far.#joinTo(near)
    return [near, far]
  }

  #joinTo(other: CircuitStream): void {
    this.#toOther = { take: (frame) => other.#take(frame), finish: (error) => other.#finish(error) }
  }

  async *frames(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame !== undefined) yield frame
      else if (this.#error !== undefined) throw this.#error
      else if (this.#isOver) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  send(frame: Pieces, onTaken?: () => void): Promise<void> {
    if (this.#isOver) return Promise.reject(this.#error ?? new MeshError('CIRCUIT_DESTROYED'))
    const pieces = frame instanceof Uint8Array ? [frame] : frame
    this.#toOther?.take(concat(...pieces))
    assert.ok(byteLength(frame) > 0)
    onTaken?.()
    return Promise.resolve()
  }

  #take(frame: Uint8Array): void {
    this.#frames.push(frame)
    this.#wake()
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#finish(undefined)
    this.#toOther?.finish(undefined)
    return Promise.resolve()
  }

  abort(reason: MeshError): void {
    this.#finish(reason)
    this.#toOther?.finish(new MeshError('CIRCUIT_DESTROYED'))
  }

  #finish(error: MeshError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#error = error
    this.#end()
    this.#wake()
  }
}

/** Circuits between the nodes of one test, without any relay. */
export class TestCircuits {
  readonly #served = new Map<string, (stream: FrameStream) => Promise<void>>()
  readonly #open = new Set<CircuitStream>()
  /** Why none is built; undefined while they are. */
  refusal: MeshError | undefined
  /** How many were built. */
  built = 0

  /** The streams of a node that takes circuits, or that only makes them. */
  portOf(node: Named, isEndpoint: boolean): OnionStreams {
    return {
      check: (publicKey) => this.#check(publicKey),
      open: (publicKey) => this.open(publicKey),
      serve: (handler) => {
        if (isEndpoint) this.#served.set(toHex(node.publicKey), handler)
        return Promise.resolve()
      }
    }
  }

  /** A stream to a node, over a circuit of somebody. */
  async open(publicKey: Uint8Array): Promise<FrameStream> {
    await this.#check(publicKey)
    const [near, far] = CircuitStream.pair({ peerId: 'the one who was called', publicKey })
    this.built++
    this.#open.add(near)
    void near.closed.then(() => this.#open.delete(near))
    this.#served
      .get(toHex(publicKey))?.(far)
      .catch(() => far.abort(new MeshError('CIRCUIT_DESTROYED')))
    return near
  }

  /** Every circuit ends. */
  breakAll(): void {
    for (const stream of this.#open) stream.abort(new MeshError('CIRCUIT_DESTROYED'))
  }

  #check(publicKey: Uint8Array): Promise<void> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal)
    return this.#served.has(toHex(publicKey)) ? Promise.resolve() : Promise.reject(new MeshError('CIRCUIT_NO_ENDPOINT', { peer: 'the peer' }))
  }
}

export interface RouteNodeOptions {
  readonly circuits: TestCircuits | undefined
  /** Default true. */
  readonly isEndpoint?: boolean
  /** Default false. */
  readonly onionRouting?: boolean
  /** Milliseconds by which its clock is ahead. */
  readonly aheadMs?: () => number
}

/** A node's delivery over real connections and test circuits. */
export interface RouteNode extends AsyncDisposable {
  readonly host: TestHost
  readonly publicKey: Uint8Array
  readonly delivery: Delivery
  readonly sessions: Sessions
  readonly stores: Stores
  /** Direct sessions that this node opened itself. */
  readonly directOpens: () => number
  /** Ids of durable messages that arrived, and of volatile ones. */
  readonly arrived: string[]
  /** The next time when a message has this state. */
  reaches(id: string, state: OutboxEntry['state']): Promise<OutboxEntry>
  /** Resolves when the message has arrived here. */
  has(id: string): Promise<void>
}

const limits = { paired: true, commands: true, blocked: false, maxMessages: 1_000, maxBytes: 1e9, maxMessagesOfSource: 1_000, maxBytesOfSource: 1e9 }

export async function startRouteNode({ circuits, isEndpoint = true, onionRouting = false, aheadMs }: RouteNodeOptions): Promise<RouteNode> {
  const seed = random.bytes(32)
  const [host, identity, stores] = [await startTestHost({ seed }), await identityOf(seed.slice()), await openMemoryStores()]
  const shifted: Clock = { ...clock, monotonic: () => millis(clock.monotonic() + (aheadMs?.() ?? 0)) }
  const platform = createPlatform({ identity, network: 'test', stores, pqKeys: await openPqKeys(stores.datastore, assert.fail), clock: shifted })
  let directOpens = 0
  const counted: Pick<TestHost['host'], 'open' | 'serve'> = {
    open: (...args) => {
      directOpens++
      return host.host.open(...args)
    },
    serve: (...args) => host.host.serve(...args)
  }
  const sessions = new Sessions({
    ...{ host: counted, platform, network: 'test', peerId: identity.peerId, level: 3, minimumLevel: 1, pqAuth: false },
    onFailed: () => undefined,
    ...(circuits === undefined ? {} : { onion: circuits.portOf(identity, isEndpoint) })
  })
  const arrived: string[] = []
  const watched = new Watched()
  const delivery = new Delivery({
    ...{ platform, sessions, onionRouting, recovery: await stores.deliveryStore.recoverOutbox() },
    tracker: new Tracker(() => undefined),
    outboxLimits: { maxMessages: 1_000, maxBytes: 1e9 },
    limitsOf: (publicKey) => ({ publicKey, limits, messagesPerSecond: 1_000 }),
    onArrived: (_, messages) => watched.note(arrived, ...messages.map(({ envelope }) => envelope.id)),
    onVolatile: (_, messages) => watched.note(arrived, ...messages.map(({ id }) => id)),
    onState: (entry) => watched.tell(`${entry.id} ${entry.state}`, entry),
    ...watchers
  })
  await delivery.start()
  return {
    ...{ host, publicKey: identity.publicKey, delivery, sessions, stores, arrived, directOpens: () => directOpens },
    reaches: (id, state) => watched.when(`${id} ${state}`),
    has: async (id) => void (arrived.includes(id) || (await watched.when(`arrived ${id}`))),
    [Symbol.asyncDispose]: async () => {
      delivery.stop()
      await host[Symbol.asyncDispose]()
      await stores.close()
    }
  }
}

const watchers: Pick<DeliveryOptions, 'onAccepted' | 'onRefused' | 'onMisbehaved' | 'onFatal'> = {
  onAccepted: () => undefined,
  onRefused: () => undefined,
  onMisbehaved: (_, error) => assert.fail(error),
  onFatal: (error) => assert.fail(error)
}

/** Things that a test waits for, by name. */
class Watched {
  readonly #waiting = new Map<string, (value: OutboxEntry) => void>()

  note(arrived: string[], ...ids: readonly string[]): void {
    arrived.push(...ids)
    for (const id of ids) this.#waiting.get(`arrived ${id}`)?.({} as OutboxEntry)
  }

  tell(name: string, value: OutboxEntry): void {
    this.#waiting.get(name)?.(value)
  }

  when(name: string): Promise<OutboxEntry> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not within 15 s: ${name}`)), 15_000)
      this.#waiting.set(name, (value) => {
        clearTimeout(timer)
        resolve(value)
      })
    })
  }
}

/** Tells `a` where `b` is, so that it could connect. */
export async function introduce(a: RouteNode, b: RouteNode): Promise<void> {
  const multiaddrs = b.host.libp2p.getMultiaddrs().map((address) => multiaddr(address.toString()))
  await a.host.libp2p.peerStore.merge(b.host.libp2p.peerId, { multiaddrs })
}

export const draftTo = (to: RouteNode, id: string, via: Via): MessageDraft => ({
  ...{ id, via, type: 'Thought', label: '', inReplyTo: undefined, expectsReply: false, priority: 5, ttlS: 600, contentType: 'text/plain' },
  destination: { kind: 'peer', key: to.publicKey, label: '' },
  body: utf8(`the body of ${id}`)
})
