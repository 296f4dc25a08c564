/** Plain values that say where an error happened. Never a secret, never a body. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

/** One error of the table. */
export interface ErrorEntry {
  /** The CLI's exit code: 1 failed, 2 usage, 3 daemon, 4 not allowed, 5 not found, 6 timeout, 7 unreachable, 8 cryptographic, 9 rejected or expired. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 130
  readonly retryable: boolean
  readonly message: (details: ErrorDetails) => string
  readonly hint: string | ((details: ErrorDetails) => string)
  /** Commands that help, ready to paste. */
  readonly next?: readonly string[]
  /** The same where the details say more; undefined for those of `next`. */
  readonly nextFor?: (details: ErrorDetails) => readonly string[] | undefined
}

export const entry = (value: ErrorEntry): ErrorEntry => value
/** The reason, when the details have one, as the end of a sentence. */
export const because = (details: ErrorDetails): string => (details['reason'] === undefined ? '' : `: ${details['reason']}`)
