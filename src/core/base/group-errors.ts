import type { ErrorEntry } from './error-entry.ts'

/** Errors of groups. Part of the one table. */
export const groupErrors = {} as const satisfies Record<string, ErrorEntry>
