import type { HealthFinding } from './mesh.ts'
import type { MeshNodeOptions } from './mesh-node-options.ts'
import { ContactService } from './contact-service.ts'
import { Diagnostics } from './diagnostics.ts'
import { ratesOf } from './nat-call.ts'
import type { NodeParts } from './node-parts.ts'
import { NodeStatus } from './node-status.ts'
import { NodeUpkeep } from './upkeep.ts'

/** The parts of a node that others ask and that nothing else of it needs: what it says of itself, and who is trusted. */

/** Who is trusted. */
export function makeContacts(parts: NodeParts, config: MeshNodeOptions): ContactService {
  const { libp2p, platform, options } = config
  return new ContactService({
    ...{ libp2p, platform, options, book: parts.book, host: parts.host, inbox: parts.inbox },
    log: ({ level, event, fields }) => parts.log(level, event, fields),
    onPaired: (pair) => parts.neighbourhood.paired(pair),
    onUnpaired: (peerId) => parts.neighbourhood.unpaired(peerId)
  })
}

/** What is asked to find out how things are. */
export function makeDiagnostics(parts: NodeParts, config: MeshNodeOptions): Diagnostics {
  const { libp2p, platform, options, nat, forgetPeer } = config
  return new Diagnostics({
    libp2p,
    clock: platform.clock,
    timers: platform.timers,
    options,
    watch: nat.network,
    book: parts.book,
    sessions: parts.sessions,
    neighbourhood: parts.neighbourhood,
    reach: parts.reach,
    recipient: (name, via) => parts.recipient(name, via),
    forgetPeer,
    log: ({ level, event, fields }) => parts.log(level, event, fields)
  })
}

/** Whether everything is in order. */
export function makeUpkeep(parts: NodeParts, config: MeshNodeOptions): NodeUpkeep {
  return new NodeUpkeep({
    clock: config.platform.clock,
    port: config.upkeep,
    inboxCounts: () => parts.inbox.counts(),
    outboxCounts: () => parts.delivery.counts,
    clocks: () => parts.neighbourhood.clocks.clocks,
    nameOf: (peerId) => parts.book.referenceOf(peerId).name
  })
}

/** What the node says of itself. */
export function makeStatus(parts: NodeParts, config: MeshNodeOptions): NodeStatus {
  const { libp2p, platform, options } = config
  return new NodeStatus({
    platform,
    delivery: parts.delivery,
    book: parts.book,
    libp2p,
    inbox: parts.inbox,
    latency: parts.latency,
    name: options.name,
    network: options.network,
    traffic: config.traffic,
    versions: config.versions,
    sessions: parts.sessions,
    paths: parts.paths,
    policy: options.quantumResistant ? 'require' : 'prefer',
    level: options.mlkemSecurityLevel,
    failures: { connections: config.handshakeFailures, sessions: parts.metrics.sessionFailures },
    relays: () => parts.neighbourhood.relays.relays,
    serving: () => config.nat.relayServer?.serving,
    nat: () => ratesOf(parts.reach.traversals),
    keepsPairs: !options.onionRouting,
    onion: () => parts.onion.status(),
    isLinkPeer: (peerId) => parts.onion.links.isLinkPeer(peerId),
    findings: () => [...parts.inbox.findings(), ...parts.neighbourhood.findings(), ...parts.onion.findings(), ...directFindings(parts, config)]
  })
}

/** What was accepted for the direct way stays on it, also where circuits are the rule by now: nothing goes directly in silence. */
function directFindings(parts: NodeParts, config: MeshNodeOptions): readonly HealthFinding[] {
  const waiting = config.options.onionRouting ? parts.delivery.counts.direct : 0
  if (waiting === 0) return []
  const message = `${waiting === 1 ? '1 message waits' : `${waiting} messages wait`} to go directly to its recipient, as it was accepted so`
  return [{ code: 'DIRECT_WAITING', message, hint: 'To give one up: synaptic-mesh p2p outbox cancel ID' }]
}
