import { existsSync, lstatSync, readdirSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import type { ProfilePaths } from '../../core/options/index.ts'
import { type Check, fail, ok, skipped, warn } from './check.ts'

const mebibyte = 1_048_576
const fullBytes = 32 * mebibyte
const tightBytes = 512 * mebibyte
/** No machine that runs this has a clock before it was written. */
const earliestClockMs = Date.UTC(2026, 0, 1)
const clockToleranceMs = 120_000

/** That Node.js is new enough and has what is used of it. */
export function checkNode(): Check {
  const { node: version, sqlite } = process.versions
  if (Number(version.split('.')[0]) < 24) return fail('node', `Node.js ${version} is too old`, 'Install Node.js 24 or newer.')
  if (sqlite === undefined) return fail('node', `Node.js ${version} was built without SQLite`, 'Install Node.js from nodejs.org.')
  return ok('node', `Node.js ${version} with SQLite ${sqlite} on ${process.platform} ${process.arch}`)
}

/** That there is room for messages where the profile is. */
export function checkDisk({ stateFolder }: ProfilePaths): Check {
  let folder = stateFolder
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder)
  try {
    const { bavail, bsize } = statfsSync(folder)
    return diskVerdict(bavail * bsize, folder)
  } catch (error) {
    return skipped('disk', `The free space cannot be asked for: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** @param freeBytes - for this user */
export function diskVerdict(freeBytes: number, folder: string): Check {
  const free = `${Math.floor(freeBytes / mebibyte)} MiB are free at ${folder}`
  if (freeBytes < fullBytes)
    return fail('disk', `Only ${free}`, 'Free some space: new messages are refused when there is none. What was accepted is kept.')
  return freeBytes < tightBytes ? warn('disk', `Only ${free}`, 'Free some space before it is gone.') : ok('disk', free)
}

/** That the clock is not before this software, and not before what the profile wrote. */
export function checkClock({ stateFolder }: ProfilePaths, nowMs: number): Check {
  const hint = 'Set the clock, best by NTP (timedatectl set-ntp true).'
  const shown = new Date(nowMs).toISOString()
  if (nowMs < earliestClockMs) return fail('clock', `The clock says ${shown}, which is before this software was written`, hint)
  const newest = newestChange(stateFolder)
  if (newest > nowMs + clockToleranceMs)
    return warn(
      'clock',
      `The clock says ${shown}, but files of the profile were written at ${new Date(newest).toISOString()}`,
      `It was set back, or was wrong then. ${hint}`
    )
  return ok('clock', `The clock says ${shown}`)
}

function newestChange(folder: string): number {
  try {
    return Math.max(0, ...readdirSync(folder).map((name) => lstatSync(join(folder, name)).mtimeMs))
  } catch {
    return 0
  }
}

/** That a daemon could listen where its options say; for when none runs. @param listen - multiaddrs */
export async function checkPorts(listen: readonly string[]): Promise<readonly Check[]> {
  const places = listen.map(placeOf).filter((place) => place !== undefined)
  const checks = await Promise.all(places.filter(({ port }) => port !== 0).map(checkPort))
  const wrong = checks.filter((check) => check !== undefined)
  return wrong.length > 0 ? wrong : [ok('ports', places.length === 0 ? 'No port is listened on' : `${places.length} addresses to listen on are free`)]
}

interface Place {
  readonly host: string
  readonly port: number
}

function placeOf(address: string): Place | undefined {
  const [, host, port] = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)/.exec(address) ?? []
  return host === undefined || port === undefined || address.includes('/p2p-circuit') ? undefined : { host, port: Number(port) }
}

async function checkPort({ host, port }: Place): Promise<Check | undefined> {
  const code = await bindError(host, port)
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  switch (code) {
    case '':
    case 'EAFNOSUPPORT':
      return undefined
    case 'EADDRINUSE':
      return warn(
        'ports',
        `${where} is in use by another program`,
        'The daemon takes the next free port. Free this one, or choose another: synaptic-mesh p2p config set listen_addrs …'
      )
    case 'EADDRNOTAVAIL':
      return fail('ports', `${where} is no address of this machine`, 'Choose another: synaptic-mesh p2p config set listen_addrs …')
    case 'EACCES':
      return fail(
        'ports',
        `${where} needs a right that this user does not have`,
        'Choose a port from 1024, or give Node.js the capability cap_net_bind_service.'
      )
    default:
      return fail('ports', `${where} cannot be listened on (${code})`, 'Choose another address: synaptic-mesh p2p config set listen_addrs …')
  }
}

async function bindError(host: string, port: number): Promise<string> {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<string>()
  server.once('error', (error) => resolve('code' in error ? String(error.code) : error.message))
  server.listen({ host, port, exclusive: true }, () => resolve(''))
  const code = await promise
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  await closed.promise
  return code
}
