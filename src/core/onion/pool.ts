import { after, earliest, type KemLevel, type Machine, MeshError, type Millis, millis, type Random, randomFraction } from '../base/index.ts'
import type { PathMember } from './path-member.ts'
import { isTimeout, limitError, noEndpoint, unsynced } from './pool-errors.ts'
import { PoolPaths } from './pool-paths.ts'
import { behindGuard, CircuitTable, isSameWish, type JobCircuit, type JobWish, type PoolJob } from './pool-table.ts'
import {
  type CircuitWant,
  poolDefaults,
  type PoolCircuit,
  type PoolInput,
  type PoolLimits,
  type PoolOptions,
  type PoolOutput,
  type PoolStatus
} from './pool-types.ts'
import type { DroppedRelay } from './relay-record.ts'
import type { AnonymityReport } from './report.ts'
import { retryDelayMs } from './retry-delay.ts'

/**
 * Keeps circuits ready: two without a destination, and for each destination in use one that is young enough, with its successor before it expires. No
 * circuit serves two destinations. It draws paths, and says what to build; a driver builds, and tells how it went.
 */
export class PoolMachine implements Machine<PoolInput, PoolOutput> {
  readonly #options: PoolOptions
  readonly #limits: PoolLimits
  readonly #random: Random
  readonly #paths: PoolPaths
  readonly #circuits = new CircuitTable()
  readonly #jobs = new Set<PoolJob>()
  #out: PoolOutput[] = []
  #lastId = 0
  #now: Millis = millis(0)
  #isSynced = false
  #isOnline = true
  #shortage: MeshError | undefined
  #spareNotBefore: Millis = millis(0)
  #spareFailures = 0

  /** @throws {MeshError} MESSAGE_MALFORMED when the saved guards are none */
  constructor(options: PoolOptions) {
    this.#options = options
    this.#limits = { ...poolDefaults, ...options.limits }
    this.#random = options.random
    this.#paths = new PoolPaths(options)
  }

  get circuits(): readonly PoolCircuit[] {
    return this.#circuits.all
  }

  get status(): PoolStatus {
    return { ...this.#paths.status(this.#now), circuits: this.#circuits.counts, shortage: this.#shortage }
  }

  /** Peer ids of the guards. */
  get guards(): readonly string[] {
    return this.#paths.guards
  }

  /** Why no circuit would lead to a destination now; undefined when one would, as far as can be told without building it. */
  problem(destination: string, hops: number = this.#options.hops): MeshError | undefined {
    return this.#isSynced ? this.#paths.problem(destination, hops, this.#now) : unsynced(hops)
  }

  circuit(id: number): PoolCircuit | undefined {
    return this.#circuits.get(id)
  }

  /** What a circuit hides; undefined when there is none of this number. */
  report(id: number): AnonymityReport | undefined {
    const circuit = this.#circuits.get(id)
    return circuit === undefined ? undefined : this.#paths.report(circuit, this.#now)
  }

  get wakeAt(): Millis | undefined {
    const { aheadMs, hardMs, patienceMs } = this.#limits
    const times: Millis[] = [this.#spareNotBefore]
    for (const { state, expiresAt, startedAt } of this.#circuits.all)
      times.push(expiresAt, after(startedAt, hardMs), ...(state === 'spare' || state === 'ready' ? [after(expiresAt, -aheadMs)] : []))
    for (const { circuit, notBefore, startedAt } of this.#jobs) if (circuit === undefined) times.push(notBefore, after(startedAt, patienceMs))
    // What was due already waits for something else than the time.
    return earliest(...times.filter((time) => time > this.#now))
  }

  handle(input: PoolInput, now: Millis): readonly PoolOutput[] {
    this.#now = now
    this.#out = []
    this.#take(input)
    this.#expire()
    this.#startJobs()
    this.#fillSpares()
    const bytes = this.#paths.unsavedGuards
    if (bytes !== undefined) this.#out.push({ type: 'guards', bytes })
    const count = this.#circuits.crowd(this.#jobs, this.#limits, now)
    if (count > 0) this.#out.push({ type: 'crowded', count })
    return this.#out
  }

  #take(input: PoolInput): void {
    switch (input.type) {
      case 'members':
        return this.#members(input.members, input.isSynced)
      case 'online':
        this.#isOnline = input.isOnline
        return
      case 'want':
        return this.#want(input)
      case 'cancel':
        for (const job of this.#jobs) if (job.requests.delete(input.request) && isForNobody(job)) this.#abandon(job)
        return
      case 'wake':
        return
      default:
        return this.#takeOf(input)
    }
  }

  /** Takes what is said of one circuit. */
  #takeOf(input: Extract<PoolInput, { readonly circuit: number }>): void {
    const circuit = this.#circuits.get(input.circuit)
    if (circuit === undefined) return
    switch (input.type) {
      case 'built':
        return this.#built(circuit)
      case 'extended':
        return this.#extended(circuit)
      case 'failed':
        return this.#failed(circuit, input)
      case 'streams':
        return this.#circuits.put({ ...circuit, streams: input.streams })
      case 'carried':
        return this.#paths.carried(circuit, input.bytesPerSecond)
      case 'ended':
        return this.#ended(circuit)
      case 'close':
        for (const job of this.#jobs) if (job.replaces === circuit.id && job.requests.size === 0) this.#abandon(job)
        return this.#close(circuit)
      default:
        input satisfies never
    }
  }

  #members(members: readonly PathMember[], isSynced: boolean): void {
    const isStricter = this.#paths.update(members)
    this.#isSynced ||= isSynced
    if (this.#shortage !== undefined) this.#spareNotBefore = this.#now
    // Spare circuits were drawn when less was asked for.
    for (const circuit of this.#circuits.all) if (isStricter && circuit.state === 'spare') this.#close(circuit)
  }

  #want({ request, destination, allowShort = false, isFresh = false, hops = this.#options.hops, level = this.#options.level }: CircuitWant): void {
    const ready = isFresh ? undefined : this.#circuits.readyFor(destination, { hops, level }, this.#now)
    if (ready !== undefined) {
      this.#out.push({ type: 'ready', request, circuit: ready.id, isWarm: true, attempts: 0 })
      return
    }
    const wish = { destination, hops, level, allowShort, isShared: !isFresh }
    const same = isFresh ? undefined : [...this.#jobs].find((job) => job.isShared && isSameWish(job, wish))
    if (same !== undefined) same.requests.add(request)
    else if (this.#jobs.size < this.#limits.wants) this.#addJob({ ...wish, replaces: undefined }, [request])
    else this.#out.push({ type: 'failed', request, error: limitError(`${this.#jobs.size} circuits are being made already`) })
  }

  #addJob(wish: JobWish & Pick<PoolJob, 'replaces'>, requests: readonly number[]): void {
    const startedAt = this.#now
    const begun = { circuit: undefined, attempts: 0, destinationFailures: 0, failures: 0, isWarm: false, startedAt, notBefore: startedAt }
    this.#jobs.add({ ...wish, ...begun, requests: new Set(requests), avoid: new Set() })
  }

  #built(circuit: JobCircuit): void {
    if (circuit.state !== 'building') return
    this.#paths.built(circuit, this.#now)
    this.#spareFailures = 0
    const spare: JobCircuit = { ...circuit, state: 'spare', expiresAt: this.#lifeEnd() }
    if (circuit.job !== undefined) return this.#extend(spare, circuit.job)
    this.#circuits.put(spare)
    if (this.#paths.isLeftOut(spare, this.#now)) this.#close(spare)
  }

  #extend(circuit: JobCircuit, job: PoolJob): void {
    const { id, path, level } = circuit
    const destination = this.#paths.member(job.destination)
    if (destination === undefined || !this.#paths.suits(circuit, destination)) {
      // It left, or changed its addresses, while the relays were added.
      this.#circuits.put({ ...circuit, job: undefined })
      this.#attemptFailed(job, { hop: path.length + 1, error: noEndpoint(job.destination, 'its place in the directory has changed') })
      return
    }
    job.circuit = id
    const expiresAt = after(this.#now, this.#limits.silentMs)
    this.#circuits.put({ ...circuit, state: 'extending', job, destination: job.destination, wanted: job.hops, expiresAt })
    this.#out.push({ type: 'extend', circuit: id, destination, level, stepMs: this.#paths.stepMs(path.length + 1) })
  }

  #extended(circuit: JobCircuit): void {
    const { job, id } = circuit
    if (circuit.state !== 'extending' || job === undefined) return
    this.#circuits.renew({ ...circuit, state: 'ready', job: undefined, expiresAt: this.#lifeEnd() })
    this.#jobs.delete(job)
    for (const request of job.requests) this.#out.push({ type: 'ready', request, circuit: id, isWarm: job.isWarm, attempts: job.attempts })
    const old = job.replaces === undefined ? undefined : this.#circuits.get(job.replaces)
    if (old === undefined) return
    this.#circuits.put({ ...old, state: 'draining', expiresAt: after(this.#now, this.#limits.drainMs) })
    this.#out.push({ type: 'succeed', destination: job.destination, from: old.id, to: id })
  }

  #failed(circuit: JobCircuit, { hop, error }: Ending): void {
    if (circuit.state !== 'building' && circuit.state !== 'extending') return this.#ended(circuit)
    this.#circuits.delete(circuit.id)
    if (hop !== undefined) this.#dropped(this.#paths.failed(circuit, { hop, isTimeout: isTimeout(error), isOnline: this.#isOnline }, this.#now))
    if (circuit.job === undefined) return this.#delaySpares()
    if (circuit.state === 'extending') for (const peerId of behindGuard(circuit)) circuit.job.avoid.add(peerId)
    this.#attemptFailed(circuit.job, { hop: hop ?? circuit.path.length, error }, circuit.path.length)
  }

  #dropped(relays: readonly DroppedRelay[]): void {
    for (const relay of relays) {
      this.#out.push({ type: 'dropped', ...relay })
      for (const circuit of this.#circuits.sparesOver(relay.peerId)) this.#close(circuit)
    }
  }

  #delaySpares(): void {
    const { firstDelayMs: firstMs, maxDelayMs: maxMs } = this.#limits
    this.#spareNotBefore = after(this.#now, retryDelayMs(this.#random, this.#spareFailures++, { firstMs, maxMs }))
  }

  #attemptFailed(job: PoolJob, { hop, error }: Ending & { readonly hop: number }, relays = hop - 1): void {
    job.circuit = undefined
    job.destinationFailures += hop > relays ? 1 : 0
    const { attempts, destinationAttempts } = this.#limits
    if (job.attempts < attempts && job.destinationFailures < destinationAttempts) return
    const elapsedMs = this.#now - job.startedAt
    this.#fail(job, isTimeout(error) ? new MeshError('CIRCUIT_BUILD_TIMEOUT', { elapsedMs, attempts: job.attempts, hop }, { cause: error }) : error)
  }

  /** Nobody gets a circuit of this job; for a circuit in use it is tried again later. */
  #fail(job: PoolJob, error: MeshError): void {
    for (const request of job.requests) this.#out.push({ type: 'failed', request, error })
    job.requests.clear()
    job.circuit = undefined
    if (job.replaces === undefined || this.#circuits.get(job.replaces) === undefined) this.#jobs.delete(job)
    job.attempts = 0
    job.destinationFailures = 0
    job.avoid.clear()
    job.notBefore = after(this.#now, retryDelayMs(this.#random, job.failures++, { firstMs: this.#limits.patienceMs, maxMs: this.#limits.drainMs }))
  }

  /** Only a spare circuit tells something of its relays when it ends: others may have been ended by their destination. */
  #ended(circuit: JobCircuit): void {
    if (circuit.state === 'building' || circuit.state === 'extending') {
      const error = new MeshError('CIRCUIT_DESTROYED', { reason: 'while it was being built' })
      return this.#failed(circuit, { hop: undefined, error })
    }
    this.#circuits.delete(circuit.id)
    if (circuit.state !== 'spare') return circuit.streams === 0 ? undefined : this.#paths.broke(this.#now)
    this.#dropped(this.#paths.collapsed(circuit, this.#now))
    this.#delaySpares()
  }

  #close(circuit: JobCircuit): void {
    this.#circuits.delete(circuit.id)
    this.#out.push({ type: 'close', circuit: circuit.id })
    if (circuit.job !== undefined) this.#fail(circuit.job, new MeshError('CIRCUIT_DESTROYED', { reason: 'it was closed' }))
  }

  #abandon(job: PoolJob): void {
    this.#jobs.delete(job)
    const circuit = job.circuit === undefined ? undefined : this.#circuits.get(job.circuit)
    if (circuit === undefined) return
    // Relays that are being added make a spare circuit; one that knows its destination cannot be for another.
    if (circuit.state === 'building') this.#circuits.put({ ...circuit, job: undefined })
    else this.#close({ ...circuit, job: undefined })
  }

  #expire(): void {
    for (const circuit of this.#circuits.all) {
      const { state, streams } = circuit
      const isOver = circuit.expiresAt <= this.#now
      const isTooOld = after(circuit.startedAt, this.#limits.hardMs) <= this.#now
      if (state === 'building' || state === 'extending') {
        if (isOver) this.#giveUp(circuit)
      } else if (isTooOld || (isOver && !isInUse(circuit)) || (state === 'draining' && streams === 0)) this.#close(circuit)
      else this.#prepareSuccessor(circuit)
    }
  }

  #giveUp(circuit: JobCircuit): void {
    this.#out.push({ type: 'close', circuit: circuit.id })
    const error = new MeshError('TIMEOUT', { operation: 'the build of a circuit', timeoutMs: this.#limits.silentMs })
    this.#failed(circuit, { hop: undefined, error })
  }

  #prepareSuccessor(circuit: JobCircuit): void {
    const { id, destination, level, wanted: hops, path } = circuit
    if (!isInUse(circuit) || destination === undefined || after(circuit.expiresAt, -this.#limits.aheadMs) > this.#now) return
    if ([...this.#jobs].some(({ replaces }) => replaces === id)) return
    this.#addJob({ destination, hops, level, allowShort: path.length < hops, isShared: true, replaces: id }, [])
  }

  #startJobs(): void {
    for (const job of this.#jobs) {
      while (this.#jobs.has(job) && job.circuit === undefined && job.notBefore <= this.#now) if (!this.#start(job)) break
    }
  }

  /** False when the job has to wait. */
  #start(job: PoolJob): boolean {
    if (!this.#isSynced) return this.#waitOrFail(job, unsynced(job.hops))
    const destination = this.#paths.member(job.destination)
    if (destination === undefined) return this.#waitOrFail(job, noEndpoint(job.destination), 0)
    const spare = this.#circuits.spares(job, after(this.#now, this.#limits.firstDelayMs)).find((circuit) => this.#paths.suits(circuit, destination))
    if (spare === undefined) return this.#buildFor(job, destination)
    job.attempts += 1
    job.circuit = spare.id
    job.isWarm = spare.state === 'spare'
    if (job.isWarm) this.#extend(spare, job)
    else this.#circuits.put({ ...spare, job })
    return true
  }

  #waitOrFail(job: PoolJob, error: MeshError, patienceMs: number = this.#limits.patienceMs): boolean {
    const isOver = this.#now >= after(job.startedAt, patienceMs)
    if (isOver) this.#fail(job, error)
    return isOver
  }

  #buildFor(job: PoolJob, destination: PathMember): boolean {
    if (!this.#hasRoom()) return this.#waitOrFail(job, limitError(`${this.#circuits.size} circuits are in use or being built`))
    const { hops, allowShort, level, avoid } = job
    job.attempts += 1
    job.isWarm = false
    try {
      const { path } = this.#paths.choose({ hops, allowShort, destination, avoid }, this.#now)
      job.circuit = this.#build(path, { level, wanted: hops, job })
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#fail(job, error)
    }
    return true
  }

  #build(
    path: readonly PathMember[],
    { level, wanted, job }: { readonly level: KemLevel; readonly wanted: number; readonly job: PoolJob | undefined }
  ): number {
    const id = ++this.#lastId
    const expiresAt = after(this.#now, this.#limits.silentMs)
    this.#circuits.put({ id, state: 'building', path, level, wanted, job, destination: undefined, startedAt: this.#now, expiresAt, streams: 0 })
    this.#out.push({ type: 'build', circuit: id, path, level, stepMs: this.#paths.stepMs(path.length) })
    return id
  }

  /** Whether one more may be built; for that the circuit that has been without work for longest is closed. */
  #hasRoom(): boolean {
    if (this.#circuits.counts.building >= this.#limits.building) return false
    if (this.#circuits.size < this.#limits.circuits) return true
    const idle = this.#circuits.idle()
    if (idle !== undefined) this.#close(idle)
    return idle !== undefined
  }

  #fillSpares(): void {
    const { spares, aheadMs, circuits, building } = this.#limits
    while (this.#isSynced && this.#spareNotBefore <= this.#now && this.#circuits.youngSpares(after(this.#now, aheadMs)) < spares) {
      if (this.#circuits.size >= circuits || this.#circuits.counts.building >= building || !this.#buildSpare()) return
    }
  }

  #buildSpare(): boolean {
    const { hops, level } = this.#options
    try {
      const { path } = this.#paths.choose({ hops, mayBeLonger: true }, this.#now)
      this.#shortage = undefined
      this.#build(path, { level, wanted: hops, job: undefined })
      return true
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      this.#shortage = error
      this.#spareNotBefore = after(this.#now, this.#limits.patienceMs)
      return false
    }
  }

  #lifeEnd(): Millis {
    const { lifeMs, lifeSpreadMs } = this.#limits
    return after(this.#now, lifeMs + Math.floor((2 * randomFraction(this.#random) - 1) * lifeSpreadMs))
  }
}

/** `hop` is undefined when nothing was heard of where it ended. */
interface Ending {
  readonly hop: number | undefined
  readonly error: MeshError
}

const isForNobody = ({ requests, replaces }: PoolJob): boolean => requests.size === 0 && replaces === undefined
const isInUse = ({ state, streams }: PoolCircuit): boolean => state === 'ready' && streams > 0
