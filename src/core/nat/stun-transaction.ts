import { after, type Bytes, type Millis, type Random, toHex } from '../base/index.ts'
import type { Endpoint } from './ip-address.ts'
import { bindingMethod, encodeStun } from './stun-message.ts'

/** `mapping`: the one socket whose public port is compared; `filtering`: a second, from which nothing ever goes to the other address of a server. */
export type ProbeSocket = 'mapping' | 'filtering'

export interface TransactionOptions {
  readonly socket: ProbeSocket
  readonly destination: Endpoint
  /** Where the answer must come from. */
  readonly answersFrom: Endpoint
  readonly change?: { readonly address: boolean; readonly port: boolean }
  /** The first interval between two transmissions, in ms. It doubles each time (RFC 8489 section 6.2.1). */
  readonly intervalMs: number
  /** Intervals from the first transmission to the end. */
  readonly patience: number
}

const transmissions = 3

/** One Binding request: sent up to three times under one id, until it is answered or given up. */
export class StunTransaction {
  readonly options: TransactionOptions
  /** The transaction id, as hex. */
  readonly id: string
  readonly bytes: Bytes
  readonly #sentAt: Millis[] = []
  #state: 'waiting' | 'answered' | 'ended' = 'waiting'
  #roundTripMs: number | undefined
  #endedAt: Millis | undefined

  constructor(options: TransactionOptions, random: Random) {
    const transactionId = random.bytes(12)
    this.options = options
    this.id = toHex(transactionId)
    const attributes = options.change === undefined ? [] : [{ type: 'change-request' as const, ...options.change }]
    this.bytes = encodeStun({ class: 'request', method: bindingMethod, transactionId, attributes, hasFingerprint: true })
  }

  get isWaiting(): boolean {
    return this.#state === 'waiting'
  }

  /** From the first transmission to the answer; undefined before. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs
  }

  get wakeAt(): Millis | undefined {
    const [first] = this.#sentAt
    if (this.#state !== 'waiting' || first === undefined) return undefined
    const { intervalMs, patience } = this.options
    const count = this.#sentAt.length
    return after(first, intervalMs * (count < transmissions ? 2 ** count - 1 : patience))
  }

  /** Whether it is to be sent now; ends it when it was sent often enough and nothing came. */
  tick(now: Millis): boolean {
    const { wakeAt } = this
    if (this.#state !== 'waiting' || (wakeAt !== undefined && wakeAt > now)) return false
    if (this.#sentAt.length < transmissions) return this.#sentAt.push(now) > 0
    this.end(now)
    return false
  }

  answered(now: Millis): void {
    if (this.#state !== 'waiting') return
    this.#state = 'answered'
    this.#roundTripMs = now - (this.#sentAt[0] ?? now)
  }

  /** Gives it up. */
  end(now: Millis): void {
    if (this.#state !== 'waiting') return
    this.#state = 'ended'
    this.#endedAt = now
  }

  /** Whether two transmissions at least had `roundTripMs` and a quarter more to be answered in, and were not. */
  isSilent(roundTripMs: number): boolean {
    const endedAt = this.#endedAt
    return endedAt !== undefined && this.#sentAt.filter((at) => endedAt - at >= 1.25 * roundTripMs).length >= 2
  }
}
