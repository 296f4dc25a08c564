import { shake128 } from '@noble/hashes/sha3.js'
import { toHex } from '../../src/core/base/index.ts'
import { type KemLevel, kem } from '../../src/crypto/public.ts'

/** SHAKE-128 over the answers of 10,000 rounds of ML-KEM as FIPS 203 has it, by the method of C2SP/CCTV (ML-KEM, accumulated vectors). */
export const accumulatedDigests: Readonly<Record<KemLevel, string>> = {
  1: '705dcffc87f4e67e35a09dcaa31772e86f3341bd3ccf1e78a5fef99ae6a35a13',
  3: 'f959d18d3d1180121433bf0e05f11e7908cf9d03edc150b2b07cb90bef5bc1c1',
  5: 'e3bf82b013307b2e9d47dde791ff6dfc82e694e6382404abdb948b908b75bad5'
}
export const accumulatedRounds = 10_000

/** The digest of 10,000 rounds by noble: each draws d ‖ z, m and a ciphertext from SHAKE-128 and adds ek, dk, ct, k, and k of the drawn ciphertext. */
export async function accumulate(level: KemLevel): Promise<string> {
  const port = kem(level, 'noble')
  const drawn = shake128.create({})
  const answers = shake128.create({})
  for (let round = 0; round < accumulatedRounds; round++) {
    const { publicKey, privateKey } = await port.generateKeyPair(drawn.xof(64))
    const expanded = await port.expandPrivateKey(privateKey)
    const { ciphertext, sharedSecret } = await port.encapsulate(publicKey, drawn.xof(32))
    const rejected = await port.decapsulate(drawn.xof(port.sizes.ciphertext), expanded)
    for (const bytes of [publicKey, expanded, ciphertext, sharedSecret, rejected]) answers.update(bytes)
  }
  return toHex(answers.xof(32))
}
