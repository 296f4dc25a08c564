import { type DhKey, type Encapsulated, type HandshakeCrypto, type KemLevel, type KemPort, utf8 } from '../base/index.ts'
import { type Mixing, NtorClient, NtorRelay, type NtorTerms, handshakeFailed, ntorProtocol } from './ntor.ts'
import type { NtorHashes } from './ntor-hashes.ts'
import { type ClientHandshake, type DirectionKeys, type HopTarget, type LayerKeys, type RelayHandshake, cellSizes } from './types.ts'

// ntor v3 with an ephemeral ML-KEM key: docs/wire/onion.md, "Handshake". The KEM's key and its ciphertext travel inside of the two sealed
// messages, each padded to one size, so that whoever passes them on does not see the level.

/** What a handshake computes with. */
export interface HandshakeTools {
  readonly crypto: HandshakeCrypto
  readonly hashes: NtorHashes
}

/** Whom a request is for: the relay's side of the terms. */
export interface RelaySide {
  readonly publicKey: Uint8Array
  readonly onionKey: DhKey
  /** Told the request's MAC, which names it; throws for one that was there before. */
  readonly once: (mac: Uint8Array) => void
}

const protocol = ntorProtocol('synaptic-mesh/ntor3-x25519-mlkem-sha3_256-1')
/** VER: what the keys are for. Another cell cipher or another size of cells would have another text. */
const verification = utf8('circuit lioness-chacha20-blake2b-1024')
const messageVersion = 1
const levels: readonly KemLevel[] = [1, 3, 5]
const ntorRequestBytes = 128
const ntorReplyBytes = 64
/** The client's message: u8 version ‖ u8 level ‖ the KEM's key ‖ zeros. */
const requestMessageBytes = cellSizes.create - ntorRequestBytes
/** The relay's: the KEM's ciphertext, then u8 version ‖ zeros. */
const replyMessageBytes = cellSizes.created - ntorReplyBytes

const cipherKeyBytes = 128
const chainBytes = 32
const directionBytes = cipherKeyBytes + chainBytes
const bindingBytes = 32
const layerBytes = 2 * directionBytes + bindingBytes

/** Begins a handshake with a hop. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED when the onion key is no point of use */
export function beginHandshake({ crypto, hashes }: HandshakeTools, target: HopTarget, level: KemLevel): ClientHandshake {
  const terms: NtorTerms = { hashes, protocol, verification, identity: target.publicKey, onionKey: target.onionKey }
  const kem = crypto.kem(level)
  const kemKey = kem.generate()
  const message = new Uint8Array(requestMessageBytes)
  message.set([messageVersion, level])
  message.set(kemKey.publicKey, 2)
  const ntor = new NtorClient(terms, crypto.generateDh(), message)
  let isOpen = true
  const mix = (key: Uint8Array, sealed: Uint8Array): Mixing => {
    const prefix = sealed.subarray(0, kem.ciphertextBytes)
    const ciphertext = hashes.crypt(key, prefix)
    key.fill(0)
    return { prefix, secrets: [kemKey.decapsulate(ciphertext), hashes.sha3(ciphertext), hashes.sha3(kemKey.publicKey)] }
  }
  const end = (): void => {
    isOpen = false
    ntor.wipe()
  }
  return {
    request: ntor.request,
    finish: (reply) => {
      if (!isOpen) throw handshakeFailed('state')
      try {
        if (reply.length !== cellSizes.created) throw handshakeFailed('length')
        const result = ntor.finish(reply, { keyBytes: layerBytes, mix })
        checkReplyMessage(result.message)
        return layerKeys(result.keys)
      } finally {
        end()
      }
    },
    abandon: end
  }
}

/** Answers a request. @throws {MeshError} CIRCUIT_HANDSHAKE_FAILED */
export function answerHandshake({ crypto, hashes }: HandshakeTools, relay: RelaySide, request: Uint8Array): RelayHandshake {
  if (request.length !== cellSizes.create) throw handshakeFailed('length')
  const terms: NtorTerms = { hashes, protocol, verification, identity: relay.publicKey, onionKey: relay.onionKey.publicKey }
  const ntor = new NtorRelay(terms, relay.onionKey, request)
  try {
    relay.once(ntor.mac)
    const { kem, publicKey } = readRequestMessage(crypto, ntor.message)
    const { ciphertext, sharedSecret } = encapsulated(kem, publicKey)
    const mix = (key: Uint8Array): Mixing => {
      const prefix = hashes.crypt(key, ciphertext)
      key.fill(0)
      return { prefix, secrets: [sharedSecret, hashes.sha3(ciphertext), hashes.sha3(publicKey)] }
    }
    const message = new Uint8Array(replyMessageBytes - kem.ciphertextBytes)
    message[0] = messageVersion
    const { reply, keys } = ntor.answer(crypto.generateDh(), message, { keyBytes: layerBytes, mix })
    return { reply, keys: layerKeys(keys), level: kem.level }
  } finally {
    ntor.wipe()
  }
}

/** The two directions and the binding, each an array of its own; the stream that they came in is wiped. */
function layerKeys(stream: Uint8Array): LayerKeys {
  const direction = (offset: number): DirectionKeys => ({
    keys: stream.slice(offset, offset + cipherKeyBytes),
    chain: stream.slice(offset + cipherKeyBytes, offset + directionBytes)
  })
  const layer = { forward: direction(0), backward: direction(directionBytes), binding: stream.slice(2 * directionBytes, layerBytes) }
  stream.fill(0)
  return layer
}

function readRequestMessage(crypto: HandshakeCrypto, message: Uint8Array): { readonly kem: KemPort; readonly publicKey: Uint8Array } {
  const level = levels.find((each) => each === message[1])
  if (message[0] !== messageVersion || level === undefined) throw handshakeFailed('message')
  const kem = crypto.kem(level)
  const end = 2 + kem.publicKeyBytes
  checkZeros(message, end)
  return { kem, publicKey: message.subarray(2, end) }
}

function checkReplyMessage(message: Uint8Array): void {
  if (message[0] !== messageVersion) throw handshakeFailed('message')
  checkZeros(message, 1)
}

function checkZeros(message: Uint8Array, from: number): void {
  if (message.subarray(from).some((byte) => byte !== 0)) throw handshakeFailed('message')
}

/** Whatever a port throws for a key that fails the checks of FIPS 203 section 7.2 is a failed handshake. */
function encapsulated(kem: KemPort, publicKey: Uint8Array): Encapsulated {
  try {
    return kem.encapsulate(publicKey)
  } catch (cause) {
    throw handshakeFailed('kem-key', cause)
  }
}
