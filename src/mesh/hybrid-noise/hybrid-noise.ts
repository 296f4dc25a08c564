import type {
  ComponentLogger,
  ConnectionEncrypter,
  MessageStream,
  PrivateKey,
  SecureConnectionOptions,
  SecuredConnection,
  StreamMuxerFactory,
  Upgrader
} from '@libp2p/interface'
import { serviceCapabilities } from '@libp2p/interface'
import { type HandshakeCrypto, type HashName, type KemLevel, MeshError } from '../../core/base/index.ts'
import { type NoiseExtensions, type NoiseSuite, hybridSuite, noiseSuites, payloadLimits } from '../../core/noise/index.ts'
import { type HandshakeFailure, handshakeError, reasonOf } from './failures.ts'
import { type SignedStatic, type VerifyEd25519, encodeIdentity, signStatic } from './identity.ts'
import { checkedOptions } from './options.ts'
import { BoundedPeerMemory, type PeerMemory } from './peer-memory.ts'
import { type HandshakeResult, type HandshakeSetup, initiate, respond } from './perform.ts'

/** `prefer`: hybrid with whoever can, `/noise` with the others. `require`: hybrid or no connection. */
export type NoisePolicy = 'prefer' | 'require'

export interface HybridNoiseOptions {
  /** Default `prefer`. */
  readonly policy?: NoisePolicy
  /** Levels of ML-KEM to offer; default 3 only, the one that other implementations have. 1 and 5 are spoken by this software alone. */
  readonly levels?: readonly KemLevel[]
  /** What peers could do before; default: 8,192 of them, in memory. */
  readonly memory?: PeerMemory
  /** Told of each handshake that failed, before the error is thrown. */
  readonly onFailure?: (failure: HandshakeFailure) => void
}

/** What the platform computes with. */
export interface NoisePlatform {
  readonly crypto: HandshakeCrypto
  readonly verifyEd25519: VerifyEd25519
  /** An array whose content does not matter. */
  readonly allocate: (bytes: number) => Uint8Array
  /** Lets a connection write lists of pieces as fast as one array; false where it cannot. */
  readonly gatherWrites: (connection: MessageStream) => boolean
}

/** What libp2p gives to an encrypter. */
export interface HybridNoiseComponents {
  readonly privateKey: PrivateKey
  readonly logger: ComponentLogger
  readonly upgrader: Upgrader
}

/** One entry of libp2p's `connectionEncrypters`. */
export type EncrypterFactory = (components: HybridNoiseComponents) => ConnectionEncrypter<NoiseExtensions>

/** The encrypters of a policy, best first, for libp2p's `connectionEncrypters`. @throws {MeshError} OPTION_UNKNOWN, OPTION_INVALID */
export function createHybridNoise(options: HybridNoiseOptions, platform: NoisePlatform): EncrypterFactory[] {
  const { levels, isRequired } = checkedOptions(options)
  const suites: NoiseSuite[] = [...levels].toSorted((a, b) => b - a).map(hybridSuite)
  if (!isRequired) suites.push(noiseSuites.classical)
  const shared = new Shared(
    options,
    platform,
    suites.map(({ protocol }) => protocol)
  )
  return suites.map((suite) => (components) => new HybridNoise(suite, shared, components))
}

/** What the encrypters of one list have in common. */
class Shared {
  readonly offers: readonly string[]
  readonly platform: NoisePlatform
  readonly memory: PeerMemory
  readonly #options: HybridNoiseOptions
  /** Each node has its own keys, each hash function its own key (Noise revision 34, section 14). */
  readonly #statics = new WeakMap<PrivateKey, Map<HashName, Promise<SignedStatic>>>()

  constructor(options: HybridNoiseOptions, platform: NoisePlatform, offers: readonly string[]) {
    this.#options = options
    this.platform = platform
    this.offers = offers
    this.memory = options.memory ?? new BoundedPeerMemory()
  }

  /** Made for the first handshake, and kept. */
  identity(privateKey: PrivateKey, hash: HashName): Promise<SignedStatic> {
    const keys = this.#statics.get(privateKey) ?? new Map<HashName, Promise<SignedStatic>>()
    this.#statics.set(privateKey, keys)
    const identity = keys.get(hash) ?? signStatic(privateKey, this.platform.crypto.generateDh())
    keys.set(hash, identity)
    return identity
  }

  fail(failure: HandshakeFailure): void {
    this.#options.onFailure?.(failure)
  }
}

type Direction = HandshakeFailure['direction']

/** One suite as libp2p's ConnectionEncrypter. */
class HybridNoise implements ConnectionEncrypter<NoiseExtensions> {
  readonly protocol: string
  readonly [Symbol.toStringTag] = 'synaptic-mesh/noise'
  readonly [serviceCapabilities]: readonly string[]
  readonly #suite: NoiseSuite
  readonly #shared: Shared
  readonly #components: HybridNoiseComponents

  constructor(suite: NoiseSuite, shared: Shared, components: HybridNoiseComponents) {
    this.protocol = suite.protocol
    // Other parts of libp2p, WebTransport and WebRTC, ask for this name.
    this[serviceCapabilities] = suite.kem === undefined ? ['@libp2p/connection-encryption', '@libp2p/noise'] : ['@libp2p/connection-encryption']
    this.#suite = suite
    this.#shared = shared
    this.#components = components
  }

  secureOutbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection<NoiseExtensions>> {
    return this.#secure('outbound', connection, options)
  }

  secureInbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection<NoiseExtensions>> {
    return this.#secure('inbound', connection, options)
  }

  async #secure(direction: Direction, connection: MessageStream, options: SecureConnectionOptions = {}): Promise<SecuredConnection<NoiseExtensions>> {
    try {
      const setup = await this.#setup(options.skipStreamMuxerNegotiation === true)
      const target = { connection, expected: options.remotePeer, ...(options.signal === undefined ? {} : { signal: options.signal }) }
      const result = await (direction === 'outbound' ? initiate(setup, target) : respond(setup, target))
      return this.#secured(result, options)
    } catch (cause) {
      const error = cause instanceof MeshError ? cause : handshakeError('internal', cause)
      this.#shared.fail({ reason: reasonOf(error), protocol: this.protocol, direction, error })
      throw error
    }
  }

  async #setup(isWithoutMuxers: boolean): Promise<HandshakeSetup> {
    const { platform, memory, offers } = this.#shared
    const { privateKey, upgrader } = this.#components
    const identity = await this.#shared.identity(privateKey, this.#suite.hash)
    const muxers = isWithoutMuxers ? [] : [...upgrader.getStreamMuxers().keys()].slice(0, payloadLimits.items)
    return { ...platform, suite: this.#suite, memory, offers, identity, payload: encodeIdentity(identity, muxers, offers) }
  }

  #secured(result: HandshakeResult, options: SecureConnectionOptions): SecuredConnection<NoiseExtensions> {
    const { connection, remotePeer, extensions } = result
    const muxer = options.skipStreamMuxerNegotiation === true ? undefined : this.#muxer(extensions.streamMuxers)
    return { connection, remotePeer, remoteExtensions: extensions, ...(muxer === undefined ? {} : { streamMuxer: muxer }) }
  }

  /** The first of the peer's that we have, as the stock encrypter chooses. */
  #muxer(protocols: readonly string[]): StreamMuxerFactory | undefined {
    const ours = this.#components.upgrader.getStreamMuxers()
    const common = protocols.find((protocol) => ours.has(protocol))
    if (common === undefined && protocols.length > 0) throw handshakeError('muxer')
    return common === undefined ? undefined : ours.get(common)
  }
}
