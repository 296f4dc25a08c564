import type { Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Clock, MeshError, type Random, equalBytes, isMeshError } from '../core/base/index.ts'
import type { Connect } from './connections.ts'
import type { Timers } from './ports.ts'
import { startDeadline, within } from './deadline.ts'

export interface PingerOptions {
  readonly connect: Connect
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

export interface PingOptions {
  /** 1–100, default 3. */
  readonly count?: number
  /** For all of it, default 10,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const protocol = '/synaptic-mesh/ping/1.0.0'
const pingBytes = 32

/** Measures round trips over one ping stream (libp2p's own client opens one for each and counts whole milliseconds). */
export class Pinger {
  readonly #options: PingerOptions

  constructor(options: PingerOptions) {
    this.#options = options
  }

  /** Round trip times in milliseconds, one after the other. @throws {MeshError} PEER_UNREACHABLE, TIMEOUT, ABORTED */
  async ping(peerId: string, options: PingOptions = {}): Promise<readonly number[]> {
    const { count = 3, timeoutMs = 10_000, signal } = options
    const { connect, timers } = this.#options
    using deadline = startDeadline(timers, { operation: 'ping', timeoutMs, signal })
    let stream: Stream | undefined
    try {
      const connection = await connect(peerIdFromString(peerId), { signal: deadline.signal })
      stream = await connection.newStream(protocol, { signal: deadline.signal, runOnLimitedConnection: true, negotiateFully: false })
      const times: number[] = []
      for (let index = 0; index < count; index++) times.push(await within(deadline, this.#roundTrip(stream)))
      await stream.close({ signal: deadline.signal })
      return times
    } catch (cause) {
      const error = deadline.signal.aborted
        ? deadline.error()
        : isMeshError(cause)
          ? cause
          : new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: reasonOf(cause) }, { cause })
      stream?.abort(error)
      throw error
    }
  }

  #roundTrip(stream: Stream): Promise<number> {
    const { clock, random } = this.#options
    const sent = random.bytes(pingBytes)
    const received = new Uint8Array(pingBytes)
    let length = 0
    const startedAt = clock.monotonic()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        stream.removeEventListener('message', onMessage)
        stream.removeEventListener('close', onClose)
      }
      const onClose = (): void => {
        settle()
        reject(new MeshError('PEER_UNREACHABLE', { peer: 'the peer', reason: 'the ping stream ended' }))
      }
      const onMessage = ({ data }: { readonly data: { readonly byteLength: number; subarray(): Uint8Array } }): void => {
        const bytes = data.subarray()
        const room = Math.min(bytes.length, pingBytes - length)
        received.set(bytes.subarray(0, room), length)
        length += room
        if (length < pingBytes) return
        settle()
        if (equalBytes(received, sent)) resolve(clock.monotonic() - startedAt)
        else reject(new MeshError('MESSAGE_MALFORMED', { what: 'ping', reason: 'other bytes came back' }))
      }
      stream.addEventListener('message', onMessage)
      stream.addEventListener('close', onClose)
      stream.send(sent)
    })
  }
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message.slice(0, 200) : String(cause))
