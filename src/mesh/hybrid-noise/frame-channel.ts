import type { MessageStream } from '@libp2p/interface'
import { type Bytes, concat } from '../../core/base/index.ts'
import { type FailureReason, handshakeError } from './failures.ts'

const lengthBytes = 2
const none = new Uint8Array(0)

/** Bytes of a message that may come: fewer or more are refused before they are read, let alone computed with. */
export interface Bounds {
  readonly min: number
  readonly max: number
}

/** The messages of a handshake on a raw connection: each behind its length as u16, big-endian (libp2p/specs noise/README.md). */
export class FrameChannel {
  readonly #connection: MessageStream
  readonly #signal: AbortSignal
  #held: Uint8Array = none

  /** @param signal - the deadline of the whole handshake. */
  constructor(connection: MessageStream, signal: AbortSignal) {
    this.#connection = connection
    this.#signal = signal
  }

  /** What came behind the last message that was read; the channel is of no use after it. */
  rest(): Uint8Array {
    return this.#held
  }

  /** @throws {MeshError} HANDSHAKE_FAILED with reason `closed` or `timeout` */
  async write(message: Uint8Array): Promise<void> {
    const frame: Bytes = new Uint8Array(lengthBytes + message.length)
    frame[0] = message.length >>> 8
    frame[1] = message.length
    frame.set(message, lengthBytes)
    try {
      if (!this.#connection.send(frame)) await this.#connection.onDrain({ signal: this.#signal })
    } catch (cause) {
      throw handshakeError(this.#signal.aborted ? 'timeout' : 'closed', cause)
    }
  }

  /** The next message. @throws {MeshError} HANDSHAKE_FAILED with reason `length`, `closed` or `timeout` */
  async read(bounds: Bounds): Promise<Uint8Array> {
    let frame = this.#take(bounds)
    while (frame === undefined) {
      const end = await this.#more()
      if (end !== undefined) throw handshakeError(end)
      frame = this.#take(bounds)
    }
    return frame
  }

  /** Waits until the peer has ended the connection, or the time is over. */
  async ended(withinMs: number): Promise<void> {
    if (this.#connection.status !== 'open') return
    const late = AbortSignal.timeout(withinMs)
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#connection.removeEventListener('close', end)
        this.#connection.removeEventListener('remoteCloseWrite', end)
        late.removeEventListener('abort', end)
        this.#signal.removeEventListener('abort', end)
        resolve()
      }
      this.#connection.addEventListener('close', end)
      this.#connection.addEventListener('remoteCloseWrite', end)
      late.addEventListener('abort', end)
      this.#signal.addEventListener('abort', end)
    })
  }

  #take({ min, max }: Bounds): Uint8Array | undefined {
    if (this.#held.length < lengthBytes) return undefined
    const length = ((this.#held[0] ?? 0) << 8) | (this.#held[1] ?? 0)
    if (length < min || length > max) throw handshakeError('length')
    if (this.#held.length < lengthBytes + length) return undefined
    const frame = this.#held.subarray(lengthBytes, lengthBytes + length)
    this.#held = this.#held.subarray(lengthBytes + length)
    return frame
  }

  /** Waits for bytes; why there are none to come, otherwise. What arrives while nobody listens stays in the connection. */
  #more(): Promise<FailureReason | undefined> {
    const connection = this.#connection
    return new Promise((resolve) => {
      const finish = (end?: FailureReason): void => {
        connection.removeEventListener('message', onMessage)
        connection.removeEventListener('close', onClose)
        connection.removeEventListener('remoteCloseWrite', onClose)
        this.#signal.removeEventListener('abort', onAbort)
        resolve(end)
      }
      const onMessage = ({ data }: { readonly data: Uint8Array | { subarray(): Uint8Array } }): void => {
        this.#held = this.#held.length === 0 ? data.subarray() : concat(this.#held, data.subarray())
        finish()
      }
      const onClose = (): void => finish('closed')
      const onAbort = (): void => finish('timeout')
      if (this.#signal.aborted) return onAbort()
      connection.addEventListener('message', onMessage)
      connection.addEventListener('close', onClose)
      connection.addEventListener('remoteCloseWrite', onClose)
      this.#signal.addEventListener('abort', onAbort)
      // What came before the end is handed over in the microtask before this one.
      if (connection.status !== 'open') queueMicrotask(onClose)
      return undefined
    })
  }
}
