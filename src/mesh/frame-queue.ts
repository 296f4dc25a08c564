import { type Pieces, byteLength, concat } from '../core/base/index.ts'

const lengthBytes = 4
/** What is shorter is copied together with its neighbours: each piece is one more call into every cipher below. */
const smallBytes = 2_048
const none = new Uint8Array(0)

interface QueuedFrame {
  /** Its length, then its bytes. */
  readonly parts: readonly Uint8Array[]
  /** Bytes that were not taken, the length's included. */
  left: number
}

/** Frames that wait to be written, each behind its length (u32, big-endian). Large parts are handed out as they are, not copied. */
export class FrameQueue {
  #frames: QueuedFrame[] = []
  #head = 0
  /** The next byte is at `#offset` of this part of the first frame. */
  #part = 0
  #offset = 0
  #bytes = 0

  /** Bytes that wait, lengths included. */
  get bytes(): number {
    return this.#bytes
  }

  push(frame: Pieces): void {
    const length = byteLength(frame)
    const prefix = new Uint8Array(lengthBytes)
    for (let index = 0; index < lengthBytes; index++) prefix[index] = length >>> (24 - 8 * index)
    const parts = frame instanceof Uint8Array ? [prefix, frame] : [prefix, ...frame]
    this.#frames.push({ parts, left: length + lengthBytes })
    this.#bytes += length + lengthBytes
  }

  /**
   * The next bytes, in pieces: as many whole frames as fit into `maxBytes`, or so much of the first one. A frame that fills a write so is one unit of every
   * layer below, and the reader at the other end need not put it together.
   */
  take(maxBytes: number): readonly Uint8Array[] {
    const pieces: Uint8Array[] = []
    let small: Uint8Array[] = []
    for (let left = this.#fitting(maxBytes); left > 0;) {
      const piece = this.#next(left)
      left -= piece.length
      if (piece.length < smallBytes) small.push(piece)
      else {
        if (small.length > 0) pieces.push(concat(...small))
        small = []
        pieces.push(piece)
      }
    }
    if (small.length > 0) pieces.push(concat(...small))
    return pieces
  }

  clear(): void {
    this.#frames = []
    this.#head = 0
    this.#part = 0
    this.#offset = 0
    this.#bytes = 0
  }

  /** How many bytes the next write has. */
  #fitting(maxBytes: number): number {
    let bytes = 0
    for (let index = this.#head; index < this.#frames.length; index++) {
      const more = this.#frames[index]?.left ?? 0
      if (bytes + more > maxBytes) return bytes === 0 ? maxBytes : bytes
      bytes += more
    }
    return bytes
  }

  /** Takes up to `max` bytes of one part. */
  #next(max: number): Uint8Array {
    const frame = this.#frames[this.#head] ?? { parts: [], left: 0 }
    const part = frame.parts[this.#part] ?? none
    const piece = part.subarray(this.#offset, this.#offset + max)
    this.#offset += piece.length
    this.#bytes -= piece.length
    frame.left -= piece.length
    if (this.#offset === part.length) {
      this.#part += 1
      this.#offset = 0
    }
    if (frame.left === 0) this.#dropHead()
    return piece
  }

  #dropHead(): void {
    this.#head += 1
    this.#part = 0
    this.#offset = 0
    if (this.#head === this.#frames.length) {
      this.#frames = []
      this.#head = 0
    } else if (this.#head >= 1_024) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
  }
}
