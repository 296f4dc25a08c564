import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { toMeshError } from '../../core/base/index.ts'
import type { ProfilePaths } from '../../core/options/index.ts'
import { peerIdText } from '../../core/peers/peer-id-text.ts'
import { somethingAt } from '../files.ts'
import { readKeyFile } from '../key-file.ts'
import { readPassphrase } from '../passphrase-file.ts'
import { checkIntegrity } from '../sqlite/integrity.ts'
import { migrations, schemaVersion } from '../sqlite/schema.ts'
import { checkSeals } from '../sqlite/seal-check.ts'
import { storeFile } from '../sqlite/stores.ts'
import { storeError } from '../sqlite/errors.ts'
import { checkLog } from '../sqlite/wal.ts'
import { type Check, fail, ok, skipped, warn } from './check.ts'

/** That there is an identity that a daemon can use. @param passphraseFile - as the options name it; '' = none */
export function checkIdentity({ identityFile }: ProfilePaths, passphraseFile: string): readonly Check[] {
  try {
    const known = readKeyFile(identityFile)
    if (known === undefined)
      return [fail('identity', 'There is no identity', 'Make one: synaptic-mesh p2p init. Or restore a backup: synaptic-mesh p2p keys restore')]
    const peerId = peerIdText(known.publicKey)
    if (!known.isEncrypted) return [ok('identity', `${peerId}; its key file is not encrypted`)]
    return [ok('identity', `${peerId}; its key file is encrypted`), passphraseCheck(passphraseFile)]
  } catch (error) {
    const { message, hint } = toMeshError(error)
    return [fail('identity', message, hint)]
  }
}

function passphraseCheck(file: string): Check {
  if (file === '')
    return warn(
      'passphrase',
      'No passphrase file is named: the daemon starts only with --passphrase-file',
      'Name it: synaptic-mesh p2p config set passphrase_file FILE'
    )
  try {
    readPassphrase(file).fill(0)
    return ok('passphrase', `The passphrase is in ${file}`)
  } catch (error) {
    const { message, hint } = toMeshError(error)
    return fail('passphrase', message, hint)
  }
}

/** The store of a profile whose daemon does not run. It is not touched: `deep` reads a copy, which takes as much space for a moment. */
export function checkStore({ stateFolder }: ProfilePaths, deep: boolean): Check {
  const file = join(stateFolder, storeFile)
  if (!somethingAt(file))
    return somethingAt(`${file}-wal`)
      ? fail('store', `${file} is gone, but its log is there`, restoreHint)
      : skipped('store', 'There is no store yet')
  try {
    checkLog(`${file}-wal`)
    if (!hasHeader(file)) return fail('store', `${file} is no database`, restoreHint)
    return deep ? readCopy(stateFolder) : ok('store', 'The store looks whole; --deep reads all of it')
  } catch (error) {
    const known = storeError(error, file)
    return known.code === 'STATE_CORRUPT'
      ? fail('store', known.message, restoreHint)
      : skipped('store', `The store could not be read: ${known.message}`)
  }
}

const restoreHint = 'Restore a backup (synaptic-mesh p2p keys restore), or move the file away to begin anew.'

/** What reading the whole store came to. */
export function storeVerdict({
  problems,
  messages,
  damaged
}: {
  readonly problems: readonly string[]
  readonly messages: number
  readonly damaged: number
}): Check {
  const [first] = problems
  if (first !== undefined)
    return fail('store', `SQLite finds damage: ${first}${problems.length > 1 ? ` and ${problems.length - 1} more` : ''}`, restoreHint)
  if (damaged > 0)
    return fail(
      'store',
      `${damaged} of ${messages} messages are not what was written`,
      'The disk decays: make a backup now. What is damaged is set aside, the rest is kept.'
    )
  return ok('store', `The store is whole, ${messages} messages have their seals`)
}

function hasHeader(file: string): boolean {
  const header = Buffer.alloc(16)
  const descriptor = openSync(file, 'r')
  try {
    return readSync(descriptor, header, 0, 16, 0) === 16 && header.toString('latin1') === 'SQLite format 3\0'
  } finally {
    closeSync(descriptor)
  }
}

function readCopy(stateFolder: string): Check {
  const folder = mkdtempSync(join(stateFolder, '.doctor-'))
  try {
    for (const name of [storeFile, `${storeFile}-wal`])
      if (somethingAt(join(stateFolder, name))) copyFileSync(join(stateFolder, name), join(folder, name))
    return readStore(join(folder, storeFile))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readStore(file: string): Check {
  const database = new DatabaseSync(file)
  try {
    const version = schemaVersion(database)
    if (version > migrations.length) return fail('store', 'The store was written by a newer version', 'Use the newer version. Nothing was touched.')
    const problems = checkIntegrity(database)
    // Seals are read by the columns of this version.
    const seals = problems.length > 0 || version < migrations.length ? { messages: 0, damaged: 0 } : checkSeals(database)
    return storeVerdict({ problems, ...seals })
  } finally {
    database.close()
  }
}

/** What the daemon said when it died the last time; undefined when it said nothing. */
export function lastWords({ stateFolder }: ProfilePaths): string | undefined {
  try {
    const [line] = readFileSync(join(stateFolder, 'daemon.crash.log'), 'utf8')
      .split('\n')
      .filter((each) => each.trim() !== '')
    return line
  } catch {
    return undefined
  }
}
