import { DatabaseSync } from 'node:sqlite'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { MeshError } from '../../core/base/index.ts'
import { checkPrivateFile, createPrivateFile, ensurePrivateFolder, syncFolder } from '../files.ts'
import { InboxSources } from './inbox-sources.ts'
import { mend } from './integrity.ts'
import { number, text } from './rows.ts'
import { migrate } from './schema.ts'
import { checkLog } from './wal.ts'

/** The path that stands for a store in memory: nothing is durable, everything else is the same. */
export const memoryPath = ':memory:'

/**
 * Opens the store in `file`, or makes it. A new file gets its name only when it is complete, so that an empty one is known to be damaged.
 * @throws {MeshError} STATE_NEWER, STATE_CORRUPT, STATE_IN_USE, PERMISSIONS_UNSAFE, PATH_UNSAFE, DISK_FULL, STORE_FAILED
 */
export function openDatabase(file: string): DatabaseSync {
  if (file === memoryPath) return openMemory()
  ensurePrivateFolder(dirname(file))
  if (!existsSync(file)) create(file)
  for (const each of [file, `${file}-wal`]) if (existsSync(each)) checkPrivateFile(each)
  checkLog(`${file}-wal`)
  const database = connect(file)
  try {
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
  migrate(database, draft)
  database.close()
  renameSync(draft, file)
  syncFolder(dirname(file))
}

function connect(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 1_000 })
  try {
    // One process owns the file; the index of the log is in memory, so that there is no -shm file to go wrong.
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
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
