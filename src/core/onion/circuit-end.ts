import { MeshError, type Pieces, type Random } from '../base/index.ts'
import { ReceiveWindow, SendWindow } from './flow-window.ts'
import type { RelayMessage } from './relay-message.ts'
import { MessageAssembler, MessagePacker } from './relay-messages.ts'
import { type StreamEndReason, type StreamMessage, StreamMux, type StreamOutput } from './stream-mux.ts'
import { cellCommands } from './types.ts'

/** A RELAY or RELAY_EARLY cell's command. */
export type RelayCellCommand = typeof cellCommands.relay | typeof cellCommands.relayEarly

/** The layers between the two ends, as one of them sees them. */
export interface EndLayers {
  /**
   * Encrypts a body towards the other end, in place: at a relay its backward layer's `originate`, at a client `decrypt` of the forward layers, from the hop to the first.
   * Called once for each cell that the end gives out, in their order.
   */
  readonly seal: (command: RelayCellCommand, body: Uint8Array) => void
  /** `CellLayer.tag()` of the layer that `seal` moved on: at a relay its backward one, at a client the forward one of that hop. */
  readonly sentTag: () => Uint8Array
  /** `CellLayer.tag()` of the layer that the received cell moved on. */
  readonly receivedTag: () => Uint8Array
}

export type EndOutput =
  /** Goes to the neighbour, after all that were given out before. The body has room for its header before it, and lies behind the one before where it can. */
  | { readonly type: 'cell'; readonly command: RelayCellCommand; readonly body: Uint8Array }
  /** What the owner of the circuit answers: at a relay `extend` (all of it came in RELAY_EARLY), at a client the others. */
  | { readonly type: 'message'; readonly message: Extract<RelayMessage, { readonly type: 'extend' | 'extended' | 'extendFailed' }> }
  /** 8 bytes of a `ping` came back. */
  | { readonly type: 'pong'; readonly payload: Uint8Array }
  | StreamOutput

export interface CircuitEndOptions {
  readonly role: 'client' | 'relay'
  readonly layers: EndLayers
  readonly random: Random
  /** The names of protocols whose streams are served: none at clients, and at relays that are no endpoint. */
  readonly protocols?: readonly string[]
  /** Which command the next cell goes out with; RELAY by default. EXTEND always is RELAY_EARLY. */
  readonly command?: () => RelayCellCommand
}

/** No message to a relay that serves no streams is longer than EXTEND. */
const maxControlBytes = 2_000

/**
 * What both ends of a layer run over it: messages in cells, streams, flow control, ping. The owner peels the layers, and ends the circuit when anything here throws
 * (CIRCUIT_VIOLATION, MESSAGE_MALFORMED): the end is of no use afterwards. Each method returns what shall happen: first the cells, in the order in which they were sealed
 * and must be sent, then the rest, so that whoever acts on an output by calling the end again sends nothing out of order.
 */
export class CircuitEnd {
  readonly #options: CircuitEndOptions
  readonly #assembler: MessageAssembler
  readonly #packer: MessagePacker
  readonly #streams: StreamMux
  readonly #sending = new SendWindow()
  readonly #receiving = new ReceiveWindow()
  #cells: EndOutput[] = []
  #outputs: EndOutput[] = []

  constructor(options: CircuitEndOptions) {
    const { role, random, protocols = [] } = options
    this.#options = options
    this.#packer = new MessagePacker(random)
    this.#assembler = new MessageAssembler(role === 'relay' && protocols.length === 0 ? maxControlBytes : undefined)
    this.#streams = new StreamMux({
      role,
      protocols,
      send: (message) => this.#packer.add(message),
      output: (output) => this.#outputs.push(output)
    })
  }

  /** How many streams are open. */
  get streams(): number {
    return this.#streams.size
  }

  /**
   * Takes a recognised body. It is called before the layer takes the next cell, since SENDME tags are of the layer as it is now.
   * @throws {MeshError} CIRCUIT_VIOLATION, MESSAGE_MALFORMED
   */
  receive(command: RelayCellCommand, body: Uint8Array): readonly EndOutput[] {
    const { messages, carriesData } = this.#assembler.take(body, command === cellCommands.relayEarly)
    const tag = carriesData ? this.#receiving.received(this.#options.layers.receivedTag) : undefined
    if (tag !== undefined) this.#packer.add({ type: 'sendme', tag })
    for (const { message, early } of messages) this.#take(message, early)
    return this.#flush()
  }

  /** Sends EXTEND (in RELAY_EARLY), EXTENDED, EXTEND_FAILED, a DROP, or a PING, whose 8 bytes come back with `pong`. */
  send(message: Exclude<RelayMessage, StreamMessage | { readonly type: 'sendme' }>): readonly EndOutput[] {
    this.#packer.add(message)
    return message.type === 'extend' ? this.#flush(cellCommands.relayEarly) : this.#flush()
  }

  /** Opens a stream: `stream` is above all before, at most 65,535. Bytes may be written at once. `connected` or `end` follow. */
  open(stream: number, protocol: string): readonly EndOutput[] {
    this.#streams.open(stream, protocol)
    return this.#flush()
  }

  /** Writes to a stream. The bytes must stay as they are; those for a stream that is gone are dropped. */
  write(stream: number, bytes: Pieces): readonly EndOutput[] {
    this.#streams.write(stream, bytes)
    return this.#flush()
  }

  /** Ends our side of a stream after what was written (`done`), or breaks it off. */
  end(stream: number, reason: StreamEndReason): readonly EndOutput[] {
    this.#streams.end(stream, reason)
    return this.#flush()
  }

  /** Says that `bytes` of what `data` gave are used up, so that the other end may send more. */
  consumed(stream: number, bytes: number): readonly EndOutput[] {
    this.#streams.consumed(stream, bytes)
    return this.#flush()
  }

  #take(message: RelayMessage, early: boolean): void {
    switch (message.type) {
      case 'drop':
        return
      case 'sendme':
        return this.#sending.sendme(message.tag)
      case 'ping':
        return this.#packer.add({ type: 'pong', payload: message.payload })
      case 'pong':
        this.#outputs.push({ type: 'pong', payload: message.payload })
        return
      case 'extend':
      case 'extended':
      case 'extendFailed':
        return this.#takeOfOwner(message, early)
      default:
        this.#streams.take(message)
    }
  }

  #takeOfOwner(message: Extract<RelayMessage, { readonly type: 'extend' | 'extended' | 'extendFailed' }>, early: boolean): void {
    const isToRelay = message.type === 'extend'
    if (isToRelay !== (this.#options.role === 'relay')) throw new MeshError('CIRCUIT_VIOLATION', { reason: `${message.type} in the wrong direction` })
    if (isToRelay && !early) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'EXTEND outside of RELAY_EARLY' })
    this.#outputs.push({ type: 'message', message })
  }

  /** Makes cells of all that may go out now, and hands over what shall happen. */
  #flush(command?: RelayCellCommand): readonly EndOutput[] {
    this.#packer.expect(Math.min(this.#sending.room, this.#streams.waitingCells))
    while (this.#packer.hasMessages || (this.#sending.isOpen && this.#streams.hasData)) this.#cell(command)
    const [cells, outputs] = [this.#cells, this.#outputs]
    this.#cells = []
    this.#outputs = []
    return cells.length === 0 ? outputs : cells.concat(outputs)
  }

  #cell(fixed: RelayCellCommand | undefined): void {
    const { layers, command: chosen } = this.#options
    const { body, carriesData } = this.#packer.next(this.#sending.isOpen ? this.#fill : undefined)
    const command = fixed ?? chosen?.() ?? cellCommands.relay
    layers.seal(command, body)
    if (carriesData) this.#sending.sent(layers.sentTag)
    this.#cells.push({ type: 'cell', command, body })
  }

  readonly #fill = (body: Uint8Array, at: number): number => this.#streams.fill(body, at)
}
