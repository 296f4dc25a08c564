import type { ProfilePaths } from '../core/options/index.ts'
import type { DaemonModule } from '../api/index.ts'
import type { Output } from './output.ts'

/** What a command works with. */
export interface CommandContext {
  readonly output: Output
  readonly paths: ProfilePaths
  readonly environment: NodeJS.ProcessEnv
  readonly stdin: NodeJS.ReadStream
  readonly globals: GlobalOptions
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal
  /** The daemon's bundle: a process of its own, or loaded for what needs it. */
  readonly daemonEntry: URL
  loadDaemonModule(): Promise<DaemonModule>
}

export interface GlobalOptions {
  readonly json: boolean
  readonly quiet: boolean
  readonly profile: string
  /** Absolute. */
  readonly dataDir: string | undefined
  /** Absolute. */
  readonly config: string | undefined
  readonly timeoutMs: number | undefined
  /** `--no-start`: never start a daemon. */
  readonly start: boolean
  readonly ephemeral: boolean
}
