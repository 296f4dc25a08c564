import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import type { Stats } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, parse, resolve, sep } from 'node:path'
import { MeshError } from '../core/base/index.ts'

const fileMode = 0o600
const folderMode = 0o700
const openToOthers = 0o077
const draftName = /^\.[0-9a-f]{16}\.new$/
/** Longest path that the operating system takes, in bytes (PATH_MAX of Linux, with its ending zero). */
const pathBytes = 4_096
/** The largest private file that is read at once: keys, tokens and configuration are far smaller. */
const readBytes = 1_048_576

const unsafe = (file: string, reason: string, cause?: unknown): MeshError => new MeshError('PATH_UNSAFE', { file: shown(file), reason }, { cause })

/** Makes `folder` and what is missing above it, readable by its owner only, whatever the umask. @throws {MeshError} PATH_UNSAFE, PERMISSIONS_UNSAFE */
export function ensurePrivateFolder(folder: string): void {
  const path = checkedPath(folder)
  if (statOf(path) === undefined) makeFolder(path)
  checkPrivateFolder(path)
}

/** @throws {MeshError} PATH_UNSAFE (a link, no folder, another owner, a parent that everyone may change), PERMISSIONS_UNSAFE */
export function checkPrivateFolder(folder: string): void {
  const path = checkedPath(folder)
  const stats = statOf(path)
  if (stats === undefined) throw unsafe(path, 'it does not exist')
  if (!stats.isDirectory()) throw unsafe(path, stats.isSymbolicLink() ? 'it is a symbolic link' : 'it is not a folder')
  checkOwner(path, stats)
  checkMode(path, stats, folderMode)
  checkParents(path)
}

/** Checks an existing file: regular, one name, our own, closed to others. @throws {MeshError} PATH_UNSAFE, PERMISSIONS_UNSAFE */
export function checkPrivateFile(file: string): void {
  closeSync(openPrivate(checkedPath(file), constants.O_RDONLY))
}

/** The bytes of a private file of at most 1 MiB; undefined when there is none. @throws {MeshError} PATH_UNSAFE, PERMISSIONS_UNSAFE */
export function readPrivateFile(file: string): Uint8Array | undefined {
  const path = checkedPath(file)
  if (statOf(path) === undefined) return undefined
  const descriptor = openPrivate(path, constants.O_RDONLY)
  try {
    if (fstatSync(descriptor).size > readBytes) throw unsafe(path, `it has more than ${readBytes} bytes`)
    return new Uint8Array(readFileSync(descriptor))
  } finally {
    closeSync(descriptor)
  }
}

/** Replaces a private file in one step: after a crash it has the old bytes or the new ones. What stands there must be a private file. */
export function writePrivateFile(file: string, bytes: Uint8Array): void {
  const path = checkedPath(file)
  if (statOf(path) !== undefined) checkPrivateFile(path)
  withDraft(path, bytes, (draft) => renameSync(draft, path))
}

/** Makes a private file that must not exist yet, in one step: it never stands there half written. @throws {MeshError} PATH_UNSAFE when something stands there */
export function createPrivateFile(file: string, bytes: Uint8Array): void {
  const path = checkedPath(file)
  withDraft(path, bytes, (draft) => {
    try {
      // Unlike rename(2), link(2) never replaces.
      linkSync(draft, path)
    } catch (cause) {
      if (isCode(cause, 'EEXIST')) throw unsafe(path, 'something stands there already', cause)
      throw cause
    }
    rmSync(draft)
  })
}

/** Opens a file of our own to add to its end, or makes it; one that others could open is closed to them. @throws {MeshError} PATH_UNSAFE (a link, a pipe, a second name, another owner) */
export function openToAppend(file: string): number {
  const path = checkedPath(file)
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
  const descriptor = openChecked(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK)
  try {
    checkOwnFile(path, fstatSync(descriptor))
    fchmodSync(descriptor, fileMode)
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

/** Whether anything stands at `path`: a dangling link counts. */
export const somethingAt = (path: string): boolean => statOf(checkedPath(path)) !== undefined

/** Makes the names in `folder` durable. */
export function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw fileError(error, folder)
  }
}

function withDraft(path: string, bytes: Uint8Array, publish: (draft: string) => void): void {
  const draft = join(dirname(path), `.${randomBytes(8).toString('hex')}.new`)
  try {
    writeDraft(draft, bytes)
    publish(draft)
    syncFolder(dirname(path))
  } catch (error) {
    dropDraft(draft)
    throw fileError(error, path)
  }
}

/** Removes what did not become a file; where that fails, why it did not become one counts. */
export function dropDraft(draft: string): void {
  try {
    rmSync(draft, { force: true })
  } catch {
    // There is no folder that it could be in.
  }
}

function writeDraft(draft: string, bytes: Uint8Array): void {
  const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, fileMode)
  try {
    // The umask can only take rights away; this gives back what belongs there.
    fchmodSync(descriptor, fileMode)
    writeFileSync(descriptor, bytes)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function openPrivate(path: string, flags: number): number {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const descriptor = openChecked(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(descriptor)
    checkOwnFile(path, stats)
    checkMode(path, stats, fileMode)
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

function checkOwnFile(path: string, stats: Stats): void {
  if (!stats.isFile()) throw unsafe(path, 'it is not a regular file')
  if (stats.nlink !== 1 && !removeDrafts(path, stats)) throw unsafe(path, `it has ${stats.nlink} names (hard links)`)
  checkOwner(path, stats)
}

/** A crash between link and remove in `createPrivateFile` leaves the draft as a second name; returns whether that was all. */
function removeDrafts(path: string, { ino, dev, nlink }: Stats): boolean {
  const folder = dirname(path)
  const drafts = readdirSync(folder).filter((name) => draftName.test(name))
  const own = drafts
    .map((name) => join(folder, name))
    .filter((draft) => {
      const stats = statOf(draft)
      return stats?.ino === ino && stats.dev === dev
    })
  if (own.length !== nlink - 1) return false
  for (const draft of own) rmSync(draft)
  return true
}

function openChecked(path: string, flags: number): number {
  try {
    return openSync(path, flags, fileMode)
  } catch (cause) {
    if (isCode(cause, 'ELOOP')) throw unsafe(path, 'it is a symbolic link', cause)
    throw fileError(cause, path)
  }
}

function makeFolder(path: string): void {
  const parent = dirname(path)
  if (parent !== path && statOf(parent) === undefined) makeFolder(parent)
  try {
    mkdirSync(path, folderMode)
  } catch (cause) {
    if (!isCode(cause, 'EEXIST')) throw fileError(cause, path)
    return
  }
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    fchmodSync(descriptor, folderMode)
  } finally {
    closeSync(descriptor)
  }
  syncFolder(parent)
}

function checkOwner(path: string, stats: Stats): void {
  const own = process.geteuid?.()
  if (own !== undefined && stats.uid !== own) throw unsafe(path, `it belongs to user ${stats.uid}`)
}

function checkMode(path: string, stats: Stats, wanted: number): void {
  if (process.platform === 'win32' || (stats.mode & openToOthers) === 0) return
  throw new MeshError('PERMISSIONS_UNSAFE', {
    file: shown(path),
    mode: (stats.mode & 0o777).toString(8).padStart(4, '0'),
    wanted: wanted.toString(8).padStart(4, '0')
  })
}

/**
 * Whoever may rename a parent may put another folder in our place: a parent belongs to us or to root, and is not writable by everyone,
 * unless sticky as /tmp is. Behind links both ways are judged: the one that was named and the one where it truly is.
 */
function checkParents(path: string): void {
  if (process.platform === 'win32') return
  const parent = dirname(path)
  for (const start of new Set([parent, trueFolder(parent)])) checkUpwards(path, start)
}

function trueFolder(folder: string): string {
  try {
    return realpathSync(folder)
  } catch (cause) {
    throw fileError(cause, folder)
  }
}

function checkUpwards(path: string, start: string): void {
  const { root } = parse(start)
  for (let parent = start; ; parent = dirname(parent)) {
    const { mode = 0, uid = 0 } = statOf(parent) ?? {}
    if (!isTrustedOwner(uid)) throw unsafe(path, `${parent} belongs to user ${uid}`)
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0 && (mode & 0o170000) === 0o040000) throw unsafe(path, `everyone may change ${parent}`)
    if (parent === root) return
  }
}

const isTrustedOwner = (uid: number): boolean => uid === 0 || uid === process.geteuid?.() || (uid === nobody && isInUserNamespace())

/** In a user namespace (a sandbox, a rootless container) this stands for every user outside, root among them. */
const nobody = 65_534

function isInUserNamespace(): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
  } catch {
    return false
  }
}

function checkedPath(path: string): string {
  if (path.includes('\0')) throw unsafe(path, 'it holds a zero byte')
  const absolute = resolve(path)
  if (Buffer.byteLength(absolute) >= pathBytes || absolute.split(sep).some((part) => Buffer.byteLength(part) > 255))
    throw unsafe(path, 'its name is too long')
  return absolute
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    throw fileError(cause, path)
  }
}

/** An error of the file system as one of ours. */
export function fileError(error: unknown, path: string): MeshError {
  if (error instanceof MeshError) return error
  const reason = error instanceof Error ? error.message : String(error)
  if (isCode(error, 'ENOSPC') || isCode(error, 'EDQUOT')) return new MeshError('DISK_FULL', { file: shown(path) }, { cause: error })
  if (isCode(error, 'EIO')) return new MeshError('STORE_FAILED', { file: shown(path), reason }, { cause: error })
  return unsafe(path, plainReason(error, path) ?? withoutCall(reason), error)
}

/** The end of a text of the system names its call, and the draft that was to become the file. */
const withoutCall = (reason: string): string => reason.replace(/, [a-z]+ '.*$/s, '')

/** The usual errors in words. */
function plainReason(error: unknown, path: string): string | undefined {
  const folder = dirname(path)
  if (isCode(error, 'ENOENT')) return existsSync(folder) ? 'there is no such file or folder' : `there is no folder ${shown(folder)}`
  if (isCode(error, 'ENOTDIR')) return `${shown(folder)} is no folder`
  if (isCode(error, 'EISDIR')) return 'it is a folder'
  if (isCode(error, 'EACCES')) return 'this user has no right to it'
  if (isCode(error, 'EROFS')) return 'nothing can be written there'
  return undefined
}

const isCode = (error: unknown, code: string): boolean => error instanceof Error && 'code' in error && error.code === code

const shown = (path: string): string => (path.length > 256 ? `${path.slice(0, 255)}…` : path).replaceAll('\0', '\\0')
