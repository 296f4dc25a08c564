import type { MeshError } from '../core/base/index.ts'
import type { NatFacts } from '../core/nat/index.ts'
import { ipScope } from '../core/base/ip-scope.ts'
import type { MeshOptions } from '../core/options/index.ts'
import type { MappingState } from './port-keeper.ts'
import type { HealthFinding, PeerReference, RelayInfo } from './mesh.ts'
import type { InterfaceAddress, NatProbe, StunServerReport } from './nat-ports.ts'

/** A relay of this node, and how far it is now. */
export interface NetcheckRelay extends RelayInfo, PeerReference {
  /** The shortest round trip of a few pings just now; undefined when it is not connected or does not answer. */
  readonly latencyMs: number | undefined
}

/** What `netcheck` found out about the network that this node is in. */
export interface NetcheckReport extends Pick<NatFacts, 'natClass' | 'mapping' | 'filtering' | 'udp' | 'publicAddress'> {
  /** Whether an interface has a global IPv6 address. */
  readonly ipv6: boolean
  /** Public addresses of this node at which a trusted peer has reached it. */
  readonly confirmed: readonly string[]
  /** The port that a router opened. */
  readonly portMapping: MappingState
  readonly stun: readonly StunServerReport[]
  readonly relays: readonly NetcheckRelay[]
  /** Why punching by ICE is not possible on this machine; undefined when it is. */
  readonly iceUnavailable: string | undefined
  /** TURN servers that are configured. */
  readonly turnServers: number
  readonly ms: number
  /** What is wrong, and what to do. */
  readonly findings: readonly HealthFinding[]
}

/** What the findings are drawn from. */
export interface NetcheckFacts extends Omit<NetcheckReport, keyof NatFacts | 'findings' | 'ms' | 'stun'> {
  /** undefined when there was nobody to ask. */
  readonly probe: NatProbe | undefined
  /** Why no TURN server gives an address; undefined when one does, or none is configured. */
  readonly turnTrouble: MeshError | undefined
  readonly interfaces: readonly InterfaceAddress[]
  readonly options: Pick<MeshOptions, 'listenAddrs' | 'natTraversal' | 'bootstrapPeers'>
}

/** The report on what was seen. */
export function netcheckReport(facts: NetcheckFacts, ms: number): NetcheckReport {
  const { probe, interfaces, confirmed, portMapping, relays, iceUnavailable, turnServers } = facts
  return {
    natClass: probe?.natClass ?? 'unknown',
    mapping: probe?.mapping ?? 'unknown',
    filtering: probe?.filtering ?? 'unknown',
    udp: probe?.udp ?? 'unknown',
    publicAddress: probe?.publicAddress,
    ipv6: interfaces.some(({ address, family }) => family === 6 && ipScope(address) === 'public'),
    confirmed,
    portMapping,
    stun: probe?.servers ?? [],
    relays,
    iceUnavailable,
    turnServers,
    ms,
    findings: netcheckFindings(facts)
  }
}

const setStun =
  'synaptic-mesh p2p config set stun_servers stun:HOST, then restart; a paired relay of this software (p2p relay serve) is asked by itself'
const setRelay = 'synaptic-mesh p2p config set relays /dns4/HOST/tcp/9000/p2p/ID, then restart; or pair with a node that runs p2p relay serve'

/** What is wrong with the network, the gravest first: each with the next step. */
function netcheckFindings(facts: NetcheckFacts): readonly HealthFinding[] {
  if (!facts.interfaces.some(isOutside))
    return [
      { code: 'OFFLINE', message: 'No network interface has an address', hint: 'Connect this machine to a network: the node goes on by itself.' }
    ]
  if (isLoopbackOnly(facts.options.listenAddrs)) return [loopbackOnly, ...stunFindings(facts).filter(({ code }) => code !== 'STUN_NONE')]
  const off: HealthFinding = {
    code: 'NAT_TRAVERSAL_OFF',
    message: 'NAT traversal is off: nothing is punched, mapped or kept at relays',
    hint: 'synaptic-mesh p2p config set nat_traversal true, then restart'
  }
  return [...(facts.options.natTraversal ? [] : [off]), ...stunFindings(facts), ...pathFindings(facts)]
}

const loopbackOnly: HealthFinding = {
  code: 'LOOPBACK_ONLY',
  message: 'The node listens on loopback addresses only: no other machine can reach it',
  hint: 'synaptic-mesh p2p config set listen_addrs /ip4/0.0.0.0/tcp/9000 /ip6/::/tcp/9000, then restart'
}

const isOutside = ({ address, isInternal }: InterfaceAddress): boolean => !isInternal && ipScope(address) !== 'link-local'

/** Nobody outside of this machine could call. */
const isLoopbackOnly = (listenAddrs: readonly string[]): boolean =>
  listenAddrs.length > 0 && listenAddrs.every((address) => /^\/(ip4\/127\.|ip6\/::1\/)/.test(address))

function stunFindings({ probe, confirmed }: NetcheckFacts): readonly HealthFinding[] {
  // Who is called directly has no use for the kind of NAT.
  const isCalled = confirmed.length > 0
  if (probe === undefined && isCalled) return []
  if (probe === undefined) return [{ code: 'STUN_NONE', message: 'No STUN server is known, so the kind of NAT cannot be told', hint: setStun }]
  if (probe.udp === 'blocked') return [udpBlocked]
  const faults = probe.servers.filter(({ result }) => result !== 'answered').map(serverFault)
  const hosts = new Set(probe.servers.flatMap(({ result, address }) => (result === 'answered' ? [address] : [])))
  if (hosts.size === 1 && probe.mapping === 'unknown' && !isCalled) {
    const message = 'Only one STUN server with one address answers: two addresses are needed to tell the kind of NAT'
    return [...faults, { code: 'STUN_ONE', message, hint: setStun }]
  }
  return faults
}

const udpBlocked: HealthFinding = {
  code: 'UDP_BLOCKED',
  message: 'No STUN server answers over UDP: a firewall blocks it, here or at the server',
  hint: 'Allow UDP, outgoing here, and to the STUN port of the server (of a relay UDP 3478); until then peers are reached over relays and by direct TCP, and neither punching nor TURN can work.'
}

const faultTexts = {
  silent: { what: 'does not answer', hint: 'Look whether it runs, and whether UDP to its port is allowed.' },
  unresolved: { what: 'has a name without an address', hint: 'Correct the name in stun_servers, or look at the DNS of this machine.' },
  unreachable: { what: 'cannot be reached from here: there is no route', hint: 'Look at the network of this machine, or name another server.' },
  implausible: { what: 'says of this node what cannot be', hint: 'It is not believed; name another server in stun_servers.' }
} as const

function serverFault({ host, port, result }: StunServerReport): HealthFinding {
  const { what, hint } = faultTexts[result === 'answered' ? 'silent' : result]
  return { code: `STUN_${result.toUpperCase()}`, message: `The STUN server ${host} port ${port} ${what}`, hint }
}

function pathFindings(facts: NetcheckFacts): readonly HealthFinding[] {
  const { probe, confirmed, relays, portMapping, turnServers, turnTrouble, iceUnavailable, interfaces, options } = facts
  const isReachable = confirmed.length > 0 || probe?.natClass === 'open'
  const findings: HealthFinding[] = []
  const isHard = probe?.natClass === 'symmetric' && portMapping.state !== 'mapped' && turnServers === 0
  if (isHard && !interfaces.some(({ address, family }) => family === 6 && ipScope(address) === 'public')) findings.push(symmetric)
  if (!isReachable && relays.length === 0) findings.push(options.bootstrapPeers.length === 0 ? noRelay : noRelayAtBootstrap)
  if (turnTrouble !== undefined && probe?.udp !== 'blocked')
    findings.push({ code: turnTrouble.code, message: turnTrouble.message, hint: turnTrouble.hint })
  for (const relay of relays) if (!relay.reserved) findings.push(withoutPlace(relay))
  if (iceUnavailable !== undefined && options.natTraversal)
    findings.push({
      code: 'ICE_MISSING',
      message: `NATs cannot be punched: ${iceUnavailable}`,
      hint: 'npm install node-datachannel beside synaptic-mesh, then restart'
    })
  return findings
}

const noRelay: HealthFinding = {
  code: 'RELAY_NONE',
  message: 'No relay is known: a peer behind another NAT can hardly reach this node',
  hint: setRelay
}

const noRelayAtBootstrap: HealthFinding = {
  code: 'RELAY_NONE',
  message: 'No relay is connected, and no bootstrap node that is one: a peer behind another NAT can hardly reach this node',
  hint: `Look whether the bootstrap nodes run and can be reached from here: they are asked again by themselves. Or ${setRelay}`
}

const symmetric: HealthFinding = {
  code: 'NAT_SYMMETRIC',
  message: 'The NAT is symmetric: no direct connection with peers behind a symmetric or port-restricted NAT',
  hint: 'They are reached over relays. For more: a port opened in the router (UPnP or NAT-PMP), IPv6, or a TURN server in turn_servers.'
}

const withoutPlace = ({ name, latencyMs }: NetcheckRelay): HealthFinding => ({
  code: 'RELAY_AWAY',
  message: `The relay ${name} ${latencyMs === undefined ? 'does not answer' : 'gives this node no place'}`,
  hint: 'It is asked again by itself; look whether it runs, serves as a circuit relay, and is paired with this node or open to all.'
})
