import { type Signer, wallMillis } from '../../../src/core/base/index.ts'
import { encodeDescriptor, type OnionDescriptor } from '../../../src/core/onion/index.ts'
import { createSigner, createVerifier, sha256 } from '../../../src/crypto/index.ts'

export const network = 'test'
export const verifier = createVerifier(network)
export const start = wallMillis(1_800_000_000_000)
export const hourMs = 3_600_000

export const signerNamed = (name: string): Signer => createSigner(sha256(new TextEncoder().encode(name)), network)

/** What a relay says of itself. */
export function descriptorOf(publicKey: Uint8Array, changes: Partial<OnionDescriptor> = {}): OnionDescriptor {
  return {
    network,
    publicKey,
    onionKey: sha256(publicKey),
    role: 'relay',
    addresses: ['/ip4/198.51.77.1/tcp/9000'],
    family: [],
    levels: [1, 3, 5],
    ciphers: [1],
    bytesPerSecond: 1_048_576,
    sequence: changes.issuedAt ?? start,
    issuedAt: start,
    expiresAt: wallMillis((changes.issuedAt ?? start) + 3 * hourMs),
    ...changes
  }
}

/** A signed descriptor, with what is in it. */
export function signedBy(name: string, changes: Partial<OnionDescriptor> = {}): { readonly descriptor: OnionDescriptor; readonly bytes: Uint8Array } {
  const signer = signerNamed(name)
  const descriptor = descriptorOf(signer.publicKey, changes)
  return { descriptor, bytes: Uint8Array.from(encodeDescriptor(descriptor, signer)) }
}
