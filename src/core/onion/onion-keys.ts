import { ByteReader, type DhKey, type HandshakeCrypto, type Machine, type Millis, after, earliest, equalBytes, millis } from '../base/index.ts'
import { handshakeFailed } from './ntor.ts'

export interface OnionKeysOptions {
  readonly crypto: HandshakeCrypto
  readonly now: Millis
  /** Requests that one key remembers, 8 or more. Default 131,072. */
  readonly maxRequests?: number
}

/** The key to publish is another one now: the descriptor is made anew. */
export interface OnionKeyRotated {
  readonly type: 'rotated'
  readonly publicKey: Uint8Array
}

/** How long a key is published, and how long it is taken after that, in milliseconds. */
export const onionKeyTimes = { rotateMs: 86_400_000, acceptMs: 86_400_000 } as const

const defaultMaxRequests = 131_072
/** Keys that were replaced and are still taken. More than one only when full caches made them rotate early. */
const maxOldKeys = 3
const saltBytes = 16

interface HeldKey {
  readonly dh: DhKey
  /** Makes the places in the cache unpredictable for whoever sends requests. */
  readonly salt: Uint8Array
  /** 48 bits of a digest for each request that was answered: a fresh one is taken for a repeat once in 2^31 at a full cache. */
  readonly seen: Set<number>
  /** When it is replaced, or erased once it was. */
  until: Millis
}

/**
 * A node's own onion keys: fresh X25519 keys which live in memory only. One is published for 24 h and taken for 24 h more. Each
 * remembers the requests that it answered, so that none is answered twice; when seven eighths of that memory are used the key is replaced early,
 * and what is left serves those who have not heard of it yet.
 */
export class OnionKeys implements Machine<{ readonly type: 'wake' }, OnionKeyRotated> {
  readonly #crypto: HandshakeCrypto
  readonly #maxRequests: number
  #current: HeldKey
  /** The newest first. */
  #old: readonly HeldKey[] = []

  constructor({ crypto, now, maxRequests = defaultMaxRequests }: OnionKeysOptions) {
    this.#crypto = crypto
    this.#maxRequests = maxRequests
    this.#current = this.#fresh(now)
  }

  /** The 32-byte key for the descriptor. */
  get publicKey(): Uint8Array {
    return this.#current.dh.publicKey
  }

  /** When to wake it; whoever answers requests looks again afterwards, as a full cache makes it now. */
  get wakeAt(): Millis | undefined {
    return earliest(this.#current.until, ...this.#old.map(({ until }) => until))
  }

  /** Replaces the current key when its time is over, and erases old ones. */
  handle(_input: { readonly type: 'wake' }, now: Millis): readonly OnionKeyRotated[] {
    this.#old = this.#old.filter(({ until }) => until > now)
    if (this.#current.until > now) return []
    const replaced = this.#current
    replaced.until = after(now, onionKeyTimes.acceptMs)
    this.#old = [replaced, ...this.#old].slice(0, maxOldKeys)
    this.#current = this.#fresh(now)
    return [{ type: 'rotated', publicKey: this.publicKey }]
  }

  /** The key pair of a public key that we published. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED when it is none of ours, or too old */
  find(publicKey: Uint8Array): DhKey {
    return this.#held(publicKey).dh
  }

  /** Remembers a request by its MAC. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED when it was there before, or when no more can be remembered */
  once(publicKey: Uint8Array, mac: Uint8Array): void {
    const key = this.#held(publicKey)
    const place = placeOf(this.#crypto.hash('sha256', key.salt, mac))
    if (key.seen.has(place)) throw handshakeFailed('replay')
    if (key.seen.size >= this.#maxRequests) throw handshakeFailed('full')
    key.seen.add(place)
    if (key === this.#current && key.seen.size >= this.#maxRequests - this.#maxRequests / 8) key.until = overdue
  }

  #held(publicKey: Uint8Array): HeldKey {
    const key = [this.#current, ...this.#old].find(({ dh }) => equalBytes(dh.publicKey, publicKey))
    if (key === undefined) throw handshakeFailed('onion-key')
    return key
  }

  #fresh(now: Millis): HeldKey {
    const { generateDh, randomBytes } = this.#crypto
    return { dh: generateDh(), salt: randomBytes(saltBytes), seen: new Set(), until: after(now, onionKeyTimes.rotateMs) }
  }
}

/** Due at whatever time it is. */
const overdue = millis(Number.NEGATIVE_INFINITY)

function placeOf(digest: Uint8Array): number {
  const reader = new ByteReader(digest, 'digest')
  return reader.u32() * 0x1_0000 + reader.u16()
}
