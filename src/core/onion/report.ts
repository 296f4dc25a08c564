import { networkCount, operatorCount, type PathMember } from './path-member.ts'
import type { PathCensus } from './path-maker.ts'
import type { Waiver } from './path-policy.ts'

/** How likely it is that guard and last relay of a circuit work together, if a part of all relays does. */
export interface CollusionRisk {
  /** The part of relays, 0 to 1. */
  readonly share: number
  readonly probability: number
}

/** What a circuit hides from whom, as far as its maker knows. No relay is named. */
export interface AnonymityReport {
  /** Relays, the destination not counted. */
  readonly hops: number
  readonly wanted: number
  readonly policy: 'lan' | 'strict'
  /** Relays among which the path was chosen. */
  readonly setSize: number
  /** Members of circuits that might be the sender, this node among them, as the destination sees it. */
  readonly senders: number
  /** Among the relays of the set: /16 (IPv4) and /32 (IPv6) networks, and operators as far as they say it. */
  readonly networks: number
  readonly operators: number
  readonly bothEnds: readonly CollusionRisk[]
  /** Whether the first or the last relay is one that `onion_trust` names: then `bothEnds` is 0 as far as the trust is right. */
  readonly hasTrustedEnd: boolean
  readonly waivers: readonly Waiver[]
  readonly hides: readonly string[]
  readonly doesNotHide: readonly string[]
  /** All of it as text, a line each. */
  readonly lines: readonly string[]
}

/** What a report is made from. */
export interface ReportSubject {
  readonly path: readonly PathMember[]
  readonly destination?: PathMember | undefined
  readonly wanted: number
  readonly census: PathCensus
  readonly waivers: readonly Waiver[]
  readonly trust: ReadonlySet<string>
}

const shares: readonly number[] = [0.1, 0.2]
/** Below this a set hides little, and the report says so. */
const smallSet = 20

const waiverTexts: Readonly<Record<Waiver, (subject: ReportSubject) => string>> = {
  short: ({ path, wanted }) => `fewer relays than asked for: ${path.length} of ${wanted}`,
  network: () => 'members of one network are on the path: whoever watches that network may see both ends',
  family: () => 'members of one operator are on the path',
  age: () => 'relays that have been known for less than a day are on the path: somebody may have started them for this',
  trust: () => 'onion_trust is not kept: a single relay cannot be both a trusted one and another'
}

/** Judges a circuit. */
export function anonymityReport(subject: ReportSubject): AnonymityReport {
  const { path, census, trust, waivers, destination } = subject
  const { relays } = census
  const ends = [path[0], path.at(-1)]
  const hasTrustedEnd = ends.some((relay) => relay !== undefined && trust.has(relay.peerId))
  const facts = {
    hops: path.length,
    wanted: subject.wanted,
    policy: census.rules.name,
    setSize: relays.length,
    senders: census.members + 1 - (destination === undefined ? 0 : 1),
    networks: networkCount(relays),
    operators: operatorCount(relays),
    bothEnds: shares.map((share) => ({ share, probability: hasTrustedEnd ? 0 : bothEndsHostile(path.length, share) })),
    hasTrustedEnd,
    waivers
  }
  const told = { ...facts, hides: hidden(facts.hops), doesNotHide: notHidden(facts) }
  return { ...told, lines: linesOf(told, subject) }
}

/** One relay is both ends; of more, both are drawn from the same relays, the guard once for weeks. */
const bothEndsHostile = (hops: number, share: number): number => (hops === 1 ? share : share * share)

type Facts = Omit<AnonymityReport, 'hides' | 'doesNotHide' | 'lines'>

function hidden(hops: number): readonly string[] {
  const who =
    hops === 1
      ? 'who you are from whoever watches the destination only, and where you send from whoever watches you only; the one relay knows both'
      : 'who talks to whom from every single relay: each knows its two neighbours, the first one not the destination, the last one not you'
  return [who, 'content, kind and length of messages from all relays: cells of one size, under a layer for each relay and one for the destination']
}

function notHidden({ hops, setSize, senders }: Facts): readonly string[] {
  return [
    'timing: whoever watches both your connection and that of the destination can tell that they belong together (traffic is not shaped)',
    'who you are from the destination: the session inside of the circuit proves your peer id to it',
    'that you use circuits, from your guard: it sees your address, and may know your peer id, since the DHT and mDNS tie the two together',
    'that both of you are members of this network: descriptors, gossip and pairing go directly',
    ...(hops === 1 ? ['the destination from the one relay'] : []),
    ...(setSize < smallSet ? [`much in so small a set: ${senders} members could be the sender, and ${setSize} relays could be on the path`] : [])
  ]
}

function linesOf(report: Omit<AnonymityReport, 'lines'>, subject: ReportSubject): readonly string[] {
  const { hops, setSize, networks, operators, senders, bothEnds, hasTrustedEnd, policy, waivers } = report
  const some = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
  return [
    `${some(hops, 'relay')}, chosen from ${setSize} (${some(networks, 'network')}, ${some(operators, 'operator')}); ${some(senders, 'member')} could be the sender`,
    hasTrustedEnd
      ? 'the first or the last relay is one that you trust: as far as that is right, both ends are not in one hand'
      : `both ends in one hand: ${bothEnds.map(({ share, probability }) => `${percent(probability)} if ${percent(share)} of all relays work together`).join(', ')}`,
    `policy ${policy}: ${policy === 'lan' ? 'networks, operators and ages of relays are not asked for' : 'different networks and operators, relays known for a day'}`,
    ...waivers.map((waiver) => `waived: ${waiverTexts[waiver](subject)}`),
    ...report.hides.map((text) => `hides: ${text}`),
    ...report.doesNotHide.map((text) => `does NOT hide: ${text}`)
  ]
}

const percent = (part: number): string => `${Math.round(part * 1_000) / 10} %`
