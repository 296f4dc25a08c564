import { argon2Sync, createHmac, hash, randomBytes } from 'node:crypto'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ByteReader, ByteWriter, concat, equalBytes, MeshError, utf8 } from '../core/base/index.ts'

/** What a sealed file is for: one of a kind is not taken for the other. */
export type SealPurpose = 'backup' | 'identity'

const magic = utf8('synaptic-sealed\n')
const version = 1
const purposes: Readonly<Record<SealPurpose, number>> = { backup: 1, identity: 2 }
/** Plain bytes of each chunk but the last. */
const chunkBytes = 65_536
const tagBytes = 16
const [saltBytes, prefixBytes, checkBytes, digestBytes] = [16, 19, 16, 16]
/** Bytes before the first chunk: see docs/wire/backup.md. */
export const sealHeaderBytes = magic.length + 1 + 1 + 12 + 8 + saltBytes + prefixBytes + checkBytes + digestBytes

/** Argon2id as RFC 9106 section 4 recommends it where memory is short: 3 passes over 64 MiB in 4 lanes. */
const usualCost: Cost = { memoryKiB: 65_536, passes: 3, lanes: 4 }
/** What a file may ask of whoever opens it. */
const maxCost: Cost = { memoryKiB: 1_048_576, passes: 16, lanes: 16 }

interface Cost {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

/** A key for one sealed file, made from a passphrase. */
export interface Seal {
  readonly header: Uint8Array
  /** Plain bytes of the whole file. */
  readonly plainBytes: number
  readonly key: Uint8Array
  readonly noncePrefix: Uint8Array
}

/** A new seal for `plainBytes` bytes. Takes some 100 ms and 64 MiB of memory. */
export async function createSeal(purpose: SealPurpose, passphrase: Uint8Array, plainBytes: number): Promise<Seal> {
  const [salt, noncePrefix] = [new Uint8Array(randomBytes(saltBytes)), new Uint8Array(randomBytes(prefixBytes))]
  const { key, checkKey } = await derive(passphrase, salt, usualCost)
  const head = new ByteWriter()
    .raw(magic)
    .u8(version)
    .u8(purposes[purpose])
    .u32(usualCost.memoryKiB)
    .u32(usualCost.passes)
    .u32(usualCost.lanes)
    .u64(plainBytes)
    .raw(salt)
    .raw(noncePrefix)
    .finish()
  const checked = concat(head, checkOf(checkKey, head))
  return { header: concat(checked, digestOf(checked)), plainBytes, key, noncePrefix }
}

/**
 * The seal of a file that begins with `bytes`. @param file - named in errors
 * @throws {MeshError} BACKUP_DAMAGED, BACKUP_TRUNCATED, BACKUP_NEWER, PASSPHRASE_WRONG
 */
export async function openSeal(
  bytes: Uint8Array,
  purpose: SealPurpose,
  { passphrase, file }: { readonly passphrase: Uint8Array; readonly file: string }
): Promise<Seal> {
  const header = bytes.slice(0, sealHeaderBytes)
  const { cost, plainBytes, salt, noncePrefix, head, check } = readHeader(header, purpose, file)
  const { key, checkKey } = await derive(passphrase, salt, cost)
  if (!equalBytes(checkOf(checkKey, head), check)) throw new MeshError('PASSPHRASE_WRONG', { file })
  return { header, plainBytes, key, noncePrefix }
}

function readHeader(header: Uint8Array, purpose: SealPurpose, file: string) {
  if (!equalBytes(header.subarray(0, magic.length), magic)) throw damaged(file, 'it does not begin as a sealed file does')
  const found = header[magic.length]
  if (found !== undefined && found > version) throw new MeshError('BACKUP_NEWER', { file, found, known: version })
  if (header.length < sealHeaderBytes) throw truncated(file)
  const covered = header.subarray(0, sealHeaderBytes - digestBytes)
  if (!equalBytes(digestOf(covered), header.subarray(sealHeaderBytes - digestBytes))) throw damaged(file, 'its header was changed')
  const reader = new ByteReader(header, 'sealed file')
  reader.raw(magic.length + 1)
  if (reader.u8() !== purposes[purpose]) throw damaged(file, `it is no ${purpose}`)
  const cost = { memoryKiB: reader.u32(), passes: reader.u32(), lanes: reader.u32() }
  const plainBytes = reader.u32() * 2 ** 32 + reader.u32()
  if (!isBearable(cost) || !Number.isSafeInteger(plainBytes)) throw damaged(file, 'its header asks for more than anything needs')
  const [salt, noncePrefix] = [reader.raw(saltBytes), reader.raw(prefixBytes)]
  const head = header.subarray(0, sealHeaderBytes - digestBytes - checkBytes)
  return { cost, plainBytes, salt, noncePrefix, head, check: reader.raw(checkBytes) }
}

const isBearable = ({ memoryKiB, passes, lanes }: Cost): boolean =>
  lanes >= 1 && lanes <= maxCost.lanes && passes >= 1 && passes <= maxCost.passes && memoryKiB >= 8 * lanes && memoryKiB <= maxCost.memoryKiB

/** The header and the sealed chunks of `plain`, which has as many bytes as the seal was made for. */
export function* sealChunks(seal: Seal, plain: Iterable<Uint8Array>): Generator<Uint8Array> {
  yield seal.header
  let index = 0
  let bytes = 0
  for (const { chunk, isLast } of inChunks(plain, chunkBytes)) {
    bytes += chunk.length
    yield xchacha20poly1305(seal.key, nonceOf(seal, index++, isLast), seal.header).encrypt(chunk)
  }
  if (bytes !== seal.plainBytes) throw new MeshError('INTERNAL', { reason: `${bytes} bytes to seal instead of ${seal.plainBytes}` })
}

/**
 * The plain bytes of what follows the header. Each piece that comes out is authentic; that it is the whole is known only at the end.
 * @throws {MeshError} BACKUP_DAMAGED, BACKUP_TRUNCATED
 */
export function* openChunks(seal: Seal, sealed: Iterable<Uint8Array>, file: string): Generator<Uint8Array> {
  const wanted = sealedBytes(seal.plainBytes) - seal.header.length
  let index = 0
  let bytes = 0
  for (const { chunk, isLast } of inChunks(sealed, chunkBytes + tagBytes)) {
    bytes += chunk.length
    if (isLast && bytes < wanted) throw truncated(file)
    if (bytes > wanted) throw damaged(file, 'something follows its end')
    yield openChunk(seal, chunk, { index: index++, isLast, file })
  }
}

/** Bytes of a sealed file with `plainBytes` plain ones. */
export const sealedBytes = (plainBytes: number): number => sealHeaderBytes + plainBytes + tagBytes * Math.max(1, Math.ceil(plainBytes / chunkBytes))

function openChunk(
  seal: Seal,
  chunk: Uint8Array,
  { index, isLast, file }: { readonly index: number; readonly isLast: boolean; readonly file: string }
): Uint8Array {
  try {
    return xchacha20poly1305(seal.key, nonceOf(seal, index, isLast), seal.header).decrypt(chunk)
  } catch {
    throw damaged(file, `its part ${index + 1} was changed`)
  }
}

/** The STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, CRYPTO 2015): prefix, number of the chunk, whether it is the last. */
const nonceOf = ({ noncePrefix }: Seal, index: number, isLast: boolean): Uint8Array =>
  new ByteWriter()
    .raw(noncePrefix)
    .u32(index)
    .u8(isLast ? 1 : 0)
    .finish()

/** `pieces` anew in chunks of `size`; the last one has fewer, and is there even when there is nothing. */
function* inChunks(pieces: Iterable<Uint8Array>, size: number): Generator<{ readonly chunk: Uint8Array; readonly isLast: boolean }> {
  let held = new Uint8Array(0)
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      if (held.length === size) {
        yield { chunk: held, isLast: false }
        held = new Uint8Array(0)
      }
      const taken = piece.subarray(at, at + size - held.length)
      held = concat(held, taken)
      at += taken.length
    }
  }
  yield { chunk: held, isLast: true }
}

interface Keys {
  readonly key: Uint8Array
  readonly checkKey: Uint8Array
}

async function derive(message: Uint8Array, nonce: Uint8Array, cost: Cost): Promise<Keys> {
  const output = await argon2id({ message, nonce, cost, bytes: 64 })
  return { key: output.slice(0, 32), checkKey: output.slice(32) }
}

/** Inputs of RFC 9106 section 3.1. */
export interface Argon2Input {
  readonly message: Uint8Array
  readonly nonce: Uint8Array
  readonly secret?: Uint8Array
  readonly associatedData?: Uint8Array
  readonly cost: Cost
  /** Of the output. */
  readonly bytes: number
}

const none = new Uint8Array(0)

/** Argon2id, version 1.3 (RFC 9106): Node's own, from 24.7 on, else that of @noble/hashes. */
export async function argon2id({ message, nonce, secret = none, associatedData = none, cost, bytes }: Argon2Input): Promise<Uint8Array> {
  const { memoryKiB, passes, lanes } = cost
  if (typeof argon2Sync === 'function')
    return new Uint8Array(
      argon2Sync('argon2id', { message, nonce, secret, associatedData, memory: memoryKiB, passes, parallelism: lanes, tagLength: bytes })
    )
  const noble = await import('@noble/hashes/argon2.js')
  return noble.argon2id(message, nonce, { key: secret, personalization: associatedData, m: memoryKiB, t: passes, p: lanes, dkLen: bytes })
}

const checkOf = (key: Uint8Array, head: Uint8Array): Uint8Array =>
  new Uint8Array(createHmac('sha256', key).update(head).digest().subarray(0, checkBytes))
const digestOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(hash('sha256', bytes, 'buffer').subarray(0, digestBytes))
const damaged = (file: string, reason: string): MeshError => new MeshError('BACKUP_DAMAGED', { file, reason })
const truncated = (file: string): MeshError => new MeshError('BACKUP_TRUNCATED', { file })
