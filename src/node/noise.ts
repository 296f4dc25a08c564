import { gatherWrites } from './libp2p-workarounds.ts'
import { nodeHandshakeCrypto, verifyRaw } from '../crypto/index.ts'
import { createHybridNoise, type EncrypterFactory, type HybridNoiseOptions } from '../mesh/hybrid-noise/index.ts'

export {
  BoundedPeerMemory,
  type ConnectionSecurity,
  type EncrypterFactory,
  type HandshakeFailure,
  type HybridNoiseComponents,
  type HybridNoiseOptions,
  type NoisePolicy,
  type PeerMemory,
  type RememberedPeer,
  connectionSecurity
} from '../mesh/hybrid-noise/index.ts'
export { MeshError } from '../core/base/index.ts'

/**
 * Hybrid post-quantum Noise for any libp2p node: `connectionEncrypters: hybridNoise({ policy: 'prefer' })`, or `[...hybridNoise(), tls()]`.
 * With `prefer` it speaks `/noise` to peers that know nothing better; with `require` it has no connection with them.
 * @throws {MeshError} OPTION_UNKNOWN, OPTION_INVALID
 */
export const hybridNoise = (options: HybridNoiseOptions = {}): EncrypterFactory[] =>
  createHybridNoise(options, { crypto: nodeHandshakeCrypto, verifyEd25519: verifyRaw, allocate: (bytes) => Buffer.allocUnsafe(bytes), gatherWrites })
