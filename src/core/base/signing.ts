import { type Bytes, ByteWriter, utf8 } from './bytes.ts'

/**
 * Every purpose for which this software signs. A signature made for one never verifies for another.
 * libp2p's own formats (peer records, the Noise payload) keep their own prefixes.
 */
export const signingDomains = {
  envelopeBatch: 'envelope-batch',
  receipt: 'receipt',
  card: 'card',
  session: 'session',
  pqIdentity: 'pq-identity',
  onionDescriptor: 'onion-descriptor',
  onionLink: 'onion-link',
  group: 'group',
  groupMessage: 'group-message'
} as const

export type SigningDomain = (typeof signingDomains)[keyof typeof signingDomains]

/** 'synaptic-mesh-sig/1' ‖ lp(domain) ‖ lp(network) ‖ lp(bytes), with u32 lengths: the only thing that is ever signed. */
export function signingInput(domain: SigningDomain, network: string, bytes: Uint8Array): Bytes {
  return new ByteWriter(96 + bytes.length)
    .raw(utf8('synaptic-mesh-sig/1'))
    .prefixed32(utf8(domain))
    .prefixed32(utf8(network))
    .prefixed32(bytes)
    .finish()
}

/** A node's own Ed25519 key (RFC 8032), bound to its network. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The 64-byte signature of `signingInput(domain, network, bytes)`. */
  sign(domain: SigningDomain, bytes: Uint8Array): Uint8Array
}

/** Verifies what a Signer of the same network made. Never throws: false for anything malformed. */
export interface Verifier {
  verify(domain: SigningDomain, publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean
}
