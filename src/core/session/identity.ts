import {
  ByteReader,
  ByteWriter,
  type Bytes,
  type KemLevel,
  MeshError,
  type Signer,
  type SigningDomain,
  type Verifier,
  equalBytes,
  utf8
} from '../base/index.ts'
import type { SessionRole } from './handshake.ts'
import { readLevels, writeLevels } from './hello.ts'
import { type PqIdentityRecord, decodePqRecord, pqSizes } from './pq-identity.ts'

/** A node's ML-DSA-65 key (FIPS 204) with the record that ties it to the Ed25519 identity. */
export interface PqIdentity {
  /** 1,952 bytes. */
  readonly publicKey: Uint8Array
  /** The record of `encodePqRecord`, signed by both keys. */
  readonly record: Uint8Array
  /** The 3,309-byte signature of `signingInput(domain, network, bytes)`, with the context `pqContext`. */
  sign(domain: SigningDomain, bytes: Uint8Array): Uint8Array
}

/** Verifies what a PqIdentity of the same network signed. False for anything malformed. */
export interface PqVerifier {
  verify(domain: SigningDomain, publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean
}

/** Which ML-DSA-65 key a peer has. The first one that it shows is kept: Ed25519 alone vouches for that meeting, and for none after it. */
export interface PqKeys {
  /** Whether `pqKey` is the key of the peer with this Ed25519 key; a first one is kept. @param wasCalled - whether we called the peer */
  accepts(publicKey: Uint8Array, pqKey: Uint8Array, wasCalled: boolean): boolean
}

/** ML-DSA-65 on a node. */
export interface PqTools {
  /** Our own; undefined when we have none. */
  readonly identity: PqIdentity | undefined
  readonly verifier: PqVerifier
  readonly keys: PqKeys
}

/** Who signs and who verifies. */
export interface IdentityTools {
  readonly network: string
  readonly signer: Signer
  readonly verifier: Verifier
  /** The levels that this node carries, ascending. */
  readonly levels: readonly KemLevel[]
  readonly pq: PqTools | undefined
}

/** The context string of every ML-DSA signature of a session (FIPS 204 section 5.2). */
export const pqContext = 'synaptic-mesh/pqs/1 mldsa65'

const keyBytes = 32
const signatureBytes = 64
const roleBytes: Readonly<Record<SessionRole, number>> = { initiator: 1, responder: 2 }

/** What messages B and C prove of their sender. */
export interface PeerIdentity {
  /** Raw Ed25519 key. */
  readonly publicKey: Uint8Array
  readonly levels: readonly KemLevel[]
  /** The ML-DSA-65 key and its record, when both sides sign with one. */
  readonly pq: PqIdentityRecord | undefined
}

/** Which transcript is signed, and by which side. */
export interface Transcript {
  readonly role: SessionRole
  readonly hash: Uint8Array
  readonly pqAuth: boolean
}

/** The payload of message B or C: identity key, signature over the transcript, levels; with pqAuth the record and the ML-DSA signature. */
export function writeIdentity(tools: IdentityTools, transcript: Transcript): Bytes {
  const writer = new ByteWriter(8_192).raw(tools.signer.publicKey).raw(tools.signer.sign('session', transcriptBytes('ed25519', transcript)))
  writeLevels(writer, tools.levels)
  if (!transcript.pqAuth) return writer.u8(0).take()
  const identity = tools.pq?.identity
  if (identity === undefined) throw new MeshError('SESSION_AUTH_REFUSED', { reason: 'this node has no ML-DSA-65 identity' })
  return writer
    .u8(1)
    .prefixed16(identity.record)
    .raw(identity.sign('session', transcriptBytes('mldsa65', transcript)))
    .take()
}

/**
 * What the payload of a peer proves. @param expected - the key that it must be; undefined takes any.
 * @throws {MeshError} MESSAGE_MALFORMED, IDENTITY_MISMATCH, SIGNATURE_INVALID, SESSION_AUTH_REFUSED
 */
export function readIdentity(
  payload: Uint8Array,
  transcript: Transcript & { readonly expected: Uint8Array | undefined },
  tools: IdentityTools
): PeerIdentity {
  const decoded = decodeIdentity(payload)
  checkKey(decoded.publicKey, transcript.expected)
  // The cheap signature first.
  if (!tools.verifier.verify('session', decoded.publicKey, transcriptBytes('ed25519', transcript), decoded.signature))
    throw new MeshError('SIGNATURE_INVALID', { what: 'the session' })
  const { publicKey, levels } = decoded
  if (transcript.pqAuth !== (decoded.pq !== undefined))
    throw new MeshError('SESSION_AUTH_REFUSED', { reason: 'the peer did not sign as it was agreed' })
  if (decoded.pq === undefined) return { publicKey, levels, pq: undefined }
  return { publicKey, levels, pq: checkPq(decoded.pq, { publicKey, transcript, tools }) }
}

interface DecodedIdentity {
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
  readonly levels: readonly KemLevel[]
  readonly pq: { readonly record: Uint8Array; readonly signature: Uint8Array } | undefined
}

/** @throws {MeshError} MESSAGE_MALFORMED */
export function decodeIdentity(payload: Uint8Array): DecodedIdentity {
  const reader = new ByteReader(payload, 'session identity')
  const publicKey = new Uint8Array(reader.raw(keyBytes))
  const signature = reader.raw(signatureBytes)
  const levels = readLevels(reader)
  const signed = reader.u8()
  if (signed > 1) throw reader.malformed(`${signed} more signatures`)
  const pq = signed === 0 ? undefined : { record: reader.prefixed16(pqSizes.maxRecord), signature: reader.raw(pqSizes.signature) }
  reader.end()
  return { publicKey, signature, levels, pq }
}

function checkKey(publicKey: Uint8Array, expected: Uint8Array | undefined): void {
  if (expected === undefined || equalBytes(publicKey, expected)) return
  throw new MeshError('IDENTITY_MISMATCH', { what: 'The session', claimed: 'another key', actual: 'the peer that was called' })
}

// Rule S4: both keys sign the record, and both sign the transcript.
function checkPq(
  pq: { readonly record: Uint8Array; readonly signature: Uint8Array },
  { publicKey, transcript, tools }: { readonly publicKey: Uint8Array; readonly transcript: Transcript; readonly tools: IdentityTools }
): PqIdentityRecord {
  if (tools.pq === undefined) throw new MeshError('SESSION_AUTH_REFUSED', { reason: 'this node cannot verify ML-DSA-65' })
  const { verifier, keys } = tools.pq
  const record = decodePqRecord(pq.record, { publicKey, verifier: tools.verifier, pqVerifier: verifier })
  if (!verifier.verify('session', record.publicKey, transcriptBytes('mldsa65', transcript), pq.signature))
    throw new MeshError('SIGNATURE_INVALID', { what: 'the session (ML-DSA-65)' })
  if (!keys.accepts(publicKey, record.publicKey, transcript.role === 'responder'))
    throw new MeshError('IDENTITY_MISMATCH', { what: 'The session', claimed: 'another ML-DSA-65 key', actual: 'a peer whose first one is known' })
  return record
}

/** label ‖ role ‖ h. */
function transcriptBytes(algorithm: 'ed25519' | 'mldsa65', { role, hash }: Transcript): Bytes {
  return new ByteWriter(128)
    .raw(utf8(`synaptic-mesh/pqs/1 ${algorithm}`))
    .u8(roleBytes[role])
    .raw(hash)
    .take()
}
