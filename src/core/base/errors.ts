import { type ErrorCode, type ErrorDetails, errorTable } from './error-table.ts'

export type { ErrorCode, ErrorDetails } from './error-table.ts'

/** The public form of an error, the same under `--json`, over the control API and in logs. */
export interface ErrorReport {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly next: readonly string[]
  readonly retryable: boolean
  readonly docs: string
}

/** The one error class. Everything that a caller may handle is thrown as one, with a code of the table and plain details. */
export class MeshError extends Error {
  override readonly name = 'MeshError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}, options: { readonly cause?: unknown } = {}) {
    super(errorTable[code].message(details), options)
    this.code = code
    this.details = details
  }

  get hint(): string {
    const { hint } = errorTable[this.code]
    return typeof hint === 'function' ? hint(this.details) : hint
  }

  get exitCode(): number {
    return errorTable[this.code].exit
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable
  }

  /** What people, `--json` and logs are told: never the cause, which may hold more than they should see. */
  report(): ErrorReport {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      next: errorTable[this.code].nextFor?.(this.details) ?? errorTable[this.code].next ?? [],
      retryable: this.retryable,
      docs: `docs/errors.md#${this.code.toLowerCase()}`
    }
  }

  toJSON(): ErrorReport {
    return this.report()
  }
}

/** Whether `value` is a MeshError, of `code` when one is given. */
export function isMeshError(value: unknown, code?: ErrorCode): value is MeshError {
  return value instanceof MeshError && (code === undefined || value.code === code)
}

/** Any thrown value as a MeshError; what is none becomes INTERNAL with the value as its cause. */
export function toMeshError(value: unknown): MeshError {
  if (value instanceof MeshError) return value
  const reason = value instanceof Error ? value.message : String(value)
  return new MeshError('INTERNAL', { reason }, { cause: value })
}
