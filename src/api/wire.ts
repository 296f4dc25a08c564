import { type ErrorDetails, type ErrorReport, errorTable, MeshError, type ErrorCode } from '../core/base/index.ts'

/** The only Host that the Unix socket answers to. */
export const socketHost = 'synaptic-mesh.local'

export const jsonType = 'application/json'
export const streamType = 'application/x-ndjson'

/** How an error travels: what people are told, and the plain details that it was made from. */
export interface WireError {
  readonly error: ErrorReport & { readonly details: ErrorDetails }
}

export const toWireError = (error: MeshError): WireError => ({ error: { ...error.report(), details: error.details } })

const isCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(errorTable, code)

/** The error that an answer holds. What is none becomes DAEMON_UNREACHABLE with `profile`. */
export function fromWireError(answer: unknown, profile: string): MeshError {
  const error: unknown = typeof answer === 'object' && answer !== null && 'error' in answer ? answer.error : undefined
  if (typeof error === 'object' && error !== null && 'code' in error && isCode(error.code)) {
    return new MeshError(error.code, 'details' in error ? plainDetails(error.details) : {})
  }
  const reason =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message).slice(0, 300) : 'its answer is not understood'
  return new MeshError('DAEMON_UNREACHABLE', { profile, reason })
}

function plainDetails(details: unknown): ErrorDetails {
  const plain: Record<string, string | number | boolean | readonly string[]> = {}
  if (typeof details !== 'object' || details === null) return plain
  for (const [key, value] of Object.entries(details)) {
    if (key === '__proto__') continue
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') plain[key] = value
    else if (Array.isArray(value) && value.every((item) => typeof item === 'string')) plain[key] = value
  }
  return plain
}
