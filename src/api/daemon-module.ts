import type { ProfileTools } from './profile-tools.ts'
import type { MeshOptions, OptionKey, OptionValue, ProfilePaths, ResolvedOptions } from '../core/options/index.ts'
import type { bench } from './catalogue/comfort.ts'
import type { OutputOf } from './command.ts'

type LocalFigures = NonNullable<OutputOf<typeof bench>['local']>

/** What the first line on the daemon's file descriptor 3 says, then it is closed. */
export type StartNotice = { readonly ready: true; readonly pid: number } | { readonly ready: false; readonly error: unknown }

export interface ProfileChange {
  readonly option: string
  readonly value: OptionValue
}

export interface PreparedProfile {
  readonly peerId: string
  /** Whether there was no identity before. */
  readonly created: boolean
  readonly changed: readonly ProfileChange[]
  readonly options: MeshOptions
}

/** A daemon in the own process. */
export interface RunningDaemon {
  readonly pid: number
  /** Stops cleanly; idempotent. */
  stop(): Promise<void>
}

/** The key that signs webhooks, and where it is kept. */
export interface WebhookSecret {
  readonly file: string
  /** Whether it was made just now. */
  readonly created: boolean
  /** 24 to 64 bytes. */
  readonly secret: Uint8Array
}

/**
 * What the daemon's bundle exports to the command line, which loads it only for a command that needs it (init, config, --ephemeral).
 */
export interface DaemonModule {
  /** Makes identity and configuration where they are missing and changes `settings`. @throws {MeshError} */
  prepareProfile(paths: ProfilePaths, settings: Readonly<Record<string, OptionValue>>, environment: NodeJS.ProcessEnv): Promise<PreparedProfile>
  /** The options as they stand, with where each comes from; `exists` tells whether there is a file. @throws {MeshError} */
  inspectProfile(paths: ProfilePaths, environment: NodeJS.ProcessEnv): ResolvedOptions & { readonly exists: boolean; readonly set: number }
  /** Writes one option to the configuration. @throws {MeshError} NOT_INITIALIZED … */
  setOption(
    paths: ProfilePaths,
    change: { readonly key: OptionKey; readonly value: OptionValue },
    environment: NodeJS.ProcessEnv
  ): { readonly changed: boolean }
  /** What works on a profile's files; loaded when it is asked for. */
  tools(): Promise<ProfileTools>
  /** Measures this machine in a temporary folder, `seconds` for each figure. @throws {MeshError} ABORTED, DISK_FULL */
  benchmark(call: {
    readonly seconds: number
    readonly signal: AbortSignal
    readonly onStep: (what: string) => void
  }): Promise<Omit<LocalFigures, 'node' | 'cpu' | 'cores'>>
  /** Runs the profile's node in this process, answering on its socket. @throws {MeshError} DAEMON_RUNNING … */
  startDaemon(paths: ProfilePaths, environment: NodeJS.ProcessEnv): Promise<RunningDaemon>
  /** The key that signs webhooks: the profile's, made where it is missing, or another one. @throws {MeshError} OPTION_INVALID, PERMISSIONS_UNSAFE, PATH_UNSAFE */
  webhookSecret(paths: ProfilePaths, file?: string): WebhookSecret
}
