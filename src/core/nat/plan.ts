import { after, earliest, type Machine, type Millis } from '../base/index.ts'
import { hopelessReasons, iceHopeless, type NetworkFacts, shareAddress } from './hopeless.ts'
import { type PeerNetwork, type PlanInput, type PlanOutput, planTimes, type TraversalMeans } from './plan-types.ts'
import { isDirectPath, resultOf, type TraversalAttempt, type TraversalReport } from './report.ts'
import type { ConnectionPath, Technique, TraversalMethod } from './types.ts'

interface RunningTry {
  readonly id: number
  readonly technique: Technique
  readonly begunAt: Millis
  readonly until: Millis
}

/**
 * The traversal of one peer. At once: its direct addresses and a relay side by side. Over whichever connection is there first it asks the peer about its network;
 * then the peer dials us, if we can be dialled, and one ICE run goes with STUN and TURN together. The first direct connection ends it; a connection over a relay
 * is used at once and kept when nothing better comes. `stun` and `turn` use a connection to agree over, and ICE with that policy alone.
 *
 * What the NAT classes rule out is never begun: see hopeless.ts. Birthday probing between a port-restricted and a symmetric NAT would be a technique of its own
 * in `#punch`, begun where `punchVerdict` says 'by-chance' and no TURN server is there, under the budget of an ICE run; everything else stays as it is.
 */
export class TraversalPlan implements Machine<PlanInput, PlanOutput> {
  readonly #method: TraversalMethod
  readonly #means: TraversalMeans
  readonly #wantsFacts: boolean
  #own: NetworkFacts | undefined
  #peer: PeerNetwork | undefined
  #begunAt: Millis | undefined
  #endsAt: Millis | undefined
  /** Until when the peer's answer is waited for; undefined before it was asked, 'over' afterwards. */
  #asking: Millis | 'over' | undefined
  #hasAskedAgain = false
  /** The best connection. */
  #reached: ConnectionPath | undefined
  /** Until when a direct way may still beat a TURN server that was found. */
  #graceEndsAt: Millis | undefined
  #usableAt: Millis | undefined
  /** Whether ICE connected, for a forced method. */
  #forced: ConnectionPath | undefined
  #isDone = false
  #nextId = 1
  readonly #running = new Map<number, RunningTry>()
  readonly #attempts: TraversalAttempt[] = []
  /** Techniques that were begun or left out. */
  readonly #settled = new Set<Technique | 'second-dial'>()

  constructor(options: {
    readonly method: TraversalMethod
    readonly means: TraversalMeans
    readonly own?: NetworkFacts | undefined
    /** What it told not long ago. */
    readonly peer?: PeerNetwork | undefined
    /** Whether the report shall name the peer's class even where a direct connection was there first. */
    readonly wantsFacts?: boolean
  }) {
    this.#method = options.method
    this.#means = options.means
    this.#wantsFacts = options.wantsFacts ?? false
    this.#own = options.own
    this.#peer = options.peer
    if (options.peer !== undefined) this.#asking = 'over'
  }

  get wakeAt(): Millis | undefined {
    if (this.#isDone || this.#begunAt === undefined) return undefined
    const asking = this.#asking === 'over' ? undefined : this.#asking
    const grace = this.#running.size > 0 ? this.#graceEndsAt : undefined
    return earliest(this.#endsAt, asking, grace, ...[...this.#running.values()].map(({ until }) => until))
  }

  handle(input: PlanInput, now: Millis): readonly PlanOutput[] {
    if (this.#isDone || (this.#begunAt === undefined && input.type !== 'begin')) return []
    const outputs: PlanOutput[] = []
    switch (input.type) {
      case 'begin':
        this.#begin(now)
        break
      case 'own':
        this.#own = input.facts
        break
      case 'told':
        this.#peer = input.peer
        this.#asking = 'over'
        break
      case 'untold':
        this.#asking = 'over'
        break
      case 'connected':
        this.#connected(input, now)
        break
      case 'failed':
        this.#end(input.id, now, { outcome: 'failed', path: undefined, reason: input.reason })
        break
      case 'arrived':
        this.#reach(input.path, now)
        break
      case 'wake':
        break
      default:
        input satisfies never
    }
    this.#expire(now, outputs)
    this.#advance(now, outputs)
    return outputs
  }

  #begin(now: Millis): void {
    if (this.#begunAt !== undefined) return
    this.#begunAt = now
    this.#endsAt = after(now, this.#method === 'auto' ? planTimes.autoMs : planTimes.forcedMs)
    this.#reached = this.#means.connected
  }

  #connected({ id, path }: { readonly id: number; readonly path: ConnectionPath }, now: Millis): void {
    const ended = this.#end(id, now, { outcome: 'connected', path, reason: undefined })
    if (ended === undefined) return
    if (ended.technique === iceTechnique(this.#method)) this.#forced = path
    this.#reach(path, now)
  }

  /** A direct connection is never displaced, a TURN server only by one. */
  #reach(path: ConnectionPath, now: Millis): void {
    if (this.#reached !== undefined && rank(path) <= rank(this.#reached)) return
    this.#reached = path
    if (path === 'turn' && this.#method === 'auto') this.#graceEndsAt = after(now, planTimes.turnGraceMs)
  }

  #expire(now: Millis, outputs: PlanOutput[]): void {
    for (const { id, technique, begunAt, until } of this.#running.values()) {
      if (until > now) continue
      outputs.push({ type: 'abort', id, technique })
      this.#end(id, now, { outcome: 'failed', path: undefined, reason: `no answer in ${seconds(until - begunAt)}` })
    }
    if (this.#asking !== undefined && this.#asking !== 'over' && this.#asking <= now) this.#asking = 'over'
  }

  #advance(now: Millis, outputs: PlanOutput[]): void {
    const reached = this.#reached
    if (reached !== undefined && this.#usableAt === undefined) {
      this.#usableAt = now
      outputs.push({ type: 'usable', path: reached })
    }
    if (!this.#isDecided(now)) {
      this.#dial(now, outputs)
      if (this.#reached !== undefined) this.#overConnection(now, outputs)
    }
    if (!this.#isDecided(now) && !this.#isIdle()) return
    this.#stopAll(now, outputs)
    if (this.#isCurious(now)) this.#ask(now, outputs)
    else this.#finish(now, outputs)
  }

  /** At once, side by side: the direct addresses and a relay. For a forced method they only serve to agree over; what is hopeless for it is said before. */
  #dial(now: Millis, outputs: PlanOutput[]): void {
    const { hasAddresses, hasRelays } = this.#means
    const hopeless = this.#method === 'auto' ? undefined : this.#iceHopeless()
    if (hopeless !== undefined) return this.#leaveOut(iceTechnique(this.#method), hopeless, now)
    if (this.#reached !== undefined && this.#method !== 'auto') return
    this.#try('dial', { now, outputs, budgetMs: planTimes.dialMs, hopeless: hasAddresses ? undefined : hopelessReasons.noAddress })
    if (this.#reached === undefined)
      this.#try('relay', { now, outputs, budgetMs: planTimes.relayMs, hopeless: hasRelays ? undefined : hopelessReasons.noRelay })
  }

  #overConnection(now: Millis, outputs: PlanOutput[]): void {
    this.#ask(now, outputs)
    if (this.#method === 'auto') this.#reversal(now, outputs)
    if (this.#asking !== 'over') return
    if (this.#method === 'auto') this.#secondDial(now, outputs)
    this.#punch(now, outputs)
  }

  #ask(now: Millis, outputs: PlanOutput[]): void {
    if (this.#asking !== undefined) return
    const budgetMs = Math.min(planTimes.askMs, this.#leftMs(now))
    this.#asking = after(now, budgetMs)
    outputs.push({ type: 'ask', budgetMs })
  }

  /** The peer dials us: at once when others can, and within one home once it is known to be one. */
  #reversal(now: Millis, outputs: PlanOutput[]): void {
    const useful = this.#means.isReachable || shareAddress(this.#own, this.#peer?.facts)
    if (!useful && this.#asking !== 'over') return
    this.#try('reversal', { now, outputs, budgetMs: planTimes.reversalMs, hopeless: useful ? undefined : hopelessReasons.notReachable })
  }

  /** The addresses that only the peer could tell, such as a port that it has mapped. */
  #secondDial(now: Millis, outputs: PlanOutput[]): void {
    if (this.#peer?.hasNewAddresses !== true || this.#settled.has('second-dial')) return
    this.#settled.add('second-dial')
    this.#start('dial', { now, outputs, budgetMs: planTimes.dialMs, round: 2 })
  }

  #punch(now: Millis, outputs: PlanOutput[]): void {
    this.#try(iceTechnique(this.#method), { now, outputs, budgetMs: planTimes.iceMs, hopeless: this.#iceHopeless() })
  }

  /** Two NATs that let nothing through, and a TURN server that did not help. */
  #turnFailed(): string | undefined {
    const why = this.#method === 'auto' ? this.#iceHopeless({ own: false, their: false }) : undefined
    return why === undefined ? undefined : `${why}, and no TURN server connected them`
  }

  #iceHopeless(turn = { own: this.#means.hasTurn, their: this.#peer?.turn ?? false }): string | undefined {
    const { iceUnavailable } = this.#means
    const policy = this.#method === 'auto' ? 'all' : this.#method
    return iceHopeless({ policy, own: this.#own, their: this.#peer?.facts, iceUnavailable, theirIce: this.#peer?.ice, turn })
  }

  #try(technique: Technique, { hopeless, ...begin }: Begin & { readonly hopeless: string | undefined }): void {
    if (this.#settled.has(technique)) return
    if (hopeless !== undefined) return this.#leaveOut(technique, hopeless, begin.now)
    this.#settled.add(technique)
    this.#start(technique, { ...begin, round: 1 })
  }

  #start(technique: Technique, { now, outputs, budgetMs, round }: Begin & { readonly round: 1 | 2 }): void {
    const id = this.#nextId++
    const budget = Math.min(budgetMs, this.#leftMs(now))
    this.#running.set(id, { id, technique, begunAt: now, until: after(now, budget) })
    outputs.push({ type: 'start', id, technique, round, budgetMs: budget })
  }

  #leaveOut(technique: Technique, reason: string, now: Millis): void {
    if (this.#settled.has(technique)) return
    this.#settled.add(technique)
    this.#attempts.push({ technique, outcome: 'skipped', atMs: this.#sinceBegin(now), ms: 0, path: undefined, reason })
  }

  #end(id: number, now: Millis, end: Pick<TraversalAttempt, 'outcome' | 'path' | 'reason'>): RunningTry | undefined {
    const ended = this.#running.get(id)
    if (ended === undefined) return undefined
    this.#running.delete(id)
    this.#attempts.push({ technique: ended.technique, atMs: this.#sinceBegin(ended.begunAt), ms: now - ended.begunAt, ...end })
    return ended
  }

  /** Whether no way is worth waiting for any more, though some may still run. */
  #isDecided(now: Millis): boolean {
    if (this.#leftMs(now) <= 0) return true
    if (this.#method !== 'auto') return this.#settled.has(iceTechnique(this.#method)) && !this.#runs(iceTechnique(this.#method))
    if (this.#reached === undefined) return false
    if (isDirectPath(this.#reached)) return true
    return this.#graceEndsAt !== undefined && this.#graceEndsAt <= now
  }

  #isIdle(): boolean {
    return this.#running.size === 0 && (this.#reached === undefined || this.#asking === 'over')
  }

  /** Whether the peer's class is still to be heard, for the report alone; a peer that had not measured its network yet is asked once more. */
  #isCurious(now: Millis): boolean {
    if (!this.#wantsFacts || this.#reached === undefined || this.#leftMs(now) <= 0) return false
    if (this.#asking !== 'over') return true
    if (this.#hasAskedAgain || this.#peer?.facts.natClass !== 'unknown' || this.#sinceBegin(now) < planTimes.askAgainMs) return false
    this.#hasAskedAgain = true
    this.#asking = undefined
    return true
  }

  #runs(technique: Technique): boolean {
    return [...this.#running.values()].some((each) => each.technique === technique)
  }

  #stopAll(now: Millis, outputs: PlanOutput[]): void {
    for (const { id, technique } of this.#running.values()) {
      outputs.push({ type: 'abort', id, technique })
      this.#end(id, now, { outcome: 'ended', path: undefined, reason: this.#reasonOfEnd(now) })
    }
  }

  #finish(now: Millis, outputs: PlanOutput[]): void {
    this.#isDone = true
    if (this.#reached === undefined) this.#leaveOut(iceTechnique(this.#method), hopelessReasons.noConnection, now)
    outputs.push({ type: 'done', report: this.#report(now) })
  }

  #reasonOfEnd(now: Millis): string {
    return this.#leftMs(now) <= 0 && this.#reached !== 'turn' ? 'the time for all ways was up' : 'another way was there first'
  }

  #report(now: Millis): TraversalReport {
    const path = this.#method === 'auto' ? this.#reached : this.#forced
    return {
      method: this.#method,
      result: path === undefined ? 'failed' : resultOf(path),
      path,
      now: this.#reached,
      own: this.#own?.natClass ?? 'unknown',
      their: this.#peer?.facts.natClass ?? 'unknown',
      attempts: this.#attempts.toSorted((a, b) => a.atMs - b.atMs),
      reason: this.#reason(path),
      usableMs: this.#usableAt === undefined ? undefined : this.#sinceBegin(this.#usableAt),
      ms: this.#sinceBegin(now)
    }
  }

  /** What stood in the way of something better. */
  #reason(path: ConnectionPath | undefined): string | undefined {
    if (path !== undefined && (isDirectPath(path) || this.#method === 'turn')) return undefined
    const isIce = ({ technique }: TraversalAttempt): boolean => technique === iceTechnique(this.#method)
    const ice = this.#attempts.find((attempt) => isIce(attempt) && attempt.reason !== hopelessReasons.noConnection)
    // What was measured too late to leave it out explains it all the same.
    if (ice?.outcome === 'failed') return this.#iceHopeless() ?? this.#turnFailed() ?? ice.reason
    if (this.#reached !== undefined) return ice?.reason ?? (path === 'turn' ? 'no direct way was found' : undefined)
    if (ice !== undefined) return ice.reason
    return this.#attempts
      .filter((attempt) => !isIce(attempt))
      .map(({ technique, reason }) => `${technique}: ${reason}`)
      .join('; ')
  }

  #leftMs(now: Millis): number {
    return Math.max(0, (this.#endsAt ?? now) - now)
  }

  #sinceBegin(at: Millis): number {
    return at - (this.#begunAt ?? at)
  }
}

interface Begin {
  readonly now: Millis
  readonly outputs: PlanOutput[]
  readonly budgetMs: number
}

const iceTechniques = { auto: 'ice', stun: 'ice-stun', turn: 'ice-turn' } as const satisfies Record<TraversalMethod, Technique>
const iceTechnique = (method: TraversalMethod): Technique => iceTechniques[method]

const rank = (path: ConnectionPath): number => (isDirectPath(path) ? 2 : path === 'turn' ? 1 : 0)
const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`
