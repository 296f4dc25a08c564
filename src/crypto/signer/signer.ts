import { type Bytes, MeshError } from '../../core/base/index.ts'
import { type Awaitable, copyOf, copyOfLength, loaded, named, refusal, unsupported, wipe } from '../inputs.ts'
import { checkSigningKey } from './checks.ts'
import type { SignedMessage, SignerAbilities, SignerEngine, SignerKeyPair, SigningOptions } from './engine.ts'
import { type SignerName, type SignerSizes, maxContextBytes, randomnessBytes, signerSizes } from './parameters.ts'

export type { SignedMessage, SignerAbilities, SignerKeyPair, SignerName, SignerSizes, SigningOptions }

/** As for `kem`; liboqs has no Ed25519. */
export type SignerBackend = 'node' | 'webcrypto' | 'liboqs' | 'noble'

/**
 * ML-DSA (FIPS 204, pure) or Ed25519 (RFC 8032, pure) by one backend. Every method is asynchronous, whatever the backend. Inputs are copied when a
 * method is called; a key of a wrong length or form rejects with KEY_INVALID, what the backend cannot do with BACKEND_UNSUPPORTED.
 */
export interface Signer {
  readonly name: SignerName
  readonly backend: SignerBackend
  /** Lengths in bytes. */
  readonly sizes: SignerSizes
  readonly abilities: SignerAbilities
  /** A key pair: random, or of a 32-byte seed (the ξ of FIPS 204 algorithm 6). @throws {MeshError} KEY_INVALID, BACKEND_UNSUPPORTED */
  generateKeyPair(seed?: Uint8Array): Promise<SignerKeyPair>
  /** The signature. `privateKey` is the 32-byte seed, or the expanded private key of ML-DSA. @throws {MeshError} KEY_INVALID, BACKEND_UNSUPPORTED */
  sign(message: Uint8Array, privateKey: Uint8Array, options?: SigningOptions): Promise<Uint8Array>
  /**
   * Whether the signature verifies. Public keys and signatures of a wrong length or form are false, not errors. For Ed25519 it is the same on every
   * backend: the key is canonical, torsion-free and not the neutral element, R is canonical and torsion-free, S is below the order.
   * @throws {MeshError} KEY_INVALID for a context of more than 255 bytes, BACKEND_UNSUPPORTED for one that the backend cannot take
   */
  verify(signed: SignedMessage): Promise<boolean>
  /** True, when the length is right and, for Ed25519, the point is one that `verify` takes. @throws {MeshError} KEY_INVALID */
  checkPublicKey(publicKey: Uint8Array): Promise<true>
  /** True, when it is a seed, or an expanded key with coefficients in range. @throws {MeshError} KEY_INVALID */
  checkPrivateKey(privateKey: Uint8Array): Promise<true>
  /** The expanded ML-DSA private key of a 32-byte seed (FIPS 204 algorithm 6). @throws {MeshError} KEY_INVALID, BACKEND_UNSUPPORTED */
  expandPrivateKey(seed: Uint8Array): Promise<Uint8Array>
}

interface Backend {
  readonly mlDsa: SignerAbilities
  readonly ed25519: SignerAbilities | undefined
  load(name: SignerName): Promise<SignerEngine>
}

const seedsOnly: SignerAbilities = { seeds: true, expandedKeys: false, expansion: false, context: false, randomness: false }

/** Nothing is loaded before it is used. */
const backends: Readonly<Record<SignerBackend, Backend>> = {
  node: {
    mlDsa: { seeds: true, expandedKeys: true, expansion: true, context: true, randomness: false },
    ed25519: seedsOnly,
    load: async (name) => (await import('./node.ts')).nodeSigner(name)
  },
  webcrypto: {
    mlDsa: { ...seedsOnly, context: true },
    ed25519: seedsOnly,
    load: async (name) => (await import('./webcrypto.ts')).webcryptoSigner(name)
  },
  liboqs: {
    mlDsa: { seeds: false, expandedKeys: true, expansion: false, context: false, randomness: false },
    ed25519: undefined,
    load: async (name) => {
      if (name === 'ed25519') throw unsupported('liboqs', 'anything', name)
      return (await import('./liboqs.ts')).liboqsSigner(name)
    }
  },
  noble: {
    mlDsa: { seeds: true, expandedKeys: true, expansion: true, context: true, randomness: true },
    ed25519: seedsOnly,
    load: async (name) => (await import('./noble.ts')).nobleSigner(name)
  }
}

/** The names that `signer` takes. */
export const signerBackends = ['node', 'webcrypto', 'liboqs', 'noble'] as const satisfies readonly SignerBackend[]
export const signerNames = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87', 'ed25519'] as const satisfies readonly SignerName[]

/** A signature algorithm by its name, in any case. @throws {MeshError} OPTION_INVALID for another name or backend, BACKEND_UNSUPPORTED for Ed25519 by liboqs */
export function signer(name: SignerName, backend: SignerBackend = 'node'): Signer {
  const [algorithm, by] = [named('signer', name, signerNames), named('backend', backend, signerBackends)]
  const abilities = algorithm === 'ed25519' ? backends[by].ed25519 : backends[by].mlDsa
  if (abilities === undefined) throw unsupported(by, 'anything', algorithm)
  return new CheckedSigner({ name: algorithm, backend: by, abilities })
}

/** Checks what comes in, before and whatever a backend checks. */
class CheckedSigner implements Signer {
  readonly name: SignerName
  readonly backend: SignerBackend
  readonly sizes: SignerSizes
  readonly abilities: SignerAbilities
  #engine: Promise<SignerEngine> | undefined

  constructor({ name, backend, abilities }: { readonly name: SignerName; readonly backend: SignerBackend; readonly abilities: SignerAbilities }) {
    this.name = name
    this.backend = backend
    this.sizes = signerSizes[name]
    this.abilities = abilities
  }

  async generateKeyPair(seed?: Uint8Array): Promise<SignerKeyPair> {
    const copy = seed === undefined ? undefined : this.#seed(seed)
    return this.#run([copy], (engine) => engine.generate(copy))
  }

  async sign(message: Uint8Array, privateKey: Uint8Array, options: SigningOptions = {}): Promise<Uint8Array> {
    const [copy, key] = [copyOf(message, 'message', this.name), this.#privateKey(privateKey)]
    try {
      this.#able(key.length === this.sizes.seed ? this.abilities.seeds : this.abilities.expandedKeys, 'this form of private key')
      const checked = { ...this.#context(options.context), ...this.#randomness(options.randomness) }
      return await this.#run([checked.randomness], (engine) => engine.sign(copy, key, checked))
    } finally {
      wipe(key)
    }
  }

  async verify(signed: SignedMessage): Promise<boolean> {
    const message = copyOf(signed.message, 'message', this.name)
    const publicKey = copyOf(signed.publicKey, 'public key', this.name)
    const signature = copyOf(signed.signature, 'signature', this.name)
    const context = this.#context(signed.context)
    if (publicKey.length !== this.sizes.publicKey || signature.length !== this.sizes.signature) return false
    if (!(await this.#isUsable(publicKey))) return false
    return this.#run([], (engine) => engine.verify({ publicKey, message, signature, ...context }))
  }

  async checkPublicKey(publicKey: Uint8Array): Promise<true> {
    const copy = copyOfLength(publicKey, { what: 'public key', algorithm: this.name, lengths: [this.sizes.publicKey] })
    if (await this.#isUsable(copy)) return true
    throw new MeshError('KEY_INVALID', { what: 'public key', algorithm: this.name, reason: 'not a canonical point of the prime-order group' })
  }

  async checkPrivateKey(privateKey: Uint8Array): Promise<true> {
    wipe(this.#privateKey(privateKey))
    return true
  }

  async expandPrivateKey(seed: Uint8Array): Promise<Uint8Array> {
    this.#able(this.abilities.expansion, 'the expansion of a seed')
    const copy = this.#seed(seed)
    return this.#run([copy], (engine) => {
      if (engine.expand === undefined) throw unsupported(this.backend, 'the expansion of a seed', this.name)
      return engine.expand(copy)
    })
  }

  /** Any ML-DSA key of the right length is one (FIPS 204 algorithm 23). */
  async #isUsable(publicKey: Uint8Array): Promise<boolean> {
    return this.name !== 'ed25519' || (await import('./strict-ed25519.ts')).isStrictKey(publicKey)
  }

  #seed(seed: Uint8Array): Bytes {
    this.#able(this.abilities.seeds, 'a key pair from a seed')
    return copyOfLength(seed, { what: 'seed', algorithm: this.name, lengths: [this.sizes.seed] })
  }

  #privateKey(privateKey: Uint8Array): Bytes {
    const { seed, expandedKey } = this.sizes
    const lengths = seed === expandedKey ? [seed] : [seed, expandedKey]
    const copy = copyOfLength(privateKey, { what: 'private key', algorithm: this.name, lengths })
    try {
      if (this.name !== 'ed25519' && copy.length !== seed) checkSigningKey(copy, this.name)
      return copy
    } catch (error) {
      wipe(copy)
      throw error
    }
  }

  #context(context: Uint8Array | undefined): { readonly context?: Bytes } {
    if (context === undefined) return {}
    const copy = copyOf(context, 'context', this.name)
    if (copy.length > maxContextBytes)
      throw new MeshError('KEY_INVALID', { what: 'context', algorithm: this.name, reason: `${copy.length} bytes, at most ${maxContextBytes}` })
    this.#able(copy.length === 0 || this.abilities.context, 'a context')
    return copy.length === 0 ? {} : { context: copy }
  }

  #randomness(randomness: Uint8Array | undefined): { readonly randomness?: Bytes } {
    if (randomness === undefined) return {}
    this.#able(this.abilities.randomness, 'signing with given randomness')
    return { randomness: copyOfLength(randomness, { what: 'randomness', algorithm: this.name, lengths: [randomnessBytes] }) }
  }

  #able(isAble: boolean, operation: string): void {
    if (!isAble) throw unsupported(this.backend, operation, this.name)
  }

  /** Runs one operation; `secrets` are wiped after it. */
  async #run<T>(secrets: readonly (Uint8Array | undefined)[], operation: (engine: SignerEngine) => Awaitable<T>): Promise<T> {
    try {
      this.#engine ??= loaded(this.backend, this.name, backends[this.backend].load(this.name))
      const engine = await this.#engine
      return await operation(engine)
    } catch (cause) {
      throw refusal(cause, { backend: this.backend, algorithm: this.name })
    } finally {
      wipe(...secrets)
    }
  }
}
