import type { AbortOptions, MessageStream, StreamCloseEvent } from '@libp2p/interface'
import { StreamMessageEvent } from '@libp2p/interface'
import { AbstractMessageStream } from '@libp2p/utils'
import { type AeadKey, MeshError } from '../../core/base/index.ts'
import { counterNonce, maxMessageBytes, nonceLimit, setCounter } from '../../core/noise/index.ts'
import { RecordParser } from './record-parser.ts'

const lengthBytes = 2
const tagBytes = 16
const maxPlaintextBytes = maxMessageBytes - tagBytes
const none = new Uint8Array(0)

/** What libp2p sends and receives: bytes in one piece or in several. */
type Data = Parameters<MessageStream['send']>[0]

export interface RecordKeys {
  readonly send: AeadKey
  readonly receive: AeadKey
}

/**
 * What a connection is after the handshake: records of u16 length, ciphertext and tag. All records of one send leave in one piece, and what comes is taken apart
 * without exceptions and, where a record came in one piece, without copies. Back-pressure and ends are those of the connection below.
 */
export class RecordStream extends AbstractMessageStream {
  readonly #connection: MessageStream
  readonly #parser = new RecordParser()
  readonly #sendNonce = counterNonce()
  readonly #receiveNonce = counterNonce()
  #sendKey: AeadKey | undefined
  #receiveKey: AeadKey | undefined
  #sent = 0
  #received = 0

  /** @param rest - what came behind the handshake already. */
  constructor(connection: MessageStream, keys: RecordKeys, rest: Uint8Array = none) {
    super({
      log: connection.log,
      inactivityTimeout: connection.inactivityTimeout,
      maxReadBufferLength: connection.maxReadBufferLength,
      direction: connection.direction
    })
    this.#connection = connection
    this.#sendKey = keys.send
    this.#receiveKey = keys.receive
    this.addEventListener('close', () => this.#forgetKeys())
    if (rest.length > 0) this.#receive(rest)
    connection.addEventListener('message', ({ data }) => this.#receive(data))
    connection.addEventListener('close', (event) => this.#end(event))
    connection.addEventListener('drain', () => void this.safeDispatchEvent('drain'))
    connection.addEventListener('remoteCloseWrite', () => this.onRemoteCloseWrite())
  }

  /** As the base class does it, without its lists when nothing waits. */
  override send(data: Data): boolean {
    const isQueued = this.sendingData || this.writableNeedsDrain || this.writeStatus !== 'writable' || this.writeBuffer.byteLength > 0
    if (isQueued || data.byteLength === 0) return super.send(data)
    const canSendMore = this.#transmit(data)
    if (!canSendMore) this.writableNeedsDrain = true
    if (this.listenerCount('idle') > 0) this.safeDispatchEvent('idle')
    return canSendMore
  }

  sendData(data: Data): { sentBytes: number; canSendMore: boolean } {
    // The base class consumes the list when it is sent.
    const sentBytes = data.byteLength
    return { sentBytes, canSendMore: this.#connection.send(this.#seal(data)) }
  }

  sendReset(error: Error): void {
    this.#connection.abort(error)
  }

  sendPause(): void {
    this.#connection.pause()
  }

  sendResume(): void {
    this.#connection.resume()
  }

  close(options?: AbortOptions): Promise<void> {
    return this.#connection.close(options)
  }

  #transmit(data: Data): boolean {
    try {
      return this.#connection.send(this.#seal(data))
    } catch (error) {
      this.abort(asError(error))
      throw error
    }
  }

  /** Every record of `data` in one array. */
  #seal(data: Data): Uint8Array {
    const key = this.#sendKey
    if (key === undefined) throw closed()
    const length = data.byteLength
    const records = Math.ceil(length / maxPlaintextBytes)
    const output = new Uint8Array(length + records * (lengthBytes + tagBytes))
    const pieces = data instanceof Uint8Array ? [data] : [...data]
    for (let record = 0, offset = 0; record < records; record++) {
      const plaintext = records === 1 ? pieces : takeBytes(pieces, Math.min(maxPlaintextBytes, length - record * maxPlaintextBytes))
      const size = (records === 1 ? length : lengthOf(plaintext)) + tagBytes
      output[offset] = size >>> 8
      output[offset + 1] = size
      const start = offset + lengthBytes
      offset = start + size
      this.#sent = advance(this.#sendNonce, this.#sent)
      key.sealInto(output.subarray(start, offset), { nonce: this.#sendNonce, ad: none, plaintext })
    }
    return output
  }

  #receive(data: Data): void {
    try {
      const records = data instanceof Uint8Array ? this.#parser.push(data) : [...data].flatMap((piece) => this.#parser.push(piece))
      if (records.length === 1) this.#deliver(this.#open(records[0] ?? none))
      else if (records.length > 0) this.#deliverAll(records)
    } catch (error) {
      this.abort(asError(error))
    }
    if (this.status !== 'open') this.#forgetKeys()
  }

  #open(record: Uint8Array): Uint8Array {
    const key = this.#receiveKey
    if (key === undefined) throw closed()
    this.#received = advance(this.#receiveNonce, this.#received)
    return key.open(this.#receiveNonce, none, record)
  }

  /** As onData of the base class, without its lists when nothing waits. */
  #deliver(plaintext: Uint8Array): void {
    const isPlain = this.readStatus === 'readable' && this.remoteWriteStatus === 'writable' && this.readBuffer.byteLength === 0
    if (plaintext.length === 0) return
    if (!isPlain || this.listenerCount('message') === 0) {
      this.onData(plaintext)
      return
    }
    this.dispatchEvent(new StreamMessageEvent(plaintext))
    // The peer may have ended while its last bytes were taken: the base class then ends the readable side.
    if (this.remoteWriteStatus !== 'writable') this.dispatchReadBuffer()
  }

  /** What came together is handed over together: what was sound before a bad record, too. */
  #deliverAll(records: readonly Uint8Array[]): void {
    const isReading = this.readStatus === 'readable' || this.readStatus === 'paused'
    try {
      for (const record of records) {
        const plaintext = this.#open(record)
        if (isReading && plaintext.length > 0) this.readBuffer.append(plaintext)
      }
    } finally {
      if (this.readBuffer.byteLength > 0) this.dispatchReadBuffer()
    }
  }

  #end({ error, local }: StreamCloseEvent & { readonly error?: Error; readonly local?: boolean }): void {
    if (error === undefined) this.onTransportClosed()
    else if (local === true) this.abort(error)
    else this.onRemoteReset()
  }

  /** Nothing is sent any more; what the connection still holds, while it is paused, can be read. */
  #forgetKeys(): void {
    this.#sendKey = undefined
    if (this.#connection.readBufferLength === 0) this.#receiveKey = undefined
  }
}

/** Writes the counter into the nonce; returns the next one. @throws {MeshError} HANDSHAKE_FAILED when the key has been used up */
function advance(nonce: Uint8Array, count: number): number {
  if (count >= nonceLimit) throw new MeshError('HANDSHAKE_FAILED', { reason: 'nonce' })
  setCounter(nonce, count)
  return count + 1
}

/** Removes `length` bytes from the front of `pieces`. */
function takeBytes(pieces: Uint8Array[], length: number): readonly Uint8Array[] {
  const taken: Uint8Array[] = []
  for (let left = length; left > 0;) {
    const piece = pieces.shift() ?? none
    if (piece.length > left) pieces.unshift(piece.subarray(left))
    taken.push(piece.length > left ? piece.subarray(0, left) : piece)
    left -= Math.min(left, piece.length)
  }
  return taken
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  let length = 0
  for (const piece of pieces) length += piece.length
  return length
}

const closed = (): MeshError => new MeshError('HANDSHAKE_FAILED', { reason: 'closed' })
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
