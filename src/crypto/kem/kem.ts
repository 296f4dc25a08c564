import { type Bytes, type Encapsulated, type KemLevel, MeshError } from '../../core/base/index.ts'
import { type Awaitable, copyOf, copyOfLength, loaded, named, refusal, unsupported, wipe } from '../inputs.ts'
import { checkDecapsulationKey, checkEncapsulationKey } from './checks.ts'
import type { KemAbilities, KemEngine, KemKeyPair } from './engine.ts'
import { type KemName, type KemParameters, type KemSizes, kemParameters } from './parameters.ts'

export type { Encapsulated, KemAbilities, KemKeyPair, KemLevel, KemName, KemSizes }

/** `node` is node:crypto; `webcrypto` what the runtime has; `liboqs` WebAssembly; `noble` plain JavaScript, which has everything but speed. */
export type KemBackend = 'node' | 'webcrypto' | 'liboqs' | 'noble'

/**
 * ML-KEM (FIPS 203) at one level by one backend. Every method is asynchronous, whatever the backend. Inputs are copied when a method is called;
 * a wrong length, a coefficient out of range (section 7.2) or a wrong hash (section 7.3) rejects with KEY_INVALID, a ciphertext of a wrong length
 * with MESSAGE_MALFORMED, and what the backend cannot do with BACKEND_UNSUPPORTED. Copies of secrets are wiped; what is returned, the caller wipes.
 */
export interface Kem {
  readonly level: KemLevel
  readonly name: KemName
  readonly backend: KemBackend
  /** Lengths in bytes. */
  readonly sizes: KemSizes
  readonly abilities: KemAbilities
  /** A key pair: random, or of the 64-byte seed d ‖ z. @throws {MeshError} KEY_INVALID, BACKEND_UNSUPPORTED (a seed in liboqs) */
  generateKeyPair(seed?: Uint8Array): Promise<KemKeyPair>
  /**
   * A ciphertext and its 32-byte shared secret. `randomness` is the 32-byte m of FIPS 203 algorithm 17, for test vectors; leave it out otherwise.
   * @throws {MeshError} KEY_INVALID; BACKEND_UNSUPPORTED for randomness outside noble
   */
  encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Promise<Encapsulated>
  /**
   * The 32-byte shared secret. For a ciphertext that was not made for this key it is a pseudo-random one (implicit rejection), never an error.
   * `privateKey` is the 64-byte seed d ‖ z or the expanded decapsulation key.
   * @throws {MeshError} KEY_INVALID, MESSAGE_MALFORMED; BACKEND_UNSUPPORTED for a seed in liboqs and for an expanded key in WebCrypto
   */
  decapsulate(ciphertext: Uint8Array, privateKey: Uint8Array): Promise<Uint8Array>
  /** True, when the length and all coefficients are right (FIPS 203 section 7.2). @throws {MeshError} KEY_INVALID */
  checkPublicKey(publicKey: Uint8Array): Promise<true>
  /** True, when it is a 64-byte seed, or an expanded key with the right length and hash (FIPS 203 section 7.3). @throws {MeshError} KEY_INVALID */
  checkPrivateKey(privateKey: Uint8Array): Promise<true>
  /** The expanded decapsulation key dkPKE ‖ ek ‖ H(ek) ‖ z of a 64-byte seed. @throws {MeshError} KEY_INVALID; BACKEND_UNSUPPORTED in liboqs and WebCrypto */
  expandPrivateKey(seed: Uint8Array): Promise<Uint8Array>
}

interface Backend {
  readonly abilities: KemAbilities
  load(parameters: KemParameters): Promise<KemEngine>
}

/** Nothing is loaded before it is used. */
const backends: Readonly<Record<KemBackend, Backend>> = {
  node: {
    abilities: { seeds: true, expandedKeys: true, expansion: true, randomness: false },
    load: async (parameters) => (await import('./node.ts')).nodeKem(parameters)
  },
  webcrypto: {
    abilities: { seeds: true, expandedKeys: false, expansion: false, randomness: false },
    load: async (parameters) => (await import('./webcrypto.ts')).webcryptoKem(parameters)
  },
  liboqs: {
    abilities: { seeds: false, expandedKeys: true, expansion: false, randomness: false },
    load: async (parameters) => (await import('./liboqs.ts')).liboqsKem(parameters)
  },
  noble: {
    abilities: { seeds: true, expandedKeys: true, expansion: true, randomness: true },
    load: async (parameters) => (await import('./noble.ts')).nobleKem(parameters)
  }
}

/** The names that `kem` takes. */
export const kemBackends = ['node', 'webcrypto', 'liboqs', 'noble'] as const satisfies readonly KemBackend[]

/** ML-KEM-512, ML-KEM-768 or ML-KEM-1024 by level 1, 3 or 5. @throws {MeshError} OPTION_INVALID for another level or backend */
export function kem(level: KemLevel, backend: KemBackend = 'node'): Kem {
  const parameters = Object.hasOwn(kemParameters, level) ? kemParameters[level] : undefined
  if (parameters === undefined || parameters.level !== level)
    throw new MeshError('OPTION_INVALID', { path: 'level', value: String(level).slice(0, 40), allowed: '1, 3 or 5' })
  return new CheckedKem(parameters, named('backend', backend, kemBackends))
}

/** Checks what comes in, before and whatever a backend checks. */
class CheckedKem implements Kem {
  readonly level: KemLevel
  readonly name: KemName
  readonly backend: KemBackend
  readonly sizes: KemSizes
  readonly abilities: KemAbilities
  readonly #parameters: KemParameters
  #engine: Promise<KemEngine> | undefined

  constructor(parameters: KemParameters, backend: KemBackend) {
    this.level = parameters.level
    this.name = parameters.name
    this.sizes = parameters.sizes
    this.backend = backend
    this.abilities = backends[backend].abilities
    this.#parameters = parameters
  }

  async generateKeyPair(seed?: Uint8Array): Promise<KemKeyPair> {
    const copy = seed === undefined ? undefined : this.#seed(seed)
    return this.#run([copy], (engine) => engine.generate(copy))
  }

  async encapsulate(publicKey: Uint8Array, randomness?: Uint8Array): Promise<Encapsulated> {
    const key = this.#publicKey(publicKey)
    const copy = randomness === undefined ? undefined : this.#randomness(randomness)
    return this.#run([copy], (engine) => engine.encapsulate(key, copy))
  }

  async decapsulate(ciphertext: Uint8Array, privateKey: Uint8Array): Promise<Uint8Array> {
    const key = this.#privateKey(privateKey)
    try {
      this.#able(key.length === this.sizes.seed ? this.abilities.seeds : this.abilities.expandedKeys, describeKey(key))
      const copy = this.#ciphertext(ciphertext)
      return await this.#run([], (engine) => engine.decapsulate(copy, key))
    } finally {
      wipe(key)
    }
  }

  async checkPublicKey(publicKey: Uint8Array): Promise<true> {
    this.#publicKey(publicKey)
    return true
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

  #seed(seed: Uint8Array): Bytes {
    this.#able(this.abilities.seeds, 'a key pair from a seed')
    return copyOfLength(seed, { what: 'seed', algorithm: this.name, lengths: [this.sizes.seed] })
  }

  #randomness(randomness: Uint8Array): Bytes {
    this.#able(this.abilities.randomness, 'encapsulation with given randomness')
    return copyOfLength(randomness, { what: 'randomness', algorithm: this.name, lengths: [this.sizes.randomness] })
  }

  #publicKey(publicKey: Uint8Array): Bytes {
    const copy = copyOfLength(publicKey, { what: 'encapsulation key', algorithm: this.name, lengths: [this.sizes.publicKey] })
    checkEncapsulationKey(copy, this.#parameters)
    return copy
  }

  #privateKey(privateKey: Uint8Array): Bytes {
    const { seed, expandedKey } = this.sizes
    const copy = copyOfLength(privateKey, { what: 'decapsulation key', algorithm: this.name, lengths: [seed, expandedKey] })
    try {
      if (copy.length !== seed) checkDecapsulationKey(copy, this.#parameters)
      return copy
    } catch (error) {
      wipe(copy)
      throw error
    }
  }

  #ciphertext(ciphertext: Uint8Array): Bytes {
    const copy = copyOf(ciphertext, 'ciphertext', this.name)
    if (copy.length === this.sizes.ciphertext) return copy
    const reason = `${copy.length} bytes instead of ${this.sizes.ciphertext}`
    throw new MeshError('MESSAGE_MALFORMED', { what: `ciphertext of ${this.name}`, reason })
  }

  #able(isAble: boolean, operation: string): void {
    if (!isAble) throw unsupported(this.backend, operation, this.name)
  }

  /** Runs one operation; `secrets` are wiped after it. */
  async #run<T>(secrets: readonly (Uint8Array | undefined)[], operation: (engine: KemEngine) => Awaitable<T>): Promise<T> {
    try {
      this.#engine ??= loaded(this.backend, this.name, backends[this.backend].load(this.#parameters))
      const engine = await this.#engine
      return await operation(engine)
    } catch (cause) {
      throw refusal(cause, { backend: this.backend, algorithm: this.name })
    } finally {
      wipe(...secrets)
    }
  }
}

const describeKey = (key: Uint8Array): string => (key.length === 64 ? 'a seed as private key' : 'an expanded private key')
