import type { ErrorEntry } from './error-entry.ts'

/** Errors of trust: strangers, rights, blocks, pairing. Part of the one table. */
export const trustErrors = {} as const satisfies Record<string, ErrorEntry>
