import { createHash } from 'node:crypto'
import type { Random } from '../../../src/core/base/index.ts'
import { wallMillis } from '../../../src/core/base/index.ts'
import type { Card } from '../../../src/core/peers/index.ts'
import { createSigner, createVerifier, hmacSha256 } from '../../../src/crypto/index.ts'

export const network = 'test'
export const verifier = createVerifier(network)
export const hmac = hmacSha256

/** Bytes that follow from a seed. */
export function seeded(seed: string): Random {
  let counter = 0
  const block = (): Uint8Array => new Uint8Array(createHash('sha256').update(`${seed} ${counter++}`).digest())
  return {
    bytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let offset = 0; offset < length; offset += 32) bytes.set(block().subarray(0, Math.min(32, length - offset)), offset)
      return bytes
    }
  }
}

export const signerOf = (seed: string): ReturnType<typeof createSigner> => createSigner(seeded(seed).bytes(32), network)

export function cardOf(publicKey: Uint8Array, changes: Partial<Card> = {}): Card {
  return {
    network,
    publicKey,
    name: 'agent-001',
    labels: ['planner'],
    features: ['message'],
    addresses: ['/ip4/192.0.2.1/tcp/9000'],
    issuedAt: wallMillis(1_800_000_000_000),
    ...changes
  }
}
