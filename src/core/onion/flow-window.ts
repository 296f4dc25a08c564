import { equalBytes, MeshError } from '../base/index.ts'
import { maxFrameCells } from './cell.ts'
import { circuitWindow } from './types.ts'

/** Flow control at the sender of one direction: 256 cells may be under way, and each SENDME proves the arrival of 32. */
export class SendWindow {
  #room: number = circuitWindow.cells
  /** Of them, those that go out before the next SENDME: whole frames. */
  #credit: number = circuitWindow.cells
  #sinceTag = 0
  /** What the next SENDMEs must say; at most 8. */
  readonly #tags: Uint8Array[] = []

  get isOpen(): boolean {
    return this.#credit > 0
  }

  /** Cells that may go out now. */
  get room(): number {
    return this.#credit
  }

  /** Counts a cell that carries data, right after the layer encrypted it. */
  sent(tag: () => Uint8Array): void {
    this.#room--
    this.#credit--
    this.#sinceTag++
    if (this.#sinceTag < circuitWindow.sendmeEvery) return
    this.#sinceTag = 0
    this.#tags.push(tag())
  }

  /** Opens the window by 32 cells. @throws {MeshError} CIRCUIT_VIOLATION when no SENDME is due, or the tag is another */
  sendme(tag: Uint8Array): void {
    const expected = this.#tags.shift()
    if (expected === undefined) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'a SENDME for cells that were not sent' })
    if (!equalBytes(expected, tag)) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'a SENDME with a wrong tag' })
    this.#room += circuitWindow.sendmeEvery
    // Some wait for the next SENDME, which is sure to come: half a frame costs every hop as much as a whole one.
    this.#credit = this.#room - (this.#room % maxFrameCells)
  }
}

/** Flow control at the receiver of one direction. */
export class ReceiveWindow {
  #count = 0

  /** Counts a cell that carries data, right after the layer took it; returns the tag of the SENDME that is due with each 32nd. */
  received(tag: () => Uint8Array): Uint8Array | undefined {
    this.#count = (this.#count + 1) % circuitWindow.sendmeEvery
    return this.#count === 0 ? tag() : undefined
  }
}
