import { hash } from 'node:crypto'
import { concat, equalBytes, type Signer, type SigningDomain, utf8, type Verifier } from '../core/base/index.ts'
import type { Sha256 } from '../core/message/index.ts'

/** Node's SHA-256: the results of `nobleSha256`, faster. */
export const nativeSha256: Sha256 = (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer'))

/** Signatures for simulations: cheap, checked for every bit, and forgeable by anyone who reads this. Never outside of a test. */
export class SimulatedSigner implements Signer {
  readonly publicKey: Uint8Array

  constructor(publicKey: Uint8Array) {
    this.publicKey = publicKey
  }

  sign(domain: SigningDomain, bytes: Uint8Array): Uint8Array {
    return simulatedSignature(domain, this.publicKey, bytes)
  }
}

export const simulatedVerifier: Verifier = {
  // oxlint-disable-next-line max-params -- the port of core/base has four
  verify: (domain, publicKey, bytes, signature) => equalBytes(signature, simulatedSignature(domain, publicKey, bytes))
}

function simulatedSignature(domain: SigningDomain, publicKey: Uint8Array, bytes: Uint8Array): Uint8Array {
  const half = nativeSha256(concat(utf8(domain), publicKey, bytes))
  return concat(half, half)
}
