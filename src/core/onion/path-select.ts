import { type Random, randomFraction, randomInteger } from '../base/index.ts'
import type { PathMember } from './path-member.ts'
import { fitsPath, type PathRules } from './path-policy.ts'

/** One drawing of a path. */
export interface PathDraw {
  /** Eligible relays, the guard perhaps among them. */
  readonly relays: readonly PathMember[]
  /** The first relay. */
  readonly guard: PathMember
  /** Relays of the path, 1 to 8. */
  readonly hops: number
  readonly rules: PathRules
  /** Peer ids of trusted relays: with any, a path of two or more has one of them and one that is none. */
  readonly trust: ReadonlySet<string>
  /** How often a relay is taken compared with others. */
  readonly weightOf: (peerId: string) => number
  readonly random: Random
}

/** Weights are at most this times the median of what was observed, and at least the same part of it: nobody gains much by being fast. */
export const maxWeight = 4

/** Places of a path that are tried before it is given up: whoever makes relays that fit together badly costs time, not more. */
const maxSteps = 500

/**
 * The guard first, then relays drawn by weight from all that may be on one path with those before. Where a drawn relay leaves no way on, another is
 * drawn instead. undefined when there is no such path, or none was found in 500 steps.
 */
export function drawPath(draw: PathDraw): readonly PathMember[] | undefined {
  const needs = needsOf(draw)
  if (needs === undefined) return undefined
  const strictest = draw.rules.family ? draw.rules : { ...draw.rules, family: true }
  // Where the family is waived, two of one are taken only if there is no other path.
  return new Search(draw, needs, strictest).run() ?? (draw.rules.family ? undefined : new Search(draw, needs, draw.rules).run())
}

/** Weights from what was observed, in bytes a second: relative to its median, bounded; 1 for relays of which nothing is known. */
export function weightsFrom(observed: ReadonlyMap<string, number>): (peerId: string) => number {
  const sorted = [...observed.values()].sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  return (peerId) => {
    const value = observed.get(peerId)
    if (value === undefined || median <= 0) return 1
    return Math.min(maxWeight, Math.max(1 / maxWeight, value / median))
  }
}

/** One of `relays` by weight. */
export function drawOne(relays: readonly PathMember[], weightOf: (peerId: string) => number, random: Random): PathMember | undefined {
  const total = relays.reduce((sum, { peerId }) => sum + weightOf(peerId), 0)
  let left = randomFraction(random) * total
  for (const relay of relays) {
    left -= weightOf(relay.peerId)
    if (left < 0) return relay
  }
  return relays.at(-1)
}

type Need = 'trusted' | 'outside'

/** Which place has to hold a trusted relay, or one that is none: drawn, so that the place tells nothing. undefined: no path can do it. */
function needsOf({ trust, guard, hops, random }: PathDraw): ReadonlyMap<number, Need> | undefined {
  if (trust.size === 0) return new Map()
  const missing: Need = trust.has(guard.peerId) ? 'outside' : 'trusted'
  if (hops > 1) return new Map([[1 + randomInteger(random, hops - 1), missing]])
  // One relay cannot be both: a trusted one is the better half, and the circuit says it.
  return missing === 'outside' ? new Map() : undefined
}

class Search {
  readonly #draw: PathDraw
  readonly #needs: ReadonlyMap<number, Need>
  readonly #rules: PathRules
  #steps = 0

  constructor(draw: PathDraw, needs: ReadonlyMap<number, Need>, rules: PathRules) {
    this.#draw = draw
    this.#needs = needs
    this.#rules = rules
  }

  run(): readonly PathMember[] | undefined {
    return this.#goOn([this.#draw.guard])
  }

  #goOn(path: readonly PathMember[]): readonly PathMember[] | undefined {
    const { relays, hops, weightOf, random } = this.#draw
    if (path.length === hops) return path
    let open = relays.filter((relay) => this.#isNeeded(relay, path.length) && fitsPath(relay, path, this.#rules))
    while (open.length > 0 && this.#steps++ < maxSteps) {
      const drawn = drawOne(open, weightOf, random)
      if (drawn === undefined) return undefined
      const whole = this.#goOn([...path, drawn])
      if (whole !== undefined) return whole
      open = open.filter((relay) => relay !== drawn)
    }
    return undefined
  }

  #isNeeded(relay: PathMember, place: number): boolean {
    const need = this.#needs.get(place)
    return need === undefined || (need === 'trusted') === this.#draw.trust.has(relay.peerId)
  }
}
