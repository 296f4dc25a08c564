import { closeSync, constants, existsSync, fchmodSync, fstatSync, ftruncateSync, mkdirSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type ControlClient, fromWireError, type StartNotice } from '../api/index.ts'
import { isMeshError, MeshError } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'

/** How long a daemon may take to start; a large store is checked first. */
const startMs = 30_000
const maxNoticeCharacters = 65_536

/**
 * Node's own flags for a daemon. SIGUSR1 would open the inspector to every local user; a small young generation, one helper thread and a
 * collector that the daemon can call when it is quiet keep its memory near what it needs (bench/cli.ts).
 */
export const daemonNodeFlags: readonly string[] = ['--disable-sigusr1', '--expose-gc', '--max-semi-space-size=4', '--v8-pool-size=1']

/**
 * The environment of a daemon: glibc otherwise keeps what a burst of messages took, in an arena for each thread, with little that lives on between
 * what was freed. Blocks from 8 KiB get pages of their own. What the user set stands.
 */
export const daemonEnvironment = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '65536',
  MALLOC_MMAP_THRESHOLD_: '8192',
  ...environment
})

/** The arguments of Node for the profile's daemon. */
export function daemonArguments({ daemonEntry, paths, globals }: CommandContext): readonly string[] {
  const places = [
    ...(globals.dataDir === undefined ? [] : ['--data-dir', globals.dataDir]),
    ...(globals.config === undefined ? [] : ['--config', globals.config])
  ]
  return [...daemonNodeFlags, fileURLToPath(daemonEntry), '--profile', paths.profile, ...places]
}

/** @throws {MeshError} NOT_INITIALIZED when the profile has no configuration. */
export function requireProfile({ paths }: CommandContext): void {
  if (!existsSync(paths.configFile)) throw new MeshError('NOT_INITIALIZED', { profile: paths.profile })
}

/** Starts the profile's daemon as a process of its own; resolves when its socket answers. @throws {MeshError} what it says itself, or DAEMON_START_FAILED */
export async function startDaemonProcess(context: CommandContext, client: ControlClient): Promise<void> {
  const { spawn } = await import('node:child_process')
  const { paths, environment } = context
  mkdirSync(paths.stateFolder, { recursive: true, mode: 0o700 })
  const crashLog = openCrashLog(`${paths.stateFolder}/daemon.crash.log`)
  const child = spawn(process.execPath, [...daemonArguments(context), '--notify'], {
    detached: true,
    stdio: ['ignore', 'ignore', crashLog, 'pipe'],
    env: daemonEnvironment(environment),
    cwd: '/'
  })
  closeSync(crashLog)
  const gone = Promise.withResolvers<string>()
  child.once('error', (error) => gone.resolve(error.message))
  child.once('exit', (code, signal) => gone.resolve(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`))
  const deadline = AbortSignal.any([context.signal, AbortSignal.timeout(startMs)])
  const notice = await readNotice(child.stdio[3] as NodeJS.ReadableStream, deadline)
  if (context.signal.aborted) throw new MeshError('ABORTED', { operation: 'start' })
  if (notice === undefined)
    throw new MeshError('DAEMON_START_FAILED', {
      profile: paths.profile,
      reason: deadline.aborted ? `it did not answer within ${startMs / 1000} s` : await gone.promise
    })
  if (!notice.ready) throw fromWireError(notice, paths.profile)
  child.unref()
  await client.call('daemon', {}, { signal: context.signal })
}

/** An empty file for what a dying daemon says. Only a file of our own is emptied: no link, pipe or file of another user. @throws {MeshError} PATH_UNSAFE */
function openCrashLog(file: string): number {
  const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    const descriptor = openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    const stats = fstatSync(descriptor)
    if (stats.isFile() && stats.nlink === 1 && stats.uid === (process.geteuid?.() ?? stats.uid)) {
      fchmodSync(descriptor, 0o600)
      ftruncateSync(descriptor)
      return descriptor
    }
    closeSync(descriptor)
  } catch (cause) {
    throw new MeshError(
      'PATH_UNSAFE',
      { file, reason: cause instanceof Error && 'code' in cause ? String(cause.code) : 'it cannot be written' },
      { cause }
    )
  }
  throw new MeshError('PATH_UNSAFE', { file, reason: 'it is not a file of our own' })
}

/** Starts the daemon, or waits for one that somebody else starts at this moment. @throws as `startDaemonProcess` */
export async function ensureDaemonProcess(context: CommandContext, client: ControlClient): Promise<void> {
  try {
    await startDaemonProcess(context, client)
  } catch (error) {
    if (!isMeshError(error, 'DAEMON_RUNNING')) throw error
    await untilAnswering(context, client)
  }
}

async function untilAnswering(context: CommandContext, client: ControlClient): Promise<void> {
  const deadline = Date.now() + startMs
  for (;;) {
    try {
      await client.call('daemon', {}, { signal: context.signal })
      return
    } catch (error) {
      if (!isMeshError(error, 'DAEMON_UNREACHABLE') || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** The daemon's first line; undefined when it ended, or `deadline` came, without one. */
export async function readNotice(stream: NodeJS.ReadableStream, deadline: AbortSignal): Promise<StartNotice | undefined> {
  const { promise, resolve } = Promise.withResolvers<StartNotice | undefined>()
  let text = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(0, maxNoticeCharacters)
    if (text.includes('\n')) resolve(parseNotice(text))
  })
  stream.once('close', () => resolve(parseNotice(text)))
  stream.once('error', () => resolve(undefined))
  deadline.addEventListener('abort', () => resolve(undefined), { once: true })
  const notice = await promise
  if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy()
  return notice
}

function parseNotice(text: string): StartNotice | undefined {
  try {
    const value: unknown = JSON.parse(text.split('\n')[0] ?? '')
    return typeof value === 'object' && value !== null && 'ready' in value ? (value as StartNotice) : undefined
  } catch {
    return undefined
  }
}

/** The daemon of the profile, when one runs. */
export async function whoRuns(client: ControlClient, { signal }: Pick<CommandContext, 'signal'>) {
  try {
    return await client.call('daemon', {}, { signal, deadlineMs: 5_000 })
  } catch (error) {
    if (isMeshError(error, 'DAEMON_UNREACHABLE')) return undefined
    throw error
  }
}

/** Asks the daemon to stop and waits until its socket is gone; undefined when none runs. @throws {MeshError} TIMEOUT */
export async function stopDaemon(context: CommandContext, client: ControlClient): Promise<number | undefined> {
  const timeoutMs = context.globals.timeoutMs ?? 15_000
  const deadline = Date.now() + timeoutMs
  let pid: number
  try {
    pid = (await client.call('stop', {}, { signal: context.signal, deadlineMs: timeoutMs })).pid ?? 0
  } catch (error) {
    if (isMeshError(error, 'DAEMON_UNREACHABLE')) return undefined
    throw error
  }
  while (isAlive(pid)) {
    if (context.signal.aborted) throw new MeshError('ABORTED', { operation: 'stop' })
    if (Date.now() > deadline) throw new MeshError('TIMEOUT', { operation: `Stopping the daemon with pid ${pid}`, timeoutMs })
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return pid
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
