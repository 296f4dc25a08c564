import { type Pieces, byteLength, joinSmall } from '../core/base/index.ts'

const lengthBytes = 4
const none = new Uint8Array(0)

interface QueuedFrame {
  /** Its length, then its bytes. */
  readonly parts: readonly Uint8Array[]
  readonly onTaken: (() => void) | undefined
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
  #released: (() => void)[] = []

  /** Bytes that wait, lengths included. */
  get bytes(): number {
    return this.#bytes
  }

  /** @param onTaken - called by `release` when the whole frame was taken. */
  push(frame: Pieces, onTaken?: () => void): void {
    const length = byteLength(frame)
    const prefix = new Uint8Array(lengthBytes)
    for (let index = 0; index < lengthBytes; index++) prefix[index] = length >>> (24 - 8 * index)
    const parts = frame instanceof Uint8Array ? [prefix, frame] : [prefix, ...frame]
    this.#frames.push({ parts, onTaken, left: length + lengthBytes })
    this.#bytes += length + lengthBytes
  }

  /**
   * The next bytes, in pieces: as many whole frames as fit into `maxBytes`, or so much of the first one. A frame that fills a write so is one unit of every
   * layer below, and the reader at the other end need not put it together.
   */
  take(maxBytes: number): readonly Uint8Array[] {
    const pieces: Uint8Array[] = []
    for (let left = this.#fitting(maxBytes); left > 0;) {
      const piece = this.#next(left)
      left -= piece.length
      pieces.push(piece)
    }
    return joinSmall(pieces)
  }

  /** To be called when what was taken is of no use any more: its bytes are their owners' again. */
  release(): void {
    if (this.#released.length === 0) return
    const released = this.#released
    this.#released = []
    for (const onTaken of released) onTaken()
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
    const frame = this.#frames[this.#head] ?? { parts: [], left: 0, onTaken: undefined }
    const part = frame.parts[this.#part] ?? none
    const piece = part.subarray(this.#offset, this.#offset + max)
    this.#offset += piece.length
    this.#bytes -= piece.length
    frame.left -= piece.length
    if (this.#offset === part.length) {
      this.#part += 1
      this.#offset = 0
    }
    if (frame.left === 0) {
      if (frame.onTaken !== undefined) this.#released.push(frame.onTaken)
      this.#dropHead()
    }
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
