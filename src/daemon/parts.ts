import type { MeshOptions, ProfilePaths } from '../core/options/index.ts'
import type { LogRecord, Mesh } from '../mesh/mesh.ts'
import type { LineSink } from './log.ts'

/** What a daemon is made from besides its own code; the real ones are in main.ts. */
export interface DaemonParts {
  /** The running node of a profile. */
  createMesh(paths: ProfilePaths, options: MeshOptions, onLog: (record: LogRecord) => void): Promise<Mesh>
  /**
   * Reads the identity, or makes it where there is none; one that is plain is encrypted when a passphrase file is named ('' = none).
   * @throws {MeshError} KEY_CORRUPT, PASSPHRASE_NEEDED, PASSPHRASE_WRONG, PERMISSIONS_UNSAFE, PATH_UNSAFE
   */
  ensureIdentity(paths: ProfilePaths, passphraseFile: string): Promise<{ readonly peerId: string; readonly created: boolean }>
  /** Also gets every line of the log. */
  readonly logCopy?: LineSink
  /** The package's version. */
  readonly version: string
}
