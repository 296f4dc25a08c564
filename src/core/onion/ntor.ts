import { ByteWriter, type DhKey, MeshError, concat, equalBytes, utf8 } from '../base/index.ts'
import type { NtorHashes } from './ntor-hashes.ts'

// The ntor v3 handshake (Tor's proposal 332), with one thing added: secrets of a second key agreement can be mixed into the final keys.
// Without any it gives the bytes of the proposal's test vectors.

/** PROTOID of the proposal with the tweaks made of it, each with its length before it as ENCAP has it. */
export interface NtorProtocol {
  readonly id: Uint8Array
  readonly messageKdf: Uint8Array
  readonly messageMac: Uint8Array
  readonly keySeed: Uint8Array
  readonly verify: Uint8Array
  readonly final: Uint8Array
  readonly auth: Uint8Array
  /** Ours: the key under which the reply carries what is mixed in. */
  readonly mixing: Uint8Array
}

/** What both sides know before they begin. */
export interface NtorTerms {
  readonly hashes: NtorHashes
  readonly protocol: NtorProtocol
  /** VER: both sides must have the same. */
  readonly verification: Uint8Array
  /** ID: the relay's 32-byte identity key. */
  readonly identity: Uint8Array
  /** B: the relay's 32-byte X25519 onion key. */
  readonly onionKey: Uint8Array
}

/** A second key agreement, which rides in the reply before the relay's message. */
export interface Mixing {
  /** Its bytes in the reply, as sent. */
  readonly prefix: Uint8Array
  /** What goes into the final keys; wiped there. */
  readonly secrets: readonly Uint8Array[]
}

/** What the last step of both sides gives. The caller wipes `keys`. */
export interface NtorResult {
  /** The relay's message. */
  readonly message: Uint8Array
  /** KEYSTREAM of the proposal, as long as was asked for. */
  readonly keys: Uint8Array
}

/** How either side ends. */
export interface NtorFinish {
  readonly keyBytes: number
  /** The relay makes its part with a key for it; the client takes it off the sealed message of the reply. */
  readonly mix?: (key: Uint8Array, sealed: Uint8Array) => Mixing
}

const keyBytes = 32
const requestBytes = 4 * keyBytes
const server = utf8('Server')
const noMixing: Mixing = { prefix: new Uint8Array(0), secrets: [] }

/** The strings of a protocol by its name. */
export function ntorProtocol(name: string): NtorProtocol {
  const tweak = (suffix: string): Uint8Array => encapsulate(utf8(`${name}:${suffix}`))
  return {
    id: utf8(name),
    messageKdf: tweak('kdf_phase1'),
    messageMac: tweak('msg_mac'),
    keySeed: tweak('key_seed'),
    verify: tweak('verify'),
    final: tweak('kdf_final'),
    auth: tweak('auth_final'),
    mixing: tweak('kdf_mixing')
  }
}

/** The error for whatever does not fit: a relay says nothing but that it ends. */
export const handshakeFailed = (reason: string, cause?: unknown): MeshError => new MeshError('CIRCUIT_HANDSHAKE_FAILED', { reason }, { cause })

/** The client's half. */
export class NtorClient {
  /** ID ‖ B ‖ X ‖ sealed message ‖ MAC: 128 bytes more than the message. */
  readonly request: Uint8Array
  readonly #terms: NtorTerms
  readonly #dh: DhKey
  readonly #shared: Uint8Array
  readonly #mac: Uint8Array

  /** @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED when the onion key is no point of use */
  constructor(terms: NtorTerms, dh: DhKey, message: Uint8Array) {
    this.#terms = terms
    this.#dh = dh
    const { identity, onionKey } = terms
    if (identity.length !== keyBytes) throw handshakeFailed('identity')
    this.#shared = agreed(dh, onionKey)
    const keys = firstKeys(terms, this.#shared, dh.publicKey)
    const head = concat(identity, onionKey, dh.publicKey, terms.hashes.crypt(keys.subarray(0, keyBytes), message))
    this.#mac = requestMac(terms, keys.subarray(keyBytes), head)
    keys.fill(0)
    this.request = concat(head, this.#mac)
  }

  /** Takes the relay's reply. Once: the secrets are wiped, whatever comes out. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED */
  finish(reply: Uint8Array, { keyBytes: length, mix }: NtorFinish): NtorResult {
    if (reply.length < 2 * keyBytes) throw handshakeFailed('length')
    const serverKey = reply.subarray(0, keyBytes)
    const sealed = reply.subarray(2 * keyBytes)
    const clientKey = this.#dh.publicKey
    const secrets = [agreed(this.#dh, serverKey), this.#shared]
    const facts = { terms: this.#terms, clientKey, serverKey, secrets }
    const mixing = mix === undefined ? noMixing : mix(mixingKey(facts), sealed)
    const final = finalKeys(facts, mixing, length)
    this.wipe()
    if (!equalBytes(authTag(facts, { verify: final.verify, mac: this.#mac, sealed }), reply.subarray(keyBytes, 2 * keyBytes))) {
      for (const secret of [final.messageKey, final.keys]) secret.fill(0)
      throw handshakeFailed('auth')
    }
    const message = this.#terms.hashes.crypt(final.messageKey, sealed.subarray(mixing.prefix.length))
    final.messageKey.fill(0)
    return { message, keys: final.keys }
  }

  wipe(): void {
    this.#shared.fill(0)
  }
}

/** The relay's half: made of a request, of which it proves that its sender meant this relay and this onion key. */
export class NtorRelay {
  /** The client's message. */
  readonly message: Uint8Array
  /** The MAC of the request: of two requests that are not the same, never the same. */
  readonly mac: Uint8Array
  readonly #terms: NtorTerms
  readonly #clientKey: Uint8Array
  readonly #shared: Uint8Array

  /** @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED */
  constructor(terms: NtorTerms, onionKey: DhKey, request: Uint8Array) {
    const { identity, onionKey: publicKey } = parseRequest(request)
    if (!equalBytes(identity, terms.identity)) throw handshakeFailed('identity')
    if (!equalBytes(publicKey, terms.onionKey)) throw handshakeFailed('onion-key')
    this.#terms = terms
    this.#clientKey = request.slice(2 * keyBytes, 3 * keyBytes)
    this.#shared = agreed(onionKey, this.#clientKey)
    const head = request.subarray(0, request.length - keyBytes)
    const keys = firstKeys(terms, this.#shared, this.#clientKey)
    this.mac = requestMac(terms, keys.subarray(keyBytes), head)
    if (!equalBytes(this.mac, request.subarray(request.length - keyBytes))) {
      keys.fill(0)
      this.#shared.fill(0)
      throw handshakeFailed('mac')
    }
    this.message = terms.hashes.crypt(keys.subarray(0, keyBytes), head.subarray(3 * keyBytes))
    keys.fill(0)
  }

  /** The reply with `message` in it, and the keys. Once: the secrets are wiped. */
  answer(dh: DhKey, message: Uint8Array, { keyBytes: length, mix }: NtorFinish): { readonly reply: Uint8Array; readonly keys: Uint8Array } {
    const secrets = [agreed(dh, this.#clientKey), this.#shared]
    const facts = { terms: this.#terms, clientKey: this.#clientKey, serverKey: dh.publicKey, secrets }
    const mixing = mix === undefined ? noMixing : mix(mixingKey(facts), message)
    const final = finalKeys(facts, mixing, length)
    const sealed = concat(mixing.prefix, this.#terms.hashes.crypt(final.messageKey, message))
    final.messageKey.fill(0)
    return { reply: concat(dh.publicKey, authTag(facts, { verify: final.verify, mac: this.mac, sealed }), sealed), keys: final.keys }
  }

  wipe(): void {
    this.#shared.fill(0)
  }
}

/** The relay and the key that a request is for. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED when it is too short */
export function parseRequest(request: Uint8Array): { readonly identity: Uint8Array; readonly onionKey: Uint8Array } {
  if (request.length < requestBytes) throw handshakeFailed('length')
  return { identity: request.subarray(0, keyBytes), onionKey: request.subarray(keyBytes, 2 * keyBytes) }
}

interface Facts {
  readonly terms: NtorTerms
  readonly clientKey: Uint8Array
  readonly serverKey: Uint8Array
  /** Xy and Xb. */
  readonly secrets: readonly Uint8Array[]
}

/** EXP of the proposal, with the refusals of its security notes: no low-order key, and never the same key on both sides. */
function agreed(own: DhKey, remote: Uint8Array): Uint8Array {
  if (remote.length !== keyBytes || equalBytes(own.publicKey, remote)) throw handshakeFailed('dh-key')
  let shared: Uint8Array
  try {
    shared = own.agree(remote)
  } catch (cause) {
    throw handshakeFailed('dh-key', cause)
  }
  if (equalBytes(shared, new Uint8Array(keyBytes))) throw handshakeFailed('dh-key')
  return shared
}

/** ENC_K1 ‖ MAC_K1. */
function firstKeys({ hashes, protocol, identity, onionKey, verification }: NtorTerms, shared: Uint8Array, clientKey: Uint8Array): Uint8Array {
  return hashes.shake(2 * keyBytes, protocol.messageKdf, shared, identity, clientKey, onionKey, protocol.id, encapsulate(verification))
}

const requestMac = ({ hashes, protocol }: NtorTerms, key: Uint8Array, head: Uint8Array): Uint8Array =>
  hashes.sha3(protocol.messageMac, encapsulate(key), head)

/** secret_input of the proposal, with what is mixed in after the two agreements. */
function secretInput({ terms, clientKey, serverKey, secrets }: Facts, mixed: readonly Uint8Array[]): readonly Uint8Array[] {
  const { protocol, identity, onionKey, verification } = terms
  return [...secrets, ...mixed, identity, onionKey, clientKey, serverKey, protocol.id, encapsulate(verification)]
}

const mixingKey = (facts: Facts): Uint8Array => facts.terms.hashes.shake(keyBytes, facts.terms.protocol.mixing, ...secretInput(facts, []))

function finalKeys(
  facts: Facts,
  mixing: Mixing,
  length: number
): { readonly verify: Uint8Array; readonly messageKey: Uint8Array; readonly keys: Uint8Array } {
  const { hashes, protocol } = facts.terms
  const input = secretInput(facts, mixing.secrets)
  const seed = hashes.sha3(protocol.keySeed, ...input)
  const verify = hashes.sha3(protocol.verify, ...input)
  const stream = hashes.shake(keyBytes + length, protocol.final, seed)
  for (const secret of [seed, ...facts.secrets, ...mixing.secrets]) secret.fill(0)
  return { verify, messageKey: stream.subarray(0, keyBytes), keys: stream.subarray(keyBytes) }
}

function authTag(
  facts: Facts,
  { verify, mac, sealed }: { readonly verify: Uint8Array; readonly mac: Uint8Array; readonly sealed: Uint8Array }
): Uint8Array {
  const { terms, serverKey, clientKey } = facts
  const { hashes, protocol, identity, onionKey } = terms
  return hashes.sha3(protocol.auth, verify, identity, onionKey, serverKey, clientKey, mac, encapsulate(sealed), protocol.id, server)
}

/** ENCAP of the proposal: eight bytes of length, and the bytes. */
const encapsulate = (bytes: Uint8Array): Uint8Array => new ByteWriter(8 + bytes.length).u64(bytes.length).raw(bytes).take()
