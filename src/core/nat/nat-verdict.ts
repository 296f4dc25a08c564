import { addressScope, type Endpoint, isSameEndpoint } from './ip-address.ts'
import type { NatClass, NatFacts, NatFiltering, NatMapping } from './types.ts'

/** What one server said of us (test I of RFC 5780). */
export interface ServerAnswer {
  readonly server: Endpoint
  readonly mapped: Endpoint
}

/** What became of one test of a survey: an endpoint or `true` for an answer, `silent` when tries enough got none, `unknown` for everything else. */
export type TestResult<Answer> = Answer | 'silent' | 'unknown'

/** The tests II and III of RFC 5780 sections 4.3 and 4.4, with one server that has two addresses. */
export interface Survey {
  readonly answer: ServerAnswer
  /** Asked at the other address, at the first port. */
  readonly mapping2: TestResult<Endpoint>
  /** Asked at the other address and port. */
  readonly mapping3: TestResult<Endpoint>
  /** Whether an answer came from the other address and port, where nothing was ever sent. */
  readonly filtering2: TestResult<true>
  /** Whether an answer came from the other port. */
  readonly filtering3: TestResult<true>
}

/** All that a probe saw. */
export interface Evidence {
  readonly asked: readonly Endpoint[]
  /** Plausible answers, the first that came first. */
  readonly answers: readonly ServerAnswer[]
  readonly survey: Survey | undefined
  /** Whether any server gave any answer to a request of ours, a refusal or nonsense among them. */
  readonly isHeard: boolean
  /** Whether the system knew a way to any of the servers. */
  readonly isOnline: boolean
  readonly localAddresses: readonly string[]
  /** The port of the socket that asked. */
  readonly localPort: number
}

type Facts = Omit<NatFacts, 'probedAt'>

const reach = { loopback: 1, none: 2, private: 2, public: 3 } as const
/** Servers of a higher number see more of the way. */
export const reachOf = ({ address }: Endpoint): number => reach[addressScope(address)]

/**
 * Whether a server at `server` can have seen us at `mapped`: a public server sees public addresses, one of this network sees addresses of it.
 * What else is said (no address at all, port 0, our own private address over the internet) is a fault or a lie, and left out.
 */
export function isPlausible({ server, mapped }: ServerAnswer, localAddresses: readonly string[]): boolean {
  if (mapped.port === 0 || mapped.address.includes(':') !== server.address.includes(':')) return false
  const scope = addressScope(server.address)
  return addressScope(mapped.address) === scope || (scope !== 'public' && localAddresses.includes(mapped.address))
}

/** What the evidence says of the network. Only servers that reach farthest count: one of this network does not see what the router does. */
export function judge(evidence: Evidence): Facts {
  const ipv6 = evidence.localAddresses.some((address) => address.includes(':') && addressScope(address) === 'public')
  const farthest = Math.max(0, ...evidence.asked.map(reachOf))
  const answers = evidence.answers.filter(({ server }) => reachOf(server) === farthest)
  const [first] = answers
  if (first === undefined) return { ...withoutAnswer(evidence), mapping: 'unknown', filtering: 'unknown', publicAddress: undefined, ipv6 }
  const survey = evidence.survey !== undefined && answers.includes(evidence.survey.answer) ? evidence.survey : undefined
  const agreed = majority(answers)
  const publicAddress = agreed ?? survey?.answer.mapped ?? first.mapped
  const isOwn = evidence.localAddresses.includes(publicAddress.address) && publicAddress.port === evidence.localPort
  const measured = agreed === undefined ? mappingOf(answers, survey) : 'endpoint-independent'
  const mapping = isOwn && !isDependent(measured) ? 'none' : measured
  // Whoever is contradicted by the majority is believed in nothing.
  const filtering = survey === undefined || !isSameEndpoint(survey.answer.mapped, publicAddress) ? 'unknown' : filteringOf(survey)
  return { natClass: classOf(mapping, filtering), mapping, filtering, udp: 'open', publicAddress, ipv6 }
}

function withoutAnswer({ answers, isHeard, isOnline }: Evidence): Pick<Facts, 'natClass' | 'udp'> {
  if (isHeard && answers.length === 0) return { natClass: 'unknown', udp: 'open' }
  // Servers of this network answered and those of the internet did not, or there is no network: that says nothing of UDP.
  if (isHeard || !isOnline) return { natClass: 'unknown', udp: 'unknown' }
  return { natClass: 'udp-blocked', udp: 'blocked' }
}

/** The endpoint that more than half of the hosts, and two at least, agree on: only a mapping that does not depend on the host looks so. */
function majority(answers: readonly ServerAnswer[]): Endpoint | undefined {
  const hosts = [...new Map(answers.toReversed().map((answer) => [answer.server.address, answer.mapped])).values()]
  return hosts.find((mapped) => {
    const count = hosts.filter((other) => isSameEndpoint(other, mapped)).length
    return count >= 2 && 2 * count > hosts.length
  })
}

/** The mapping when hosts do not agree, or there is only one. Two hosts alone cannot tell the two kinds of dependent mapping apart: the stricter is named. */
function mappingOf(answers: readonly ServerAnswer[], survey: Survey | undefined): NatMapping {
  const surveyed = survey === undefined ? 'unknown' : surveyedMapping(survey)
  if (surveyed !== 'unknown') return surveyed
  const [first, ...others] = answers
  const differs = others.some(({ mapped }) => first !== undefined && !isSameEndpoint(mapped, first.mapped))
  return differs ? 'address-and-port-dependent' : 'unknown'
}

function surveyedMapping({ answer, mapping2, mapping3 }: Survey): NatMapping {
  const second = endpointOf(mapping2)
  const third = endpointOf(mapping3)
  const sameAsFirst = [second, third].filter((each) => each !== undefined && isSameEndpoint(each, answer.mapped)).length
  const known = [second, third].filter((each) => each !== undefined).length
  if (known === 0) return 'unknown'
  if (sameAsFirst === known) return 'endpoint-independent'
  return second !== undefined && third !== undefined && isSameEndpoint(second, third) ? 'address-dependent' : 'address-and-port-dependent'
}

/** Silence counts only when the other address is alive, which the tests of the mapping show. */
function filteringOf({ mapping2, mapping3, filtering2, filtering3 }: Survey): NatFiltering {
  if (filtering2 === true) return 'endpoint-independent'
  const isAlive = endpointOf(mapping2) !== undefined || endpointOf(mapping3) !== undefined
  if (!isAlive || filtering2 !== 'silent') return 'unknown'
  if (filtering3 === true) return 'address-dependent'
  return filtering3 === 'silent' ? 'address-and-port-dependent' : 'unknown'
}

const endpointOf = (result: TestResult<Endpoint>): Endpoint | undefined => (typeof result === 'string' ? undefined : result)

const isDependent = (mapping: NatMapping): boolean => mapping === 'address-dependent' || mapping === 'address-and-port-dependent'

const byFiltering: Readonly<Record<NatFiltering, NatClass | undefined>> = {
  'endpoint-independent': 'full-cone',
  'address-dependent': 'address-restricted',
  'address-and-port-dependent': 'port-restricted',
  unknown: undefined
}

/** The usual name (RFC 3489 section 5). A public address behind a firewall is named after what the firewall does: for a peer it is the same. */
function classOf(mapping: NatMapping, filtering: NatFiltering): NatClass {
  if (mapping === 'unknown') return 'unknown'
  if (isDependent(mapping)) return 'symmetric'
  if (mapping === 'none') return filtering === 'endpoint-independent' ? 'open' : (byFiltering[filtering] ?? 'open')
  return byFiltering[filtering] ?? 'cone'
}
