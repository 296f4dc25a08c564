import { type ProtectionLevel, suiteOf } from '../../core/noise/index.ts'

/** What protects a connection. */
export interface ConnectionSecurity {
  /** The libp2p protocol id of the encrypter that ran. */
  readonly protocol: string
  /** The Noise protocol name. */
  readonly suite: string
  /** The level of ML-KEM in the key agreement; 0: classical, a recording can be read by a future quantum computer. */
  readonly level: ProtectionLevel
  /** The signature that proved who the peer is: Ed25519, RSA, secp256k1 or ECDSA, none of which resists a quantum computer. */
  readonly authentication: string
}

/** What is asked of a libp2p connection. */
interface Secured {
  readonly encryption?: string
  readonly remotePeer: { readonly type: string }
}

/** What protects a libp2p connection; undefined when it is not one of our suites (TLS, or none). */
export function connectionSecurity({ encryption = '', remotePeer }: Secured): ConnectionSecurity | undefined {
  const suite = suiteOf(encryption)
  return suite === undefined ? undefined : { protocol: suite.protocol, suite: suite.name, level: suite.kem ?? 0, authentication: remotePeer.type }
}
