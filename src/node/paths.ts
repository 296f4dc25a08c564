import { createHash } from 'node:crypto'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { MeshError } from '../core/base/index.ts'

/** The folder name under every base folder. */
const product = 'synaptic-mesh'
const profilePattern = /^[a-z0-9][a-z0-9_-]{0,39}$/
// Names of devices under Windows, in every folder.
const devices = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/
/** sun_path has 108 bytes on Linux with its ending zero, 104 elsewhere; the smaller bound holds everywhere but Linux. */
const socketPathBytes = process.platform === 'linux' ? 107 : 103

/** Where one profile keeps everything. */
export interface ProfilePaths {
  readonly profile: string
  /** Identity, database, tokens, logs. */
  readonly stateFolder: string
  /** Socket and pid; gone after a reboot. */
  readonly runtimeFolder: string
  readonly configFile: string
  readonly identityFile: string
  readonly tokenFile: string
  readonly logFile: string
  /** The control socket: short enough for the operating system, whatever the folders are called. A named pipe on Windows. */
  readonly socketPath: string
}

export interface PathOptions {
  readonly profile: string
  /** `--data-dir`: holds state and runtime of the profile in place of the XDG folders. */
  readonly dataDir?: string | undefined
  /** `--config`: the configuration file. */
  readonly config?: string | undefined
  /** For tests; the process's own by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** @throws {MeshError} PROFILE_NAME_INVALID unless `name` has 1–40 of a-z 0-9 - _ and begins with a letter or digit. */
export function checkProfileName(name: string): string {
  if (!profilePattern.test(name) || devices.test(name)) throw new MeshError('PROFILE_NAME_INVALID', { name: JSON.stringify(name.slice(0, 64)) })
  return name
}

/** The paths of a profile, by the XDG Base Directory Specification 0.8. Nothing is touched. @throws {MeshError} PROFILE_NAME_INVALID */
export function profilePaths(options: PathOptions): ProfilePaths {
  const profile = checkProfileName(options.profile)
  const bases = baseFolders(options)
  const stateFolder = join(bases.state, profile)
  const runtimeFolder = join(bases.runtime, profile)
  return {
    profile,
    stateFolder,
    runtimeFolder,
    configFile: options.config === undefined ? join(bases.config, `${profile}.toml`) : resolve(options.config),
    identityFile: join(stateFolder, 'identity.key'),
    tokenFile: join(stateFolder, 'control.token'),
    logFile: join(stateFolder, 'daemon.log'),
    socketPath: socketPath(runtimeFolder, bases)
  }
}

interface BaseFolders {
  readonly config: string
  readonly state: string
  readonly runtime: string
  /** A short folder of this user for sockets whose own folder has too long a name; undefined when there is none. */
  readonly short: string | undefined
}

function baseFolders({ dataDir, environment = process.env }: PathOptions): BaseFolders {
  const home = environment['HOME'] ?? homedir()
  const config = join(absolute(environment['XDG_CONFIG_HOME']) ?? join(home, '.config'), product)
  const runtimeBase = absolute(environment['XDG_RUNTIME_DIR'])
  const short = runtimeBase === undefined ? undefined : join(runtimeBase, product)
  if (dataDir !== undefined) return { config, state: resolve(dataDir), runtime: join(resolve(dataDir), 'run'), short }
  const state = join(absolute(environment['XDG_STATE_HOME']) ?? join(home, '.local', 'state'), product)
  return { config, state, runtime: short ?? join(state, 'run'), short }
}

// "All paths set in these environment variables must be absolute. If an implementation encounters a relative path it should ignore it."
const absolute = (path: string | undefined): string | undefined => (path !== undefined && path !== '' && isAbsolute(path) ? path : undefined)

function socketPath(runtimeFolder: string, bases: BaseFolders): string {
  const name = createHash('sha256').update(runtimeFolder).digest('hex').slice(0, 32)
  if (process.platform === 'win32') return `\\\\.\\pipe\\${product}-${name}`
  const usual = join(runtimeFolder, 'control.sock')
  if (Buffer.byteLength(usual) <= socketPathBytes) return usual
  const hashed = [bases.short, bases.runtime].flatMap((folder) =>
    folder === undefined ? [] : [join(folder, `${name}.sock`), join(folder, `${name.slice(0, 16)}.sock`)]
  )
  const fitting = hashed.find((path) => Buffer.byteLength(path) <= socketPathBytes)
  if (fitting === undefined)
    throw new MeshError('PATH_UNSAFE', {
      file: usual,
      reason: `no socket path of at most ${socketPathBytes} bytes can be made: choose a shorter folder, or set XDG_RUNTIME_DIR`
    })
  return fitting
}
