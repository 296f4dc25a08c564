import type { KadDHTComponents } from '@libp2p/kad-dht'
import type { Stream, StreamHandler } from '@libp2p/interface'
import { MeshError } from '../core/base/index.ts'
import { maxCircuitFrame } from '../core/nat/index.ts'

export interface LengthLimits {
  /** Longest message. */
  readonly maxBytes: number
  /** So many messages come; what follows is something else. Default: messages to the end. */
  readonly messages?: number
}

/** Of a circuit: one question or answer, then what its ends say to each other. */
export const oneCircuitFrame: LengthLimits = { maxBytes: maxCircuitFrame, messages: 1 }

/** Of the DHT: 40 peers with a dozen addresses each are 40 KB. */
export const dhtMessages: LengthLimits = { maxBytes: 262_144 }

/** More digits than any length of ours has: four are up to 256 MiB. */
const maxDigits = 4

type Bytes = Parameters<Stream['push']>[0]

/** What libp2p's streams have besides what their interface names: what came already, and the place where more comes in. */
interface Inlet {
  readonly readBuffer: { subarray(): Uint8Array }
  onData(data: Bytes): void
}

const hasInlet = (stream: object): stream is Inlet =>
  'readBuffer' in stream && typeof stream.readBuffer === 'object' && 'onData' in stream && typeof stream.onData === 'function'

/**
 * Ends a stream whose peer says that a message is longer than it may be. libp2p's readers of the DHT and of circuits take lengths of any number of digits, and
 * decode them anew with each: 256 KiB of 0xff from a stranger keep the process busy for two seconds, in which nothing else runs.
 * @throws {MeshError} INTERNAL when libp2p's streams have other parts than expected
 */
export function guardLengths<Guarded extends Stream>(stream: Guarded, limits: LengthLimits): Guarded {
  if (!hasInlet(stream)) throw new MeshError('INTERNAL', { reason: 'a stream of libp2p has other parts than expected' })
  const lengths = new Lengths(limits)
  const take = stream.onData.bind(stream)
  const isFine = (bytes: Uint8Array): boolean => {
    if (lengths.take(bytes)) return true
    stream.abort(new MeshError('PROTOCOL_LIMIT', { protocol: stream.protocol, reason: 'a message longer than it may be' }))
    return false
  }
  if (!isFine(stream.readBuffer.subarray())) return stream
  stream.onData = (data) => {
    if (lengths.isOver || isFine(data.subarray())) take(data)
  }
  return stream
}

type Components = Pick<KadDHTComponents, 'registrar' | 'connectionManager'>
type Registrar = Components['registrar']
type ConnectionManager = Components['connectionManager']

/** A part of libp2p whose streams are guarded, in and out. */
export function guarded<All extends Components, Service>(create: (components: All) => Service, limits: LengthLimits): (components: All) => Service {
  return (components) => {
    const { registrar, connectionManager } = components
    // The part registers its protocol itself, as before; its handler gets guarded streams.
    const register = registrar.handle.bind(registrar)
    const handle: Registrar['handle'] = (protocol, handler, options) => {
      const carefully: StreamHandler = (stream, connection) => handler(guardLengths(stream, limits), connection)
      return register(protocol, carefully, options)
    }
    const openStream: ConnectionManager['openStream'] = async (...call) => guardLengths(await connectionManager.openStream(...call), limits)
    // Components are a proxy of libp2p's, which must not be copied.
    const careful = Object.create(components, {
      registrar: { value: replaced(registrar, 'handle', handle) },
      connectionManager: { value: replaced(connectionManager, 'openStream', openStream) }
    })
    return create(careful)
  }
}

function replaced<Target extends object, Name extends keyof Target>(target: Target, name: Name, value: Target[Name]): Target {
  return new Proxy(target, { get: (all, key): unknown => (key === name ? value : Reflect.get(all, key)) })
}

/** Follows messages behind their lengths (unsigned varints). */
class Lengths {
  readonly #maxBytes: number
  #messages: number
  #digits = 0
  #length = 0
  /** Of the message whose length is known. */
  #left = 0

  constructor({ maxBytes, messages = Number.POSITIVE_INFINITY }: LengthLimits) {
    this.#maxBytes = maxBytes
    this.#messages = messages
  }

  get isOver(): boolean {
    return this.#messages === 0
  }

  /** Whether no length in the next bytes is too long. */
  take(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length && !this.isOver;) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, bytes.length - at)
        at += step
        this.#left -= step
        if (this.#left === 0) this.#messages -= 1
      } else if (!this.#digit(bytes[at++] ?? 0)) return false
    }
    return true
  }

  #digit(byte: number): boolean {
    this.#length += (byte & 127) * 128 ** this.#digits++
    if (this.#length > this.#maxBytes || (byte > 127 && this.#digits >= maxDigits)) return false
    if (byte > 127) return true
    this.#left = this.#length
    if (this.#left === 0) this.#messages -= 1
    this.#length = 0
    this.#digits = 0
    return true
  }
}
