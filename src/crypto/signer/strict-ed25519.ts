import { ed25519 } from '@noble/curves/ed25519.js'

/** How many keys are remembered as good; the oldest one goes. A check costs as much as several signatures. */
const rememberedKeys = 1_024
const remembered = new Set<string>()

/**
 * Whether `publicKey` is the canonical encoding (RFC 8032 section 5.1.3) of a point of the prime-order group other than its neutral element. With other
 * keys, what verifies depends on the formula that a library uses: cofactored or not.
 */
export function isStrictKey(publicKey: Uint8Array): boolean {
  const name = publicKey.join()
  if (remembered.has(name)) return true
  const point = strictPoint(publicKey)
  if (point === undefined || point.is0()) return false
  remembered.add(name)
  if (remembered.size > rememberedKeys) remembered.delete(remembered.values().next().value ?? '')
  return true
}

/** Whether the R of a signature is the same: OpenSSL refuses the neutral element there as well, which noble would take. */
export function isStrictCommitment(encoded: Uint8Array): boolean {
  const point = strictPoint(encoded)
  return point !== undefined && !point.is0()
}

function strictPoint(encoded: Uint8Array): InstanceType<typeof ed25519.Point> | undefined {
  try {
    const point = ed25519.Point.fromBytes(encoded, false)
    return point.isTorsionFree() ? point : undefined
  } catch {
    return undefined
  }
}
