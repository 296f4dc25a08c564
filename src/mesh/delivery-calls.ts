import type { MeshError } from '../core/base/index.ts'
import type { OutboxEntry } from '../core/message/index.ts'

/** A message that was put into the outbox. */
export interface Submitted {
  readonly entry: OutboxEntry
  readonly duplicate: boolean
}

/** The answers that a call to the outbox machine can get. */
export type CallResult = Submitted | { readonly entry: OutboxEntry } | { readonly count: number }

interface Call {
  readonly resolve: (result: CallResult) => void
  readonly reject: (error: MeshError) => void
}

/** Calls to the outbox machine that wait for their answer, by number. */
export class DeliveryCalls {
  readonly #calls = new Map<number, Call>()
  #last = 0

  /** Makes a call by giving its number to `make`; resolves with the machine's answer. */
  make<Result extends CallResult>(make: (call: number) => void): Promise<Result> {
    const call = ++this.#last
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    this.#calls.set(call, { resolve: resolve as Call['resolve'], reject })
    make(call)
    return promise
  }

  answer(call: number, result: CallResult): void {
    this.#take(call)?.resolve(result)
  }

  reject(call: number, error: MeshError): void {
    this.#take(call)?.reject(error)
  }

  rejectAll(error: MeshError): void {
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
  }

  #take(call: number): Call | undefined {
    const waiting = this.#calls.get(call)
    this.#calls.delete(call)
    return waiting
  }
}
