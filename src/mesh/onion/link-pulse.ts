import type { Millis } from '../../core/base/index.ts'

/** After so long without a cell the other end is asked for one: with circuits, and without any. */
const silentMs = { busy: 20_000, idle: 60_000 } as const
/** What was asked is answered within this, or the link is dead: TCP alone would say so after a quarter of an hour. */
const answerMs = 15_000

/** Tells a link whose other end is silent from one whose other end is gone. */
export class LinkPulse {
  #heardAt: Millis
  #askedAt: Millis | undefined

  constructor(now: Millis) {
    this.#heardAt = now
  }

  /** A frame came. */
  heard(now: Millis): void {
    this.#heardAt = now
    this.#askedAt = undefined
  }

  /** What is to be done at `now`; `ask` at most once until something is heard. */
  check(now: Millis, isBusy: boolean): 'nothing' | 'ask' | 'dead' {
    if (this.#askedAt !== undefined) return now - this.#askedAt >= answerMs ? 'dead' : 'nothing'
    if (now - this.#heardAt < (isBusy ? silentMs.busy : silentMs.idle)) return 'nothing'
    this.#askedAt = now
    return 'ask'
  }
}
