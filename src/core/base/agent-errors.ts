import type { ErrorEntry } from './error-entry.ts'

/** Errors of agents: handlers, readers, the guard against loops. Part of the one table. */
export const agentErrors = {} as const satisfies Record<string, ErrorEntry>
