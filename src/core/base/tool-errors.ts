import type { ErrorEntry } from './error-entry.ts'

/** Errors of tools: diagnosis, keys and backups, the gateway. Part of the one table. */
export const toolErrors = {} as const satisfies Record<string, ErrorEntry>
