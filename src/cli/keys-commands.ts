import { resolve } from 'node:path'
import { type Catalogue, ControlClient, type InputOf } from '../api/index.ts'
import { MeshError } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { whoRuns } from './daemon-process.ts'
import { renderers } from './render.ts'

/** A path as the daemon's bundle takes it. A zero byte is told by whoever opens it. */
const absolute = (path: string): string => (path.includes('\0') ? path : resolve(path))
/** A copy of a large store takes its time. */
const snapshotMs = 600_000

export async function keysShow(_input: object, context: CommandContext): Promise<void> {
  const { tools } = await context.loadDaemonModule()
  await context.output.result((await tools()).showKeys(context.paths), (value) => renderers.keysShow(value, context.output))
}

export async function keysBackup(input: InputOf<Catalogue['keysBackup']>, context: CommandContext): Promise<void> {
  const { output, paths, signal } = context
  output.progress('making the backup')
  const client = new ControlClient(paths)
  const isRunning = (await whoRuns(client, context)) !== undefined
  const { tools } = await context.loadDaemonModule()
  const answer = await (
    await tools()
  ).backup({
    paths,
    target: absolute(input.file),
    passphraseFile: absolute(input.passphraseFile),
    snapshot: isRunning ? async () => (await client.call('snapshot', {}, { signal, deadlineMs: snapshotMs })).file : undefined
  })
  await output.result(answer, (value) => renderers.keysBackup(value, output))
}

export async function keysRestore(input: InputOf<Catalogue['keysRestore']>, context: CommandContext): Promise<void> {
  const { output, paths } = context
  output.progress('reading the backup')
  const running = await whoRuns(new ControlClient(paths), context)
  if (running !== undefined) throw new MeshError('DAEMON_RUNNING', { profile: paths.profile, pid: running.pid })
  const { tools } = await context.loadDaemonModule()
  const { force } = input
  const answer = await (await tools()).restore({ paths, source: absolute(input.file), passphraseFile: absolute(input.passphraseFile), force })
  await output.result(answer, (value) => renderers.keysRestore(value, output))
}

export async function keysPasswd(input: InputOf<Catalogue['keysPasswd']>, context: CommandContext): Promise<void> {
  const { passphraseFile, newPassphraseFile, plain } = input
  if (plain === (newPassphraseFile !== undefined)) throw new MeshError('USAGE', { problem: 'name --new-passphrase-file, or say --plain' })
  const { output, paths, environment } = context
  output.progress('encrypting the key file')
  const { tools } = await context.loadDaemonModule()
  const from = passphraseFile === undefined ? undefined : absolute(passphraseFile)
  const to = newPassphraseFile === undefined ? '' : absolute(newPassphraseFile)
  const answer = await (await tools()).changePassphrase({ paths, environment, from, to })
  await output.result(answer, (value) => renderers.keysPasswd(value, output))
}
