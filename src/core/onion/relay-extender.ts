import { after, equalBytes, type Millis } from '../base/index.ts'
import { chooseCircuit, handshakeCells, joinHandshake } from './cell.ts'
import { type RelayCircuit, type RelayTable, relayTimes } from './relay-table.ts'
import { type Cell, cellCommands, type ExtendFailure } from './types.ts'

/** EXTENDs that wait for a connection at one time, of all and of one neighbour: relays that never answer are easy to name. */
const maxConnects = 256
const maxConnectsOfNeighbour = 64

interface Pending {
  readonly circuit: RelayCircuit
  readonly request: Uint8Array
}

/** Makes circuits one hop longer. */
export class RelayExtender {
  readonly #table: RelayTable
  readonly #isRelay: boolean
  readonly #publicKey: Uint8Array
  /** EXTENDs whose link is looked for, by token. */
  readonly #connecting = new Map<number, Pending>()
  readonly #counters = { extends: 0, extendsFailed: 0 }
  #lastToken = 0

  constructor(options: { readonly table: RelayTable; readonly isRelay: boolean; readonly publicKey: Uint8Array }) {
    this.#table = options.table
    this.#isRelay = options.isRelay
    this.#publicKey = options.publicKey
  }

  get counters(): { readonly extends: number; readonly extendsFailed: number } {
    return { ...this.#counters }
  }

  /** Begins with an EXTEND to whoever has this key; the circuit is open and ends here. */
  extend(circuit: RelayCircuit, { publicKey, request }: { readonly publicKey: Uint8Array; readonly request: Uint8Array }, now: Millis): void {
    this.#counters.extends += 1
    if (!this.#isRelay || this.#isNeighbour(circuit, publicKey) || !this.#makeRoom(circuit, now)) return this.fail(circuit, 'refused', now)
    this.#lastToken += 1
    const token = this.#lastToken
    const until = after(now, relayTimes.stepMs)
    circuit.stage = { is: 'extending', token, until, next: undefined, first: undefined }
    this.#table.due(until)
    this.#connecting.set(token, { circuit, request: request.slice() })
    this.#table.effect({ type: 'connect', token, publicKey: publicKey.slice(), neighbour: circuit.source.key })
  }

  /** Asks the next hop over the link that was found. */
  connected(token: number, linkId: number, now: Millis): void {
    const pending = this.#take(token)
    const link = this.#table.links.get(linkId)
    if (pending === undefined) return
    const { circuit, request } = pending
    if (link?.opener !== 'us') return this.fail(circuit, 'unreachable', now)
    const { random, queues } = this.#table
    const number = chooseCircuit(random, (used) => link.circuits.has(used) || queues.has({ link: link.id, circuit: used }))
    const until = after(now, relayTimes.stepMs)
    circuit.stage = { is: 'extending', token, until, next: { link: link.id, circuit: number }, first: undefined }
    this.#table.due(until)
    link.circuits.set(number, circuit)
    for (const cell of handshakeCells(number, { command: cellCommands.create, bytes: request }, random))
      this.#table.send(circuit, { link: link.id, cell }, now)
  }

  connectFailed(token: number, reason: ExtendFailure, now: Millis): void {
    const pending = this.#take(token)
    if (pending !== undefined) this.fail(pending.circuit, reason, now)
  }

  /** Takes one of the two cells of a CREATED. */
  created(circuit: RelayCircuit, cell: Cell, now: Millis): void {
    const { stage } = circuit
    if (stage.is !== 'extending' || stage.next === undefined) return this.#table.end(circuit, 'here', now)
    if (stage.first === undefined) {
      circuit.stage = { ...stage, first: cell.body.slice() }
      return
    }
    circuit.stage = { is: 'joined', next: stage.next }
    circuit.usedAt = now
    const reply = joinHandshake(cellCommands.created, stage.first, cell.body)
    this.#table.perform(circuit, circuit.layers?.end.send({ type: 'extended', reply }) ?? [], now)
  }

  /** Tells the client that the next hop was not reached, and ends the circuit. */
  fail(circuit: RelayCircuit, reason: ExtendFailure, now: Millis): void {
    this.#counters.extendsFailed += 1
    this.#table.perform(circuit, circuit.layers?.end.send({ type: 'extendFailed', reason }) ?? [], now)
    this.#table.end(circuit, 'failed', now)
  }

  /** Forgets what waits for a circuit that ended. */
  forget({ stage }: RelayCircuit): void {
    if (stage.is === 'extending') this.#connecting.delete(stage.token)
  }

  /** When all places are taken, the EXTEND that waits longest of the neighbour with the most gives up. */
  #makeRoom(circuit: RelayCircuit, now: Millis): boolean {
    const counts = new Map<string, number>()
    for (const { circuit: other } of this.#connecting.values()) counts.set(other.source.key, (counts.get(other.source.key) ?? 0) + 1)
    if ((counts.get(circuit.source.key) ?? 0) >= maxConnectsOfNeighbour) return false
    if (this.#connecting.size < maxConnects) return true
    const most = Math.max(...counts.values())
    const [oldest] = [...this.#connecting.values()].filter((pending) => counts.get(pending.circuit.source.key) === most)
    if (oldest !== undefined) this.fail(oldest.circuit, 'unreachable', now)
    return true
  }

  #take(token: number): Pending | undefined {
    const pending = this.#connecting.get(token)
    this.#connecting.delete(token)
    return pending
  }

  // Neither to ourselves nor back to where it came from: such hops hide nothing.
  #isNeighbour({ source }: RelayCircuit, publicKey: Uint8Array): boolean {
    const neighbour = this.#table.links.get(source.link)?.neighbour
    return equalBytes(publicKey, this.#publicKey) || (neighbour?.kind === 'relay' && equalBytes(publicKey, neighbour.publicKey))
  }
}
