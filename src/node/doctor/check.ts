/** What one check of the doctor came to. */
export interface Check {
  /** Stable: what was looked at, such as `disk` or `files`. */
  readonly id: string
  /** `skipped`: it could not be made, and the message says why. */
  readonly state: 'ok' | 'warn' | 'fail' | 'skipped'
  readonly message: string
  /** What to do; there unless all is well. */
  readonly hint?: string
  /** It was mended. */
  readonly fixed?: boolean
  /** `doctor --fix` would mend it. */
  readonly fixable?: boolean
}

export const ok = (id: string, message: string): Check => ({ id, state: 'ok', message })
export const skipped = (id: string, message: string): Check => ({ id, state: 'skipped', message })
export const warn = (id: string, message: string, hint: string): Check => ({ id, state: 'warn', message, hint })
export const fail = (id: string, message: string, hint: string): Check => ({ id, state: 'fail', message, hint })
