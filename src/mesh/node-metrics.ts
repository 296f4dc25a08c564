import type { Libp2p } from '@libp2p/interface'
import { type ErrorCode, errorTable } from '../core/base/index.ts'
import { metricCatalogue, MetricRegistry, prometheusText } from '../core/metrics/index.ts'
import type { MessageType, OutboxCounts, OutboxEntry } from '../core/message/index.ts'
import { resultOf, type TraversalReport } from '../core/nat/index.ts'
import type { DialOutcome } from '../core/nat/nat-frames.ts'
import type { DialPurpose } from './dial-rules.ts'
import type { RelayCounters } from '../core/onion/index.ts'
import type { GroupFrameEvent } from './groups/group-gossip.ts'
import type { GroupInfo } from './groups/group-info.ts'
import type { LogRecord, MeshStatus, RelayServing } from './mesh.ts'
import { countOnion } from './onion/onion-metrics.ts'

type Delivery = 'durable' | 'volatile'

/** Counts what happens in a node, and says it as Prometheus text. */
export class NodeMetrics {
  readonly #registry = new MetricRegistry()
  readonly #residentBytes: () => number
  /** Counted apart, since these are the messages of which there are very many; given to the registry when it is asked. */
  readonly #volatile = { sent: new Map<MessageType, number>(), received: new Map<MessageType, number>() }

  readonly #sessionFailures = new Map<ErrorCode, number>()

  constructor(residentBytes: () => number) {
    this.#residentBytes = residentBytes
  }

  /** Counts the connections of a node from now on. */
  watch(libp2p: Libp2p): void {
    libp2p.addEventListener('connection:open', ({ detail }) => this.#registry.count('connections', { event: 'opened', direction: detail.direction }))
    libp2p.addEventListener('connection:close', ({ detail }) => this.#registry.count('connections', { event: 'closed', direction: detail.direction }))
  }

  outbox(entry: OutboxEntry): void {
    this.#registry.count('outboxStates', { type: entry.type, state: entry.state })
    if (entry.state === 'stored') this.#registry.observe('latency', {}, entry.settledMs / 1_000)
    if (entry.state === 'stored' && entry.group !== undefined && entry.control !== true)
      this.#registry.count('groupStored', { way: entry.path === 'gossip' ? 'gossip' : 'sealed' })
    if (entry.state === 'failed') this.#registry.count('refusals', { direction: 'received', delivery: 'durable', code: entry.failure })
  }

  arrived(types: readonly MessageType[], delivery: Delivery): void {
    for (const type of types) {
      if (delivery === 'volatile') increment(this.#volatile.received, type)
      else this.#registry.count('received', { type, delivery })
    }
  }

  volatileSent(type: MessageType): void {
    increment(this.#volatile.sent, type)
  }

  /** Messages that this node refused. */
  refused(refusal: { readonly code: ErrorCode; readonly delivery: Delivery; readonly messages: number }): void {
    this.#registry.count('refusals', { direction: 'given', delivery: refusal.delivery, code: refusal.code }, refusal.messages)
  }

  protocolError(protocol: string, code: ErrorCode): void {
    this.#registry.count('protocolErrors', { protocol, code })
  }

  /** A traversal of a peer, with all that was tried. */
  traversed({ attempts }: TraversalReport): void {
    for (const { technique, outcome, path, atMs, ms } of attempts) {
      this.#registry.count('natAttempts', { method: technique, result: path === undefined ? outcome : resultOf(path) })
      if (path !== undefined) this.#registry.observe('natConnect', { path }, atMs + ms)
    }
  }

  /** A part of a circuit of ours was built in `ms`, or failed (undefined). */
  circuitBuilt(part: 'relays' | 'destination', ms: number | undefined): void {
    this.#registry.count('onionBuilds', { result: ms === undefined ? 'failed' : 'built' })
    if (ms !== undefined) this.#registry.observe('onionBuild', { part }, ms)
  }

  /** Somebody asked to be dialled. */
  dialled(purpose: DialPurpose, outcome: DialOutcome): void {
    this.#registry.count('natDialled', { purpose, outcome })
  }

  /** Sessions that did not come to be since the start, by error code. */
  get sessionFailures(): ReadonlyMap<string, number> {
    return this.#sessionFailures
  }

  sessionFailed(code: ErrorCode): void {
    increment(this.#sessionFailures, code)
  }

  /** A pairing by invite that succeeded or failed. */
  pairing(role: 'inviter' | 'joiner', outcome: 'paired' | ErrorCode): void {
    this.#registry.count('pairings', { role, outcome })
  }

  /** Counts the errors among the log records. */
  logged({ event }: LogRecord): void {
    if (event in errorTable) this.#registry.count('errors', { code: event })
  }

  /** A frame of a large group. */
  groupFrame(event: GroupFrameEvent): void {
    this.#registry.count('groupFrames', { event })
  }

  /** A message of an agent that this node did not send. */
  loopRefused(code: 'LOOP_GUARD' | 'HOP_LIMIT'): void {
    this.#registry.count('loopRefusals', { code })
  }

  /** One commit of the store. */
  committed(ms: number): void {
    this.#registry.count('storeCommits', {})
    this.#registry.observe('storeCommitSeconds', {}, ms / 1_000)
  }

  storeFailed(code: ErrorCode): void {
    this.#registry.count('storeFailures', { code })
  }

  /** All metrics in Prometheus text format, with the gauges as they are now. */
  text(status: MeshStatus, now: Gauges): string {
    const registry = this.#registry
    for (const [type, total] of this.#volatile.sent) registry.countTo('volatileSent', { type }, total)
    for (const [type, total] of this.#volatile.received) registry.countTo('received', { type, delivery: 'volatile' }, total)
    registry.set('uptime', {}, status.uptimeS)
    registry.set('health', {}, status.health.length)
    for (const state of ['connected', 'quantum', 'paired', 'known', 'blocked'] as const) registry.set('peers', { state }, status.peers[state])
    registry.set('peers', { state: 'held' }, status.inbox.strangers)
    for (const state of metricCatalogue.groups.labels.state) registry.set('groups', { state }, now.groups.filter((each) => each === state).length)
    for (const direction of ['sent', 'received'] as const) registry.countTo('bytes', { direction }, status.bytes[direction])
    for (const state of ['unread', 'held'] as const) registry.set('inboxQueue', { state }, status.inbox[state])
    registry.set('inboxBytes', {}, now.inboxBytes)
    this.#handshakes(status)
    registry.set('outboxQueue', {}, now.outbox.queued)
    registry.set('outboxBytes', {}, now.outbox.bytes)
    registry.set('outboxInFlight', {}, now.outbox.inFlight)
    registry.set('memory', {}, this.#residentBytes())
    if (status.serving !== undefined) this.#relay(status.serving)
    countOnion(registry, { status: status.onion, relay: now.onionRelay })
    return prometheusText(registry)
  }

  #relay({ reservations, circuits, bytes, refused }: RelayServing): void {
    this.#registry.set('relayReservations', {}, reservations)
    this.#registry.set('relayCircuits', {}, circuits)
    this.#registry.countTo('relayBytes', {}, bytes)
    for (const [reason, total] of Object.entries(refused)) this.#registry.countTo('relayRefused', { reason }, total)
  }

  #handshakes({ quantum }: MeshStatus): void {
    this.#registry.set('sessions', {}, quantum.sessions)
    for (const kind of ['connection', 'session'] as const)
      for (const [reason, total] of Object.entries(quantum.failures[`${kind}s`])) this.#registry.countTo('handshakeFailures', { kind, reason }, total)
  }
}

/** What is not in the status. */
interface Gauges {
  readonly outbox: OutboxCounts
  readonly inboxBytes: number
  readonly onionRelay: RelayCounters
  /** Of each group, the own part in it. */
  readonly groups: readonly GroupInfo['state'][]
}

const increment = <Key>(counts: Map<Key, number>, key: Key): void => void counts.set(key, (counts.get(key) ?? 0) + 1)
