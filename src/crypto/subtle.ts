import type { webcrypto } from 'node:crypto'

type Method = 'decapsulateBits' | 'encapsulateBits' | 'getPublicKey' | 'sign' | 'verify'

/** The runtime's WebCrypto. @throws {Error} when it has none, as on pages without TLS, or lacks one of `methods` */
export function subtleWith(methods: readonly Method[]): webcrypto.SubtleCrypto {
  const { subtle }: { readonly subtle?: webcrypto.SubtleCrypto } = globalThis.crypto
  const missing = methods.filter((method) => typeof subtle?.[method] !== 'function')
  if (subtle === undefined || missing.length > 0) throw new Error(`WebCrypto lacks ${missing.join(', ')}`)
  return subtle
}
