import { agentErrors } from './agent-errors.ts'
import { comfortErrors } from './comfort-errors.ts'
import type { ErrorEntry } from './error-entry.ts'
import { groupErrors } from './group-errors.ts'
import { localErrors } from './local-errors.ts'
import { networkErrors } from './network-errors.ts'
import { onionErrors } from './onion-errors.ts'
import { toolErrors } from './tool-errors.ts'
import { trustErrors } from './trust-errors.ts'

/** Every error that this software reports, in one place. `docs/errors.md` is made from it. */
export const errorTable = {
  ...localErrors,
  ...networkErrors,
  ...onionErrors,
  ...trustErrors,
  ...groupErrors,
  ...agentErrors,
  ...toolErrors,
  ...comfortErrors
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorTable
export const errorCodes = Object.keys(errorTable) as readonly ErrorCode[]
export type { ErrorDetails, ErrorEntry } from './error-entry.ts'
