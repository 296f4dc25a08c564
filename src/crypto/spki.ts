import { type KeyObject, createPublicKey } from 'node:crypto'

// SubjectPublicKeyInfo up to the bytes of the key: RFC 8410 section 4 (X25519, Ed25519), RFC 9935 section 4 (ML-KEM).
const prefixes = {
  x25519: '302a300506032b656e032100',
  ed25519: '302a300506032b6570032100',
  'ml-kem-512': '30820332300b06096086480165030404010382032100',
  'ml-kem-768': '308204b2300b0609608648016503040402038204a100',
  'ml-kem-1024': '30820632300b06096086480165030404030382062100'
} as const

export type SpkiType = keyof typeof prefixes

const known = new Map(Object.entries(prefixes).map(([type, prefix]) => [type, Buffer.from(prefix, 'hex')]))

/**
 * A public key from its raw bytes, whose length the caller has checked. As text: Node 24 finds out by an exception and its stack whether what it got is a key object,
 * which takes three times as long as OpenSSL takes to read it; a text is spared that. @throws {Error} when OpenSSL refuses it
 */
export function importPublicKey(type: SpkiType, bytes: Uint8Array): KeyObject {
  const der = Buffer.concat([known.get(type) ?? Buffer.alloc(0), bytes])
  return createPublicKey(`-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`)
}
