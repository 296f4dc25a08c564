import { MeshError, toHex } from '../core/base/index.ts'
import {
  type ArrivedMessage,
  decodeBatch,
  decodeEnvelope,
  frameKind,
  type InboxRow,
  type MessageDraft,
  openReceipts,
  type OutboxEntry,
  type OutboxRow,
  type OutboxState,
  type Via
} from '../core/message/index.ts'
import type { DeliveryNode } from './delivery-node.ts'
import { simulatedVerifier } from './simulated-keys.ts'
import type { Simulator } from './simulator.ts'

interface Accepted {
  readonly from: DeliveryNode
  readonly to: DeliveryNode
  readonly draft: MessageDraft
  /** Virtual time of the first answer. */
  readonly at: number
  readonly sequence: number
}

/** The longest life of a message in these simulations, and what is granted after it. */
const maxTtlMs = 300_000
const graceMs = 60_000
/** After a reboot only the wall clock tells the age: nothing expires for an hour, nor for longer than its ttl. */
const isEnded = (state: OutboxState): boolean => state !== 'accepted' && state !== 'sent'

/** What users saw, kept outside of all nodes, and compared with the promises. */
export class DeliveryLedger {
  readonly #simulator: Simulator
  readonly #nodes: readonly DeliveryNode[]
  readonly #accepted = new Map<string, Accepted>()
  readonly #routes = new Map<string, Via>()
  readonly #told = new Map<string, OutboxState>()
  readonly #endedAt = new Map<string, number>()
  readonly #rebootedAt = new Map<DeliveryNode, number>()
  readonly #crashedAt = new Map<DeliveryNode, number>()
  readonly #acked = new Set<string>()
  readonly #received = new Set<string>()
  readonly #arrived = new Set<string>()
  #failure: unknown
  readonly #onRoute: Record<Via, number> = { direct: 0, onion: 0 }
  handedOut = 0

  constructor(simulator: Simulator, nodes: readonly DeliveryNode[]) {
    this.#simulator = simulator
    this.#nodes = nodes
  }

  get acceptedCount(): number {
    return this.#accepted.size
  }

  /** How long after the faults everything must have ended: a reboot grants another ttl. */
  get settleMs(): number {
    return maxTtlMs + graceMs
  }

  /** Keeps the first failure until `check`. */
  failed(thrown: unknown): void {
    this.#failure ??= thrown
  }

  violate(text: string): never {
    throw new Error(
      `seed ${this.#simulator.seed}, at ${this.#simulator.now} ms: ${text}. Replay: SEED=${this.#simulator.seed} node --test test/sim/delivery.test.ts`
    )
  }

  isAccepted(id: string): boolean {
    return this.#accepted.has(id)
  }

  /** A user says which way a message shall take. */
  drafted({ id, via }: MessageDraft): void {
    this.#routes.set(id, via)
  }

  /** A frame leaves a node: neither a message nor what is said of it may be on the other route. */
  leaves(frame: Uint8Array, how: { readonly via: Via; readonly from: DeliveryNode; readonly to: DeliveryNode }): void {
    const { via, from, to } = how
    const ids =
      frameKind(frame) === 'batch'
        ? decodeBatch(frame).envelopes.map((envelope) => decodeEnvelope(envelope).id)
        : openReceipts(frame, { peer: from.publicKey, self: to.publicKey }, simulatedVerifier).receipts.map(({ id }) => id)
    for (const id of ids) {
      this.#onRoute[via]++
      if (this.#routes.get(id) !== via) this.violate(`${id}, or its receipt, left ${from} by the route ${via}`)
    }
  }

  /** Messages and receipts that left, by route. */
  get onRoute(): Readonly<Record<Via, number>> {
    return this.#onRoute
  }

  submitted(call: {
    readonly from: DeliveryNode
    readonly to: DeliveryNode
    readonly draft: MessageDraft
    readonly result: OutboxEntry | MeshError
  }): void {
    const { from, to, draft, result } = call
    if (result instanceof MeshError) {
      if (result.code !== 'DISK_FULL' && result.code !== 'STORE_FAILED') this.violate(`${draft.id} was rejected: ${result.code}`)
      return
    }
    const known = this.#accepted.get(draft.id)
    if (known === undefined) this.#accepted.set(draft.id, { from, to, draft, at: this.#simulator.now, sequence: result.sequence })
    else if (known.sequence !== result.sequence) this.violate(`${draft.id} was accepted twice, as ${known.sequence} and ${result.sequence}`)
  }

  state(node: number, entry: OutboxEntry): void {
    const row = this.#nodes[node]?.disk.outbox.load([entry.id])[0]
    const last = this.#told.get(entry.id)
    if (isEnded(entry.state)) {
      if (row === undefined || row.state === 'accepted' || row.state === 'sent')
        this.violate(`${entry.id} was told to be ${entry.state} before its commit`)
      if (last !== undefined && isEnded(last) && !isUpgrade(last, entry.state)) this.violate(`${entry.id} went from ${last} to ${entry.state}`)
      this.#endedAt.set(entry.id, this.#simulator.now)
    } else if (last !== undefined && isEnded(last)) this.violate(`${entry.id} was ${last} and is ${entry.state} again`)
    this.#told.set(entry.id, entry.state)
  }

  arrived(node: number, messages: readonly ArrivedMessage[]): void {
    for (const { message, position } of messages) {
      const key = `${node} ${toHex(message.source)} ${message.id}`
      if (this.#arrived.has(key)) this.violate(`${message.id} arrived twice at node ${node}`)
      this.#arrived.add(key)
      const rows = this.#nodes[node]?.disk.inbox.rows() ?? []
      if (!rows.some((row) => row.position === position && row.id === message.id)) this.violate(`${message.id} was announced before its commit`)
    }
  }

  handOut(node: DeliveryNode, rows: readonly InboxRow[]): void {
    for (const row of rows) {
      this.handedOut++
      if (this.#acked.has(keyOf(node, row))) this.violate(`${row.id} was handed out after its ack`)
    }
  }

  /** A reader that asks to acknowledge has the message, whatever becomes of its call. */
  asksToAck(node: DeliveryNode, rows: readonly InboxRow[]): void {
    for (const row of rows) this.#received.add(keyOf(node, row))
  }

  acked(node: DeliveryNode, rows: readonly InboxRow[]): void {
    for (const row of rows) this.#acked.add(keyOf(node, row))
  }

  crashed(node: DeliveryNode): void {
    this.#crashedAt.set(node, this.#simulator.now)
  }

  rebooted(node: DeliveryNode): void {
    this.#rebootedAt.set(node, this.#simulator.now)
  }

  ends(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {}
    for (const { row } of this.#outcomes()) {
      const name = row.state === 'failed' ? `failed ${row.failure}` : row.state
      counts[name] = (counts[name] ?? 0) + 1
    }
    return counts
  }

  /** Compares every accepted message with what is on the disks. */
  check(): void {
    const failure = this.#failure
    if (failure !== undefined) throw failure instanceof Error ? failure : new Error('a handler threw what is no error', { cause: failure })
    for (const { accepted, row, isThere } of this.#outcomes()) {
      this.#checkEnd(accepted, row)
      if (row.via !== accepted.draft.via) this.violate(`${row.id} was to go ${accepted.draft.via} and is ${row.via}`)
      this.#checkTruth(row, isThere)
    }
    this.#checkOrder()
  }

  #outcomes(): readonly { readonly accepted: Accepted; readonly row: OutboxRow; readonly isThere: boolean }[] {
    return [...this.#accepted.values()].map((accepted) => {
      const { from, to, draft } = accepted
      const [row] = from.disk.outbox.load([draft.id])
      if (row === undefined) return this.violate(`${draft.id} was accepted and is lost`)
      const inInbox = to.disk.inbox.get(draft.id, from.publicKey).length > 0
      return { accepted, row, isThere: inInbox || this.#received.has(keyOf(to, { source: from.publicKey, id: draft.id })) }
    })
  }

  #checkEnd({ from, to, draft, at }: Accepted, row: OutboxRow): void {
    if (!isEnded(row.state)) this.violate(`${draft.id} is still ${row.state} after ttl + 60 s`)
    const isLong = draft.ttlS * 1_000 >= maxTtlMs
    const isRefused = row.state === 'failed' && row.failure !== 'EXPIRED'
    if (isLong && (row.state === 'expired-unknown' || row.failure === 'EXPIRED'))
      this.violate(`${draft.id} from ${from} to ${to} was not delivered in ${draft.ttlS} s (${row.state} ${row.failure})`)
    if (isRefused && !['COMMAND_NOT_ALLOWED', 'CANCELLED', 'QUOTA', 'DISK_FULL'].includes(row.failure))
      this.violate(`${draft.id} failed with ${row.failure}`)
    // A reboot leaves the wall clock as the only evidence; a crash, time in which nothing could be written.
    const began = Math.max(at, this.#rebootedAt.get(from) ?? 0)
    const limit = Math.max(began + draft.ttlS * 1_000, (this.#crashedAt.get(from) ?? 0) + 10_000) + graceMs
    const endedAt = this.#endedAt.get(draft.id)
    if (endedAt !== undefined && endedAt > limit && row.state !== 'read' && row.state !== 'stored')
      this.violate(`${draft.id} ended ${endedAt - at} ms after it was accepted, its ttl is ${draft.ttlS} s`)
  }

  #checkTruth(row: OutboxRow, isThere: boolean): void {
    if ((row.state === 'stored' || row.state === 'read' || row.state === 'held') && !isThere)
      this.violate(`${row.id} is ${row.state} at its sender and lost at its recipient`)
    if (row.state === 'failed' && row.failure === 'EXPIRED' && row.attempts === 0 && isThere)
      this.violate(`${row.id} is "never sent" at its sender and was delivered`)
  }

  /** Sequences rise in the order of acceptance on the disk, and a reader sees each at most once. */
  #checkOrder(): void {
    for (const node of this.#nodes) {
      const seen = new Set<string>()
      for (const row of node.disk.inbox.rows()) {
        const key = `${toHex(row.source)} ${toHex(row.epoch)} ${row.sequence}`
        if (seen.has(key)) this.violate(`sequence ${row.sequence} is twice in the inbox of ${node}`)
        seen.add(key)
        const sender = this.#nodes.find((each) => toHex(each.publicKey) === toHex(row.source))
        const sent = sender?.disk.outbox.load([row.id])[0]
        if (sent?.sequence !== row.sequence)
          this.violate(`${row.id} has sequence ${row.sequence} at its recipient and ${sent?.sequence} at its sender`)
      }
    }
  }
}

const keyOf = (node: DeliveryNode, message: { readonly source: Uint8Array; readonly id: string }): string =>
  `${node.index} ${toHex(message.source)} ${message.id}`

function isUpgrade(from: OutboxState, to: OutboxState): boolean {
  return (from === 'stored' && to === 'read') || (from === 'held' && (to === 'stored' || to === 'read'))
}
