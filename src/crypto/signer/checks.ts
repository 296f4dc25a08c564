import { MeshError } from '../../core/base/index.ts'
import type { MlDsaName } from './parameters.ts'

/** Rows and columns of the matrix, and the bound η of the secret coefficients (FIPS 204 table 1). */
const shapes: Readonly<Record<MlDsaName, { readonly rows: number; readonly columns: number; readonly eta: 2 | 4 }>> = {
  'ml-dsa-44': { rows: 4, columns: 4, eta: 2 },
  'ml-dsa-65': { rows: 6, columns: 5, eta: 4 },
  'ml-dsa-87': { rows: 8, columns: 7, eta: 2 }
}
/** ρ, K and tr stand before the secret coefficients (FIPS 204 algorithm 24). */
const frontBytes = 128
const coefficients = 256

/**
 * An expanded ML-DSA private key: each secret coefficient is from -η to η (FIPS 204 algorithm 25 leaves this to its caller). With others, signing may never end.
 * @throws {MeshError} KEY_INVALID
 */
export function checkSigningKey(expandedKey: Uint8Array, name: MlDsaName): void {
  const { rows, columns, eta } = shapes[name]
  const width = eta === 2 ? 3 : 4
  let held = 0
  let bits = 0
  let worst = 0
  for (const byte of expandedKey.subarray(frontBytes, frontBytes + ((rows + columns) * coefficients * width) / 8)) {
    held |= byte << bits
    for (bits += 8; bits >= width; bits -= width) {
      worst = Math.max(worst, held & ((1 << width) - 1))
      held >>= width
    }
  }
  if (worst > 2 * eta) throw new MeshError('KEY_INVALID', { what: 'private key', algorithm: name, reason: 'a secret coefficient is out of range' })
}
