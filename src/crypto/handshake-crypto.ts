import {
  type CipherChaCha20Poly1305,
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  hash,
  randomFillSync
} from 'node:crypto'
import {
  type AeadKey,
  type DhKey,
  type HandshakeCrypto,
  type HashName,
  type KemLevel,
  type KemPort,
  type Pieces,
  type Sealing,
  MeshError,
  byteLength
} from '../core/base/index.ts'
import { asBuffer } from './der.ts'
import { importPublicKey } from './spki.ts'

const algorithm = 'chacha20-poly1305'
const tagBytes = 16
const dhBytes = 32
const blockBytes: Readonly<Record<HashName, number>> = { sha256: 64, sha512: 128 }
/** Up to here one copy costs less than one more call into OpenSSL. */
const joinedUpTo = 4_096
/** OpenSSL's output is copied while it is in the cache: a quarter faster for large records than all of it at once. */
const stepBytes = 8_192

/** Handshakes and sessions on Node.js: everything by `node:crypto`, with a key object for each key, as raw keys cost three to eight times as much. */
export const nodeHandshakeCrypto: HandshakeCrypto = {
  generateDh,
  kem: (level) => kems[level],
  hash: hashOf,
  hmac,
  aead,
  randomBytes: (length) => randomFillSync(new Uint8Array(length))
}

function hashOf(name: HashName, ...parts: readonly Uint8Array[]): Uint8Array {
  return plain(hash(name, joined(parts), 'buffer'))
}

/** HMAC (RFC 2104) over two one-shot hashes: less than half of what createHmac costs. */
// oxlint-disable-next-line max-params -- the port of core/base has them
function hmac(name: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const block = blockBytes[name]
  const inner = Buffer.alloc(block + byteLength(parts), 0x36)
  const outer = Buffer.alloc(block, 0x5c)
  const short = key.length > block ? hash(name, key, 'buffer') : key
  for (let index = 0; index < short.length; index++) {
    const byte = short[index] ?? 0
    inner[index] = byte ^ 0x36
    outer[index] = byte ^ 0x5c
  }
  copyInto(inner.subarray(block), parts)
  const digest = hash(name, inner, 'buffer')
  const outerText = Buffer.concat([outer, digest])
  const result = plain(hash(name, outerText, 'buffer'))
  for (const secret of [inner, outer, digest, outerText]) secret.fill(0)
  return result
}

/** A peer's key counts twice in a handshake: it is imported once for each array. */
const imported = new WeakMap<Uint8Array, KeyObject>()

function generateDh(): DhKey {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  return {
    publicKey: plain(publicKey.export({ format: 'raw-public' })),
    agree: (remotePublicKey) => {
      try {
        // OpenSSL refuses a result of zeros.
        return plain(diffieHellman({ privateKey, publicKey: importDh(remotePublicKey) }))
      } catch (cause) {
        throw new MeshError('HANDSHAKE_FAILED', { reason: 'dh-key' }, { cause })
      }
    }
  }
}

function importDh(bytes: Uint8Array): KeyObject {
  let key = imported.get(bytes)
  if (key === undefined) {
    if (bytes.length !== dhBytes) throw new MeshError('HANDSHAKE_FAILED', { reason: 'length' })
    key = importPublicKey('x25519', bytes)
    imported.set(bytes, key)
  }
  return key
}

type KemName = 'ml-kem-512' | 'ml-kem-768' | 'ml-kem-1024'

function makeKem(level: KemLevel, sizes: { readonly name: KemName; readonly publicKeyBytes: number; readonly ciphertextBytes: number }): KemPort {
  const { name, publicKeyBytes, ciphertextBytes } = sizes
  return {
    level,
    publicKeyBytes,
    ciphertextBytes,
    generate: () => {
      const { privateKey, publicKey } = generateKeyPairSync(name)
      return {
        publicKey: plain(publicKey.export({ format: 'raw-public' })),
        decapsulate: (ciphertext) => plain(decapsulate(privateKey, asBuffer(ciphertext)))
      }
    },
    encapsulate: (publicKey) => {
      if (publicKey.length !== publicKeyBytes) throw new MeshError('HANDSHAKE_FAILED', { reason: 'length' })
      try {
        // The import checks the modulus (FIPS 203 section 7.2).
        const key = importPublicKey(name, publicKey)
        const { ciphertext, sharedKey } = encapsulate(key)
        return { ciphertext: plain(ciphertext), sharedSecret: plain(sharedKey) }
      } catch (cause) {
        throw new MeshError('HANDSHAKE_FAILED', { reason: 'kem-key' }, { cause })
      }
    }
  }
}

const kems: Readonly<Record<KemLevel, KemPort>> = {
  1: makeKem(1, { name: 'ml-kem-512', publicKeyBytes: 800, ciphertextBytes: 768 }),
  3: makeKem(3, { name: 'ml-kem-768', publicKeyBytes: 1_184, ciphertextBytes: 1_088 }),
  5: makeKem(5, { name: 'ml-kem-1024', publicKeyBytes: 1_568, ciphertextBytes: 1_568 })
}

function aead(bytes: Uint8Array): AeadKey {
  const key = createSecretKey(bytes)
  const begin = ({ nonce, ad, plaintext }: Sealing): CipherChaCha20Poly1305 => {
    const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
    if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: byteLength(plaintext) })
    return cipher
  }
  const sealInto = (target: Uint8Array, sealing: Sealing): void => {
    const cipher = begin(sealing)
    let offset = 0
    for (const piece of piecesOf(sealing.plaintext)) {
      for (let start = 0; start < piece.length; start += stepBytes) {
        const part = piece.subarray(start, start + stepBytes)
        target.set(cipher.update(part), offset)
        offset += part.length
      }
    }
    cipher.final()
    target.set(cipher.getAuthTag(), offset)
  }
  const sealPieces = (sealing: Sealing): readonly Uint8Array[] => {
    const cipher = begin(sealing)
    const pieces = piecesOf(sealing.plaintext).map((piece) => plain(cipher.update(piece)))
    cipher.final()
    return [...pieces, plain(cipher.getAuthTag())]
  }
  return {
    sealInto,
    sealPieces,
    seal: (nonce, ad, plaintext) => {
      const target = new Uint8Array(byteLength(plaintext) + tagBytes)
      sealInto(target, { nonce, ad, plaintext })
      return target
    },
    open: (nonce, ad, ciphertext) => {
      const length = ciphertext.length - tagBytes
      if (length < 0) throw new RangeError('shorter than its tag')
      const decipher = createDecipheriv(algorithm, key, nonce, { authTagLength: tagBytes })
      if (ad.length > 0) decipher.setAAD(ad, { plaintextLength: length })
      decipher.setAuthTag(ciphertext.subarray(length))
      const plaintext = decipher.update(ciphertext.subarray(0, length))
      decipher.final()
      return plain(plaintext)
    }
  }
}

function piecesOf(plaintext: Pieces): readonly Uint8Array[] {
  if (plaintext instanceof Uint8Array) return [plaintext]
  return plaintext.length > 1 && byteLength(plaintext) <= joinedUpTo ? [joined(plaintext)] : plaintext
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (only !== undefined && parts.length === 1) return only
  const whole = Buffer.allocUnsafe(byteLength(parts))
  copyInto(whole, parts)
  return whole
}

function copyInto(target: Uint8Array, parts: readonly Uint8Array[]): void {
  let offset = 0
  for (const part of parts) {
    target.set(part, offset)
    offset += part.length
  }
}

/** The same bytes without Buffer's own `slice`, which does not copy. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
