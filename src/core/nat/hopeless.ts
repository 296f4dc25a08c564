import type { NatFacts } from './types.ts'

/** What two nodes tell each other of their networks. */
export type NetworkFacts = Omit<NatFacts, 'probedAt'>

/** How two NATs can be opened for each other, over UDP and with STUN alone. */
export type PunchVerdict =
  /** Nothing speaks against it. */
  | 'possible'
  /**
   * One maps each destination to another port, the other lets in only the port that it has sent to: neither can name the port to the other, but 256 sockets on
   * the one side meet some thousand probes of the other by chance. A technique that does so takes its place before the relay is settled for.
   */
  | 'by-chance'
  /** Both map each destination to another port. */
  | 'impossible'

/**
 * What punching can do between two nodes (RFC 5128 section 3.3, the table of RFC 4787's behaviours). Only what was measured counts against it: a class that is
 * not known, or a filtering that is not, leaves it possible. So does IPv6 on both sides, and one address for both: they are behind the same NAT.
 */
export function punchVerdict(own: NetworkFacts | undefined, their: NetworkFacts | undefined): PunchVerdict {
  if (own === undefined || their === undefined || (own.ipv6 && their.ipv6) || shareAddress(own, their)) return 'possible'
  if (own.natClass === 'symmetric' && their.natClass === 'symmetric') return 'impossible'
  const isRestricted = (facts: NetworkFacts): boolean => facts.natClass === 'port-restricted'
  if (own.natClass === 'symmetric' && isRestricted(their)) return 'by-chance'
  if (their.natClass === 'symmetric' && isRestricted(own)) return 'by-chance'
  return 'possible'
}

/** Whether both are seen under one public address, as two hosts of one home are. */
export function shareAddress(own: NetworkFacts | undefined, their: NetworkFacts | undefined): boolean {
  return own?.publicAddress !== undefined && own.publicAddress.address === their?.publicAddress?.address
}

/** The reasons for which ways are left out, as people read them. */
export const hopelessReasons = {
  bothSymmetric: 'both NATs are symmetric',
  restrictedAndSymmetric: 'punching cannot work between a port-restricted and a symmetric NAT',
  ownUdpBlocked: 'UDP is blocked on our side',
  theirUdpBlocked: 'UDP is blocked on their side',
  ownUdpBlockedTurn: 'UDP is blocked on our side, and TURN over TCP is not possible in Node',
  noTurn: 'no TURN server is configured',
  noTheirIce: 'the peer has no ICE: node-datachannel is missing there, or its NAT traversal is off',
  noAddress: 'no address of the peer is known',
  noRelay: 'no relay is known',
  notReachable: 'no address of ours can be reached from outside',
  noAnswer: 'the peer did not tell about its network',
  noConnection: 'no connection to the peer to agree over'
} as const

export interface IceQuestion {
  /** What may be used: STUN and TURN, STUN alone, TURN alone. */
  readonly policy: 'all' | 'stun' | 'turn'
  readonly own: NetworkFacts | undefined
  readonly their: NetworkFacts | undefined
  /** Why ICE cannot be used here; undefined when it can. */
  readonly iceUnavailable: string | undefined
  /** undefined: the peer has not told. */
  readonly theirIce: boolean | undefined
  readonly turn: { readonly own: boolean; readonly their: boolean }
}

/** Why an ICE run cannot connect; undefined when it may. */
export function iceHopeless({ policy, own, their, iceUnavailable, theirIce, turn }: IceQuestion): string | undefined {
  if (iceUnavailable !== undefined) return iceUnavailable
  if (policy === 'turn' && !turn.own) return hopelessReasons.noTurn
  // STUN servers were asked over IPv4, or are silent themselves: between two nodes with IPv6 that says nothing.
  const isOverIp6 = policy !== 'turn' && own?.ipv6 === true && their?.ipv6 === true
  if (own?.udp === 'blocked' && !isOverIp6) return policy === 'turn' ? hopelessReasons.ownUdpBlockedTurn : hopelessReasons.ownUdpBlocked
  if (theirIce === false) return hopelessReasons.noTheirIce
  if (their?.udp === 'blocked' && !isOverIp6) return hopelessReasons.theirUdpBlocked
  if (policy === 'turn' || (policy === 'all' && (turn.own || turn.their))) return undefined
  const verdict = punchVerdict(own, their)
  if (verdict === 'possible') return undefined
  return verdict === 'impossible' ? hopelessReasons.bothSymmetric : hopelessReasons.restrictedAndSymmetric
}
