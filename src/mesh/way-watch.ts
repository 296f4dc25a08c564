import { isMeshError, toHex } from '../core/base/index.ts'

export interface WayWatchOptions {
  /** Whether there is a way to a peer now. @throws {MeshError} when there is none */
  readonly check: (publicKey: Uint8Array) => Promise<void>
  /** There is one again. */
  readonly onWay: (publicKey: Uint8Array) => void
}

/** The exit code of what is not done for the sake of privacy: too few relays, a peer that takes no circuits, guards that fail. */
const noWayExitCode = 10

/** Peers to whom no circuit led when something was to be sent: looked at again when the directory changes, so that what waits does not sit out its backoff. */
export class WayWatch {
  readonly #options: WayWatchOptions
  readonly #without = new Map<string, Uint8Array>()
  readonly #checking = new Set<string>()

  constructor(options: WayWatchOptions) {
    this.#options = options
  }

  /** An attempt to reach a peer failed. */
  failed(publicKey: Uint8Array, error: unknown): void {
    if (isMeshError(error) && error.exitCode === noWayExitCode) this.#without.set(toHex(publicKey), publicKey)
  }

  connected(publicKey: Uint8Array): void {
    this.#without.delete(toHex(publicKey))
  }

  /** Relays or peers came or went. */
  changed(): void {
    for (const [key, publicKey] of this.#without) if (!this.#checking.has(key)) void this.#look(key, publicKey)
  }

  async #look(key: string, publicKey: Uint8Array): Promise<void> {
    this.#checking.add(key)
    try {
      await this.#options.check(publicKey)
      if (this.#without.delete(key)) this.#options.onWay(publicKey)
    } catch {
      // Still none: the next change tells.
    } finally {
      this.#checking.delete(key)
    }
  }
}
