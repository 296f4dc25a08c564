import type { Server } from 'node:http'
import { chmod, lstat, open, readFile, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { ControlClient } from '../api/index.ts'
import { isMeshError, MeshError } from '../core/base/index.ts'
import type { ProfilePaths } from '../core/options/index.ts'

const errorCode = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')

/** How long a bind may take before its lock counts as left behind. */
const bindLockMs = 10_000
const probeMs = 2_000
/** How long its owner may take to write its pid into it. */
const bindLockWriteMs = 500

/**
 * Binds the profile's socket, which is the lock on the profile. A dead socket is replaced; one that answers is not.
 * @throws {MeshError} DAEMON_RUNNING with the pid of its owner, LISTEN_FAILED
 */
export async function bindControlSocket(server: Server, paths: ProfilePaths): Promise<void> {
  // Two starts that both find a dead socket must not both replace it: the second would remove the first one's.
  await using _lock = await takeBindLock(join(paths.runtimeFolder, 'bind.lock'), paths)
  if ((await listen(server, paths)) === 'bound') return
  const pid = await ownerOf(paths)
  if (pid !== undefined) throw new MeshError('DAEMON_RUNNING', { profile: paths.profile, pid })
  await unlink(paths.socketPath).catch(() => undefined)
  if ((await listen(server, paths)) === 'taken') throw new MeshError('LISTEN_FAILED', { address: paths.socketPath, reason: 'the path is taken' })
}

async function listen(server: Server, { socketPath: socket }: ProfilePaths): Promise<'bound' | 'taken'> {
  const { promise, resolve, reject } = Promise.withResolvers<'bound' | 'taken'>()
  const onError = (error: unknown): void => {
    if (errorCode(error) === 'EADDRINUSE') resolve('taken')
    else reject(new MeshError('LISTEN_FAILED', { address: socket, reason: errorCode(error) }, { cause: error }))
  }
  server.once('error', onError)
  server.listen(socket, () => resolve('bound'))
  const outcome = await promise
  server.off('error', onError)
  if (outcome === 'bound' && process.platform !== 'win32') await chmod(socket, 0o600)
  return outcome
}

/** The pid of the daemon that answers on the socket; undefined when nobody does. */
async function ownerOf(paths: ProfilePaths): Promise<number | string | undefined> {
  try {
    const { pid } = await new ControlClient(paths).call('daemon', {}, { deadlineMs: probeMs })
    return pid
  } catch (error) {
    const isDead = isMeshError(error, 'DAEMON_UNREACHABLE') && ['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errorCode(error.cause))
    // Somebody is connected to it but is still starting, stopping or busy.
    return isDead ? undefined : (await readFile(join(paths.runtimeFolder, 'daemon.pid'), 'utf8').catch(() => '')).trim() || 'unknown'
  }
}

async function takeBindLock(path: string, paths: ProfilePaths): Promise<AsyncDisposable> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeLock(path)
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) }
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw new MeshError('PATH_UNSAFE', { file: path, reason: errorCode(error) }, { cause: error })
      if (await isLeftBehind(path)) await rm(path, { force: true })
      else if (attempt === 0) await wait(bindLockWriteMs + 100)
      else break
    }
  }
  throw new MeshError('DAEMON_RUNNING', { profile: paths.profile, pid: (await readFile(path, 'utf8').catch(() => '')) || 'unknown' })
}

// Not in the loop above: bundled, `using` in a loop throws the error of an earlier turn again.
async function writeLock(path: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(String(process.pid))
}

async function isLeftBehind(path: string): Promise<boolean> {
  try {
    const lock = await lstat(path)
    // No daemon makes anything but a file; reading a pipe would wait for ever.
    if (!lock.isFile()) throw new MeshError('PATH_UNSAFE', { file: path, reason: 'it is not a regular file' })
    const { mtimeMs } = lock
    const pid = await readFile(path, 'utf8')
    if (Date.now() - mtimeMs > bindLockMs) return true
    // No pid: its owner has not written it yet, or was killed before it could, or it is nobody's.
    if (!/^\d{1,10}$/.test(pid)) return Date.now() - mtimeMs > bindLockWriteMs
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    if (error instanceof MeshError) throw error
    return errorCode(error) === 'ESRCH' || errorCode(error) === 'ENOENT'
  }
}
