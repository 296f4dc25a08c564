import { MeshError, toMeshError } from '../../core/base/index.ts'
import { fileError } from '../files.ts'

// Primary result codes of SQLite (sqlite3.h); an extended code has its primary one in the low byte.
const sqliteBusy = 5
const sqliteIoError = 10
const sqliteCorrupt = 11
const sqliteFull = 13
const sqliteCannotOpen = 14
const sqliteNotADatabase = 26

/** What SQLite said, when `error` came from it. */
export interface SqliteFailure {
  readonly primary: number
  readonly extended: number
  readonly message: string
}

/** Reads the result code out of an error of node:sqlite; undefined for any other value. */
export function sqliteFailure(error: unknown): SqliteFailure | undefined {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_SQLITE_ERROR') return undefined
  const extended = 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 1
  return { primary: extended & 0xff, extended, message: error.message }
}

/** An error of a request as a MeshError: DISK_FULL, STORE_FAILED, STATE_CORRUPT, STATE_IN_USE, or what it already was. */
export function storeError(error: unknown, file: string): MeshError {
  const failure = sqliteFailure(error)
  if (failure === undefined) return error instanceof Error && 'syscall' in error ? fileError(error, file) : toMeshError(error)
  const details = { file, reason: `${failure.message} (SQLite ${failure.extended})` }
  switch (failure.primary) {
    case sqliteFull:
      return new MeshError('DISK_FULL', details, { cause: error })
    case sqliteBusy:
      return new MeshError('STATE_IN_USE', details, { cause: error })
    case sqliteCorrupt:
    case sqliteNotADatabase:
      return new MeshError('STATE_CORRUPT', details, { cause: error })
    case sqliteIoError:
    case sqliteCannotOpen:
      return new MeshError('STORE_FAILED', details, { cause: error })
    default:
      return new MeshError('INTERNAL', details, { cause: error })
  }
}
