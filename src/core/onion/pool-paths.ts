import { after, equalBytes, MeshError, type Millis } from '../base/index.ts'
import { BuildTimeout } from './build-timeout.ts'
import { Guards } from './guards.ts'
import { type PathChoice, PathMaker, type PathWish } from './path-maker.ts'
import type { PathMember } from './path-member.ts'
import { noEndpoint } from './pool-errors.ts'
import type { PoolCircuit, PoolOptions, PoolStatus } from './pool-types.ts'
import { type DroppedRelay, RelayRecord } from './relay-record.ts'
import { type AnonymityReport, anonymityReport } from './report.ts'

const breaksMs = 600_000
const oneCauseMs = 1_000
const maxBreaks = 100

/** What the pool draws paths from, and what it learns from builds. */
export class PoolPaths {
  readonly #options: PoolOptions
  readonly #guards: Guards
  readonly #record: RelayRecord
  readonly #timeout = new BuildTimeout()
  /** When circuits with work ended by themselves. */
  #breaks: readonly Millis[] = []
  readonly #paths: PathMaker

  /** @throws {MeshError} MESSAGE_MALFORMED when the saved guards are none */
  constructor(options: PoolOptions) {
    this.#options = options
    const { random, wall, asker, policy, savedGuards } = options
    this.#guards = new Guards({ random, saved: savedGuards })
    this.#record = new RelayRecord(options.record)
    this.#paths = new PathMaker({ random, wall, asker, policy, guards: this.#guards, record: this.#record })
  }

  /** The guards to be saved, when they have changed. */
  get unsavedGuards(): Uint8Array | undefined {
    return this.#guards.isChanged ? this.#guards.encode() : undefined
  }

  /** Peer ids of the guards. */
  get guards(): readonly string[] {
    return this.#guards.all.map(({ peerId }) => peerId)
  }

  /** True when more is asked of paths than before. */
  update(members: readonly PathMember[]): boolean {
    const before = this.#paths.rules.name
    const guardsBefore = this.guards.map((peerId) => this.#paths.member(peerId))
    this.#paths.update(members)
    for (const guard of guardsBefore)
      if (guard !== undefined && hasChanged(guard, this.#paths.member(guard.peerId))) this.#guards.changed(guard.peerId)
    return before === 'lan' && this.#paths.rules.name === 'strict'
  }

  /** A member whose descriptor holds. */
  member(peerId: string): PathMember | undefined {
    return this.#paths.member(peerId)
  }

  /** @throws {MeshError} CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_GUARDS_FAILED */
  choose(wish: PathWish, now: Millis): PathChoice {
    return this.#paths.choose(wish, now)
  }

  /** Why no path would lead to a destination now; undefined when one would. */
  problem(destination: string, hops: number, now: Millis): MeshError | undefined {
    const member = this.#paths.member(destination)
    if (member === undefined) return noEndpoint(destination)
    try {
      this.#paths.choose({ hops, destination: member }, now)
      return undefined
    } catch (error) {
      if (error instanceof MeshError) return error
      throw error
    }
  }

  /** Whether a circuit may lead to `destination`: none of its relays is the destination, or near it, or carries its connections. */
  suits({ path }: PoolCircuit, destination: PathMember): boolean {
    return this.#paths.suits(path, destination)
  }

  /** Whether a relay of the circuit is left out by now. */
  isLeftOut({ path }: PoolCircuit, now: Millis): boolean {
    return path.some(({ peerId }) => this.#record.isDropped(peerId, now))
  }

  /** Milliseconds for each step of a circuit of `hops` hops, the destination counted. */
  stepMs(hops: number): number {
    return this.#timeout.stepMs(hops)
  }

  /** All relays of the circuit were added. */
  built(circuit: PoolCircuit, now: Millis): void {
    this.#guards.reached(guardOf(circuit))
    this.#record.built(idsOf(circuit), now)
    this.#timeout.built(circuit.path.length, now - circuit.startedAt)
  }

  /** Hop `hop` was not added. Returns the relays that are left out for it. That the destination is not there says nothing of relays. */
  failed(
    circuit: PoolCircuit,
    ending: { readonly hop: number; readonly isTimeout: boolean; readonly isOnline: boolean },
    now: Millis
  ): readonly DroppedRelay[] {
    const { hop, isTimeout, isOnline } = ending
    const hops = circuit.path.length
    if (isTimeout && hop <= hops) this.#timeout.timedOut(hops)
    if (hop === 1) {
      this.#guards.failed(guardOf(circuit), this.#options.wall(), isOnline)
      return []
    }
    this.#guards.reached(guardOf(circuit))
    return hop <= hops ? this.#record.failed(idsOf(circuit), hop, now) : []
  }

  /** A spare circuit ended by itself: some relay of it ended it. */
  collapsed(circuit: PoolCircuit, now: Millis): readonly DroppedRelay[] {
    return this.#record.failed(idsOf(circuit), undefined, now)
  }

  /** A circuit with work ended by itself, which any relay of it may have done, or its destination: nobody is blamed. */
  broke(now: Millis): void {
    const last = this.#breaks.at(-1)
    // What one cause ends together is one.
    if (last !== undefined && now < after(last, oneCauseMs)) return
    this.#breaks = [...this.#breaks.filter((at) => now < after(at, breaksMs)), now].slice(-maxBreaks)
  }

  carried(circuit: PoolCircuit, bytesPerSecond: number): void {
    this.#record.carried(idsOf(circuit), bytesPerSecond)
  }

  report({ path, wanted, destination: peerId }: PoolCircuit, now: Millis): AnonymityReport {
    const destination = peerId === undefined ? undefined : this.#paths.member(peerId)
    const census = this.#paths.census(now, destination)
    const waivers = this.#paths.waivers(path, wanted, destination)
    return anonymityReport({ path, wanted, destination, census, waivers, trust: this.#options.asker.trust })
  }

  status(now: Millis): Pick<PoolStatus, 'policy' | 'relays' | 'guards' | 'dropped' | 'broken'> {
    const { rules, relays } = this.#paths.census(now)
    const failing = this.#guards.all.filter(({ failingSince }) => failingSince !== undefined).length
    const broken = this.#breaks.filter((at) => now < after(at, breaksMs)).length
    const guards = { known: this.#guards.all.length, failing }
    return { policy: rules.name, relays: relays.length, guards, dropped: this.#record.dropped(now), broken }
  }
}

/** Whether a member was started again or has moved: onion keys live in memory only. */
const hasChanged = (before: PathMember, now: PathMember | undefined): boolean =>
  now !== undefined && now !== before && (!equalBytes(now.onionKey, before.onionKey) || now.addresses.join() !== before.addresses.join())

const idsOf = ({ path }: PoolCircuit): readonly string[] => path.map(({ peerId }) => peerId)
const guardOf = ({ path }: PoolCircuit): string => path[0]?.peerId ?? ''
