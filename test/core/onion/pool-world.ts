import assert from 'node:assert/strict'
import { after, MeshError, type Millis, millis, type WallMillis, wallMillis } from '../../../src/core/base/index.ts'
import type { PathMember } from '../../../src/core/onion/path-member.ts'
import { PoolMachine } from '../../../src/core/onion/pool.ts'
import type { PoolCircuit, PoolInput, PoolOptions, PoolOutput } from '../../../src/core/onion/pool-types.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { asker, wallStart } from './path-support.ts'

type Answer = Extract<PoolOutput, { readonly type: 'ready' | 'failed' }>
type Build = Extract<PoolOutput, { readonly type: 'build' }>

/** How long one hop takes. */
export const hopMs = 40

/** A pool on a virtual clock, and a driver that builds: a hop takes 40 ms each way; the dead ones refuse, the silent ones let the step time out. */
export class PoolWorld {
  readonly pool: PoolMachine
  readonly dead = new Set<string>()
  readonly silent = new Set<string>()
  /** The hop at which a relay of the path ends its build, if one does. */
  endsAt: (path: readonly PathMember[]) => number | undefined = () => undefined
  /** Whether no destination is reached over a path. */
  unreachable: (path: readonly PathMember[]) => boolean = () => false
  /** All outputs, with their times. */
  readonly log: { readonly at: Millis; readonly output: PoolOutput }[] = []
  /** Circuits that are up, as the driver knows them. */
  readonly up = new Map<number, { readonly path: readonly PathMember[]; destination: string | undefined }>()
  now = millis(1_000)
  /** The driver builds, and never says how it went. */
  isMute = false
  #members: readonly PathMember[] = []
  #events: { readonly at: Millis; readonly input: PoolInput; readonly isLive: () => boolean }[] = []
  #lastRequest = 0

  constructor(members: readonly PathMember[], options: Partial<PoolOptions> & { readonly seed?: number; readonly isSynced?: boolean } = {}) {
    const { seed = 1, isSynced = true, ...more } = options
    const wall = (): WallMillis => wallMillis(wallStart + this.now - 1_000)
    this.pool = new PoolMachine({ random: new SeededRandom(seed), wall, asker: asker(), policy: 'auto', hops: 3, level: 3, ...more })
    this.members(members, isSynced)
  }

  /** The directory as it is from now on. */
  members(members: readonly PathMember[], isSynced = true): void {
    this.#members = members
    this.input({ type: 'members', members, isSynced })
  }

  input(input: PoolInput): void {
    if (input.type === 'ended' || input.type === 'failed') this.up.delete(input.circuit)
    for (const output of this.pool.handle(input, this.now)) {
      this.log.push({ at: this.now, output })
      this.#perform(output)
    }
    this.#check()
  }

  /** Asks, and gives the number of the request. */
  want(destination: string, more: Partial<Extract<PoolInput, { readonly type: 'want' }>> = {}): number {
    const request = ++this.#lastRequest
    this.input({ type: 'want', request, destination, ...more })
    return request
  }

  /** The answer to a request, if it is there. */
  answer(request: number): Answer | undefined {
    const entry = this.log.find(({ output }) => (output.type === 'ready' || output.type === 'failed') && output.request === request)
    return entry?.output.type === 'ready' || entry?.output.type === 'failed' ? entry.output : undefined
  }

  /** Runs until the request is answered. */
  settle(request: number): Answer {
    for (let step = 0; step < 10_000; step++) {
      const answer = this.answer(request)
      if (answer !== undefined) return answer
      assert.ok(this.#step(after(this.now, 600_000)), 'nothing is left to happen')
    }
    throw new assert.AssertionError({ message: 'no answer' })
  }

  /** The circuit that a request is answered with. */
  ready(request: number): PoolCircuit {
    const answer = this.settle(request)
    assert.equal(answer.type, 'ready', answer.type === 'failed' ? answer.error.message : '')
    return this.circuit(answer.type === 'ready' ? answer.circuit : 0)
  }

  circuit(id: number): PoolCircuit {
    return this.pool.circuit(id) ?? assert.fail(`no circuit ${id}`)
  }

  run(ms: number): void {
    const end = after(this.now, ms)
    while (this.#step(end));
    this.now = end
  }

  outputs<Type extends PoolOutput['type']>(type: Type): readonly Extract<PoolOutput, { readonly type: Type }>[] {
    return this.log.flatMap(({ output }) => (isOfType(output, type) ? [output] : []))
  }

  /** The next event or reminder, if there is one until `end`. */
  #step(end: Millis): boolean {
    this.#events.sort((a, b) => a.at - b.at)
    const [event] = this.#events
    const wakeAt = this.pool.wakeAt
    const at = Math.min(event?.at ?? Number.POSITIVE_INFINITY, wakeAt ?? Number.POSITIVE_INFINITY)
    if (at > end) return false
    assert.ok(at >= this.now && (wakeAt === undefined || wakeAt > this.now), 'it wants to be woken up for nothing')
    this.now = millis(at)
    if (event?.at !== at) this.input({ type: 'wake' })
    else {
      this.#events.shift()
      if (event.isLive()) this.input(event.input)
    }
    return true
  }

  #perform(output: PoolOutput): void {
    if (output.type === 'build') this.#build(output)
    else if (output.type === 'extend') this.#extend(output.circuit, output.destination.peerId, output.stepMs)
    else if (output.type === 'close') this.up.delete(output.circuit)
  }

  #build({ circuit, path, stepMs }: Build): void {
    this.up.set(circuit, { path, destination: undefined })
    const dead = path.findIndex(({ peerId }) => this.dead.has(peerId) || this.silent.has(peerId))
    const bad = dead < 0 ? (this.endsAt(path) ?? 0) - 1 : dead
    const hop = bad < 0 ? path.length : bad + 1
    const isSilent = this.silent.has(path[bad]?.peerId ?? '')
    this.#later(circuit, hopMs * hop * (hop + 1) + (isSilent ? stepMs : 0), bad < 0 ? { type: 'built', circuit } : failure(circuit, hop, isSilent))
  }

  #extend(circuit: number, destination: string, stepMs: number): void {
    const known = this.up.get(circuit) ?? assert.fail('a circuit that is not there is extended')
    assert.equal(known.destination, undefined, 'a circuit has one destination')
    known.destination = destination
    const hop = known.path.length + 1
    const isSilent = this.silent.has(destination)
    const isBad = isSilent || this.dead.has(destination) || this.unreachable(known.path)
    this.#later(circuit, 2 * hopMs * hop + (isSilent ? stepMs : 0), isBad ? failure(circuit, hop, isSilent) : { type: 'extended', circuit })
  }

  #later(circuit: number, ms: number, input: PoolInput): void {
    if (this.isMute) return
    this.#events.push({ at: after(this.now, ms), input, isLive: () => this.up.has(circuit) })
  }

  /** What holds at all times. */
  #check(): void {
    for (const { id, path, destination, state } of this.pool.circuits) {
      assert.ok(this.up.has(id), `circuit ${id} (${state}) is the pool's, not the driver's`)
      assert.equal(new Set(path.map(({ peerId }) => peerId)).size, path.length)
      const member = this.#members.find(({ peerId }) => peerId === destination)
      assert.ok(member === undefined || !path.some(({ peerId }) => peerId === member.peerId), 'the destination is a relay of its circuit')
    }
  }
}

const isOfType = <Type extends PoolOutput['type']>(output: PoolOutput, type: Type): output is Extract<PoolOutput, { readonly type: Type }> =>
  output.type === type

function failure(circuit: number, hop: number, isSilent: boolean): PoolInput {
  const error = isSilent ? new MeshError('TIMEOUT', { operation: 'a step' }) : new MeshError('CIRCUIT_EXTEND_REFUSED', { hop })
  return { type: 'failed', circuit, hop, error }
}
