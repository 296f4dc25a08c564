import { equalBytes, MeshError, type Millis, type Random, randomInteger, type WallMillis } from '../base/index.ts'
import type { Guards } from './guards.ts'
import type { PathMember } from './path-member.ts'
import {
  destinationConflict,
  type Eligible,
  eligibleRelays,
  type Exclusion,
  exclusions,
  type PathAsker,
  type PathPolicyName,
  type PathRules,
  rulesOf,
  type Waiver,
  waiversOf
} from './path-policy.ts'
import { drawPath, weightsFrom } from './path-select.ts'
import type { RelayRecord } from './relay-record.ts'
import { maxHops } from './types.ts'
import { utcText } from './utc-text.ts'

/** What a path shall be like. */
export interface PathWish {
  /** Relays at least, 1 to 8. */
  readonly hops: number
  /** Whether it is drawn if the path has one more. */
  readonly mayBeLonger?: boolean
  /** Whether fewer are taken where there are not as many. */
  readonly allowShort?: boolean
  /** Where it shall lead; without it a path is made that suits many. */
  readonly destination?: PathMember | undefined
  /** Peer ids of relays that are not taken after the guard if there is a path without them. */
  readonly avoid?: ReadonlySet<string>
}

/** A path that was drawn. */
export interface PathChoice {
  /** The guard first. */
  readonly path: readonly PathMember[]
  readonly rules: PathRules
  readonly wanted: number
}

/** What is known of the mesh when a path is judged. */
export interface PathCensus {
  readonly rules: PathRules
  /** Relays from which a path is drawn. */
  readonly relays: readonly PathMember[]
  /** Members listed, this node not counted. */
  readonly members: number
}

export interface PathMakerOptions {
  readonly random: Random
  /** The wall clock: guards and the ages of relays last longer than a boot. */
  readonly wall: () => WallMillis
  readonly asker: PathAsker
  readonly policy: PathPolicyName
  readonly guards: Guards
  readonly record: RelayRecord
}

/** Makes paths from the directory, the guards and what this node saw of relays. Nothing in it waits. */
export class PathMaker {
  readonly #options: PathMakerOptions
  #members: readonly PathMember[] = []
  #byId: ReadonlyMap<string, PathMember> = new Map()

  constructor(options: PathMakerOptions) {
    this.#options = options
  }

  /** The rules in force. */
  get rules(): PathRules {
    return rulesOf(this.#options.policy, this.#members, this.#options.wall())
  }

  /** Takes the whole directory. What is worked out of members is kept with the objects: those that did not change should be the same ones. */
  update(members: readonly PathMember[]): void {
    this.#members = members
    this.#byId = new Map(members.map((member) => [member.peerId, member]))
  }

  /** A member whose descriptor holds. */
  member(peerId: string): PathMember | undefined {
    return this.#byId.get(peerId)
  }

  /** Draws a path. @throws {MeshError} CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_GUARDS_FAILED */
  choose(wish: PathWish, now: Millis): PathChoice {
    const scene = this.#scene(wish, now)
    const { rules, eligible } = scene
    const { random } = this.#options
    const longer = wish.mayBeLonger === true && wish.hops < maxHops && randomInteger(random, 2) === 1 ? [wish.hops + 1] : []
    const draw = (hops: number): readonly PathMember[] | undefined => this.#draw(hops, scene, now)
    for (const hops of [...longer, wish.hops]) {
      const path = draw(hops)
      if (path !== undefined) return { path, rules, wanted: wish.hops }
    }
    for (let hops = wish.hops - 1; hops > 0; hops--) {
      const path = draw(hops)
      if (path === undefined) continue
      if (wish.allowShort === true) return { path, rules, wanted: wish.hops }
      throw this.#tooFew(wish, eligible, hops)
    }
    throw this.#tooFew(wish, eligible, 0)
  }

  /** Whether a path that leads nowhere yet may lead to `destination`. */
  suits(path: readonly PathMember[], destination: PathMember): boolean {
    const rules = this.rules
    return path.every((relay) => destinationConflict(relay, destination, rules) === undefined)
  }

  /** What a path, perhaps to `destination`, breaks of the rules of `strict`. */
  waivers(path: readonly PathMember[], wanted: number, destination?: PathMember): readonly Waiver[] {
    const { asker, wall } = this.#options
    return waiversOf(path, { asker, now: wall(), wanted, destination })
  }

  /** From whom a path, perhaps to `destination`, would be drawn. */
  census(now: Millis, destination?: PathMember): PathCensus {
    const rules = this.rules
    const { relays } = this.#eligible(rules, now, destination)
    const own = this.#options.asker.publicKey
    const members = this.#members.filter(({ publicKey }) => !equalBytes(publicKey, own)).length
    return { rules, relays, members }
  }

  #eligible(rules: PathRules, now: Millis, destination?: PathMember): Eligible {
    const { asker, record, wall } = this.#options
    return eligibleRelays(this.#members, { asker, rules, now: wall(), isDropped: (peerId) => record.isDropped(peerId, now), destination })
  }

  /** Who may be on the path, and who may be first. @throws {MeshError} CIRCUIT_GUARDS_FAILED when no guard works */
  #scene(wish: PathWish, now: Millis): Scene {
    const { guards, asker, wall } = this.#options
    const rules = this.rules
    // Guards are sampled without regard to the destination: it could choose them by its addresses otherwise.
    const all = this.#eligible(rules, now)
    const listed = new Set(this.#byId.keys())
    const usable = guards.usable({ relays: all.relays, listed, trust: asker.trust }, wall())
    if (usable.length === 0 && guards.all.length > 0 && all.relays.length > 0) throw this.#guardsFailed()
    const avoid = wish.avoid ?? nobody
    if (wish.destination === undefined) return { rules, eligible: all, guards: usable, avoid }
    const eligible = this.#eligible(rules, now, wish.destination)
    const ids = new Set(eligible.relays.map(({ peerId }) => peerId))
    return { rules, eligible, guards: usable.filter(({ peerId }) => ids.has(peerId)), avoid }
  }

  /** With the first guard that has a path; without relays that failed a moment ago if there is a path without them. */
  #draw(hops: number, { rules, eligible, guards, avoid }: Scene, now: Millis): readonly PathMember[] | undefined {
    const { random, asker, record } = this.#options
    const resting = this.#resting(eligible.relays, now)
    const weightOf = weightsFrom(record.observed)
    const rested = eligible.relays.filter((relay) => !resting.has(relay) && !avoid.has(relay.peerId))
    for (const relays of rested.length === eligible.relays.length ? [rested] : [rested, eligible.relays]) {
      for (const guard of guards) {
        const path = drawPath({ relays, guard, hops, rules, trust: asker.trust, weightOf, random })
        if (path !== undefined) return path
      }
    }
    return undefined
  }

  /** At most a third: a guard that refuses to go on to honest relays must not choose the rest of the path that way. */
  #resting(relays: readonly PathMember[], now: Millis): ReadonlySet<PathMember> {
    const { record } = this.#options
    return new Set(relays.filter(({ peerId }) => record.isResting(peerId, now)).slice(0, Math.floor(relays.length / 3)))
  }

  #guardsFailed(): MeshError {
    const { guards, wall } = this.#options
    const until = guards.nextSampleAt(wall())
    return new MeshError('CIRCUIT_GUARDS_FAILED', {
      guards: guards.all.length,
      until: until === undefined ? 'one of them is back' : utcText(until)
    })
  }

  #tooFew({ hops, destination }: PathWish, { relays, excluded }: Eligible, have: number): MeshError {
    const { trust } = this.#options.asker
    const counts = exclusions.flatMap((reason) => {
      const count = excluded.filter((member) => member.reason === reason).length
      return count === 0 || reason === 'self' || reason === 'destination' ? [] : [`${exclusionTexts[reason]}: ${count}`]
    })
    const isUntrusted = trust.size > 0 && !relays.some(({ peerId }) => trust.has(peerId))
    const known = this.#members.length - excluded.filter(({ reason }) => reason === 'self' || reason === 'destination').length
    const reasons = [
      `${destination === undefined ? '' : 'besides the destination '}${known === 1 ? '1 other is' : `${known} others are`} known`,
      ...counts,
      ...(isUntrusted ? ['none of the trusted relays among the others'] : []),
      ...(have < relays.length && !isUntrusted ? [`no path of more than ${have} with the other ${relays.length}`] : [])
    ]
    return new MeshError('CIRCUIT_TOO_FEW_RELAYS', { need: hops, have, reason: reasons.join('; ') })
  }
}

interface Scene {
  readonly rules: PathRules
  readonly eligible: Eligible
  readonly guards: readonly PathMember[]
  readonly avoid: ReadonlySet<string>
}

const nobody: ReadonlySet<string> = new Set()

const exclusionTexts: Readonly<Record<Exclusion, string>> = {
  self: 'this node',
  destination: 'the destination',
  endpoint: 'not relaying',
  'own-family': 'of your own operator',
  'destination-carrier': 'carrying the connections of the destination',
  'destination-network': 'in one network with the destination',
  'destination-family': 'of one operator with the destination',
  'not-dialable': 'behind a NAT',
  'not-public': 'without a public address',
  young: 'known for less than a day',
  dropped: 'left out since circuits through them fail'
}
