import type { AbortOptions, Logger, MessageStreamDirection } from '@libp2p/interface'
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { toMeshError } from '../../core/base/index.ts'
import { maxChannelMessageBytes } from '../../core/nat/index.ts'
import type { IceChannel } from './ice-port.ts'

/** What the base class hands over: a list of byte arrays. */
type QueuedData = Parameters<AbstractMultiaddrConnection['sendData']>[0]

/** Above it libp2p is told to wait; `ChannelEvents.onDrain` lets it go on. */
const highWaterBytes = 262_144
/** How long a close waits for the other side to have everything. */
const closeMs = 3_000

export interface IceConnectionOptions {
  readonly channel: IceChannel
  readonly remoteAddr: Multiaddr
  readonly direction: MessageStreamDirection
  readonly log: Logger
}

/** A data channel as a pipe of bytes for libp2p, which puts its own encryption and streams over it. */
export class IceConnection extends AbstractMultiaddrConnection {
  readonly #channel: IceChannel

  constructor({ channel, ...rest }: IceConnectionOptions) {
    super({ ...rest, maxMessageSize: maxChannelMessageBytes })
    this.#channel = channel
    channel.listen({
      onMessage: (bytes) => this.onData(bytes),
      // One that is late: in the meantime there is more again.
      onDrain: () => void (channel.heldBytes < highWaterBytes && this.safeDispatchEvent('drain')),
      onClosed: () => this.onTransportClosed()
    })
  }

  sendData(data: QueuedData): { sentBytes: number; canSendMore: boolean } {
    try {
      this.#channel.send(data.subarray())
    } catch (error) {
      // The channel may have ended in its own thread, and we are told in a moment. Whoever sends is told by the end of the connection.
      queueMicrotask(() => this.abort(toMeshError(error)))
      return { sentBytes: data.byteLength, canSendMore: false }
    }
    return { sentBytes: data.byteLength, canSendMore: this.#channel.heldBytes < highWaterBytes }
  }

  sendClose(options?: AbortOptions): Promise<void> {
    const limit = AbortSignal.timeout(closeMs)
    return this.#channel.close(options?.signal === undefined ? limit : AbortSignal.any([options.signal, limit]))
  }

  sendReset(): void {
    this.#channel.reset()
  }

  // A data channel cannot be held back: the muxer's windows bound what comes.
  sendPause(): void {}

  sendResume(): void {}
}
