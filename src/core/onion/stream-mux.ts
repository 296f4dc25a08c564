import { byteLength, MeshError, type Pieces } from '../base/index.ts'
import type { RelayMessage } from './relay-message.ts'
import { messageHeaderBytes, writeHeader } from './relay-messages.ts'
import { circuitWindow, cellSizes, relayCommands } from './types.ts'

/** Why a stream ended. Others than these are read as `broken`. */
export const streamEndReasons = { done: 0, broken: 1, refused: 2 } as const
export type StreamEndReason = keyof typeof streamEndReasons

/** Bounds of the streams of one circuit. */
export const streamLimits = {
  /** Streams at one time; a BEGIN beyond is refused. */
  streams: 8,
  /** Received and not consumed yet, in bytes of one stream: above `xoffBytes` the sender is stopped, below `xonBytes` it may go on. */
  xoffBytes: 262_144,
  xonBytes: 65_536,
  /** Written and not sent yet, in bytes of one stream: `full` above the first, `drained` at the second. */
  fullBytes: 262_144,
  drainedBytes: 131_072
} as const

/** After XOFF comes what was under way: a window, and the cells that no SENDME acknowledged yet. More breaks the rules. */
const maxHeldBytes = streamLimits.xoffBytes + (circuitWindow.cells + circuitWindow.sendmeEvery) * cellSizes.plain

/** What a circuit's streams tell whoever uses them. */
export type StreamOutput =
  /** The other end opened a stream, and was told that it is connected. */
  | { readonly type: 'begin'; readonly stream: number; readonly protocol: string }
  | { readonly type: 'connected'; readonly stream: number }
  /** The bytes belong to whoever gets them; `consumed` says when they are used up. They may be part of a frame of up to 64,512 bytes: who keeps them copies them. */
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  /** `done`: nothing more comes, but we may go on writing. Otherwise the stream is gone. */
  | { readonly type: 'end'; readonly stream: number; readonly reason: StreamEndReason }
  /** Much is written and not sent: write no more until `drained`. */
  | { readonly type: 'full' | 'drained'; readonly stream: number }

/** The messages that belong to streams. */
export type StreamMessage = Extract<RelayMessage, { readonly stream: number }>

interface Stream {
  readonly id: number
  readonly pieces: Uint8Array[]
  /** How much of the first piece went out. */
  sent: number
  pendingBytes: number
  isFull: boolean
  /** The other end said XOFF. */
  isStopped: boolean
  /** We have nothing more to write; END goes out after what is pending. */
  isEnding: boolean
  endSent: boolean
  peerEnded: boolean
  heldBytes: number
  xoffSent: boolean
}

export interface StreamMuxOptions {
  /** Clients open streams, the other end serves them. */
  readonly role: 'client' | 'relay'
  /** The names of protocols that are served; a BEGIN of others is refused. Empty for clients, and for relays that are no endpoint. */
  readonly protocols: readonly string[]
  /** Sends a message that is not DATA. */
  readonly send: (message: StreamMessage) => void
  readonly output: (output: StreamOutput) => void
}

const maxStream = 65_535

const violation = (reason: string): MeshError => new MeshError('CIRCUIT_VIOLATION', { reason })

/** The streams of one end of a circuit. */
export class StreamMux {
  readonly #options: StreamMuxOptions
  readonly #streams = new Map<number, Stream>()
  /** Streams are numbered upwards and never again: what comes for one up to here that is gone is of before its end. */
  #highest = 0

  constructor(options: StreamMuxOptions) {
    this.#options = options
  }

  /** How many streams there are. */
  get size(): number {
    return this.#streams.size
  }

  /** Whether `fill` has something for a cell. */
  get hasData(): boolean {
    for (const stream of this.#streams.values()) if (isReady(stream)) return true
    return false
  }

  /** Cells that `fill` has something for, about. */
  get waitingCells(): number {
    let bytes = 0
    for (const stream of this.#streams.values()) if (isReady(stream)) bytes += stream.pendingBytes
    return Math.ceil(bytes / (cellSizes.plain - messageHeaderBytes - 2))
  }

  /** Opens a stream, as a client. What is written before `connected` comes goes out at once. `stream` is above all before, at most 65,535. */
  open(stream: number, protocol: string): void {
    if (stream <= this.#highest || stream > maxStream) throw new MeshError('INTERNAL', { reason: `stream ${stream} after stream ${this.#highest}` })
    this.#streams.set(stream, newStream(stream))
    this.#highest = stream
    this.#options.send({ type: 'begin', stream, protocol })
  }

  /** Queues bytes, which must stay as they are; those for a stream that is gone are dropped. */
  write(id: number, bytes: Pieces): void {
    const stream = this.#streams.get(id)
    if (stream === undefined || stream.isEnding) return
    for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) if (piece.length > 0) stream.pieces.push(piece)
    stream.pendingBytes += byteLength(bytes)
    if (stream.isFull || stream.pendingBytes <= streamLimits.fullBytes) return
    stream.isFull = true
    this.#options.output({ type: 'full', stream: id })
  }

  /** Ends our side after what is pending (`done`), or breaks the stream off at once. */
  end(id: number, reason: StreamEndReason): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    if (reason !== 'done') {
      this.#streams.delete(id)
      this.#options.send({ type: 'end', stream: id, reason: streamEndReasons[reason] })
      return
    }
    if (stream.isEnding) return
    stream.isEnding = true
    if (stream.pendingBytes > 0) return
    this.#options.send({ type: 'end', stream: id, reason: streamEndReasons.done })
    this.#ended(stream)
  }

  /** Says that `bytes` of what `data` gave are used up. */
  consumed(id: number, bytes: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    stream.heldBytes -= bytes
    if (!stream.xoffSent || stream.heldBytes >= streamLimits.xonBytes) return
    stream.xoffSent = false
    this.#options.send({ type: 'xon', stream: id })
  }

  /** Takes a message of the other end. @throws {MeshError} CIRCUIT_VIOLATION */
  take(message: StreamMessage): void {
    if (message.type === 'begin') return this.#begin(message.stream, message.protocol)
    const stream = this.#streams.get(message.stream)
    if (stream !== undefined) return this.#takeOf(stream, message)
    if (message.stream > this.#highest) throw violation(`${message.type} of a stream that was never opened`)
  }

  /**
   * Writes the next message of a stream at `at`: DATA as much as goes in, or an END that waited for it.
   * Streams take turns. Returns where it ended, `at` when there is none.
   */
  fill(body: Uint8Array, at: number): number {
    const room = body.length - at - messageHeaderBytes - 2
    for (const stream of this.#streams.values()) {
      if (!isReady(stream)) continue
      if (room < 1) return at
      return stream.pendingBytes > 0 ? this.#fillData(stream, body, at) : this.#fillEnd(stream, body, at)
    }
    return at
  }

  #begin(id: number, protocol: string): void {
    const { role, protocols, send, output } = this.#options
    if (role === 'client') throw violation('BEGIN towards a client')
    if (id <= this.#highest) throw violation('BEGIN of a stream that was opened before')
    this.#highest = id
    if (!protocols.includes(protocol) || this.#streams.size >= streamLimits.streams) {
      return send({ type: 'end', stream: id, reason: streamEndReasons.refused })
    }
    this.#streams.set(id, newStream(id))
    send({ type: 'connected', stream: id })
    output({ type: 'begin', stream: id, protocol })
  }

  #takeOf(stream: Stream, message: Exclude<StreamMessage, { readonly type: 'begin' }>): void {
    switch (message.type) {
      case 'connected':
        if (this.#options.role === 'relay') throw violation('CONNECTED towards a relay')
        return this.#options.output({ type: 'connected', stream: stream.id })
      case 'data':
        return this.#data(stream, message.bytes)
      case 'end':
        return this.#peerEnd(stream, message.reason)
      case 'xoff':
      case 'xon':
        stream.isStopped = message.type === 'xoff'
    }
  }

  #data(stream: Stream, bytes: Uint8Array): void {
    if (stream.peerEnded) throw violation('DATA after END')
    if (bytes.length === 0) return
    stream.heldBytes += bytes.length
    if (stream.heldBytes > maxHeldBytes) throw violation('DATA after XOFF')
    if (!stream.xoffSent && stream.heldBytes > streamLimits.xoffBytes) {
      stream.xoffSent = true
      this.#options.send({ type: 'xoff', stream: stream.id })
    }
    this.#options.output({ type: 'data', stream: stream.id, bytes })
  }

  #peerEnd(stream: Stream, code: number): void {
    if (stream.peerEnded && code === streamEndReasons.done) throw violation('END after END')
    const reason = code === streamEndReasons.done ? 'done' : code === streamEndReasons.refused ? 'refused' : 'broken'
    stream.peerEnded = true
    if (reason !== 'done' || stream.endSent) this.#streams.delete(stream.id)
    this.#options.output({ type: 'end', stream: stream.id, reason })
  }

  #fillData(stream: Stream, body: Uint8Array, at: number): number {
    const length = Math.min(stream.pendingBytes, body.length - at - messageHeaderBytes - 2)
    const start = writeStream(body, writeHeader(body, at, { command: relayCommands.data, length: 2 + length }), stream.id)
    const end = start + length
    takeBytes(stream, body.subarray(start, end))
    stream.pendingBytes -= length
    this.#turn(stream)
    if (stream.isFull && stream.pendingBytes <= streamLimits.drainedBytes) {
      stream.isFull = false
      this.#options.output({ type: 'drained', stream: stream.id })
    }
    return end
  }

  #fillEnd(stream: Stream, body: Uint8Array, at: number): number {
    const to = writeStream(body, writeHeader(body, at, { command: relayCommands.end, length: 3 }), stream.id)
    body[to] = streamEndReasons.done
    this.#ended(stream)
    return to + 1
  }

  #ended(stream: Stream): void {
    stream.endSent = true
    if (stream.peerEnded) this.#streams.delete(stream.id)
  }

  /** The next cell begins with another stream. */
  #turn(stream: Stream): void {
    if (this.#streams.size < 2) return
    this.#streams.delete(stream.id)
    this.#streams.set(stream.id, stream)
  }
}

const newStream = (id: number): Stream => ({
  id,
  pieces: [],
  sent: 0,
  pendingBytes: 0,
  isFull: false,
  isStopped: false,
  isEnding: false,
  endSent: false,
  peerEnded: false,
  heldBytes: 0,
  xoffSent: false
})

const isReady = (stream: Stream): boolean => (stream.pendingBytes > 0 ? !stream.isStopped : stream.isEnding && !stream.endSent)

function writeStream(body: Uint8Array, at: number, id: number): number {
  body[at] = id >>> 8
  body[at + 1] = id & 255
  return at + 2
}

/** Fills `target` with the next bytes of what is pending. */
function takeBytes(stream: Stream, target: Uint8Array): void {
  let at = 0
  for (let piece = stream.pieces[0]; piece !== undefined && at < target.length; piece = stream.pieces[0]) {
    const part = piece.subarray(stream.sent, stream.sent + target.length - at)
    target.set(part, at)
    at += part.length
    stream.sent += part.length
    if (stream.sent < piece.length) return
    stream.pieces.shift()
    stream.sent = 0
  }
}
