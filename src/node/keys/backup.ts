import {
  closeSync,
  constants,
  fsyncSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync
} from 'node:fs'
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { MeshError } from '../../core/base/index.ts'
import type { ProfilePaths } from '../../core/options/index.ts'
import { peerIdText } from '../../core/peers/peer-id-text.ts'
import { createSeal, sealChunks } from '../../crypto/sealed-file.ts'
import { checkPrivateFile, dropDraft, fileError, readPrivateFile, somethingAt, syncFolder } from '../files.ts'
import { keyFileInfo } from '../key-file.ts'
import { readPassphrase } from '../passphrase-file.ts'
import { storeFile } from '../sqlite/stores.ts'
import { snapshotFile } from '../sqlite/snapshot.ts'
import { type BackupFile, configName, encodeManifest, identityName, manifestLimits, plainBytesOf } from './backup-format.ts'

export interface BackupRequest {
  readonly paths: ProfilePaths
  /** Absolute; nothing may stand there. */
  readonly target: string
  readonly passphraseFile: string
  /** Makes the daemon that runs copy its store, and tells where to; left out: no daemon runs. */
  readonly snapshot?: (() => Promise<string>) | undefined
  readonly version: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

export interface BackupReport {
  readonly file: string
  readonly bytes: number
  readonly peerId: string
  /** Whether the identity in it has a passphrase of its own besides. */
  readonly isIdentityEncrypted: boolean
  readonly files: readonly BackupFile[]
}

/** The copy of the store while a backup is made; the daemon's operation of that name makes it at the same place. */
const snapshotName = 'mesh.db.snapshot'
/** What a backup leaves out: the log, the store itself (its copy is taken), what is not finished. */
const leftOut = (name: string): boolean =>
  name.startsWith('.') || /^daemon\.|\.log(?:\.\d+)?$|\.sock$|\.lock$|\.pid$|\.new$/.test(name) || name.startsWith(storeFile)
const pieceBytes = 65_536

/**
 * Writes everything of a profile that cannot be made anew (identity, configuration, pairs, groups, messages) into one encrypted file.
 * @throws {MeshError} NOT_INITIALIZED, PATH_UNSAFE (something stands at the target), PASSPHRASE_UNUSABLE, KEY_CORRUPT, STATE_IN_USE, DISK_FULL …
 */
export async function writeBackup(request: BackupRequest): Promise<BackupReport> {
  const { paths, target } = request
  const identity = readPrivateFile(paths.identityFile)
  if (identity === undefined) throw new MeshError('NOT_INITIALIZED', { profile: paths.profile })
  const { publicKey, isEncrypted } = keyFileInfo(identity, paths.identityFile)
  identity.fill(0)
  if (somethingAt(target)) throw new MeshError('PATH_UNSAFE', { file: target, reason: 'something stands there already' })
  const passphrase = readPassphrase(request.passphraseFile)
  const copy = join(paths.stateFolder, snapshotName)
  try {
    rmSync(copy, { force: true })
    if (somethingAt(join(paths.stateFolder, storeFile))) await takeCopy(request, copy)
    const sources = sourcesOf(paths, copy)
    const peerId = peerIdText(publicKey)
    const bytes = await seal(request, { sources, passphrase, peerId })
    return { file: target, bytes, peerId, isIdentityEncrypted: isEncrypted, files: sources.map(({ name, bytes: size }) => ({ name, bytes: size })) }
  } finally {
    passphrase.fill(0)
    rmSync(copy, { force: true })
  }
}

async function takeCopy({ paths, snapshot }: BackupRequest, copy: string): Promise<void> {
  if (snapshot === undefined) return snapshotFile(join(paths.stateFolder, storeFile), copy)
  const made = await snapshot()
  if (made !== copy) throw new MeshError('PATH_UNSAFE', { file: made, reason: 'the daemon copied its store to another place' })
}

interface Source extends BackupFile {
  readonly path: string
}

/** What there is to keep, the identity first. @throws {MeshError} PERMISSIONS_UNSAFE, PATH_UNSAFE */
function sourcesOf(paths: ProfilePaths, copy: string): readonly Source[] {
  const found = readdirSync(paths.stateFolder, { withFileTypes: true }).filter(
    (each) => each.isFile() && each.name !== identityName && !leftOut(each.name)
  )
  const places = [
    [identityName, paths.identityFile],
    [configName, paths.configFile],
    [storeFile, copy],
    ...found.map(({ name }) => [name, join(paths.stateFolder, name)] as const)
  ] as const
  const sources = places.filter(([, path]) => somethingAt(path)).map(([name, path]) => ({ name, path, bytes: sizeOf(path) }))
  if (sources.length > manifestLimits.files) throw new MeshError('PATH_UNSAFE', { file: paths.stateFolder, reason: 'it holds too many files' })
  return sources
}

function sizeOf(path: string): number {
  checkPrivateFile(path)
  return lstatSync(path).size
}

interface Contents {
  readonly sources: readonly Source[]
  readonly passphrase: Uint8Array
  readonly peerId: string
}

async function seal({ paths, target, version, createdAt }: BackupRequest, { sources, passphrase, peerId }: Contents): Promise<number> {
  const manifest = encodeManifest({ version, createdAt, profile: paths.profile, peerId, files: sources })
  const made = await createSeal('backup', passphrase, plainBytesOf(manifest, sources))
  try {
    return writeNew(target, sealChunks(made, plain(manifest, sources)))
  } finally {
    made.key.fill(0)
  }
}

function* plain(manifest: Uint8Array, sources: readonly Source[]): Generator<Uint8Array> {
  yield manifest
  for (const source of sources) yield* exactly(source)
}

/** As many bytes of a file as its list says: one that grows meanwhile is cut, one that shrinks is an error. */
function* exactly({ path, bytes }: Source): Generator<Uint8Array> {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    yield* piecesOf(descriptor, bytes, path)
  } finally {
    closeSync(descriptor)
  }
}

/** `bytes` bytes of an open file, in pieces. @throws {MeshError} STORE_FAILED when it has fewer */
export function* piecesOf(descriptor: number, bytes: number, path: string): Generator<Uint8Array> {
  for (let left = bytes; left > 0;) {
    const piece = new Uint8Array(Math.min(left, pieceBytes))
    const read = readSync(descriptor, piece, 0, piece.length, null)
    if (read === 0) throw new MeshError('STORE_FAILED', { file: path, reason: `${path} became shorter while it was read` })
    left -= read
    yield piece.subarray(0, read)
  }
}

/** Makes the file in one step: under its name it is whole or not there. Its folder may be anybody's, such as a USB stick: all is encrypted. */
function writeNew(target: string, pieces: Iterable<Uint8Array>): number {
  const draft = join(dirname(target), `.${basename(target).slice(0, 100)}.${randomBytes(8).toString('hex')}.new`)
  try {
    const bytes = writePieces(draft, pieces)
    publish(draft, target)
    syncFolder(dirname(target))
    return bytes
  } catch (error) {
    dropDraft(draft)
    throw fileError(error, target)
  }
}

/** Writes a new private file and makes it durable; how many bytes it has. */
export function writePieces(file: string, pieces: Iterable<Uint8Array>): number {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    for (const piece of pieces) for (let at = 0; at < piece.length;) at += writeSync(descriptor, piece, at)
    fsyncSync(descriptor)
    return fstatSync(descriptor).size
  } finally {
    closeSync(descriptor)
  }
}

function publish(draft: string, target: string): void {
  try {
    // Unlike rename(2), link(2) never replaces.
    linkSync(draft, target)
    rmSync(draft)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'EEXIST') throw new MeshError('PATH_UNSAFE', { file: target, reason: 'something stands there already' }, { cause: error })
    // File systems of USB sticks have no links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
    renameSync(draft, target)
  }
}
