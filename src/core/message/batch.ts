import { ByteReader, ByteWriter, concat, equalBytes, MeshError, type Random, type Signer, toHex, type Verifier } from '../base/index.ts'
import { type BatchHeader, batchHeaderMaxBytes, decodeBatchHeader, encodeBatchHeader } from './batch-header.ts'
import { frameKinds } from './frames.ts'
import { leafHash, MerkleTree } from './merkle.ts'
import type { Sha256 } from './sha256.ts'
import { messageLimits } from './types.ts'

export const saltBytes = 16
const signatureBytes = 64

/** Bytes of a BATCH frame besides header and envelopes: for each message, and in all. */
export const batchFrameOverhead = { message: saltBytes + 4, frame: 1 + 2 + batchHeaderMaxBytes + signatureBytes + 2 } as const

/** What a batch is made of. Every envelope comes from `signer`, goes to `destination` and carries `epoch`. */
export interface BatchContent {
  readonly header: Omit<BatchHeader, 'size' | 'root' | 'source'>
  /** 1–256 encoded envelopes. */
  readonly envelopes: readonly Uint8Array[]
}

/** Signs a batch: its BATCH frame. Salts are fresh for each transmission. */
export function sealBatch(content: BatchContent, tools: { readonly signer: Signer; readonly random: Random; readonly sha256: Sha256 }): Uint8Array {
  const { envelopes } = content
  const salts = tools.random.bytes(saltBytes * envelopes.length)
  const saltOf = (index: number): Uint8Array => salts.subarray(index * saltBytes, (index + 1) * saltBytes)
  const leaves = envelopes.map((envelope, index) => leafHash(saltOf(index), envelope, tools.sha256))
  const { root } = new MerkleTree(leaves, tools.sha256)
  const header = encodeBatchHeader({ ...content.header, source: tools.signer.publicKey, size: envelopes.length, root })
  let bytes: number = batchFrameOverhead.frame
  for (const envelope of envelopes) bytes += envelope.length + batchFrameOverhead.message
  const writer = new ByteWriter(bytes).u8(frameKinds.batch).prefixed16(header).raw(tools.signer.sign('envelope-batch', header)).u16(envelopes.length)
  for (const [index, envelope] of envelopes.entries()) writer.raw(saltOf(index)).prefixed32(envelope)
  return writer.finish()
}

/** A BATCH frame, taken apart. Nothing in it is verified yet. */
export interface RawBatch {
  readonly header: BatchHeader
  readonly headerBytes: Uint8Array
  readonly signature: Uint8Array
  readonly salts: readonly Uint8Array[]
  readonly envelopes: readonly Uint8Array[]
}

/** Takes a BATCH frame apart; all parts are views into it. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeBatch(frame: Uint8Array): RawBatch {
  const reader = new ByteReader(frame, 'batch')
  if (frame.length > messageLimits.frameBytes) throw reader.malformed(`over ${messageLimits.frameBytes} bytes`)
  if (reader.u8() !== frameKinds.batch) throw reader.malformed('not a batch')
  const headerBytes = reader.prefixed16(batchHeaderMaxBytes)
  const header = decodeBatchHeader(headerBytes)
  const signature = reader.raw(signatureBytes)
  if (reader.u16() !== header.size) throw reader.malformed('size differs from the header')
  const salts: Uint8Array[] = []
  const envelopes: Uint8Array[] = []
  for (let index = 0; index < header.size; index++) {
    salts.push(reader.raw(saltBytes))
    envelopes.push(reader.prefixed32(messageLimits.envelopeBytes))
  }
  reader.end()
  return { header, headerBytes, signature, salts, envelopes }
}

/** A batch whose source, destination, root and signature were checked. */
export interface OpenBatch extends RawBatch {
  /** The standalone proof of the envelope at `index`: see proof.ts. */
  proof(index: number): Uint8Array
}

/** Who is at the other end, and who we are. */
export interface Channel {
  /** The public key that the connection authenticated. */
  readonly peer: Uint8Array
  readonly self: Uint8Array
}

/**
 * Decodes and verifies a BATCH frame that came over `channel`. Cheap checks come first.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, IDENTITY_MISMATCH (a source other than the peer, a destination other than us),
 * SIGNATURE_INVALID
 */
export function openBatch(frame: Uint8Array, channel: Channel, tools: { readonly verifier: Verifier; readonly sha256: Sha256 }): OpenBatch {
  const batch = decodeBatch(frame)
  const { header, headerBytes, signature, salts } = batch
  checkKey('The source of a batch', header.source, channel.peer)
  checkKey('The destination of a batch', header.destination, channel.self)
  const leaves = batch.envelopes.map((envelope, index) => leafHash(salts[index] ?? envelope, envelope, tools.sha256))
  const tree = new MerkleTree(leaves, tools.sha256)
  if (!equalBytes(tree.root, header.root)) throw new MeshError('SIGNATURE_INVALID', { what: 'a batch (its root)' })
  if (!tools.verifier.verify('envelope-batch', header.source, headerBytes, signature)) throw new MeshError('SIGNATURE_INVALID', { what: 'a batch' })
  const prefix = concat(Uint8Array.of(proofVersion, headerBytes.length >> 8, headerBytes.length & 255), headerBytes, signature)
  return { ...batch, proof: (index) => encodeProof(prefix, { index, salt: salts[index] ?? prefix, path: tree.path(index) }) }
}

/** @throws {MeshError} IDENTITY_MISMATCH when the keys differ. */
export function checkKey(what: string, claimed: Uint8Array, actual: Uint8Array): void {
  if (!equalBytes(claimed, actual)) throw new MeshError('IDENTITY_MISMATCH', { what, claimed: toHex(claimed), actual: toHex(actual) })
}

export const proofVersion = 1

function encodeProof(
  prefix: Uint8Array,
  part: { readonly index: number; readonly salt: Uint8Array; readonly path: readonly Uint8Array[] }
): Uint8Array {
  const writer = new ByteWriter(prefix.length + 19 + 32 * part.path.length).raw(prefix).u16(part.index).raw(part.salt).u8(part.path.length)
  for (const hash of part.path) writer.raw(hash)
  return writer.finish()
}
