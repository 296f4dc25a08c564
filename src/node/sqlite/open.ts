import { DatabaseSync } from 'node:sqlite'
import { closeSync, openSync, readSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '../../core/base/index.ts'
import { checkPrivateFile, createPrivateFile, ensurePrivateFolder, somethingAt, syncFolder } from '../files.ts'
import { InboxSources } from './inbox-sources.ts'
import { mend } from './integrity.ts'
import { number, text } from './rows.ts'
import { migrate, schemaVersion } from './schema.ts'
import { checkLog } from './wal.ts'

/** The path that stands for a store in memory: nothing is durable, everything else is the same. */
export const memoryPath = ':memory:'

// https://www.sqlite.org/fileformat2.html section 1.3
const magic = Buffer.from('SQLite format 3\0', 'latin1')
const smallestPage = 512

/**
 * Opens the store in `file`, or makes it. A new file gets its name only when it is complete, so that an empty one is known to be damaged.
 * @throws {MeshError} STATE_NEWER, STATE_CORRUPT, STATE_IN_USE, PERMISSIONS_UNSAFE, PATH_UNSAFE, DISK_FULL, STORE_FAILED
 */
export function openDatabase(file: string): DatabaseSync {
  if (file === memoryPath) return openMemory()
  ensurePrivateFolder(dirname(file))
  const log = `${file}-wal`
  if (!somethingAt(file)) {
    if (somethingAt(log)) throw new MeshError('STATE_CORRUPT', { file, reason: 'its log is there, but not the file itself' })
    create(file)
  }
  for (const each of [file, log]) if (somethingAt(each)) checkPrivateFile(each)
  checkHeader(file)
  checkLog(log)
  const database = connect(file)
  try {
    if (schemaVersion(database) === 0) throw new MeshError('STATE_CORRUPT', { file, reason: 'it has no tables' })
    mend(database, file)
    migrate(database, file)
    new InboxSources(database).recount()
    // An empty log to begin with: what an earlier process left behind the last commit must not look like a damaged one to checkLog later.
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** SQLite takes an empty or cut file for a new database; here it is a damaged one, and stays as it is. */
function checkHeader(file: string): void {
  const header = Buffer.alloc(smallestPage)
  const descriptor = openSync(file, 'r')
  try {
    const bytes = readSync(descriptor, header, 0, header.length, 0)
    if (bytes < header.length || !header.subarray(0, magic.length).equals(magic))
      throw new MeshError('STATE_CORRUPT', { file, reason: 'it is no database' })
  } finally {
    closeSync(descriptor)
  }
}

function openMemory(): DatabaseSync {
  const database = new DatabaseSync(memoryPath)
  migrate(database, memoryPath)
  return database
}

function create(file: string): void {
  const draft = `${file}.new`
  for (const rest of [draft, `${draft}-wal`, `${draft}-journal`]) rmSync(rest, { force: true })
  createPrivateFile(draft, new Uint8Array(0))
  const database = connect(draft)
  try {
    migrate(database, draft)
    // Closing would do this too, but in silence when it fails: the name would then go to a file whose tables are still in its log.
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } finally {
    database.close()
  }
  renameSync(draft, file)
  syncFolder(dirname(file))
}

function connect(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 1_000 })
  try {
    // One process owns the file; the index of the log is in memory, so that there is no -shm file to go wrong.
    // Five messages of 1 KiB with their proofs fit into a page of 8 KiB, two into one of 4.
    database.exec('PRAGMA page_size = 8192; PRAGMA locking_mode = EXCLUSIVE')
    const journal = text(database.prepare('PRAGMA journal_mode = WAL').get() ?? {}, 'journal_mode')
    database.exec(
      'PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864; PRAGMA cell_size_check = ON'
    )
    const synchronous = number(database.prepare('PRAGMA synchronous').get() ?? {}, 'synchronous')
    if (journal !== 'wal' || synchronous !== 2)
      throw new MeshError('STORE_FAILED', { file, reason: `journal ${journal}, synchronous ${synchronous}: commits would not be durable` })
    return database
  } catch (error) {
    database.close()
    throw error
  }
}
