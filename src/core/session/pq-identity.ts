import { ByteReader, ByteWriter, type Bytes, type KemLevel, MeshError, type Signer, type Verifier, equalBytes } from '../base/index.ts'
import { readLevels, writeLevels } from './hello.ts'
import type { PqIdentity, PqVerifier } from './identity.ts'

/** Bytes of ML-DSA-65 (FIPS 204 table 2) and of a record. */
export const pqSizes = { publicKey: 1_952, signature: 3_309, maxRecord: 6_000 } as const

const version = 1
const ed25519KeyBytes = 32
const ed25519SignatureBytes = 64

/** The statement that an Ed25519 identity and an ML-DSA-65 key are one node's: signed by both (rule S4). */
export interface PqIdentityRecord {
  /** The ML-DSA-65 key, 1,952 bytes. */
  readonly publicKey: Uint8Array
  readonly levels: readonly KemLevel[]
  /** Grows with each new record of a node. */
  readonly sequence: number
}

/** Makes the record of a node; both keys sign the same bytes. */
export function encodePqRecord(record: PqIdentityRecord, keys: { readonly signer: Signer; readonly pqSign: PqIdentity['sign'] }): Bytes {
  const writer = new ByteWriter(pqSizes.maxRecord).u8(version).raw(keys.signer.publicKey).raw(record.publicKey)
  writeLevels(writer, record.levels).u64(record.sequence)
  const body = writer.finish()
  return writer.raw(keys.signer.sign('pq-identity', body)).raw(keys.pqSign('pq-identity', body)).take()
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, IDENTITY_MISMATCH, SIGNATURE_INVALID */
export function decodePqRecord(
  bytes: Uint8Array,
  check: { readonly publicKey: Uint8Array; readonly verifier: Verifier; readonly pqVerifier: PqVerifier }
): PqIdentityRecord {
  const reader = new ByteReader(bytes, 'quantum identity')
  const found = reader.u8()
  if (found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The quantum identity', version: found })
  if (!equalBytes(reader.raw(ed25519KeyBytes), check.publicKey))
    throw new MeshError('IDENTITY_MISMATCH', { what: 'The quantum identity', claimed: 'another key', actual: 'the peer of the session' })
  const publicKey = new Uint8Array(reader.raw(pqSizes.publicKey))
  const levels = readLevels(reader)
  const sequence = reader.u64()
  const body = bytes.subarray(0, reader.offset)
  const classical = reader.raw(ed25519SignatureBytes)
  const quantum = reader.raw(pqSizes.signature)
  reader.end()
  if (!check.verifier.verify('pq-identity', check.publicKey, body, classical) || !check.pqVerifier.verify('pq-identity', publicKey, body, quantum))
    throw new MeshError('SIGNATURE_INVALID', { what: 'the quantum identity' })
  return { publicKey, levels, sequence }
}
