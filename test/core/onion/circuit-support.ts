import assert from 'node:assert/strict'
import { blake3 } from '@noble/hashes/blake3.js'
import { type KemLevel, type MeshError, type Millis, concat, equalBytes, isMeshError, millis } from '../../../src/core/base/index.ts'
import { handshakeCells, joinHandshake } from '../../../src/core/onion/cell.ts'
import { CircuitEnd, type EndOutput } from '../../../src/core/onion/circuit-end.ts'
import type { CircuitInput, CircuitOutput } from '../../../src/core/onion/client-circuit-types.ts'
import { ClientCircuit } from '../../../src/core/onion/client-circuit.ts'
import {
  type Cell,
  type CellCipher,
  type CellCommand,
  cellCommands,
  type CellLayer,
  cellSizes,
  createOnionCrypto,
  type ExtendFailure,
  type HopTarget,
  isRecognised,
  type LayerKeys,
  nobleCells,
  type OnionCrypto,
  OnionKeys
} from '../../../src/core/onion/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

/** A handshake without secrets, for tests of what comes after it: the keys are a hash of both halves. */
export function quickCrypto(random: SeededRandom, cipher: CellCipher = nobleCells): OnionCrypto {
  const keysOf = (...halves: readonly Uint8Array[]): LayerKeys => {
    const stream = blake3(concat(...halves), { dkLen: 2 * 160 + 32 })
    const direction = (at: number) => ({ keys: stream.slice(at, at + 128), chain: stream.slice(at + 128, at + 160) })
    return { forward: direction(0), backward: direction(160), binding: stream.slice(320) }
  }
  return {
    cipher,
    begin: () => {
      const request = random.bytes(cellSizes.create)
      return { request, finish: (reply) => keysOf(request, reply), abandon: () => undefined }
    },
    answer: (request) => {
      const reply = random.bytes(cellSizes.created)
      return { reply, keys: keysOf(request, reply), level: 3 }
    }
  }
}

/** A cipher that hides nothing and costs nothing: its cells are known by their first 16 bytes, its tags count. */
export const thinCells: CellCipher = {
  layer: ({ keys }) => {
    const mask = keys.slice(0, cellSizes.recognised)
    let count = 0
    const pass = (_: CellCommand, body: Uint8Array): void => {
      count++
      for (const [at, byte] of mask.entries()) body[at] = (body[at] ?? 0) ^ byte
    }
    return { encrypt: pass, originate: pass, decrypt: pass, tag: () => new Uint8Array(16).fill(count), wipe: () => undefined }
  }
}

export type Direction = 'forward' | 'backward'

/** What a hostile link makes of a cell. `link` 0 is the client's. */
export type Intercept = (cell: Cell, place: { readonly link: number; readonly direction: Direction }) => readonly Cell[]

interface Layers {
  readonly forward: CellLayer
  readonly backward: CellLayer
  readonly end: CircuitEnd
}

/** As little of a relay as a circuit needs. */
class TestRelay {
  readonly #world: World
  readonly #at: number
  readonly crypto: OnionCrypto
  layers: Layers | undefined
  /** Whether the next hop was asked. */
  isExtended = false
  #first: Uint8Array | undefined

  constructor(world: World, at: number, crypto: OnionCrypto) {
    this.#world = world
    this.#at = at
    this.crypto = crypto
  }

  forward({ command, body }: Cell): void {
    if (command === cellCommands.create) this.#create(body)
    else if (command === cellCommands.destroy) this.#over('forward')
    else this.#relayForward(command, body)
  }

  backward({ command, body }: Cell): void {
    if (this.layers === undefined) return
    if (command === cellCommands.destroy) return this.#over('backward')
    if (command === cellCommands.created) {
      if (this.#first === undefined) this.#first = body
      else this.perform(this.layers.end.send({ type: 'extended', reply: joinHandshake(command, this.#first, body) }))
      return
    }
    this.layers.backward.encrypt(command, body)
    this.#world.send(this.#at, 'backward', { circuit: 1, command, body })
  }

  #create(body: Uint8Array): void {
    if (this.#first === undefined) {
      this.#first = body
      return
    }
    const { reply, keys } = this.crypto.answer(joinHandshake(cellCommands.create, this.#first, body))
    this.#first = undefined
    const [forward, backward] = [this.crypto.cipher.layer(keys.forward), this.crypto.cipher.layer(keys.backward)]
    const layers = {
      seal: (command: CellCommand, sealed: Uint8Array) => backward.originate(command, sealed),
      sentTag: () => backward.tag(),
      receivedTag: () => forward.tag()
    }
    this.layers = { forward, backward, end: new CircuitEnd({ role: 'relay', layers, random: this.#world.random, protocols: this.#world.protocols }) }
    for (const cell of handshakeCells(1, { command: cellCommands.created, bytes: reply }, this.#world.random))
      this.#world.send(this.#at, 'backward', cell)
  }

  #relayForward(command: CellCommand, body: Uint8Array): void {
    if (this.layers === undefined || (command !== cellCommands.relay && command !== cellCommands.relayEarly)) return
    this.layers.forward.encrypt(command, body)
    if (!isRecognised(body)) {
      if (this.isExtended) this.#world.send(this.#at + 1, 'forward', { circuit: 1, command, body })
      else this.#over('here')
      return
    }
    this.#world.recognised.push({ hop: this.#at + 1, direction: 'forward' })
    try {
      this.perform(this.layers.end.receive(command, body))
    } catch (error) {
      assert.ok(isMeshError(error), String(error))
      this.#world.relayErrors.push(error)
      this.#over('here')
    }
  }

  perform(outputs: readonly EndOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'cell') this.#world.send(this.#at, 'backward', { circuit: 1, command: output.command, body: output.body })
      else if (output.type === 'message') this.#extend(output.message)
      else this.#world.served({ hop: this.#at + 1, output })
    }
  }

  #extend(message: Extract<EndOutput, { readonly type: 'message' }>['message']): void {
    if (message.type !== 'extend' || this.layers === undefined) return
    const failure = this.#world.failures.get(this.#at + 2)
    if (failure === 'silent') return
    if (failure !== undefined) return this.perform(this.layers.end.send({ type: 'extendFailed', reason: failure }))
    assert.ok(
      equalBytes(message.publicKey, this.#world.targets[this.#at + 1]?.publicKey ?? new Uint8Array()),
      'the next hop is the one that the client wants'
    )
    this.isExtended = true
    for (const cell of handshakeCells(1, { command: cellCommands.create, bytes: message.request }, this.#world.random))
      this.#world.send(this.#at + 1, 'forward', cell)
  }

  #over(from: Direction | 'here'): void {
    if (this.layers === undefined) return
    this.layers = undefined
    const destroy: Cell = { circuit: 1, command: cellCommands.destroy, body: this.#world.random.bytes(cellSizes.body) }
    if (from !== 'forward') this.#world.send(this.#at, 'backward', destroy)
    if (from !== 'backward' && this.isExtended)
      this.#world.send(this.#at + 1, 'forward', { ...destroy, body: this.#world.random.bytes(cellSizes.body) })
  }
}

export interface WorldOptions {
  readonly hops: number
  readonly seed?: number
  readonly cryptoOf?: (random: SeededRandom, hop: number) => OnionCrypto
  readonly clientCrypto?: OnionCrypto
  readonly targets?: readonly HopTarget[]
  readonly members?: number
  readonly serve?: (world: World, event: { readonly hop: number; readonly output: EndOutput }) => void
}

interface Flight {
  readonly link: number
  readonly direction: Direction
  readonly cell: Cell
}

/** A client, a chain of relays, and links between them that deliver in order, or as `intercept` wants it. */
export class World {
  readonly random: SeededRandom
  readonly protocols = ['pqs']
  readonly client: ClientCircuit
  readonly relays: readonly TestRelay[]
  readonly targets: readonly HopTarget[]
  readonly outputs: Exclude<CircuitOutput, { readonly type: 'cell' }>[] = []
  readonly recognised: { readonly hop: number; readonly direction: Direction }[] = []
  readonly relayErrors: MeshError[] = []
  /** Hops (from 1) that are not reached, by what their predecessor says; `silent` = nothing. */
  readonly failures = new Map<number, ExtendFailure | 'silent'>()
  readonly passed: Flight[] = []
  intercept: Intercept = (cell) => [cell]
  now: Millis = millis(1_000)
  /** Whether the client's agent reads what comes. */
  isConsuming = true
  readonly #serve: NonNullable<WorldOptions['serve']>
  #flying: Flight[] = []

  constructor(options: WorldOptions) {
    const { hops, seed = 1, cryptoOf = (random: SeededRandom) => quickCrypto(random) } = options
    this.random = new SeededRandom(seed)
    this.#serve = options.serve ?? (() => undefined)
    this.targets = options.targets ?? Array.from({ length: hops }, () => ({ publicKey: this.random.bytes(32), onionKey: this.random.bytes(32) }))
    this.relays = this.targets.map((_, at) => new TestRelay(this, at, cryptoOf(this.random, at + 1)))
    const members = options.members
    this.client = new ClientCircuit({
      circuit: 1,
      crypto: options.clientCrypto ?? cryptoOf(this.random, 0),
      random: this.random,
      ...(members === undefined ? {} : { members })
    })
  }

  /** Feeds the client. */
  input(input: CircuitInput): void {
    for (const output of this.client.handle(input, this.now)) {
      if (output.type === 'cell') this.send(0, 'forward', output.cell)
      else this.outputs.push(output)
      if (output.type === 'data' && this.isConsuming) this.input({ type: 'consumed', stream: output.stream, bytes: output.bytes.length })
    }
  }

  send(link: number, direction: Direction, cell: Cell): void {
    // Links carry bytes: who sent a body keeps none of it.
    for (const passed of this.intercept({ ...cell, body: cell.body.slice() }, { link, direction }))
      this.#flying.push({ link, direction, cell: passed })
  }

  served(event: { readonly hop: number; readonly output: EndOutput }): void {
    this.#serve(this, event)
  }

  /** Delivers at most `count` cells; returns how many it did. */
  deliver(count = Number.POSITIVE_INFINITY): number {
    let delivered = 0
    for (; delivered < count; delivered++) {
      const flight = this.#flying.shift()
      if (flight === undefined) break
      this.passed.push({ ...flight, cell: { ...flight.cell, body: flight.cell.body.slice() } })
      const { link, direction, cell } = flight
      if (direction === 'forward') this.relays[link]?.forward(cell)
      else if (link === 0) this.input({ type: 'cell', cell })
      else this.relays[link - 1]?.backward(cell)
    }
    return delivered
  }

  /** Adds hops until there are `count`, or the circuit ended. */
  build(count = this.targets.length, level: KemLevel = 3): this {
    for (let hop = this.client.hops + 1; hop <= count && !this.client.hasEnded; hop++) {
      const target = this.targets[hop - 1]
      assert.ok(target !== undefined)
      this.input({ type: 'extend', target, level, timeoutMs: 2_000 })
      this.deliver()
    }
    return this
  }

  /** How the circuit ended. */
  get ending(): Extract<CircuitOutput, { readonly type: 'ended' }> {
    const ended = this.outputs.find((output) => output.type === 'ended')
    assert.ok(ended?.type === 'ended', 'the circuit has ended')
    return ended
  }

  /** All bytes that came in on a stream. */
  received(stream: number): Uint8Array {
    return concat(...this.outputs.flatMap((output) => (output.type === 'data' && output.stream === stream ? [output.bytes] : [])))
  }
}

/** The destination says everything back, and ends its side when the client did. */
export const echo: NonNullable<WorldOptions['serve']> = (world, { hop, output }) => {
  const relay = world.relays[hop - 1]
  const end = relay?.layers?.end
  if (relay === undefined || end === undefined) return
  if (output.type === 'data') {
    relay.perform(end.write(output.stream, output.bytes))
    relay.perform(end.consumed(output.stream, output.bytes.length))
  }
  if (output.type === 'end' && output.reason === 'done') relay.perform(end.end(output.stream, 'done'))
}

/** Members with keys of their own and real handshakes. */
export function realWorld(hops: number): World {
  const members = Array.from({ length: hops + 1 }, () => {
    const publicKey = nodeHandshakeCrypto.randomBytes(32)
    const keys = new OnionKeys({ crypto: nodeHandshakeCrypto, now: millis(0) })
    return { publicKey, keys, crypto: createOnionCrypto({ crypto: nodeHandshakeCrypto, cipher: nobleCells, keys, publicKey }) }
  })
  const [client, ...relays] = members
  assert.ok(client !== undefined)
  return new World({
    hops,
    targets: relays.map(({ publicKey, keys }) => ({ publicKey, onionKey: keys.publicKey })),
    cryptoOf: (_, hop) => members[hop]?.crypto ?? client.crypto,
    clientCrypto: client.crypto,
    serve: echo
  })
}

/** Compares much without printing it. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length)
  assert.ok(equalBytes(actual, expected), 'the same bytes')
}
