import type { HashName, KemLevel } from '../base/index.ts'

/** What two peers can agree on: one row is one protocol id with one fixed suite. */
export interface NoiseSuite {
  /** The libp2p protocol id, as multistream-select and offer lists name it. */
  readonly protocol: string
  /** The Noise protocol name (Noise revision 34, section 8); part of the handshake hash. */
  readonly name: string
  /** The level of ML-KEM that is mixed in; undefined for the classical suite. */
  readonly kem: KemLevel | undefined
  readonly hash: HashName
}

/**
 * Every suite, the best first; the only place that names ids and suites, as the draft (libp2p/specs #727) may still move them.
 * Levels 1 and 5 are ours: the draft has ML-KEM-768 only.
 */
export const noiseSuites = {
  hybrid5: {
    protocol: '/synaptic-mesh/noise-mlkem1024-hfs/0.1.0',
    name: 'Noise_XXhfs_25519+MLKEM1024_ChaChaPoly_SHA512',
    kem: 5,
    hash: 'sha512'
  },
  hybrid3: { protocol: '/noise-mlkem768-hfs/0.2.0', name: 'Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256', kem: 3, hash: 'sha256' },
  hybrid1: { protocol: '/synaptic-mesh/noise-mlkem512-hfs/0.1.0', name: 'Noise_XXhfs_25519+MLKEM512_ChaChaPoly_SHA256', kem: 1, hash: 'sha256' },
  classical: { protocol: '/noise', name: 'Noise_XX_25519_ChaChaPoly_SHA256', kem: undefined, hash: 'sha256' }
} as const satisfies Record<string, NoiseSuite>

/** The protocol ids of every suite, the best first. */
export const rankedProtocols: readonly string[] = Object.values(noiseSuites).map(({ protocol }) => protocol)

const byProtocol: ReadonlyMap<string, NoiseSuite> = new Map(Object.values(noiseSuites).map((suite) => [suite.protocol, suite]))

/** The suite of a protocol id; undefined when it is none of ours. */
export const suiteOf = (protocol: string): NoiseSuite | undefined => byProtocol.get(protocol)

/** The hybrid suite of a level of ML-KEM. */
export function hybridSuite(level: KemLevel): NoiseSuite {
  if (level === 1) return noiseSuites.hybrid1
  return level === 3 ? noiseSuites.hybrid3 : noiseSuites.hybrid5
}
