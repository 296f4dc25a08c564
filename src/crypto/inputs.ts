import { type Bytes, MeshError, isMeshError } from '../core/base/index.ts'

/** What a synchronous and an asynchronous backend both give. */
export type Awaitable<T> = T | Promise<T>

/** A plain copy of `bytes`: nobody changes it meanwhile, and it is no subclass, which some libraries refuse. @throws {MeshError} KEY_INVALID */
export function copyOf(bytes: Uint8Array, what: string, algorithm: string): Bytes {
  if (!(bytes instanceof Uint8Array)) throw new MeshError('KEY_INVALID', { what, algorithm, reason: 'not a Uint8Array' })
  return new Uint8Array(bytes)
}

/** A plain copy of `bytes`, which are of one of `lengths`. @throws {MeshError} KEY_INVALID */
export function copyOfLength(bytes: Uint8Array, { what, algorithm, lengths }: ExactInput): Bytes {
  const copy = copyOf(bytes, what, algorithm)
  if (lengths.includes(copy.length)) return copy
  const { length } = copy
  copy.fill(0)
  throw new MeshError('KEY_INVALID', { what, algorithm, reason: `${length} bytes instead of ${lengths.join(' or ')}` })
}

interface ExactInput {
  readonly what: string
  readonly algorithm: string
  readonly lengths: readonly number[]
}

/** Overwrites secrets with zeros: as far as JavaScript can, since engines may have made copies. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0)
}

/** The copy of what a library gave, as a plain array; what it gave is wiped. */
export function takeSecret(secret: Uint8Array | ArrayBuffer): Bytes {
  const given = secret instanceof ArrayBuffer ? new Uint8Array(secret) : secret
  const copy = new Uint8Array(given)
  given.fill(0)
  return copy
}

/** The error for what a backend cannot do. */
export function unsupported(backend: string, operation: string, algorithm: string): MeshError {
  return new MeshError('BACKEND_UNSUPPORTED', { backend, operation, algorithm })
}

/** What a name stands for: any case, and `node:crypto` for `node`. @throws {MeshError} OPTION_INVALID, with what is allowed */
export function named<T extends string>(path: string, value: string, allowed: readonly T[]): T {
  const wanted = String(value)
    .toLowerCase()
    .replace(/^node:crypto$/, 'node')
  const found = allowed.find((name) => name.toLowerCase() === wanted)
  if (found === undefined) throw new MeshError('OPTION_INVALID', { path, value: String(value).slice(0, 40), allowed: `one of ${allowed.join(', ')}` })
  return found
}

/** A backend that is loading. @throws {MeshError} BACKEND_UNSUPPORTED when this runtime cannot load it */
// oxlint-disable-next-line max-params -- the names, and what they name
export async function loaded<T>(backend: string, algorithm: string, engine: Promise<T>): Promise<T> {
  try {
    return await engine
  } catch (cause) {
    throw new MeshError('BACKEND_UNSUPPORTED', { backend, operation: 'anything here', algorithm, reason: 'it cannot be loaded' }, { cause })
  }
}

/** What an operation failed with: what a backend refuses although it passed our checks is a key of no use. */
export function refusal(cause: unknown, { backend, algorithm }: { readonly backend: string; readonly algorithm: string }): MeshError {
  if (isMeshError(cause)) return cause
  // What WebCrypto says for an algorithm that the runtime does not have (W3C Web Cryptography API section 18.4.4).
  if (cause instanceof Error && cause.name === 'NotSupportedError') return unsupported(backend, 'anything in this runtime', algorithm)
  return new MeshError('KEY_INVALID', { what: 'key', algorithm, reason: `${backend} refuses it` }, { cause })
}
