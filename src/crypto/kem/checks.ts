import { sha3_256 } from '@noble/hashes/sha3.js'
import { MeshError, equalBytes } from '../../core/base/index.ts'
import type { KemParameters } from './parameters.ts'

const modulus = 3_329

/** The modulus check of FIPS 203 section 7.2: each 12-bit coefficient is below 3,329. @throws {MeshError} KEY_INVALID */
export function checkEncapsulationKey(publicKey: Uint8Array, { name, k }: KemParameters): void {
  if (!isReduced(publicKey.subarray(0, 384 * k)))
    throw new MeshError('KEY_INVALID', { what: 'encapsulation key', algorithm: name, reason: 'a coefficient is not below 3,329' })
}

/**
 * The hash check of FIPS 203 section 7.3 for an expanded key dkPKE ‖ ek ‖ H(ek) ‖ z, and the modulus check for the ek inside.
 * @throws {MeshError} KEY_INVALID
 */
export function checkDecapsulationKey(expandedKey: Uint8Array, parameters: KemParameters): void {
  const start = 384 * parameters.k
  const end = start + parameters.sizes.publicKey
  const publicKey = expandedKey.subarray(start, end)
  if (!equalBytes(sha3_256(publicKey), expandedKey.subarray(end, end + 32)))
    throw new MeshError('KEY_INVALID', { what: 'decapsulation key', algorithm: parameters.name, reason: 'its hash does not fit' })
  if (!isReduced(publicKey.subarray(0, start)))
    throw new MeshError('KEY_INVALID', { what: 'decapsulation key', algorithm: parameters.name, reason: 'a coefficient is not below 3,329' })
}

/** Two coefficients of 12 bits stand in three bytes, the low bits first (FIPS 203 algorithm 6). */
function isReduced(encoded: Uint8Array): boolean {
  for (let index = 0; index + 2 < encoded.length; index += 3) {
    const [low = 0, middle = 0, high = 0] = [encoded[index], encoded[index + 1], encoded[index + 2]]
    if ((low | ((middle & 15) << 8)) >= modulus || ((middle >> 4) | (high << 4)) >= modulus) return false
  }
  return true
}
