import { publicKeyFromProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PeerId, PrivateKey, PublicKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { type DhKey, MeshError, concat, utf8 } from '../../core/base/index.ts'
import { type HandshakePayload, decodeHandshakePayload, encodeHandshakePayload } from '../../core/noise/index.ts'
import { handshakeError } from './failures.ts'

/** libp2p/specs noise/README.md, The libp2p-specific handshake payload. */
const signedPrefix = utf8('noise-libp2p-static-key:')

/** Whether `signature` is the Ed25519 one (RFC 8032) of `bytes`. */
export type VerifyEd25519 = (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean

/** A static key of Noise, and the node's signature over it. */
export interface SignedStatic {
  readonly key: DhKey
  readonly identityKey: Uint8Array
  readonly signature: Uint8Array
}

/** Signs a static key once for all its handshakes. */
export async function signStatic(privateKey: PrivateKey, key: DhKey): Promise<SignedStatic> {
  const signature = await privateKey.sign(concat(signedPrefix, key.publicKey))
  return { key, identityKey: publicKeyToProtobuf(privateKey.publicKey), signature }
}

/** The payload that proves our identity. */
export const encodeIdentity = ({ identityKey, signature }: SignedStatic, streamMuxers: readonly string[], offers: readonly string[]): Uint8Array =>
  encodeHandshakePayload({ identityKey, identitySig: signature, extensions: { webtransportCerthashes: [], streamMuxers, offers } })

/** What a peer has proved. */
export interface ProvedIdentity {
  readonly peer: PeerId
  readonly payload: HandshakePayload
}

export interface Proof {
  readonly payload: Uint8Array
  readonly remoteStatic: Uint8Array
  /** Whom we called; undefined when we were called, or the address names nobody. */
  readonly expected: PeerId | undefined
  readonly verifyEd25519: VerifyEd25519
}

/** @throws {MeshError} HANDSHAKE_FAILED with reason `payload` or `signature`, IDENTITY_MISMATCH */
export async function proveIdentity({ payload: bytes, remoteStatic, expected, verifyEd25519 }: Proof): Promise<ProvedIdentity> {
  const payload = decode(bytes)
  const key = keyOf(payload.identityKey)
  const peer = peerIdFromPublicKey(key)
  if (expected !== undefined && !expected.equals(peer))
    throw new MeshError('IDENTITY_MISMATCH', { what: 'The address', claimed: expected.toString(), actual: peer.toString() })
  const signed = concat(signedPrefix, remoteStatic)
  const isSigned = key.type === 'Ed25519' ? verifyEd25519(key.raw, signed, payload.identitySig) : await verifyOther(key, signed, payload.identitySig)
  if (!isSigned) throw handshakeError('signature')
  return { peer, payload }
}

function decode(bytes: Uint8Array): HandshakePayload {
  try {
    return decodeHandshakePayload(bytes)
  } catch (cause) {
    throw handshakeError('payload', cause)
  }
}

function keyOf(protobuf: Uint8Array): PublicKey {
  try {
    return publicKeyFromProtobuf(protobuf)
  } catch (cause) {
    throw handshakeError('payload', cause)
  }
}

/** RSA, secp256k1 and ECDSA, as libp2p does them. */
async function verifyOther(key: PublicKey, signed: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    return await key.verify(signed, signature)
  } catch {
    return false
  }
}
