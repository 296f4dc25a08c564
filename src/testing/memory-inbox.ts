import { equalBytes, toHex } from '../core/base/index.ts'
import {
  type AckOutcome,
  type AdmissionFacts,
  type AdmissionLimits,
  type AdmitOutcome,
  decideAdmission,
  decodeEnvelope,
  type InboundMessage,
  type InboxFilter,
  type InboxRow
} from '../core/message/index.ts'

const epochsOfSource = 4

interface Source {
  /** Floors by epoch, the one used last at the end. */
  readonly floors: Map<string, number>
  readonly bySequence: Map<string, InboxRow>
  readonly byId: Map<string, InboxRow>
}

/** The inbox tables of a store in memory: what is in here is committed. */
export class MemoryInbox {
  readonly #sources = new Map<string, Source>()
  readonly #rows = new Map<number, InboxRow>()
  #position = 0

  /** Every row, read ones included. */
  rows(): readonly InboxRow[] {
    return [...this.#rows.values()]
  }

  admit(messages: readonly InboundMessage[], floor: number, limits: AdmissionLimits): readonly AdmitOutcome[] {
    return messages.map((message) => this.#admitOne(message, floor, limits))
  }

  #admitOne(message: InboundMessage, floor: number, limits: AdmissionLimits): AdmitOutcome {
    const source = this.#sourceOf(message.source)
    const recorded = raiseFloor(source, toHex(message.epoch), floor)
    const decision = decideAdmission(message, this.#facts(source, message, recorded), limits)
    if (decision.action === 'answer') return decision.outcome
    const row: InboxRow = { ...message, position: ++this.#position, state: decision.state, handedOut: 0 }
    this.#put(row)
    this.#forgetBelowFloor(source)
    return { outcome: decision.state === 'held' ? 'held' : 'stored', repeat: false, position: row.position }
  }

  #facts(source: Source, message: InboundMessage, floor: number): AdmissionFacts {
    const unread = this.rows().filter((row) => row.state !== 'read')
    const own = unread.filter((row) => equalBytes(row.source, message.source))
    const bytesOf = (rows: readonly InboxRow[]): number => rows.reduce((sum, row) => sum + row.envelope.length, 0)
    return {
      floor,
      bySequence: source.bySequence.get(sequenceKey(message)),
      byId: source.byId.get(message.id),
      messages: unread.length,
      bytes: bytesOf(unread),
      messagesOfSource: own.length,
      bytesOfSource: bytesOf(own)
    }
  }

  /** Drops read messages that their sender stated, signed, never to send again. */
  #forgetBelowFloor(source: Source): void {
    for (const [key, row] of source.bySequence) {
      if (row.state !== 'read' || row.sequence >= (source.floors.get(toHex(row.epoch)) ?? 0)) continue
      source.bySequence.delete(key)
      source.byId.delete(row.id)
      this.#rows.delete(row.position)
    }
  }

  list(filter: InboxFilter): readonly InboxRow[] {
    const { after, limit, types, source, states } = filter
    const found = this.rows()
      .filter((row) => row.position > after && states.includes(row.state) && (row.control === true) === (filter.control === true))
      .filter((row) => (types === undefined || types.includes(row.type)) && (source === undefined || equalBytes(row.source, source)))
      .slice(0, limit)
    if (filter.handOut) for (const row of found) this.#put({ ...row, handedOut: row.handedOut + 1 })
    return found
  }

  get(id: string, source: Uint8Array | undefined): readonly InboxRow[] {
    return this.rows().filter((row) => row.id === id && (source === undefined || equalBytes(row.source, source)))
  }

  ack(source: Uint8Array, id: string): AckOutcome {
    const row = this.#sourceOf(source).byId.get(id)
    if (row === undefined) return { source, via: 'direct', id, changed: false, known: false, epoch: undefined, sequence: 0, digest: undefined }
    const changed = row.state !== 'read'
    if (changed) this.#put({ ...row, state: 'read', envelope: new Uint8Array(), proof: new Uint8Array() })
    return { source, via: row.via, id, changed, known: true, epoch: row.epoch, sequence: row.sequence, digest: row.digest }
  }

  release(source: Uint8Array, group?: Uint8Array): readonly InboxRow[] {
    const held = this.rows().filter((row) => row.state === 'held' && equalBytes(row.source, source) && (group === undefined || isOfGroup(row, group)))
    const released = held.map((row): InboxRow => ({ ...row, state: 'unread' }))
    for (const row of released) this.#put(row)
    return released
  }

  #put(row: InboxRow): void {
    const source = this.#sourceOf(row.source)
    source.bySequence.set(sequenceKey(row), row)
    source.byId.set(row.id, row)
    this.#rows.set(row.position, row)
  }

  #sourceOf(publicKey: Uint8Array): Source {
    const key = toHex(publicKey)
    const known = this.#sources.get(key)
    if (known !== undefined) return known
    const source: Source = { floors: new Map(), bySequence: new Map(), byId: new Map() }
    this.#sources.set(key, source)
    return source
  }
}

function isOfGroup({ envelope }: InboxRow, id: Uint8Array): boolean {
  const { group } = decodeEnvelope(envelope)
  return group !== undefined && equalBytes(group.id, id)
}

const sequenceKey = (message: { readonly epoch: Uint8Array; readonly sequence: number }): string => `${toHex(message.epoch)} ${message.sequence}`

function raiseFloor(source: Source, epoch: string, floor: number): number {
  const recorded = Math.max(source.floors.get(epoch) ?? 0, floor)
  source.floors.delete(epoch)
  source.floors.set(epoch, recorded)
  const [oldest] = source.floors.keys()
  if (source.floors.size > epochsOfSource && oldest !== undefined) source.floors.delete(oldest)
  return recorded
}
