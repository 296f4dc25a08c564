import { MeshError } from '../core/base/index.ts'

const headerBytes = 4
/** Smaller chunks are copied together: a peer that sends single bytes cannot make us hold one object for each. */
const smallChunkBytes = 2_048
const arenaBytes = 16_384

/**
 * Cuts a byte stream into frames: a u32 big-endian length (1 to the cap), then the bytes. Frames are made only when they are taken,
 * so that what is held is what arrived, never what a length claims. A frame that lies in one chunk is a view of it.
 */
export class FrameReader {
  readonly #protocol: string
  readonly #maxFrameBytes: number
  #chunks: Uint8Array[] = []
  #head = 0
  #offset = 0
  #held = 0
  #arena: Uint8Array | undefined
  #arenaUsed = 0

  constructor(options: { readonly protocol: string; readonly maxFrameBytes: number }) {
    this.#protocol = options.protocol
    this.#maxFrameBytes = options.maxFrameBytes
  }

  /** Bytes that arrived and were not taken. */
  get held(): number {
    return this.#held
  }

  /** Bytes that have to be held before the next frame can be taken; 0 when nothing of it arrived. @throws {MeshError} PROTOCOL_LIMIT, MESSAGE_MALFORMED */
  get wanted(): number {
    if (this.#held === 0) return 0
    return this.#held < headerBytes ? headerBytes : headerBytes + this.#frameLength()
  }

  /** Whether a whole frame is there. @throws {MeshError} PROTOCOL_LIMIT, MESSAGE_MALFORMED for a length that is not allowed. */
  get ready(): boolean {
    return this.#held >= headerBytes && this.#held >= this.wanted
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#held += chunk.length
    // The first one is kept as it came: mostly it is a whole frame, taken at once.
    if (chunk.length >= smallChunkBytes || this.#head === this.#chunks.length) {
      this.#arena = undefined
      // libp2p hands out Node's Buffers, too, whose slice() is no copy: frames are plain arrays.
      this.#chunks.push(chunk.constructor === Uint8Array ? chunk : new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length))
      return
    }
    this.#pushSmall(chunk)
  }

  /** The next frame. Call it only when `ready`. */
  take(): Uint8Array {
    const length = this.#frameLength()
    this.#read(headerBytes)
    return this.#read(length)
  }

  /** Drops everything. */
  clear(): void {
    this.#chunks = []
    this.#head = 0
    this.#offset = 0
    this.#held = 0
    this.#arena = undefined
  }

  #pushSmall(chunk: Uint8Array): void {
    if (this.#arena === undefined || this.#arenaUsed + chunk.length > arenaBytes) {
      this.#arena = new Uint8Array(arenaBytes)
      this.#arenaUsed = 0
      this.#chunks.push(this.#arena.subarray(0, 0))
    }
    this.#arena.set(chunk, this.#arenaUsed)
    this.#arenaUsed += chunk.length
    this.#chunks[this.#chunks.length - 1] = this.#arena.subarray(0, this.#arenaUsed)
  }

  // The cap is checked here, before any byte of the frame is copied.
  #frameLength(): number {
    let length = 0
    let index = this.#head
    let offset = this.#offset
    for (let read = 0; read < headerBytes; read++) {
      while (offset >= (this.#chunks[index]?.length ?? 0)) {
        index += 1
        offset = 0
      }
      length = length * 256 + (this.#chunks[index]?.[offset] ?? 0)
      offset += 1
    }
    if (length > this.#maxFrameBytes) {
      throw new MeshError('PROTOCOL_LIMIT', {
        protocol: this.#protocol,
        reason: `a frame of ${length} bytes, at most ${this.#maxFrameBytes} are taken`
      })
    }
    if (length === 0) throw new MeshError('MESSAGE_MALFORMED', { what: 'frame', reason: 'an empty frame' })
    return length
  }

  #read(length: number): Uint8Array {
    const first = this.#chunks[this.#head]
    this.#held -= length
    if (first !== undefined && first.length - this.#offset >= length) {
      const view = first.subarray(this.#offset, this.#offset + length)
      this.#offset += length
      if (this.#offset === first.length) this.#dropHead()
      return view
    }
    return this.#gather(length)
  }

  #gather(length: number): Uint8Array {
    const whole = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const chunk = this.#chunks[this.#head] ?? new Uint8Array(0)
      const part = chunk.subarray(this.#offset, this.#offset + length - filled)
      whole.set(part, filled)
      filled += part.length
      this.#offset += part.length
      if (this.#offset === chunk.length) this.#dropHead()
    }
    return whole
  }

  #dropHead(): void {
    // Bytes that come later into the same arena must not appear in the chunk that was used up.
    if (this.#head === this.#chunks.length - 1) this.#arena = undefined
    this.#chunks[this.#head] = new Uint8Array(0)
    this.#head += 1
    this.#offset = 0
    if (this.#head === this.#chunks.length) {
      this.#chunks = []
      this.#head = 0
    } else if (this.#head >= 1_024) {
      this.#chunks = this.#chunks.slice(this.#head)
      this.#head = 0
    }
  }
}
