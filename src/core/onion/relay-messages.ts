import { concat, MeshError, type Random } from '../base/index.ts'
import { maxFrameCells } from './cell.ts'
import { checkedCommand, decodeMessage, encodeMessage, maxMessageBytes, type RawMessage, type RelayMessage } from './relay-message.ts'
import { cellSizes, type RelayCommand, relayCommands } from './types.ts'

/** u8 command ‖ u16 length. */
export const messageHeaderBytes = 3

/** What one cell brought. */
export interface AssembledCell {
  /** The messages that it completed, in order. */
  readonly messages: readonly AssembledMessage[]
  /** Whether any part of a DATA message was in it: such cells are those that flow control counts. */
  readonly carriesData: boolean
}

/** A message, and whether all cells that it came in were RELAY_EARLY. */
export interface AssembledMessage {
  readonly message: RelayMessage
  readonly early: boolean
}

/** A body that was packed, and whether any part of a DATA message is in it. */
export interface PackedCell {
  readonly body: Uint8Array
  readonly carriesData: boolean
}

/** Puts messages into the bodies of cells: several into one, one over several. One for each direction of a layer. */
export class MessagePacker {
  readonly #random: Random
  readonly #queue: RawMessage[] = []
  /** How much of the first message went out already, header not counted; undefined when it was not begun. */
  #begun: number | undefined
  /** Memory for the next bodies, how much of it is used, and how many are to come. */
  #block = new Uint8Array(0)
  #used = 0
  #expected = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** Whether something waits for the next cell. */
  get hasMessages(): boolean {
    return this.#queue.length > 0
  }

  /** Says that about so many cells follow at once: they get memory together, one behind the other. */
  expect(cells: number): void {
    this.#expected = Math.min(cells, maxFrameCells)
    if (this.#block.length - this.#used < this.#expected * cellSizes.cell) this.#used = this.#block.length
  }

  /** Queues a message. Its bytes must stay as they are until they are packed. */
  add(message: RelayMessage): void {
    this.#queue.push(encodeMessage(message))
  }

  /**
   * The next body: 16 zero bytes, then what is queued as far as it goes in, then what `fill` writes, the rest random.
   * @param fill - writes one whole message with its header at `at`, where more than a header has room, and returns where it ended; `at` when it has none
   */
  next(fill?: (body: Uint8Array, at: number) => number): PackedCell {
    const body = this.#memory()
    let at: number = cellSizes.recognised
    let carriesData = false
    for (let raw = this.#queue[0]; raw !== undefined && this.#fits(at); raw = this.#queue[0]) {
      carriesData ||= raw.command === relayCommands.data
      at = this.#put(raw, body, at)
    }
    while (fill !== undefined && this.#queue.length === 0 && at + messageHeaderBytes < body.length) {
      const end = fill(body, at)
      if (end === at) break
      carriesData ||= body[at] === relayCommands.data
      at = end
    }
    // The first byte of what is left stays 0: no message begins there.
    if (at + 1 < body.length) body.set(this.#random.bytes(body.length - at - 1), at + 1)
    return { body, carriesData }
  }

  /** Zero bytes for the next body, with room for a cell's header before them. */
  #memory(): Uint8Array {
    if (this.#used === this.#block.length) {
      this.#block = new Uint8Array(Math.max(1, this.#expected) * cellSizes.cell)
      this.#used = 0
    }
    const start = this.#used + cellSizes.header
    this.#used += cellSizes.cell
    this.#expected--
    return this.#block.subarray(start, this.#used)
  }

  /** A header is never split; the rest of a message that was begun always has its first byte's room. */
  #fits(at: number): boolean {
    return at + (this.#begun === undefined ? messageHeaderBytes : 1) <= cellSizes.body
  }

  #put(raw: RawMessage, body: Uint8Array, start: number): number {
    let at = start
    if (this.#begun === undefined) {
      at = writeHeader(body, at, { command: raw.command, length: raw.data.length })
      this.#begun = 0
    }
    const piece = raw.data.subarray(this.#begun, this.#begun + body.length - at)
    body.set(piece, at)
    this.#begun += piece.length
    if (this.#begun === raw.data.length) {
      this.#queue.shift()
      this.#begun = undefined
    }
    return at + piece.length
  }
}

/** Writes a message's header; returns where its data begin. */
export function writeHeader(body: Uint8Array, at: number, header: { readonly command: RelayCommand; readonly length: number }): number {
  body[at] = header.command
  body[at + 1] = header.length >>> 8
  body[at + 2] = header.length & 255
  return at + messageHeaderBytes
}

/** The bodies that carry `messages`, from the start of a cell. */
export function packMessages(messages: readonly RelayMessage[], random: Random): readonly Uint8Array[] {
  const packer = new MessagePacker(random)
  for (const message of messages) packer.add(message)
  const bodies: Uint8Array[] = []
  while (packer.hasMessages) bodies.push(packer.next().body)
  return bodies
}

/** A message of which more is to come. A header that promises much takes no memory, and pieces are copies: a view would hold the whole frame that it came in. */
interface Partial {
  readonly command: RelayCommand
  readonly pieces: Uint8Array[]
  missing: number
  early: boolean
}

/** Takes messages out of the bodies of cells. One for each direction of a layer; of no use after it threw. */
export class MessageAssembler {
  readonly #maxBytes: number
  #partial: Partial | undefined

  /** @param maxBytes - longer messages than these are refused, header not counted; by default 65,535. */
  constructor(maxBytes = maxMessageBytes) {
    this.#maxBytes = maxBytes
  }

  /**
   * Takes a recognised body of 1,016 bytes, which belongs to the messages from then on.
   * @throws {MeshError} MESSAGE_MALFORMED: an unknown command, a message that is too long or too short, or one that does not decode
   */
  take(body: Uint8Array, isEarly: boolean): AssembledCell {
    const messages: AssembledMessage[] = []
    let carriesData = this.#partial?.command === relayCommands.data
    let at: number = cellSizes.recognised
    if (this.#partial !== undefined) at = this.#continue(this.#partial, { body, isEarly, messages })
    while (at < body.length && body[at] !== 0) {
      const { command, length } = this.#header(body, at)
      carriesData ||= command === relayCommands.data
      at += messageHeaderBytes
      const data = body.subarray(at, at + length)
      at += length
      if (data.length === length) messages.push({ message: decodeMessage({ command, data }), early: isEarly })
      else this.#partial = { command, pieces: [data.slice()], missing: length - data.length, early: isEarly }
    }
    return { messages, carriesData }
  }

  #header(body: Uint8Array, at: number): { readonly command: RelayCommand; readonly length: number } {
    if (at + messageHeaderBytes > body.length) throw malformed('header that is cut off', at)
    const length = ((body[at + 1] ?? 0) << 8) | (body[at + 2] ?? 0)
    if (length > this.#maxBytes) throw malformed(`length ${length} over ${this.#maxBytes}`, at)
    return { command: checkedCommand(body[at] ?? 0, length), length }
  }

  /** Where the next message begins. */
  #continue(partial: Partial, cell: { readonly body: Uint8Array; readonly isEarly: boolean; readonly messages: AssembledMessage[] }): number {
    const start = cellSizes.recognised
    const piece = cell.body.subarray(start, start + partial.missing)
    partial.pieces.push(piece.slice())
    partial.missing -= piece.length
    partial.early &&= cell.isEarly
    if (partial.missing === 0) {
      this.#partial = undefined
      cell.messages.push({ message: decodeMessage({ command: partial.command, data: concat(...partial.pieces) }), early: partial.early })
    }
    return start + piece.length
  }
}

const malformed = (reason: string, offset: number): MeshError => new MeshError('MESSAGE_MALFORMED', { what: 'messages of a cell', reason, offset })
