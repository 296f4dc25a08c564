import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, readdirSync, renameSync, rmSync, rmdirSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import { equalBytes, isMeshError, MeshError } from '../../core/base/index.ts'
import type { ProfilePaths } from '../../core/options/index.ts'
import { keyOfPeerIdText } from '../../core/peers/peer-id-text.ts'
import { openChunks, openSeal, sealHeaderBytes, sealedBytes, type Seal } from '../../crypto/sealed-file.ts'
import { ensurePrivateFolder, fileError, somethingAt, syncFolder, writePrivateFile } from '../files.ts'
import { readKeyFile } from '../key-file.ts'
import { readPassphrase } from '../passphrase-file.ts'
import { type Renewed, renewStore } from '../sqlite/snapshot.ts'
import { storeFile } from '../sqlite/stores.ts'
import { piecesOf, writePieces } from './backup.ts'
import { type BackupManifest, configName, identityName, PieceReader, tokenFileName } from './backup-format.ts'

export interface RestoreRequest {
  readonly paths: ProfilePaths
  /** Absolute. */
  readonly source: string
  readonly passphraseFile: string
  /** Takes a profile that holds something, and keeps that beside it. */
  readonly force: boolean
  /** Milliseconds since 1970: names what is kept. */
  readonly now: number
}

export interface RestoreReport extends Renewed {
  readonly profile: string
  readonly peerId: string
  readonly createdAt: number
  readonly isIdentityEncrypted: boolean
  /** Whether there were tokens of the gateway in it, which are void. */
  readonly hadTokens: boolean
  /** Where what was there before is now. */
  readonly kept: readonly string[]
}

/**
 * Puts a backup in place of an empty profile. Everything is read, verified and made durable in a folder beside it first, then that folder gets the name.
 * @throws {MeshError} PROFILE_NOT_EMPTY, PASSPHRASE_WRONG, PASSPHRASE_UNUSABLE, BACKUP_DAMAGED, BACKUP_TRUNCATED, BACKUP_NEWER, STATE_NEWER, PATH_UNSAFE, DISK_FULL
 */
export async function restoreBackup(request: RestoreRequest): Promise<RestoreReport> {
  const { paths, force } = request
  const standing = [paths.stateFolder, paths.configFile].filter(isUsed)
  const [first] = standing
  if (first !== undefined && !force) throw new MeshError('PROFILE_NOT_EMPTY', { profile: paths.profile, file: first })
  ensurePrivateFolder(dirname(paths.stateFolder))
  ensurePrivateFolder(dirname(paths.configFile))
  const draft = `${paths.stateFolder}.restore-${randomBytes(6).toString('hex')}`
  ensurePrivateFolder(draft)
  try {
    const manifest = await unpack(request, draft)
    const isIdentityEncrypted = checkIdentity(manifest, join(draft, identityName), request.source)
    const renewed = existsSync(join(draft, storeFile)) ? renewStore(join(draft, storeFile)) : { messages: 0, invites: 0 }
    const hadTokens = dropTokens(draft)
    const config = takeConfig(draft)
    const kept = standing.map((path) => putAside(path, request.now))
    putInPlace(draft, paths.stateFolder)
    if (config !== undefined) writePrivateFile(paths.configFile, config)
    return { profile: paths.profile, peerId: manifest.peerId, createdAt: manifest.createdAt, isIdentityEncrypted, hadTokens, kept, ...renewed }
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw isMeshError(error) ? error : fileError(error, paths.stateFolder)
  }
}

/** A folder that is empty, or holds nothing but an empty log of a start that failed, is as good as none. */
function isUsed(path: string): boolean {
  if (!somethingAt(path)) return false
  const info = openInfo(path)
  return info !== 'folder' || readdirSync(path).length > 0
}

function openInfo(path: string): 'folder' | 'other' {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW))
    return 'folder'
  } catch {
    return 'other'
  }
}

async function unpack({ source, passphraseFile }: RestoreRequest, draft: string): Promise<BackupManifest> {
  const descriptor = openBackup(source)
  try {
    const size = fstatSync(descriptor).size
    const seal = await readSeal(descriptor, size, { source, passphraseFile })
    const reader = new PieceReader(openChunks(seal, piecesOf(descriptor, size - sealHeaderBytes, source), source), source)
    const manifest = reader.manifest()
    for (const { name, bytes } of manifest.files) writePieces(join(draft, name), reader.pieces(bytes))
    reader.end()
    syncFolder(draft)
    return manifest
  } finally {
    closeSync(descriptor)
  }
}

/** Whoever may read the file, and whatever folder it is in: all that counts is in its seal. */
function openBackup(source: string): number {
  try {
    const descriptor = openSync(source, constants.O_RDONLY | constants.O_NONBLOCK)
    if (fstatSync(descriptor).isFile()) return descriptor
    closeSync(descriptor)
  } catch (error) {
    throw fileError(error, source)
  }
  throw new MeshError('PATH_UNSAFE', { file: source, reason: 'it is not a regular file' })
}

async function readSeal(
  descriptor: number,
  size: number,
  { source, passphraseFile }: { readonly source: string; readonly passphraseFile: string }
): Promise<Seal> {
  const header = Buffer.concat([...piecesOf(descriptor, Math.min(size, sealHeaderBytes), source)])
  const passphrase = readPassphrase(passphraseFile)
  try {
    const seal = await openSeal(new Uint8Array(header), 'backup', { passphrase, file: source })
    // Before anything is written: a copy that was cut is the usual damage.
    if (size < sealedBytes(seal.plainBytes)) throw new MeshError('BACKUP_TRUNCATED', { file: source })
    return seal
  } finally {
    passphrase.fill(0)
  }
}

/** The key file in the backup is whole, and is the one that the list of contents speaks of. Whether it is encrypted. */
function checkIdentity({ peerId }: BackupManifest, file: string, source: string): boolean {
  const known = readKeyFile(file)
  const named = keyOfPeerIdText(peerId)
  if (known === undefined || named === undefined || !equalBytes(known.publicKey, named))
    throw new MeshError('BACKUP_DAMAGED', { file: source, reason: 'its identity is not the one that it names' })
  return known.isEncrypted
}

/** Which of them were revoked since, a backup does not know. */
function dropTokens(draft: string): boolean {
  const file = join(draft, tokenFileName)
  if (!existsSync(file)) return false
  rmSync(file)
  return true
}

function takeConfig(draft: string): Uint8Array | undefined {
  const file = join(draft, configName)
  if (!existsSync(file)) return undefined
  const bytes = new Uint8Array(readFileSync(file))
  rmSync(file)
  return bytes
}

function putAside(path: string, now: number): string {
  const at = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  const aside = `${path}.before-${at}-${randomBytes(3).toString('hex')}`
  renameSync(path, aside)
  syncFolder(dirname(path))
  return aside
}

function putInPlace(draft: string, folder: string): void {
  if (existsSync(folder)) rmdirSync(folder)
  renameSync(draft, folder)
  syncFolder(dirname(folder))
}
