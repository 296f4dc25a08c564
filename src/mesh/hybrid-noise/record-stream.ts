import type { AbortOptions, MessageStream, StreamCloseEvent } from '@libp2p/interface'
import { StreamMessageEvent } from '@libp2p/interface'
import { AbstractMessageStream } from '@libp2p/utils'
import { type AeadKey, MeshError, joinSmall } from '../../core/base/index.ts'
import { NonceCounter, maxMessageBytes } from '../../core/noise/index.ts'
import { messageOf } from '../piece-list.ts'
import { RecordParser } from './record-parser.ts'

const lengthBytes = 2
const tagBytes = 16
const maxPlaintextBytes = maxMessageBytes - tagBytes
/** From here on a copy costs more than a write in pieces. */
const piecesFrom = 8_192
const none = new Uint8Array(0)

/** What libp2p sends and receives: bytes in one piece or in several. */
type Data = Parameters<MessageStream['send']>[0]
type QueuedData = Exclude<Data, Uint8Array>

export interface RecordStreamOptions {
  readonly send: AeadKey
  readonly receive: AeadKey
  /** What came behind the handshake already. */
  readonly rest: Uint8Array
  /** An array whose content does not matter: all of it is written. */
  readonly allocate: (bytes: number) => Uint8Array
  /** Whether the connection writes a list of pieces as fast as one array. */
  readonly sendsPieces: boolean
}

/**
 * What a connection is after the handshake: records of u16 length, ciphertext and tag. What is sent within one turn of the microtask queue leaves together, in
 * records that are as full as they can be without a cut in what was sent at once: a call into the cipher costs as much as a kilobyte, a write to a socket ten times that. What comes is taken apart without exceptions and, where
 * a record came in one piece, without copies. Back-pressure and ends are those of the connection below.
 */
export class RecordStream extends AbstractMessageStream {
  readonly #connection: MessageStream
  readonly #parser = new RecordParser((record) => this.#take(record))
  readonly #sendNonces = new NonceCounter()
  readonly #receiveNonces = new NonceCounter()
  readonly #allocate: (bytes: number) => Uint8Array
  readonly #sendsPieces: boolean
  #sendKey: AeadKey | undefined
  #receiveKey: AeadKey | undefined
  /** Sent in this turn, and not yet sealed. */
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  /** Opened from what is taken apart at the moment. */
  #opened: Uint8Array[] = []

  constructor(connection: MessageStream, { send, receive, rest, allocate, sendsPieces }: RecordStreamOptions) {
    super({
      log: connection.log,
      inactivityTimeout: connection.inactivityTimeout,
      maxReadBufferLength: connection.maxReadBufferLength,
      direction: connection.direction
    })
    this.#connection = connection
    this.#sendKey = send
    this.#receiveKey = receive
    this.#allocate = allocate
    this.#sendsPieces = sendsPieces
    this.addEventListener('close', () => this.#forgetKeys())
    if (rest.length > 0) this.#receive(rest)
    connection.addEventListener('message', ({ data }) => this.#receive(data))
    connection.addEventListener('close', (event) => this.#end(event))
    connection.addEventListener('drain', () => void this.safeDispatchEvent('drain'))
    connection.addEventListener('remoteCloseWrite', () => this.onRemoteCloseWrite())
  }

  /** As the base class does it, but a moment later, and without its lists when nothing waits. */
  override send(data: Data): boolean {
    // What fits into one record is not spread over two: the other side would have to put it together.
    if (this.#pendingBytes > 0 && this.#pendingBytes + data.byteLength > maxPlaintextBytes) this.#flush()
    const isQueued = this.sendingData || this.writableNeedsDrain || this.writeStatus !== 'writable' || this.writeBuffer.byteLength > 0
    if (isQueued || this.#connection.status !== 'open' || data.byteLength === 0 || data.byteLength > maxPlaintextBytes) {
      this.#flush()
      return super.send(data)
    }
    if (this.#pendingBytes === 0) queueMicrotask(() => this.#flush())
    if (data instanceof Uint8Array) this.#pending.push(data)
    else for (const piece of data) this.#pending.push(piece)
    this.#pendingBytes += data.byteLength
    if (this.#pendingBytes >= maxPlaintextBytes) this.#flush()
    return !this.writableNeedsDrain
  }

  /** Called by the base class for what waited; it keeps what is not sent. A record is sealed when the connection takes it: sealed ones that wait are memory. */
  sendData(data: QueuedData): { sentBytes: number; canSendMore: boolean } {
    const plaintext = data.byteLength <= maxPlaintextBytes ? data : data.sublist(0, maxPlaintextBytes)
    return { sentBytes: plaintext.byteLength, canSendMore: this.#connection.send(this.#seal([...plaintext], plaintext.byteLength)) }
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

  async close(options?: AbortOptions): Promise<void> {
    this.#flush()
    await this.#connection.close(options)
  }

  /** Seals what was sent in this turn, and hands it down. */
  #flush(): void {
    const [pieces, length] = [this.#pending, this.#pendingBytes]
    if (length === 0) return
    this.#pending = []
    this.#pendingBytes = 0
    // Whoever ends the connection below in the same turn ends what was not sent.
    if (this.writeStatus === 'closed' || this.#connection.status !== 'open') return
    try {
      if (!this.#connection.send(this.#seal(pieces, length))) this.writableNeedsDrain = true
    } catch (error) {
      this.abort(asError(error))
    }
    if (this.listenerCount('idle') > 0) this.safeDispatchEvent('idle')
  }

  /** The next record, of `length` bytes of plaintext: as the cipher hands it out, or in one array. */
  #seal(plaintext: readonly Uint8Array[], length: number): Data {
    const key = this.#sendKey
    if (key === undefined) throw closed()
    const size = length + tagBytes
    const prefix = [size >>> 8, size & 255]
    const nonce = this.#sendNonces.next()
    if (this.#sendsPieces && length >= piecesFrom) {
      const sealed = key.sealPieces({ nonce, ad: none, plaintext: joinSmall(plaintext) })
      return messageOf(this.#connection, joinSmall([new Uint8Array(prefix), ...sealed]))
    }
    const record = this.#allocate(lengthBytes + size)
    record.set(prefix)
    key.sealInto(record.subarray(lengthBytes), { nonce, ad: none, plaintext })
    return record
  }

  #receive(data: Data): void {
    try {
      if (data instanceof Uint8Array) this.#parser.push(data)
      else for (const piece of data) this.#parser.push(piece)
      this.#deliver()
    } catch (error) {
      // What was sound before a bad record is handed over.
      this.#deliver()
      this.abort(asError(error))
    }
    if (this.status !== 'open') this.#forgetKeys()
  }

  #take(record: Uint8Array): void {
    const plaintext = this.#open(record)
    if (plaintext.length > 0) this.#opened.push(plaintext)
  }

  #open(record: Uint8Array): Uint8Array {
    const key = this.#receiveKey
    if (key === undefined) throw closed()
    return key.open(this.#receiveNonces.next(), none, record)
  }

  /** As onData of the base class, without its lists when nothing waits. What came together is handed over together. */
  #deliver(): void {
    const opened = this.#opened
    const [first] = opened
    if (first === undefined) return
    this.#opened = []
    const isPlain = this.readStatus === 'readable' && this.remoteWriteStatus === 'writable' && this.readBuffer.byteLength === 0
    if (opened.length === 1 && isPlain && this.listenerCount('message') > 0) {
      this.dispatchEvent(new StreamMessageEvent(first))
      // The peer may have ended while its last bytes were taken: the base class then ends the readable side.
      if (this.remoteWriteStatus !== 'writable') this.dispatchReadBuffer()
    } else if (this.readStatus === 'readable' || this.readStatus === 'paused') {
      for (const plaintext of opened) this.readBuffer.append(plaintext)
      this.dispatchReadBuffer()
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
    this.#pending = []
    this.#pendingBytes = 0
    if (this.#connection.readBufferLength === 0) this.#receiveKey = undefined
  }
}

const closed = (): MeshError => new MeshError('HANDSHAKE_FAILED', { reason: 'closed' })
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
