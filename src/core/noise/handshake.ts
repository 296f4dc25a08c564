import { type DhKey, type HandshakeCrypto, type KemKey, type KemPort, MeshError, concat } from '../base/index.ts'
import type { NoiseSuite } from './suites.ts'
import { type SplitKeys, SymmetricState, tagBytes } from './symmetric-state.ts'

type Token = 'e' | 'e1' | 's' | 'ee' | 'ekem1' | 'es' | 'se'

/** XX (Noise revision 34, section 7.5) and XXhfs, in which ekem1 follows ee (Noise HFS; libp2p/specs #727). */
const patterns: Readonly<Record<'xx' | 'xxhfs', readonly (readonly Token[])[]>> = {
  xx: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']],
  xxhfs: [
    ['e', 'e1'],
    ['e', 'ee', 'ekem1', 's', 'es'],
    ['s', 'se']
  ]
}

const dhBytes = 32
/** The longest message of Noise (revision 34, section 3). */
export const maxMessageBytes = 65_535

/** Whether this side speaks first. */
export type HandshakeRole = 'initiator' | 'responder'

export interface HandshakeOptions {
  readonly suite: NoiseSuite
  readonly role: HandshakeRole
  readonly crypto: HandshakeCrypto
  /** Fresh in each process, and used for Noise alone. */
  readonly staticKey: DhKey
  /** Empty in libp2p. */
  readonly prologue?: Uint8Array
  /** The initiator's `e` and `e1`, made before, for a prologue that covers message A. */
  readonly ephemeral?: { readonly dh: DhKey; readonly kem: KemKey | undefined } | undefined
}

/** A payload, or what makes it from the handshake hash after the tokens of its message: what signatures over the transcript are over. */
export type Payload = Uint8Array | ((hash: Uint8Array) => Uint8Array)

/** A message that was read. */
export interface HandshakeMessage {
  readonly payload: Uint8Array
  /** The handshake hash after the tokens of the message and before its payload. */
  readonly hash: Uint8Array
}

const failed = (reason: string, cause?: unknown): MeshError => new MeshError('HANDSHAKE_FAILED', { reason }, { cause })

/**
 * One run of XX or XXhfs, bytes in and bytes out: three messages, the first of the initiator. After any failure it is wiped and of no more use.
 * Without a payload, A has 32 bytes (and the KEM's public key), B 96 (and its ciphertext and 16), C 64.
 */
export class NoiseHandshake {
  readonly #crypto: HandshakeCrypto
  readonly #isInitiator: boolean
  readonly #kem: KemPort | undefined
  readonly #pattern: readonly (readonly Token[])[]
  readonly #state: SymmetricState
  readonly #static: DhKey
  #turn = 0
  #isDead = false
  #ephemeral: DhKey | undefined
  #kemKey: KemKey | undefined
  #remoteEphemeral: Uint8Array | undefined
  #remoteStatic: Uint8Array | undefined
  #remoteKem: Uint8Array | undefined

  constructor({ suite, role, crypto, staticKey, prologue, ephemeral }: HandshakeOptions) {
    this.#crypto = crypto
    this.#isInitiator = role === 'initiator'
    this.#kem = suite.kem === undefined ? undefined : crypto.kem(suite.kem)
    this.#pattern = patterns[suite.kem === undefined ? 'xx' : 'xxhfs']
    this.#static = staticKey
    this.#ephemeral = ephemeral?.dh
    this.#kemKey = ephemeral?.kem
    this.#state = new SymmetricState(crypto, suite)
    this.#state.mixHash(prologue ?? new Uint8Array(0))
  }

  /** Whether all three messages are done. */
  get isComplete(): boolean {
    return this.#turn === this.#pattern.length
  }

  /** The handshake hash h, 32 or 64 bytes; binds everything that was said so far. */
  get hash(): Uint8Array {
    return this.#state.hash
  }

  /** The chaining key ck, a secret, for a key schedule of one's own. @throws {MeshError} HANDSHAKE_FAILED before the end */
  get chainingKey(): Uint8Array {
    this.#expectEnd()
    return this.#state.chainingKey
  }

  /** The peer's static key, 32 bytes, as soon as it is known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic
  }

  /** Bytes of the next message without its payload: exactly this for an empty one. */
  get nextMessageBytes(): number {
    let isKeyed = this.#state.hasKey
    let length = 0
    for (const token of this.#pattern[this.#turn] ?? []) {
      if (token === 'ekem1') length += (this.#kem?.ciphertextBytes ?? 0) + tagBytes
      else if (token === 'e1') length += (this.#kem?.publicKeyBytes ?? 0) + (isKeyed ? tagBytes : 0)
      else if (token === 'e') length += dhBytes
      else if (token === 's') length += dhBytes + (isKeyed ? tagBytes : 0)
      else isKeyed = true
    }
    return length + (isKeyed ? tagBytes : 0)
  }

  /** The next message. @throws {MeshError} HANDSHAKE_FAILED: not our turn, too long, or a key of the peer that cannot be used */
  writeMessage(payload: Payload): Uint8Array {
    this.#expectTurn(this.#isInitiator)
    try {
      const parts: Uint8Array[] = []
      for (const token of this.#pattern[this.#turn] ?? []) {
        const part = this.#write(token)
        if (part !== undefined) parts.push(part)
      }
      parts.push(this.#state.encryptAndHash(payload instanceof Uint8Array ? payload : payload(this.#state.hash)))
      const message = concat(...parts)
      if (message.length > maxMessageBytes) throw failed('length')
      this.#turn += 1
      return message
    } catch (error) {
      throw this.#die(error)
    }
  }

  /** The peer's next message. @throws {MeshError} HANDSHAKE_FAILED: not the peer's turn, or the message is wrong */
  readMessage(message: Uint8Array): HandshakeMessage {
    this.#expectTurn(!this.#isInitiator)
    if (message.length < this.nextMessageBytes || message.length > maxMessageBytes) throw this.#die(failed('length'))
    try {
      let rest = message
      for (const token of this.#pattern[this.#turn] ?? []) rest = this.#read(token, rest)
      const hash = this.#state.hash
      const payload = this.#state.decryptAndHash(rest)
      this.#turn += 1
      return { payload, hash }
    } catch (error) {
      throw this.#die(error)
    }
  }

  /** The keys of both directions. @throws {MeshError} HANDSHAKE_FAILED before the end */
  split(): { readonly send: Uint8Array; readonly receive: Uint8Array } {
    this.#expectEnd()
    const { first, second }: SplitKeys = this.#state.split()
    return this.#isInitiator ? { send: first, receive: second } : { send: second, receive: first }
  }

  /** Forgets every secret that can be overwritten. */
  wipe(): void {
    this.#isDead = true
    this.#state.wipe()
    this.#ephemeral = undefined
    this.#kemKey = undefined
  }

  #write(token: Token): Uint8Array | undefined {
    switch (token) {
      case 'e': {
        this.#ephemeral ??= this.#crypto.generateDh()
        this.#state.mixHash(this.#ephemeral.publicKey)
        return this.#ephemeral.publicKey
      }
      case 'e1': {
        this.#kemKey ??= known(this.#kem).generate()
        return this.#state.encryptAndHash(this.#kemKey.publicKey)
      }
      case 's':
        return this.#state.encryptAndHash(this.#static.publicKey)
      case 'ekem1': {
        const { ciphertext, sharedSecret } = this.#encapsulate()
        const sealed = this.#state.encryptAndHash(ciphertext)
        this.#state.mixKey(sharedSecret)
        return sealed
      }
      default:
        this.#agree(token)
        return undefined
    }
  }

  /** Reads one token from the front of `message`; returns what follows. Lengths were checked before. */
  #read(token: Token, message: Uint8Array): Uint8Array {
    const sealed = this.#state.hasKey ? tagBytes : 0
    switch (token) {
      case 'e':
        this.#remoteEphemeral = concat(message.subarray(0, dhBytes))
        this.#state.mixHash(this.#remoteEphemeral)
        return message.subarray(dhBytes)
      case 'e1': {
        const length = known(this.#kem).publicKeyBytes + sealed
        this.#remoteKem = concat(this.#state.decryptAndHash(message.subarray(0, length)))
        return message.subarray(length)
      }
      case 's': {
        const length = dhBytes + sealed
        this.#remoteStatic = this.#state.decryptAndHash(message.subarray(0, length))
        return message.subarray(length)
      }
      case 'ekem1': {
        const length = known(this.#kem).ciphertextBytes + sealed
        const ciphertext = this.#state.decryptAndHash(message.subarray(0, length))
        this.#state.mixKey(known(this.#kemKey).decapsulate(ciphertext))
        this.#kemKey = undefined
        return message.subarray(length)
      }
      default:
        this.#agree(token)
        return message
    }
  }

  /** ee, es and se name the initiator's key first. */
  #agree(token: 'ee' | 'es' | 'se'): void {
    const isOursEphemeral = token === 'ee' || (token === 'es') === this.#isInitiator
    const isTheirsEphemeral = token === 'ee' || (token === 'se') === this.#isInitiator
    const ours = isOursEphemeral ? known(this.#ephemeral) : this.#static
    this.#state.mixKey(ours.agree(known(isTheirsEphemeral ? this.#remoteEphemeral : this.#remoteStatic)))
  }

  #encapsulate(): ReturnType<KemPort['encapsulate']> {
    try {
      return known(this.#kem).encapsulate(known(this.#remoteKem))
    } catch (cause) {
      throw failed('kem-key', cause)
    }
  }

  #expectTurn(isInitiatorTurn: boolean): void {
    if (this.#isDead || this.isComplete || (this.#turn % 2 === 0) !== isInitiatorTurn) throw failed('order')
  }

  #expectEnd(): void {
    if (this.#isDead || !this.isComplete) throw failed('order')
  }

  #die(error: unknown): MeshError {
    this.wipe()
    return error instanceof MeshError ? error : failed('internal', error)
  }
}

function known<Value>(value: Value | undefined): Value {
  if (value === undefined) throw failed('order')
  return value
}
