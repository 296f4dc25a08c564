import { after, earliest, type Millis } from '../../core/base/index.ts'

/** After so long without a cell the other end is asked for one: with circuits, and without any. */
const silentMs = { busy: 20_000, idle: 60_000 } as const
/** What was asked is answered within this, or the link is dead: TCP alone would say so after a quarter of an hour. */
const answerMs = 15_000
/** When this machine is in another network, the way is probably gone: a round trip to the other side of the world, with a packet lost, takes less. */
export const doubtMs = 3_000

/** Tells a link whose other end is silent from one whose other end is gone. */
export class LinkPulse {
  #heardAt: Millis
  /** When an answer to what was asked has to be here. */
  #dueAt: Millis | undefined

  constructor(now: Millis) {
    this.#heardAt = now
  }

  /** A frame came. */
  heard(now: Millis): void {
    this.#heardAt = now
    this.#dueAt = undefined
  }

  /** What is to be done at `now`; `ask` at most once until something is heard. */
  check(now: Millis, isBusy: boolean): 'nothing' | 'ask' | 'dead' {
    if (this.#dueAt !== undefined) return now >= this.#dueAt ? 'dead' : 'nothing'
    if (now - this.#heardAt < (isBusy ? silentMs.busy : silentMs.idle)) return 'nothing'
    this.#dueAt = after(now, answerMs)
    return 'ask'
  }

  /** The other end is asked now in any case, and has less time. */
  doubt(now: Millis): void {
    this.#dueAt = earliest(this.#dueAt, after(now, doubtMs))
  }
}
