import { sha256 } from '@noble/hashes/sha2.js'
import { MeshError, toHex, utf8 } from '../base/index.ts'

/** Where one profile keeps everything. All absolute. */
export interface ProfilePaths {
  readonly profile: string
  /** Identity, database, logs; mode 0700. */
  readonly stateFolder: string
  /** Socket, pid and tokens; mode 0700, gone after a reboot. */
  readonly runtimeFolder: string
  readonly configFile: string
  readonly identityFile: string
  readonly logFile: string
  /** The control socket (mode 0600): short enough for the operating system, whatever the folders are called. A named pipe on Windows. */
  readonly socketPath: string
}

/** What paths depend on. */
export interface PathInputs {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The home folder, for when HOME is not set. */
  readonly home: string
  readonly platform: string
  readonly profile: string
  /** `--data-dir`, absolute: holds everything of all profiles in place of the XDG folders. */
  readonly dataDir?: string | undefined
  /** `--config`, absolute: the configuration file. */
  readonly config?: string | undefined
}

const product = 'synaptic-mesh'
const profilePattern = /^[a-z0-9][a-z0-9_-]{0,39}$/
// Names of devices under Windows, in every folder.
const devices = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/

/** Returns `name` when it has 1–40 of a-z 0-9 - _ and begins with a letter or digit, so that it can do nothing else in a path. @throws {MeshError} PROFILE_NAME_INVALID */
export function checkProfileName(name: string): string {
  if (!profilePattern.test(name) || devices.test(name)) throw new MeshError('PROFILE_NAME_INVALID', { name: JSON.stringify(name.slice(0, 64)) })
  return name
}

/** The paths of a profile, by the XDG Base Directory Specification 0.8. Nothing is touched. @throws {MeshError} PROFILE_NAME_INVALID, PATH_UNSAFE */
export function profilePaths(inputs: PathInputs): ProfilePaths {
  const profile = checkProfileName(inputs.profile)
  for (const path of [inputs.dataDir, inputs.config]) if (path !== undefined) checkPath(path)
  const bases = baseFolders(inputs)
  const stateFolder = `${bases.state}/${profile}`
  const runtimeFolder = `${bases.runtime}/${profile}`
  return Object.freeze({
    profile,
    stateFolder,
    runtimeFolder,
    configFile: inputs.config ?? `${bases.config}/${profile}.toml`,
    identityFile: `${stateFolder}/identity.key`,
    logFile: `${stateFolder}/daemon.log`,
    socketPath: socketPath(runtimeFolder, bases, inputs.platform)
  })
}

interface BaseFolders {
  readonly config: string
  readonly state: string
  readonly runtime: string
  /** A short folder of this user for sockets whose own folder has too long a name; undefined when there is none. */
  readonly short: string | undefined
}

function baseFolders({ dataDir, environment, home: ownHome, platform }: PathInputs): BaseFolders {
  // A relative XDG variable is ignored, as the specification demands.
  const isAbsolute = (path: string): boolean => path.startsWith('/') || (platform === 'win32' && /^[a-z]:[\\/]/i.test(path))
  const folder = (name: string): string | undefined => {
    const path = environment[name]
    return path !== undefined && isAbsolute(path) ? path : undefined
  }
  const runtimeBase = folder('XDG_RUNTIME_DIR')
  const short = runtimeBase === undefined ? undefined : `${runtimeBase}/${product}`
  if (dataDir !== undefined) return { config: dataDir, state: dataDir, runtime: `${dataDir}/run`, short }
  const home = environment['HOME'] ?? ownHome
  const state = `${folder('XDG_STATE_HOME') ?? `${home}/.local/state`}/${product}`
  return { config: `${folder('XDG_CONFIG_HOME') ?? `${home}/.config`}/${product}`, state, runtime: short ?? `${state}/run`, short }
}

function socketPath(runtimeFolder: string, bases: BaseFolders, platform: string): string {
  const name = toHex(sha256(utf8(runtimeFolder)).subarray(0, 16))
  if (platform === 'win32') return `\\\\.\\pipe\\${product}-${name}`
  // sun_path has 108 bytes on Linux with its ending zero, 104 elsewhere.
  const maxBytes = platform === 'linux' ? 107 : 103
  const usual = `${runtimeFolder}/control.sock`
  const hashed = [bases.short, bases.runtime].flatMap((folder) =>
    folder === undefined ? [] : [`${folder}/${name}.sock`, `${folder}/${name.slice(0, 16)}.sock`]
  )
  const fitting = [usual, ...hashed].find((path) => utf8(path).length <= maxBytes)
  if (fitting !== undefined) return fitting
  throw new MeshError('PATH_UNSAFE', {
    file: usual.slice(0, 256),
    reason: `no socket path of at most ${maxBytes} bytes can be made: choose a shorter folder, or set XDG_RUNTIME_DIR`
  })
}

function checkPath(path: string): void {
  const reason = path.includes('\0') ? 'it holds a zero byte' : path.length > 4_095 ? 'its name is too long' : undefined
  if (reason !== undefined) throw new MeshError('PATH_UNSAFE', { file: path.slice(0, 80).replaceAll('\0', '\\0'), reason })
}
