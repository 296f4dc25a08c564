import { isMeshError, type MeshError, toMeshError } from '../core/base/index.ts'

/** Keeps work that nobody awaits: its failure is reported, and `settle` waits for all of it. */
export class Tracker {
  readonly #pending = new Set<Promise<void>>()
  readonly #onFailure: (what: string, error: MeshError) => void

  constructor(onFailure: (what: string, error: MeshError) => void) {
    this.#onFailure = onFailure
  }

  /** Hands over a promise; `what` names the work in the log. An abort is no failure. */
  track(what: string, work: Promise<unknown>): void {
    const guarded = work.then(
      () => undefined,
      (error: unknown) => {
        if (!isMeshError(error, 'ABORTED')) this.#onFailure(what, toMeshError(error))
      }
    )
    this.#pending.add(guarded)
    void guarded.finally(() => this.#pending.delete(guarded))
  }

  /** Resolves when all work that was handed over has ended. */
  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }
}
