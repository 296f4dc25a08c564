import { type KeyObject, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { type Signer, type SigningDomain, type Verifier, MeshError, signingInput } from '../core/base/index.ts'
import { importPublicKey as importSpki } from './spki.ts'
import { isStrictKey } from './signer/strict-ed25519.ts'

/** Bytes of a seed (RFC 8032 section 5.1.5: the private key) and of a public key. */
export const ed25519KeyBytes = 32
export const ed25519SignatureBytes = 64

// RFC 8410 section 7 (PKCS #8) and section 4 (SubjectPublicKeyInfo): everything before the 32 bytes of the key.
const privatePrefix = Buffer.from('302e020100300506032b657004220420', 'hex')
const publicPrefix = Buffer.from('302a300506032b6570032100', 'hex')

/** How many imported public keys a verifier keeps; the least recently used one goes. */
export const verifierKeys = 1_024

/** An Ed25519 key pair, held as KeyObjects. */
export interface Ed25519Key {
  readonly publicKey: Uint8Array
  /** The 64-byte signature of `bytes` (RFC 8032 section 5.1.6, pure Ed25519). For libp2p's own formats only; everything of ours goes through a Signer. */
  signRaw(bytes: Uint8Array): Uint8Array
}

/** The key pair of a 32-byte seed. @throws {MeshError} KEY_CORRUPT for another length. */
export function ed25519FromSeed(seed: Uint8Array): Ed25519Key {
  if (seed.length !== ed25519KeyBytes)
    throw new MeshError('KEY_CORRUPT', { file: 'the seed', reason: `${seed.length} bytes instead of ${ed25519KeyBytes}` })
  const der = Buffer.concat([privatePrefix, seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return {
    publicKey: new Uint8Array(spki.subarray(publicPrefix.length)),
    signRaw: (bytes) => new Uint8Array(sign(null, bytes, key))
  }
}

/** A signer of `network` with the key pair of `seed`. */
export function createSigner(seed: Uint8Array, network: string): Signer {
  const key = ed25519FromSeed(seed)
  return { publicKey: key.publicKey, sign: (domain, bytes) => key.signRaw(signingInput(domain, network, bytes)) }
}

/** A verifier of `network`. Imports each public key once, and keeps the 1,024 used last. */
export function createVerifier(network: string): Verifier {
  const keys = new PublicKeys()
  return {
    // oxlint-disable-next-line max-params -- the port of core/base has four
    verify: (domain, publicKey, bytes, signature) => verifyWith(keys.get(publicKey), { domain, network, bytes, signature })
  }
}

/** Verifies a raw signature, for test vectors and libp2p's own formats. Never throws. */
export function verifyRaw(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = importPublicKey(publicKey)
  return key !== undefined && signature.length === ed25519SignatureBytes && verify(null, bytes, key, signature)
}

interface Signed {
  readonly domain: SigningDomain
  readonly network: string
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}

function verifyWith(key: KeyObject | undefined, { domain, network, bytes, signature }: Signed): boolean {
  if (key === undefined || signature.length !== ed25519SignatureBytes) return false
  return verify(null, signingInput(domain, network, bytes), key, signature)
}

class PublicKeys {
  readonly #keys = new Map<string, KeyObject>()

  get(publicKey: Uint8Array): KeyObject | undefined {
    if (publicKey.length !== ed25519KeyBytes) return undefined
    const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('latin1')
    const known = this.#keys.get(name) ?? (isStrictKey(publicKey) ? importPublicKey(publicKey) : undefined)
    if (known === undefined) return undefined
    this.#keys.delete(name)
    this.#keys.set(name, known)
    if (this.#keys.size > verifierKeys) this.#keys.delete(this.#keys.keys().next().value ?? '')
    return known
  }
}

function importPublicKey(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== ed25519KeyBytes || !isCanonical(publicKey) || isSmallOrder(publicKey)) return undefined
  try {
    return importSpki('ed25519', publicKey)
  } catch {
    return undefined
  }
}

/** Whether y is below 2^255 - 19 (RFC 8032 section 5.1.3 step 1); the sign bit does not count. */
function isCanonical(publicKey: Uint8Array): boolean {
  if (((publicKey[31] ?? 0) & 0x7f) !== 0x7f || (publicKey[0] ?? 0) < 0xed) return true
  for (let index = 1; index < 31; index++) if (publicKey[index] !== 0xff) return true
  return false
}

// The canonical y of the points whose order divides 8: under such a key a signature can verify that nobody with a key made.
const smallOrder = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
])

function isSmallOrder(publicKey: Uint8Array): boolean {
  const y = Buffer.from(publicKey)
  y[31] = (y[31] ?? 0) & 0x7f
  return smallOrder.has(y.toString('hex'))
}
