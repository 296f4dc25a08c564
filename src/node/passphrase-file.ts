import { MeshError } from '../core/base/index.ts'
import { readPrivateFile } from './files.ts'

/** Characters are not counted, bytes are: whatever the encoding, a passphrase is the same on every machine. */
const [minBytes, maxBytes] = [8, 1_024]
const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * The passphrase in a private file (mode 0600): its bytes without one line end. To be overwritten by whoever asked for it.
 * @throws {MeshError} PASSPHRASE_UNUSABLE, PERMISSIONS_UNSAFE, PATH_UNSAFE
 */
export function readPassphrase(file: string): Uint8Array {
  const bytes = readPrivateFile(file)
  if (bytes === undefined) throw new MeshError('PASSPHRASE_UNUSABLE', { file, reason: 'it does not exist' })
  const passphrase = withoutLineEnd(bytes)
  if (passphrase.length < minBytes || passphrase.length > maxBytes)
    throw new MeshError('PASSPHRASE_UNUSABLE', { file, reason: `it has ${passphrase.length < minBytes ? 'fewer' : 'more'} bytes than it may` })
  if (passphrase.includes(lineFeed) || passphrase.includes(0))
    throw new MeshError('PASSPHRASE_UNUSABLE', { file, reason: 'it is more than one line of text' })
  return passphrase
}

function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== lineFeed) return bytes
  return bytes.subarray(0, bytes.at(-2) === carriageReturn ? -2 : -1)
}
