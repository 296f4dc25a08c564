import { isDirectPath } from './report.ts'
import type { ConnectionPath } from './types.ts'

/** What counts for the rates: `direct` also counts as reachable, `indirect` is over a relay or a TURN server. */
export type ReachOutcome = 'direct' | 'indirect' | 'failed'

/** What a connection, or none, counts as. */
export function outcomeOfPath(path: ConnectionPath | undefined): ReachOutcome {
  if (path === undefined) return 'failed'
  return isDirectPath(path) ? 'direct' : 'indirect'
}

/** Peers that were wanted, over some span; the rates are between 0 and 1, undefined before the first. */
export interface ReachRate {
  readonly count: number
  readonly reachable: number | undefined
  readonly direct: number | undefined
}

const lastCount = 100
/** version u8, count, direct and indirect f64 each, then a letter for each of the last ones. */
const headBytes = 25
const version = 1
const letters = ['direct', 'indirect', 'failed'] as const satisfies readonly ReachOutcome[]

/** How many of the peers that were wanted were reached, and how many directly: over all of the node's life and for the last 100. */
export class ReachRates {
  #count = 0
  #direct = 0
  #indirect = 0
  readonly #last: ReachOutcome[] = []

  /** What was kept by `encode`; anything else begins anew, as counters are not worth an error. */
  static decode(bytes: Uint8Array | undefined): ReachRates {
    const rates = new ReachRates()
    if (bytes === undefined || bytes.length < headBytes || bytes.length > headBytes + lastCount || bytes[0] !== version) return rates
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const [count = 0, direct = 0, indirect = 0] = [1, 9, 17].map((offset) => view.getFloat64(offset))
    const last = [...bytes.subarray(headBytes)].flatMap((each) => letters[each] ?? [])
    const isSound = [count, direct, indirect].every((each) => Number.isSafeInteger(each) && each >= 0) && direct + indirect <= count
    if (!isSound || last.length !== Math.min(count, bytes.length - headBytes)) return rates
    rates.#count = count
    rates.#direct = direct
    rates.#indirect = indirect
    rates.#last.push(...last)
    return rates
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(headBytes + this.#last.length)
    const view = new DataView(bytes.buffer)
    view.setUint8(0, version)
    for (const [index, value] of [this.#count, this.#direct, this.#indirect].entries()) view.setFloat64(1 + 8 * index, value)
    bytes.set(
      this.#last.map((each) => letters.indexOf(each)),
      headBytes
    )
    return bytes
  }

  add(outcome: ReachOutcome): void {
    this.#count += 1
    if (outcome === 'direct') this.#direct += 1
    if (outcome === 'indirect') this.#indirect += 1
    this.#last.push(outcome)
    if (this.#last.length > lastCount) this.#last.shift()
  }

  get lifetime(): ReachRate {
    return rate(this.#count, this.#direct, this.#indirect)
  }

  get last100(): ReachRate {
    const times = (outcome: ReachOutcome): number => this.#last.filter((each) => each === outcome).length
    return rate(this.#last.length, times('direct'), times('indirect'))
  }
}

function rate(count: number, direct: number, indirect: number): ReachRate {
  const share = (part: number): number | undefined => (count === 0 ? undefined : part / count)
  return { count, reachable: share(direct + indirect), direct: share(direct) }
}
