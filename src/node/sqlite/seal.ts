import { hash } from 'node:crypto'
import { equalBytes } from '../../core/base/index.ts'

/** What a row's seal covers: everything in it that never changes. */
export interface Sealed {
  readonly scalars: readonly (string | number)[]
  readonly bytes: readonly Uint8Array[]
}

/** 16 bytes that tell whether a row is what was written: the start of SHA-256 over its unchanging columns. Against decay of the disk, not against people. */
export function seal({ scalars, bytes }: Sealed): Uint8Array {
  const head = Buffer.from(`${scalars.join('\u0000')}\u0000${bytes.map((each) => each.length).join(',')}\u0000`)
  return new Uint8Array(hash('sha256', Buffer.concat([head, ...bytes]), 'buffer').subarray(0, 16))
}

export const isSealed = (found: Uint8Array, parts: Sealed): boolean => equalBytes(found, seal(parts))

/** SHA-256 of `bytes`. */
export const digestOf = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer')
