import { errorCodes } from '../base/index.ts'
import { apiMetrics } from './api-metrics.ts'
import { metric, type MetricEntry } from './entry.ts'

export type { LabelValues, MetricEntry } from './entry.ts'

const messageType = { atMost: 9 } as const
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3_600] as const

/** Every metric of a node. Keys are what the code uses; names are what Prometheus sees. No label ever names a peer. */
export const metricCatalogue = {
  uptime: metric({ name: 'synaptic_mesh_uptime_seconds', type: 'gauge', unit: 'seconds', help: 'Time since the node started.', labels: {} }),
  health: metric({
    name: 'synaptic_mesh_health_findings',
    type: 'gauge',
    unit: 'findings',
    help: 'Findings that status shows under health.',
    labels: {}
  }),
  peers: metric({
    name: 'synaptic_mesh_peers',
    type: 'gauge',
    unit: 'peers',
    help: 'Peers, by how they are known; quantum: connected with hybrid post-quantum key agreement only; held: strangers whose messages wait for a decision.',
    labels: { state: ['connected', 'quantum', 'paired', 'known', 'blocked', 'held'] }
  }),
  groups: metric({
    name: 'synaptic_mesh_groups',
    type: 'gauge',
    unit: 'groups',
    help: 'Groups that this node knows, by its own part in them.',
    labels: { state: ['joined', 'left', 'removed', 'ended'] }
  }),
  groupFrames: metric({
    name: 'synaptic_mesh_group_frames_total',
    type: 'counter',
    unit: 'frames',
    help: 'Gossiped messages of large groups: published here, or with nobody to give them to (unheard); of others passed on unread, opened, known already, over a rate, or refused.',
    labels: { event: ['published', 'unheard', 'passed', 'opened', 'repeated', 'limited', 'refused'] }
  }),
  groupStored: metric({
    name: 'synaptic_mesh_group_stored_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages to groups that members said they stored, one for each member, by how it got them: with all others by gossip, or one sealed for it alone.',
    labels: { way: ['gossip', 'sealed'] }
  }),
  loopRefusals: metric({
    name: 'synaptic_mesh_loop_refusals_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages of agents that were not sent, by why: the thread had 30 of them with no person, or its matter was handed on too often.',
    labels: { code: ['LOOP_GUARD', 'HOP_LIMIT'] }
  }),
  connections: metric({
    name: 'synaptic_mesh_connections_total',
    type: 'counter',
    unit: 'connections',
    help: 'Connections that were opened, closed, or could not be opened.',
    labels: { event: ['opened', 'closed', 'failed'], direction: ['inbound', 'outbound'] }
  }),
  sessions: metric({
    name: 'synaptic_mesh_sessions',
    type: 'gauge',
    unit: 'connections',
    help: 'End-to-end sessions for messages that are open.',
    labels: {}
  }),
  pairings: metric({
    name: 'synaptic_mesh_pairings_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Pairings by invite: of peers that came with one, and of this node with the invite of another; `paired`, or the error code.',
    labels: { role: ['inviter', 'joiner'], outcome: { atMost: 32 } }
  }),
  handshakeFailures: metric({
    name: 'synaptic_mesh_handshake_failures_total',
    type: 'counter',
    unit: 'errors',
    help: 'Handshakes that failed: of connections by reason, of sessions by error code.',
    labels: { kind: ['connection', 'session'], reason: { atMost: 48 } }
  }),
  bytes: metric({
    name: 'synaptic_mesh_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes on all connections.',
    labels: { direction: ['sent', 'received'] }
  }),
  outboxStates: metric({
    name: 'synaptic_mesh_outbox_messages_total',
    type: 'counter',
    unit: 'messages',
    help: 'Durable messages of this node that reached a state, after its commit.',
    labels: { type: messageType, state: ['accepted', 'sent', 'stored', 'read', 'held', 'failed', 'expired-unknown'] }
  }),
  received: metric({
    name: 'synaptic_mesh_received_messages_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages that were taken from peers.',
    labels: { type: messageType, delivery: ['durable', 'volatile'] }
  }),
  volatileSent: metric({
    name: 'synaptic_mesh_volatile_sent_messages_total',
    type: 'counter',
    unit: 'messages',
    help: 'Volatile messages that were handed to a stream.',
    labels: { type: messageType }
  }),
  latency: metric({
    name: 'synaptic_mesh_message_latency_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: "From acceptance to the recipient's receipt, of durable messages.",
    labels: {},
    buckets: secondsBuckets
  }),
  outboxQueue: metric({
    name: 'synaptic_mesh_outbox_queue_messages',
    type: 'gauge',
    unit: 'messages',
    help: 'Messages that wait to be delivered.',
    labels: {}
  }),
  outboxBytes: metric({
    name: 'synaptic_mesh_outbox_queue_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes that wait to be delivered.',
    labels: {}
  }),
  outboxInFlight: metric({
    name: 'synaptic_mesh_outbox_in_flight_messages',
    type: 'gauge',
    unit: 'messages',
    help: 'Messages sent and waiting for a receipt.',
    labels: {}
  }),
  inboxQueue: metric({
    name: 'synaptic_mesh_inbox_queue_messages',
    type: 'gauge',
    unit: 'messages',
    help: 'Messages in the inbox.',
    labels: { state: ['unread', 'held'] }
  }),
  inboxBytes: metric({
    name: 'synaptic_mesh_inbox_queue_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Bytes of the messages in the inbox.',
    labels: {}
  }),
  refusals: metric({
    name: 'synaptic_mesh_refused_messages_total',
    type: 'counter',
    unit: 'messages',
    help: 'Messages that this node refused (given) or that were refused to it (received).',
    labels: { direction: ['given', 'received'], delivery: ['durable', 'volatile'], code: errorCodes }
  }),
  protocolErrors: metric({
    name: 'synaptic_mesh_protocol_errors_total',
    type: 'counter',
    unit: 'errors',
    help: 'Streams that were ended because a peer broke a protocol.',
    labels: { protocol: { atMost: 32 }, code: errorCodes }
  }),
  errors: metric({
    name: 'synaptic_mesh_errors_total',
    type: 'counter',
    unit: 'errors',
    help: 'Errors that were logged, by code.',
    labels: { code: errorCodes }
  }),
  storeCommits: metric({
    name: 'synaptic_mesh_store_commits_total',
    type: 'counter',
    unit: 'commits',
    help: 'Transactions that were committed with synchronous=FULL.',
    labels: {}
  }),
  storeCommitSeconds: metric({
    name: 'synaptic_mesh_store_commit_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'From the first waiting change to the end of its commit.',
    labels: {},
    buckets: secondsBuckets
  }),
  storeFailures: metric({
    name: 'synaptic_mesh_store_failures_total',
    type: 'counter',
    unit: 'errors',
    help: 'Commits that failed.',
    labels: { code: ['DISK_FULL', 'STORE_FAILED', 'other'] }
  }),
  natAttempts: metric({
    name: 'synaptic_mesh_nat_attempts_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Ways to a peer that were tried, by what came of them; skipped: hopeless and not begun, ended: another way was there first.',
    labels: {
      method: ['dial', 'relay', 'reversal', 'ice', 'ice-stun', 'ice-turn'],
      result: ['direct', 'punched', 'turn', 'relayed', 'failed', 'ended', 'skipped']
    }
  }),
  natConnect: metric({
    name: 'synaptic_mesh_nat_connect_ms',
    type: 'histogram',
    unit: 'milliseconds',
    help: 'From the begin of a traversal to a connection by this path.',
    labels: { path: ['direct-lan', 'direct-ipv6', 'direct-mapped', 'direct-public', 'punched', 'turn', 'relayed'] },
    buckets: [10, 25, 50, 100, 250, 500, 1_000, 1_500, 2_500, 5_000, 10_000]
  }),
  natDialled: metric({
    name: 'synaptic_mesh_nat_dialled_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Requests of other peers to dial them, by what came of them; not-allowed: the address was not theirs, busy: over a rate.',
    labels: { purpose: ['dial-back', 'reversal'], outcome: ['connected', 'failed', 'not-allowed', 'busy'] }
  }),
  relayReservations: metric({
    name: 'synaptic_mesh_relay_reservations',
    type: 'gauge',
    unit: 'peers',
    help: 'Peers that keep a place at this relay.',
    labels: {}
  }),
  relayCircuits: metric({
    name: 'synaptic_mesh_relay_circuits',
    type: 'gauge',
    unit: 'connections',
    help: 'Circuits that this relay carries.',
    labels: {}
  }),
  relayBytes: metric({
    name: 'synaptic_mesh_relay_bytes_total',
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes that went over the circuits of this relay.',
    labels: {}
  }),
  relayRefused: metric({
    name: 'synaptic_mesh_relay_refused_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Places and circuits that this relay refused, and circuits that it cut (bytes, time, stalled).',
    labels: { reason: { atMost: 16 } }
  }),
  onionMembers: metric({
    name: 'synaptic_mesh_onion_members',
    type: 'gauge',
    unit: 'peers',
    help: 'Members of onion circuits in the directory, this node not counted.',
    labels: { role: ['relay', 'endpoint'] }
  }),
  onionCircuits: metric({
    name: 'synaptic_mesh_onion_circuits',
    type: 'gauge',
    unit: 'circuits',
    help: 'Onion circuits of this node: with a destination, and spare ones.',
    labels: { state: ['open', 'spare'] }
  }),
  onionBuilds: metric({
    name: 'synaptic_mesh_onion_builds_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Onion circuits that this node tried to build, or to lead to a destination.',
    labels: { result: ['built', 'failed'] }
  }),
  onionBuild: metric({
    name: 'synaptic_mesh_onion_build_ms',
    type: 'histogram',
    unit: 'milliseconds',
    help: 'How long the relays of a circuit took, or its destination.',
    labels: { part: ['relays', 'destination'] },
    buckets: [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000]
  }),
  onionRelayCircuits: metric({
    name: 'synaptic_mesh_onion_relay_circuits',
    type: 'gauge',
    unit: 'circuits',
    help: 'Onion circuits of others that go through this node or end here.',
    labels: {}
  }),
  onionRelayQueued: metric({
    name: 'synaptic_mesh_onion_relay_queued_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Cells of circuits of others that wait to be sent.',
    labels: {}
  }),
  onionRelayCells: metric({
    name: 'synaptic_mesh_onion_relay_cells_total',
    type: 'counter',
    unit: 'cells',
    help: 'Cells of circuits of others: forward away from their clients, backward towards them.',
    labels: { direction: ['forward', 'backward'] }
  }),
  onionRelayHandshakes: metric({
    name: 'synaptic_mesh_onion_relay_handshakes_total',
    type: 'counter',
    unit: 'handshakes',
    help: 'Handshakes of circuits of others: answered, refused by a limit, answered after a puzzle was solved.',
    labels: { result: ['answered', 'refused', 'puzzle'] }
  }),
  onionRelayExtends: metric({
    name: 'synaptic_mesh_onion_relay_extends_total',
    type: 'counter',
    unit: 'attempts',
    help: 'Circuits of others that were made longer, or could not be.',
    labels: { result: ['taken', 'failed'] }
  }),
  onionRelayEnded: metric({
    name: 'synaptic_mesh_onion_relay_ended_total',
    type: 'counter',
    unit: 'circuits',
    help: 'Circuits of others that this node ended: a rule was broken, or nobody took their cells.',
    labels: { reason: ['violation', 'stuck'] }
  }),
  onionLinks: metric({
    name: 'synaptic_mesh_onion_links',
    type: 'gauge',
    unit: 'connections',
    help: 'Links of onion circuits that others have to this node.',
    labels: {}
  }),
  ...apiMetrics,
  memory: metric({ name: 'synaptic_mesh_resident_memory_bytes', type: 'gauge', unit: 'bytes', help: 'Resident memory of the process.', labels: {} })
} as const satisfies Record<string, MetricEntry>

export type MetricKey = keyof typeof metricCatalogue

type KeysOfType<Type extends MetricEntry['type']> = {
  readonly [Key in MetricKey]: (typeof metricCatalogue)[Key]['type'] extends Type ? Key : never
}[MetricKey]
export type CounterKey = KeysOfType<'counter'>
export type GaugeKey = KeysOfType<'gauge'>
export type HistogramKey = KeysOfType<'histogram'>

/** The labels of a metric: each one must be given. */
export type LabelsOf<Key extends MetricKey> = { readonly [Label in keyof (typeof metricCatalogue)[Key]['labels']]: string }
