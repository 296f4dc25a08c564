import { equalBytes, type WallMillis } from '../base/index.ts'
import { isSameNetwork, isSameOperator, type PathMember, placeOf } from './path-member.ts'

/** The option `onion_policy`. */
export type PathPolicyName = 'auto' | 'lan' | 'strict'

/** Which of the rules of diversity hold for a path (rule O6). */
export interface PathRules {
  readonly name: 'lan' | 'strict'
  /** No two relays, nor the destination, in one /16 (IPv4) or /32 (IPv6). */
  readonly network: boolean
  /** No two relays of one operator. Where it is waived, a path with two is taken only if there is no other. */
  readonly family: boolean
  /** Relays have been known for a day. */
  readonly age: boolean
  /** Relays have an address that can be called from everywhere. */
  readonly isPublic: boolean
}

/** Relays younger than this are taken where the age is waived only. */
export const minimumAgeMs = 86_400_000

/** Why a member cannot be a relay of a path. */
export const exclusions = [
  'self',
  'endpoint',
  'own-family',
  'destination',
  'destination-carrier',
  'destination-network',
  'destination-family',
  'not-dialable',
  'not-public',
  'young',
  'dropped'
] as const
export type Exclusion = (typeof exclusions)[number]

/** Who asks for a path. */
export interface PathAsker {
  /** The identity key of this node. */
  readonly publicKey: Uint8Array
  /** Identity keys of relays of this node's operator: the option `onion_family`. */
  readonly family: readonly Uint8Array[]
  /** Peer ids of relays whose operators are trusted: the option `onion_trust`. */
  readonly trust: ReadonlySet<string>
}

/** What eligibility depends on. */
export interface Eligibility {
  readonly asker: PathAsker
  readonly rules: PathRules
  readonly now: WallMillis
  /** Whether circuits through it fail too often. */
  readonly isDropped: (peerId: string) => boolean
  /** Where the circuit shall lead; a spare one leads nowhere yet. */
  readonly destination?: PathMember | undefined
}

/** A member that is left out, and why. */
export interface ExcludedMember {
  readonly peerId: string
  readonly reason: Exclusion
}

/** Who can be a relay. */
export interface Eligible {
  readonly relays: readonly PathMember[]
  readonly excluded: readonly ExcludedMember[]
}

const lanRules: PathRules = { name: 'lan', network: false, family: false, age: false, isPublic: false }
const strictRules: PathRules = { name: 'strict', network: true, family: true, age: true, isPublic: true }

/**
 * The rules in force. `auto` is `lan` while no known relay has a public address, otherwise `strict`; and while this node has known no relay for a day,
 * it cannot ask of any to be that old: the age is waived, which every circuit says.
 */
export function rulesOf(policy: PathPolicyName, members: readonly PathMember[], now: WallMillis): PathRules {
  if (policy === 'lan') return lanRules
  if (policy === 'strict') return strictRules
  const relays = members.filter(({ role }) => role === 'relay')
  if (!relays.some((relay) => placeOf(relay).isPublic)) return lanRules
  return { ...strictRules, age: relays.some((relay) => isOld(relay, now)) }
}

/** Whether this node has known `member` for a day. */
export const isOld = ({ firstSeenAt }: PathMember, now: WallMillis): boolean => now - firstSeenAt >= minimumAgeMs

/** Sorts members into those that can be relays, and the others with the first reason found for each. */
export function eligibleRelays(members: readonly PathMember[], eligibility: Eligibility): Eligible {
  const relays: PathMember[] = []
  const excluded: ExcludedMember[] = []
  for (const member of members) {
    const reason = exclusionOf(member, eligibility)
    if (reason === undefined) relays.push(member)
    else excluded.push({ peerId: member.peerId, reason })
  }
  return { relays, excluded }
}

/** Why `relay` cannot be on a path to `destination`; undefined when it can. */
export function destinationConflict(relay: PathMember, destination: PathMember, rules: PathRules): Exclusion | undefined {
  if (equalBytes(relay.publicKey, destination.publicKey)) return 'destination'
  // Whoever carries the destination's connections sees that the last relay calls it; as a guard it would see both ends.
  if (placeOf(destination).carriers.has(relay.peerId)) return 'destination-carrier'
  if (rules.network && isSameNetwork(relay, destination)) return 'destination-network'
  return rules.family && isSameOperator(relay, destination) ? 'destination-family' : undefined
}

/** Whether `relay` may be on one path with all of `path`. */
export function fitsPath(relay: PathMember, path: readonly PathMember[], rules: PathRules): boolean {
  return path.every(
    (other) =>
      !equalBytes(other.publicKey, relay.publicKey) &&
      !(rules.network && isSameNetwork(relay, other)) &&
      !(rules.family && isSameOperator(relay, other))
  )
}

function exclusionOf(member: PathMember, { asker, rules, now, isDropped, destination }: Eligibility): Exclusion | undefined {
  if (equalBytes(member.publicKey, asker.publicKey)) return 'self'
  const conflict = destination === undefined ? undefined : destinationConflict(member, destination, rules)
  if (conflict === 'destination') return conflict
  if (member.role !== 'relay') return 'endpoint'
  if (conflict !== undefined) return conflict
  const place = placeOf(member)
  if (!place.isDirect) return 'not-dialable'
  if (rules.isPublic && !place.isPublic) return 'not-public'
  if (rules.family && !asker.trust.has(member.peerId) && isOfAsker(member, asker)) return 'own-family'
  if (rules.age && !isOld(member, now)) return 'young'
  return isDropped(member.peerId) ? 'dropped' : undefined
}

/** This node's own word is enough here: whoever it names is of its operator. */
const isOfAsker = ({ publicKey }: PathMember, { family }: PathAsker): boolean => family.some((key) => equalBytes(key, publicKey))

/** What a path breaks of the rules, which is waived and said. `short`: fewer relays than were asked for. `trust`: no hop outside of the trusted, or none of them. */
export type Waiver = 'network' | 'family' | 'age' | 'short' | 'trust'

/** What `path`, perhaps to `destination`, breaks of the rules of `strict`. */
export function waiversOf(
  path: readonly PathMember[],
  context: { readonly asker: PathAsker; readonly now: WallMillis; readonly wanted: number; readonly destination?: PathMember | undefined }
): readonly Waiver[] {
  const { asker, now, wanted, destination } = context
  const all = destination === undefined ? path : [...path, destination]
  const pairs = all.flatMap((a, index) => all.slice(index + 1).map((b) => [a, b] as const))
  const trusted = path.filter(({ peerId }) => asker.trust.has(peerId)).length
  const broken: Readonly<Record<Waiver, boolean>> = {
    network: pairs.some(([a, b]) => isSameNetwork(a, b)),
    family: pairs.some(([a, b]) => isSameOperator(a, b)) || path.some((relay) => !asker.trust.has(relay.peerId) && isOfAsker(relay, asker)),
    age: path.some((relay) => !isOld(relay, now)),
    short: path.length < wanted,
    trust: asker.trust.size > 0 && (trusted === 0 || trusted === path.length)
  }
  return waivers.filter((waiver) => broken[waiver])
}

const waivers: readonly Waiver[] = ['short', 'network', 'family', 'age', 'trust']
