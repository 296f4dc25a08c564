import { MeshError, equalBytes, fromHex, isMeshError, toHex, utf8 } from '../core/base/index.ts'
import { ed25519FromSeed, ed25519KeyBytes, sha256 } from '../crypto/index.ts'
import { createSeal, openChunks, openSeal, sealChunks, sealHeaderBytes, sealedBytes } from '../crypto/sealed-file.ts'
import { readPrivateFile, writePrivateFile } from './files.ts'
import { readPassphrase } from './passphrase-file.ts'

const plainLine = 'synaptic-mesh identity 1'
const sealedLine = 'synaptic-mesh identity 2'

/** What a key file says without a passphrase. */
export interface KeyFileInfo {
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array
  readonly isEncrypted: boolean
}

/** What the key file says to whoever may read it; undefined when there is none. @throws {MeshError} KEY_CORRUPT, PERMISSIONS_UNSAFE, PATH_UNSAFE */
export function readKeyFile(file: string): KeyFileInfo | undefined {
  const bytes = readPrivateFile(file)
  return bytes === undefined ? undefined : keyFileInfo(bytes, file)
}

/** What the bytes of a key file say. @throws {MeshError} KEY_CORRUPT */
export function keyFileInfo(bytes: Uint8Array, file: string): KeyFileInfo {
  if (isSealed(bytes)) return { publicKey: decodeSealed(bytes, file).publicKey, isEncrypted: true }
  const seed = decodeSeed(bytes, file)
  const { publicKey } = ed25519FromSeed(seed)
  seed.fill(0)
  return { publicKey, isEncrypted: false }
}

/**
 * The seed in a key file; undefined when there is no file. @param passphraseFile - '' = none is known
 * @throws {MeshError} KEY_CORRUPT, PASSPHRASE_NEEDED, PASSPHRASE_WRONG, PASSPHRASE_UNUSABLE, PERMISSIONS_UNSAFE, PATH_UNSAFE
 */
export async function readSeed(file: string, passphraseFile: string): Promise<Uint8Array | undefined> {
  const bytes = readPrivateFile(file)
  if (bytes === undefined) return undefined
  if (isSealed(bytes)) return openSeed(bytes, file, passphraseFile)
  const seed = decodeSeed(bytes, file)
  bytes.fill(0)
  return seed
}

/** A key file with `seed`, encrypted when `passphraseFile` names a file. @throws {MeshError} PASSPHRASE_UNUSABLE, PERMISSIONS_UNSAFE, PATH_UNSAFE */
export async function encodeKeyFile(seed: Uint8Array, passphraseFile: string): Promise<Uint8Array> {
  if (passphraseFile === '') return encodeSeed(seed)
  const passphrase = readPassphrase(passphraseFile)
  const seal = await createSeal('identity', passphrase, seed.length)
  passphrase.fill(0)
  return encodeSealed(ed25519FromSeed(seed).publicKey, Buffer.concat([...sealChunks(seal, [seed])]))
}

/** Encrypts a key file with another passphrase, or with none. What it was before is read first, and replaced in one step. */
export async function changePassphrase(file: string, from: string, to: string): Promise<KeyFileInfo> {
  const seed = await readSeed(file, from)
  if (seed === undefined) throw new MeshError('KEY_CORRUPT', { file, reason: 'it does not exist' })
  // One that was not needed is looked at all the same: who names it by mistake is told.
  if (from !== '') readPassphrase(from).fill(0)
  const bytes = await encodeKeyFile(seed, to)
  seed.fill(0)
  writePrivateFile(file, bytes)
  return keyFileInfo(bytes, file)
}

/** The text of a key file: a version, the seed, its public key, and SHA-256 over these lines. */
export function encodeSeed(seed: Uint8Array): Uint8Array {
  return withDigest([plainLine, `ed25519-seed ${toHex(seed)}`, `ed25519-public ${toHex(ed25519FromSeed(seed).publicKey)}`])
}

/** The seed of a key file that is not encrypted. Only the exact bytes that `encodeSeed` makes are taken. @throws {MeshError} KEY_CORRUPT */
export function decodeSeed(bytes: Uint8Array, file: string): Uint8Array {
  const [first = '', second = ''] = linesOf(bytes)
  const seedText = /^ed25519-seed ([0-9a-f]{64})$/.exec(second)?.[1]
  if (first !== plainLine || seedText === undefined) throw corrupt(file, 'it is not a key file of version 1 or 2')
  const seed = fromHex(seedText)
  if (!equalBytes(encodeSeed(seed), bytes)) throw corrupt(file, 'its checksum does not fit')
  return seed
}

const isSealed = (bytes: Uint8Array): boolean => linesOf(bytes)[0] === sealedLine

/** An encrypted one: the public key in clear, so that it can be told whose it is, and the seed sealed by the passphrase. */
const encodeSealed = (publicKey: Uint8Array, sealed: Uint8Array): Uint8Array =>
  withDigest([sealedLine, `ed25519-public ${toHex(publicKey)}`, `sealed ${toHex(sealed)}`])

function decodeSealed(bytes: Uint8Array, file: string): { readonly publicKey: Uint8Array; readonly sealed: Uint8Array } {
  const [, second = '', third = ''] = linesOf(bytes)
  const publicText = /^ed25519-public ([0-9a-f]{64})$/.exec(second)?.[1]
  const sealedText = /^sealed ([0-9a-f]+)$/.exec(third)?.[1]
  if (publicText === undefined || sealedText?.length !== 2 * sealedBytes(ed25519KeyBytes)) throw corrupt(file, 'it is not a key file of version 2')
  const [publicKey, sealed] = [fromHex(publicText), fromHex(sealedText)]
  if (!equalBytes(encodeSealed(publicKey, sealed), bytes)) throw corrupt(file, 'its checksum does not fit')
  return { publicKey, sealed }
}

async function openSeed(bytes: Uint8Array, file: string, passphraseFile: string): Promise<Uint8Array> {
  const { publicKey, sealed } = decodeSealed(bytes, file)
  if (passphraseFile === '') throw new MeshError('PASSPHRASE_NEEDED', { file })
  const passphrase = readPassphrase(passphraseFile)
  try {
    const seal = await openSeal(sealed, 'identity', { passphrase, file })
    const seed = new Uint8Array(Buffer.concat([...openChunks(seal, [sealed.subarray(sealHeaderBytes)], file)]))
    if (!equalBytes(ed25519FromSeed(seed).publicKey, publicKey)) throw corrupt(file, 'its public key is that of another seed')
    return seed
  } catch (error) {
    if (isMeshError(error, 'BACKUP_DAMAGED') || isMeshError(error, 'BACKUP_TRUNCATED') || isMeshError(error, 'BACKUP_NEWER'))
      throw corrupt(file, String(error.details['reason'] ?? 'its seal cannot be read'))
    throw error
  } finally {
    passphrase.fill(0)
  }
}

function withDigest(lines: readonly string[]): Uint8Array {
  const text = [...lines, ''].join('\n')
  return utf8(`${text}sha256 ${toHex(sha256(utf8(text)))}\n`)
}

const linesOf = (bytes: Uint8Array): readonly string[] => Buffer.from(bytes).toString('latin1').split('\n', 3)
const corrupt = (file: string, reason: string): MeshError => new MeshError('KEY_CORRUPT', { file, reason })
