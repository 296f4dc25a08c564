import type { ProfilePaths } from '../core/options/index.ts'
import type { Catalogue } from './catalogue/index.ts'
import type { OutputOf } from './command.ts'

/** One check of `doctor`. */
export type DoctorCheck = OutputOf<Catalogue['doctor']>['checks'][number]

export interface LocalDoctorRequest {
  readonly paths: ProfilePaths
  readonly environment: NodeJS.ProcessEnv
  readonly deep: boolean
  readonly fix: boolean
  /** Whether a daemon answers: then ports and the store are its own. */
  readonly isRunning: boolean
}

export interface BugreportRequest {
  readonly paths: ProfilePaths
  readonly environment: NodeJS.ProcessEnv
  /** Absolute; nothing may stand there. */
  readonly target: string
  /** What was found out elsewhere, such as the status that the daemon told: any JSON. */
  readonly found: Readonly<Record<string, unknown>>
}

/** What works on a profile's files, whether its daemon runs or not. Part of the daemon's bundle. */
export interface ProfileTools {
  /** @throws {MeshError} NOT_INITIALIZED, KEY_CORRUPT … */
  showKeys(paths: ProfilePaths): OutputOf<Catalogue['keysShow']>
  /** @param request.snapshot - makes the daemon copy its store, and tells where to; left out: none runs @throws {MeshError} */
  backup(request: {
    readonly paths: ProfilePaths
    readonly target: string
    readonly passphraseFile: string
    readonly snapshot?: (() => Promise<string>) | undefined
  }): Promise<OutputOf<Catalogue['keysBackup']>>
  /** No daemon may run. @throws {MeshError} */
  restore(request: {
    readonly paths: ProfilePaths
    readonly source: string
    readonly passphraseFile: string
    readonly force: boolean
  }): Promise<OutputOf<Catalogue['keysRestore']>>
  /** @param request.from - undefined: as the options say @param request.to - '' = none from now on @throws {MeshError} */
  changePassphrase(request: {
    readonly paths: ProfilePaths
    readonly environment: NodeJS.ProcessEnv
    readonly from: string | undefined
    readonly to: string
  }): Promise<OutputOf<Catalogue['keysPasswd']>>
  /** What can be found out without the daemon. Never throws for what it looks at. */
  doctor(request: LocalDoctorRequest): Promise<readonly DoctorCheck[]>
  /** Writes a report without secrets, addresses and identities. @throws {MeshError} PATH_UNSAFE, DISK_FULL */
  bugreport(request: BugreportRequest): Promise<OutputOf<Catalogue['bugreport']>>
}
