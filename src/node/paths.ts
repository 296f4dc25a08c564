import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { type ProfilePaths, profilePaths as pathsOf } from '../core/options/index.ts'

export { checkProfileName, type ProfilePaths } from '../core/options/index.ts'

export interface PathOptions {
  readonly profile: string
  /** `--data-dir`: holds everything of the profile in place of the XDG folders. */
  readonly dataDir?: string | undefined
  /** `--config`: the configuration file. */
  readonly config?: string | undefined
  /** For tests; the process's own by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** The paths of a profile on this machine. Nothing is touched. @throws {MeshError} PROFILE_NAME_INVALID, PATH_UNSAFE */
export function profilePaths({ profile, dataDir, config, environment = process.env }: PathOptions): ProfilePaths {
  const absolute = (path: string | undefined): string | undefined => (path === undefined || path.includes('\0') ? path : resolve(path))
  return pathsOf({ profile, environment, home: homedir(), platform: process.platform, dataDir: absolute(dataDir), config: absolute(config) })
}
