import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ErrorCode } from '../../src/core/base/index.ts'
import { ensureIdentity, loadIdentity } from '../../src/node/identity.ts'
import { writeBackup } from '../../src/node/keys/backup.ts'
import { restoreBackup } from '../../src/node/keys/restore.ts'
import { readPassphrase } from '../../src/node/passphrase-file.ts'
import { pathsIn } from '../api/harness.ts'

type KeyCode = Extract<ErrorCode, `PASSPHRASE_${string}` | `BACKUP_${string}` | 'PROFILE_NOT_EMPTY' | 'DOCTOR_FAILED'>

interface KeyWorld {
  folder(): string
}

function passIn(folder: string, text: string): string {
  const file = join(folder, `pass-${text.length}`)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

/** An encrypted identity, its passphrase, and a wrong one. */
async function locked({ folder }: KeyWorld): Promise<{ readonly key: string; readonly wrong: string }> {
  const made = folder()
  const key = join(made, 'identity.key')
  await ensureIdentity(key, passIn(made, 'the right one'))
  return { key, wrong: passIn(made, 'a wrong passphrase') }
}

/** Restores what `change` makes of a backup; into the profile that it came from when `back` is said. */
async function restored({ folder }: KeyWorld, change: (bytes: Buffer) => Uint8Array, back = false): Promise<unknown> {
  const made = folder()
  const paths = pathsIn(made)
  mkdirSync(paths.stateFolder, { mode: 0o700 })
  await ensureIdentity(paths.identityFile)
  const passphraseFile = passIn(made, 'a passphrase')
  const target = join(made, 'backup')
  await writeBackup({ paths, target, passphraseFile, version: '0', createdAt: 0 })
  const source = join(made, 'changed')
  writeFileSync(source, change(readFileSync(target)))
  return restoreBackup({ paths: back ? paths : pathsIn(folder()), source, passphraseFile, force: false, now: 0 })
}

/** For each code of keys, backups and the doctor, what lets the software say it. `cli`: the error of a command line in an empty home. */
export const keyProducers = <World extends KeyWorld>(
  cli: (world: World, args: readonly string[]) => Promise<unknown>
): Readonly<Record<KeyCode, (world: World) => unknown>> => ({
  PASSPHRASE_NEEDED: async (world) => loadIdentity((await locked(world)).key),
  PASSPHRASE_WRONG: async (world) => {
    const { key, wrong } = await locked(world)
    return loadIdentity(key, wrong)
  },
  PASSPHRASE_UNUSABLE: ({ folder }) => readPassphrase(passIn(folder(), 'short')),
  BACKUP_DAMAGED: (world) => restored(world, (bytes) => bytes.with(200, (bytes[200] ?? 0) ^ 1)),
  BACKUP_TRUNCATED: (world) => restored(world, (bytes) => bytes.subarray(0, -1)),
  BACKUP_NEWER: (world) => restored(world, (bytes) => bytes.fill(9, 16, 17)),
  PROFILE_NOT_EMPTY: (world) => restored(world, (bytes) => bytes, true),
  DOCTOR_FAILED: (world) => cli(world, ['doctor'])
})
