import { after, type ErrorCode, isMeshError, type Machine, MeshError, type Millis, millis, randomInteger, toHex } from '../base/index.ts'
import { destroyCell, handshakeCells, joinHandshake } from './cell.ts'
import type { CircuitEnd, EndOutput, RelayCellCommand } from './circuit-end.ts'
import type { CircuitInput, CircuitOutput, ClientCircuitOptions } from './client-circuit-types.ts'
import { ClientHops } from './client-hops.ts'
import { type Cell, cellCommands, type ClientHandshake, type ExtendFailure, maxHops, maxRelayEarly } from './types.ts'

/** Each EXTEND takes two RELAY_EARLY cells. */
const cellsOfExtend = 2
/** The most first cells that are RELAY_EARLY without need: as many as the longest usual circuits (6 relays) can spare, since a number that hung on the length would tell it. */
const maxBlurred = 4
/** Pings that are waited for at one time; the oldest is forgotten beyond. */
const maxPings = 16

interface Step {
  readonly hop: number
  readonly handshake: ClientHandshake
  readonly startedAt: Millis
  readonly deadline: Millis
  /** The body of the first CREATED cell. */
  first: Uint8Array | undefined
}

interface Blame {
  readonly hop?: number | undefined
  readonly reason: string
}

/** A client's circuit: telescoping, streams to its last hop, pings to any. Whatever goes wrong ends it, and says at which hop when that is known. */
export class ClientCircuit implements Machine<CircuitInput, CircuitOutput> {
  readonly #options: ClientCircuitOptions
  readonly #probe: { readonly idleMs: number; readonly deadMs: number }
  readonly #hops: ClientHops
  readonly #pings = new Map<string, { readonly hop: number; readonly at: Millis }>()
  #outputs: CircuitOutput[] = []
  #step: Step | undefined
  #earlyLeft: number = maxRelayEarly
  #blurred: number
  #heardAt: Millis = millis(0)
  /** When to look whether the last hop was heard of: not moved by each cell, since timers would be made for each. */
  #checkAt: Millis | undefined
  #isProbing = false
  #hasEnded = false

  constructor(options: ClientCircuitOptions) {
    const { crypto, random, members = maxHops + 1, probe = { idleMs: 20_000, deadMs: 30_000 } } = options
    this.#options = options
    this.#probe = probe
    this.#hops = new ClientHops({ cipher: crypto.cipher, random, command: () => this.#command() })
    this.#blurred = randomInteger(random, 1 + Math.min(maxBlurred, maxRelayEarly - cellsOfExtend * (members - 1)))
  }

  /** How many hops it has. */
  get hops(): number {
    return this.#hops.count
  }

  /** Whether it has a hop and none is being added: streams may be opened, and it may be extended. */
  get isReady(): boolean {
    return !this.#hasEnded && this.#step === undefined && this.#hops.count > 0
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  get wakeAt(): Millis | undefined {
    if (this.#hasEnded) return undefined
    return this.#step === undefined ? this.#checkAt : this.#step.deadline
  }

  handle(input: CircuitInput, now: Millis): readonly CircuitOutput[] {
    if (this.#hasEnded) return []
    this.#take(input, now)
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  #take(input: CircuitInput, now: Millis): void {
    switch (input.type) {
      case 'extend':
        return this.#extend(input, now)
      case 'cell':
        return this.#cell(input.cell, now)
      case 'ping':
        return this.#ping(input.hop ?? this.#hops.count, now)
      case 'close':
        return this.#end(undefined, { isTold: true })
      case 'lost':
        return this.#lost()
      case 'wake':
        return this.#wake(now)
      default:
        return this.#stream(input, now)
    }
  }

  #stream(input: Extract<CircuitInput, { readonly stream: number }>, now: Millis): void {
    const end = this.#hops.end(this.#hops.count)
    if (end === undefined || !this.isReady) {
      if (input.type === 'open') throw new MeshError('INTERNAL', { reason: 'open on a circuit that is not ready' })
      return
    }
    this.#perform(this.#hops.count, streamOutputs(end, input), now)
  }

  // Building

  #extend(input: Extract<CircuitInput, { readonly type: 'extend' }>, now: Millis): void {
    const last = this.#hops.end(this.#hops.count)
    if (this.#step !== undefined || (last?.streams ?? 0) > 0) throw new MeshError('INTERNAL', { reason: 'extend of a circuit that is in use' })
    const hop = this.#hops.count + 1
    if (last !== undefined && this.#earlyLeft < cellsOfExtend)
      return this.#fail('CIRCUIT_EXTEND_REFUSED', { hop, reason: 'it has no RELAY_EARLY cells left' })
    try {
      const handshake = this.#options.crypto.begin(input.target, input.level)
      this.#step = { hop, handshake, startedAt: now, deadline: after(now, input.timeoutMs), first: undefined }
      if (last === undefined) return this.#create(handshake.request)
      this.#perform(hop - 1, last.send({ type: 'extend', publicKey: input.target.publicKey, request: handshake.request }), now)
    } catch (error) {
      this.#failBy(error, hop)
    }
  }

  #create(request: Uint8Array): void {
    const { circuit, random } = this.#options
    for (const cell of handshakeCells(circuit, { command: cellCommands.create, bytes: request }, random)) this.#outputs.push({ type: 'cell', cell })
  }

  #created(body: Uint8Array, now: Millis): void {
    const step = this.#step
    if (step === undefined || this.#hops.count > 0) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'CREATED that was not asked for' })
    if (step.first === undefined) step.first = body.slice()
    else this.#finish(step, joinHandshake(cellCommands.created, step.first, body), now)
  }

  #finish(step: Step, reply: Uint8Array, now: Millis): void {
    this.#hops.add(step.handshake.finish(reply))
    this.#step = undefined
    this.#checkAt = after(now, this.#probe.idleMs)
    this.#heard(now)
    this.#outputs.push({ type: 'extended', hop: step.hop, tookMs: now - step.startedAt })
  }

  // Cells

  #cell({ command, body }: Cell, now: Millis): void {
    const blamed = this.#step?.hop ?? 1
    try {
      switch (command) {
        case cellCommands.created:
          return this.#created(body, now)
        case cellCommands.relay:
          return this.#relay(body, now)
        case cellCommands.destroy:
          return this.#destroyed()
        default:
          throw new MeshError('CIRCUIT_VIOLATION', { reason: 'a cell that never goes towards a client' })
      }
    } catch (error) {
      this.#failBy(error, blamed)
    }
  }

  #relay(body: Uint8Array, now: Millis): void {
    const hop = this.#hops.peel(cellCommands.relay, body)
    const end = hop === undefined ? undefined : this.#hops.end(hop)
    if (hop === undefined || end === undefined) return this.#fail('CIRCUIT_INTEGRITY', { reason: 'no hop is known to have made it' })
    if (hop === this.#hops.count) this.#heard(now)
    try {
      this.#perform(hop, end.receive(cellCommands.relay, body), now)
    } catch (error) {
      this.#failBy(error, this.#step === undefined ? hop : this.#step.hop)
    }
  }

  #perform(hop: number, outputs: readonly EndOutput[], now: Millis): void {
    for (const output of outputs) {
      if (this.#hasEnded) return
      if (output.type === 'cell') {
        const { command, body } = output
        if (command === cellCommands.relayEarly) this.#earlyLeft--
        this.#outputs.push({ type: 'cell', cell: { circuit: this.#options.circuit, command, body, hasRoom: true } })
      } else if (output.type === 'message') this.#message(hop, output.message, now)
      else if (output.type === 'pong') this.#pong(hop, output.payload, now)
      else this.#outputs.push(output)
    }
  }

  #message(hop: number, message: Extract<EndOutput, { readonly type: 'message' }>['message'], now: Millis): void {
    const step = this.#step
    if (step === undefined || hop !== step.hop - 1) throw new MeshError('CIRCUIT_VIOLATION', { reason: `${message.type} that was not asked for` })
    if (message.type === 'extended') this.#finish(step, message.reply, now)
    else if (message.type === 'extendFailed') this.#fail('CIRCUIT_EXTEND_REFUSED', { hop: step.hop, reason: failureTexts[message.reason] })
  }

  /** Cells that are no EXTEND are early while some are left to be spent so. */
  #command(): RelayCellCommand {
    if (this.#blurred === 0) return cellCommands.relay
    this.#blurred--
    return cellCommands.relayEarly
  }

  // Time

  #heard(now: Millis): void {
    this.#heardAt = now
    this.#isProbing = false
  }

  #ping(hop: number, now: Millis): void {
    const end = this.#hops.end(hop)
    if (end === undefined) return
    const payload = this.#options.random.bytes(8)
    const [oldest] = this.#pings.keys()
    if (oldest !== undefined && this.#pings.size >= maxPings) this.#pings.delete(oldest)
    this.#pings.set(toHex(payload), { hop, at: now })
    this.#perform(hop, end.send({ type: 'ping', payload }), now)
  }

  #pong(hop: number, payload: Uint8Array, now: Millis): void {
    const key = toHex(payload)
    const ping = this.#pings.get(key)
    if (ping === undefined || ping.hop !== hop) return
    this.#pings.delete(key)
    this.#outputs.push({ type: 'pong', hop, rttMs: now - ping.at })
  }

  #wake(now: Millis): void {
    const { wakeAt } = this
    if (wakeAt === undefined || now < wakeAt) return
    if (this.#step !== undefined) return this.#timeout(this.#step, now)
    if (this.#isProbing) return this.#fail('CIRCUIT_DESTROYED', { reason: `its last hop did not answer for ${this.#probe.deadMs} ms` })
    const isSilent = now >= after(this.#heardAt, this.#probe.idleMs)
    this.#checkAt = isSilent ? after(now, this.#probe.deadMs - this.#probe.idleMs) : after(this.#heardAt, this.#probe.idleMs)
    if (!isSilent) return
    this.#isProbing = true
    this.#ping(this.#hops.count, now)
  }

  // Endings

  #timeout({ hop, startedAt }: Step, now: Millis): void {
    this.#end(new MeshError('CIRCUIT_BUILD_TIMEOUT', { hop, elapsedMs: now - startedAt, attempts: 1 }), { isTold: true, hop })
  }

  #destroyed(): void {
    const hop = this.#step?.hop
    const error =
      hop === undefined
        ? new MeshError('CIRCUIT_DESTROYED', { reason: 'a hop ended it' })
        : new MeshError('CIRCUIT_EXTEND_REFUSED', { hop, reason: 'the circuit was ended' })
    this.#end(error, { isTold: false, hop })
  }

  #lost(): void {
    const reason = 'the connection to its first hop ended'
    const hop = this.#step?.hop
    const error = hop === undefined ? new MeshError('CIRCUIT_DESTROYED', { reason }) : new MeshError('CIRCUIT_EXTEND_REFUSED', { hop, reason })
    this.#end(error, { isTold: false, hop: 1 })
  }

  /** What a hop sent, or a key that is none, ends the circuit under its own code or as a breach of the rules. */
  #failBy(error: unknown, hop: number): void {
    if (!(error instanceof MeshError)) throw error
    const isHandshake = isMeshError(error, 'CIRCUIT_HANDSHAKE_FAILED')
    const reason = `${error.details['reason'] ?? error.code}, at hop ${hop}`
    this.#fail(isHandshake ? 'CIRCUIT_HANDSHAKE_FAILED' : 'CIRCUIT_VIOLATION', { hop, reason })
  }

  #fail(code: ErrorCode, blame: Blame): void {
    this.#end(new MeshError(code, blame.hop === undefined ? { reason: blame.reason } : { hop: blame.hop, reason: blame.reason }), {
      isTold: true,
      hop: blame.hop
    })
  }

  /** @param how - `isTold`: whether the first hop hears of it; clients give no reason */
  #end(error: MeshError | undefined, how: { readonly isTold: boolean; readonly hop?: number | undefined }): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#step?.handshake.abandon()
    this.#step = undefined
    this.#hops.wipe()
    this.#pings.clear()
    if (how.isTold) this.#outputs.push({ type: 'cell', cell: destroyCell(this.#options.circuit, 'none', this.#options.random) })
    this.#outputs.push({ type: 'ended', error, hop: how.hop })
  }
}

const failureTexts: Readonly<Record<ExtendFailure, string>> = {
  unknown: 'the hop before does not know it',
  unreachable: 'the hop before does not reach it',
  refused: 'it refused',
  timeout: 'it did not answer the hop before'
}

function streamOutputs(end: CircuitEnd, input: Extract<CircuitInput, { readonly stream: number }>): readonly EndOutput[] {
  switch (input.type) {
    case 'open':
      return end.open(input.stream, input.protocol)
    case 'write':
      return end.write(input.stream, input.bytes)
    case 'end':
      return end.end(input.stream, input.reason)
    case 'consumed':
      return end.consumed(input.stream, input.bytes)
  }
}
