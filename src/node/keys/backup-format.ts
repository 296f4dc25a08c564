import { ByteWriter, concat, fromUtf8, MeshError, utf8 } from '../../core/base/index.ts'

/** One file in a backup. */
export interface BackupFile {
  /** `config.toml`, or the name that it has in the state folder. */
  readonly name: string
  readonly bytes: number
}

/** What stands before the files of a backup: see docs/wire/backup.md. */
export interface BackupManifest {
  readonly version: string
  /** Milliseconds since 1970, by the clock of the machine that made it. */
  readonly createdAt: number
  readonly profile: string
  readonly peerId: string
  readonly files: readonly BackupFile[]
}

/** The configuration, which does not stand in the state folder. */
export const configName = 'config.toml'
export const identityName = 'identity.key'
/** The hashes of the gateway's tokens, in the state folder. A restore takes none of them. */
export const tokenFileName = 'gateway-tokens.json'

export const manifestLimits = { bytes: 65_536, files: 64, nameCharacters: 64, fileBytes: 2 ** 42 } as const
const lengthBytes = 4
// No dot at its beginning, no separator: such a name can only be a file of the folder itself.
const filePattern = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/
const keys = ['version', 'createdAt', 'profile', 'peerId', 'files'] as const

/** The manifest behind its length as u32. */
export function encodeManifest({ version, createdAt, profile, peerId, files }: BackupManifest): Uint8Array {
  const text = utf8(JSON.stringify({ version, createdAt, profile, peerId, files: files.map(({ name, bytes }) => ({ name, bytes })) }))
  return concat(new ByteWriter().u32(text.length).finish(), text)
}

/** @param text - the bytes behind the length @param file - named in errors @throws {MeshError} BACKUP_DAMAGED */
export function decodeManifest(text: Uint8Array, file: string): BackupManifest {
  const value = parse(text)
  const { version, createdAt, profile, peerId, files } = value
  if (Object.keys(value).join() !== keys.join() || typeof version !== 'string' || typeof profile !== 'string' || typeof peerId !== 'string')
    throw damaged(file, 'its list of contents is none')
  if (typeof createdAt !== 'number' || !Number.isSafeInteger(createdAt) || !Array.isArray(files) || files.length > manifestLimits.files)
    throw damaged(file, 'its list of contents is none')
  const list = files.map((each: unknown) => fileOf(each, file))
  if (new Set(list.map(({ name }) => name.toLowerCase())).size !== list.length) throw damaged(file, 'it names a file twice')
  if (!list.some(({ name }) => name === identityName)) throw damaged(file, 'it holds no identity')
  return { version: version.slice(0, 40), createdAt, profile: profile.slice(0, 40), peerId: peerId.slice(0, 64), files: list }
}

/** The bytes of a backup before it is sealed. */
export const plainBytesOf = (manifest: Uint8Array, files: readonly BackupFile[]): number =>
  files.reduce((sum, { bytes }) => sum + bytes, manifest.length)

/** Hands out a stream of pieces in the lengths that are asked for. */
export class PieceReader {
  readonly #pieces: Iterator<Uint8Array>
  readonly #file: string
  #held: Uint8Array = new Uint8Array(0)

  constructor(pieces: Iterable<Uint8Array>, file: string) {
    this.#pieces = pieces[Symbol.iterator]()
    this.#file = file
  }

  /** The list of contents at the beginning. @throws {MeshError} BACKUP_DAMAGED */
  manifest(): BackupManifest {
    const length = Buffer.from(this.take(lengthBytes)).readUInt32BE()
    if (length > manifestLimits.bytes) throw damaged(this.#file, 'its list of contents is too long')
    return decodeManifest(this.take(length), this.#file)
  }

  /** Exactly `bytes` bytes in one piece. */
  take(bytes: number): Uint8Array {
    return concat(...this.pieces(bytes))
  }

  /** Exactly `bytes` bytes as they come. */
  *pieces(bytes: number): Generator<Uint8Array> {
    for (let missing = bytes; missing > 0;) {
      if (this.#held.length === 0) this.#held = this.#next()
      const piece = this.#held.subarray(0, missing)
      this.#held = this.#held.subarray(piece.length)
      missing -= piece.length
      if (piece.length > 0) yield piece
    }
  }

  /** @throws {MeshError} BACKUP_DAMAGED when something is left. */
  end(): void {
    for (let held = this.#held; ; held = this.#next()) {
      if (held.length > 0) throw damaged(this.#file, 'it holds more than its list of contents says')
      if (this.#isDone) return
    }
  }

  #isDone = false

  #next(): Uint8Array {
    const next = this.#pieces.next()
    if (next.done !== true) return next.value
    if (this.#isDone) throw damaged(this.#file, 'it holds less than its list of contents says')
    this.#isDone = true
    return new Uint8Array(0)
  }
}

function parse(text: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(fromUtf8(text))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
  } catch {
    return {}
  }
}

function fileOf(value: unknown, file: string): BackupFile {
  if (typeof value !== 'object' || value === null || !('name' in value) || !('bytes' in value)) throw damaged(file, 'its list of contents is none')
  const { name, bytes } = value
  if (typeof name !== 'string' || !filePattern.test(name)) throw damaged(file, 'it names a file that it may not')
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0 || bytes > manifestLimits.fileBytes)
    throw damaged(file, 'its list of contents is none')
  return { name, bytes }
}

const damaged = (file: string, reason: string): MeshError => new MeshError('BACKUP_DAMAGED', { file, reason })
