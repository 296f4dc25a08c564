import { ByteReader, MeshError, type Verifier } from '../base/index.ts'
import { checkKey, proofVersion, saltBytes } from './batch.ts'
import { type BatchHeader, batchHeaderMaxBytes, decodeBatchHeader } from './batch-header.ts'
import { decodeEnvelope } from './envelope.ts'
import { leafHash, merklePathLength, verifyMerklePath } from './merkle.ts'
import type { Sha256 } from './sha256.ts'
import type { Envelope } from './types.ts'

/** The standalone proof of one envelope: whoever holds it can show a third party who wrote the message, without its siblings. */
export interface Proof {
  readonly header: BatchHeader
  readonly headerBytes: Uint8Array
  readonly signature: Uint8Array
  readonly index: number
  readonly salt: Uint8Array
  readonly path: readonly Uint8Array[]
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeProof(bytes: Uint8Array): Proof {
  const reader = new ByteReader(bytes, 'proof')
  const version = reader.u8()
  if (version !== proofVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The proof', version })
  const headerBytes = reader.prefixed16(batchHeaderMaxBytes)
  const header = decodeBatchHeader(headerBytes)
  const signature = reader.raw(64)
  const index = reader.u16()
  if (index >= header.size) throw reader.malformed('index beyond the size')
  const salt = reader.raw(saltBytes)
  const count = reader.u8()
  if (count !== merklePathLength(index, header.size)) throw reader.malformed('the path has another length')
  const path: Uint8Array[] = []
  for (let step = 0; step < count; step++) path.push(reader.raw(32))
  reader.end()
  return { header, headerBytes, signature, index, salt, path }
}

/**
 * The envelope, when the proof shows that its source signed it.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, IDENTITY_MISMATCH, SIGNATURE_INVALID
 */
export function verifyProof(
  envelopeBytes: Uint8Array,
  proofBytes: Uint8Array,
  tools: { readonly verifier: Verifier; readonly sha256: Sha256 }
): Envelope {
  const envelope = decodeEnvelope(envelopeBytes)
  const proof = decodeProof(proofBytes)
  const { header } = proof
  checkKey('The source of an envelope', envelope.source.key, header.source)
  checkKey('The destination of an envelope', envelope.destination.key, header.destination)
  const leaf = leafHash(proof.salt, envelopeBytes, tools.sha256)
  const isIncluded = verifyMerklePath({ leaf, index: proof.index, size: header.size, path: proof.path, root: header.root }, tools.sha256)
  if (!isIncluded) throw new MeshError('SIGNATURE_INVALID', { what: 'an envelope (its path)' })
  if (!tools.verifier.verify('envelope-batch', header.source, proof.headerBytes, proof.signature)) {
    throw new MeshError('SIGNATURE_INVALID', { what: 'an envelope' })
  }
  return envelope
}
