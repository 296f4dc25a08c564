import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { canonicalIp } from '../core/nat/ip-address.ts'
import type { InterfaceAddress, NetworkWatchPort } from '../mesh/nat-ports.ts'
import type { Timers } from '../mesh/ports.ts'
import { systemTimers } from './timers.ts'

export interface NetworkWatchOptions {
  /** How often to look, in ms; default 2,000. */
  readonly intervalMs?: number
  readonly timers?: Timers
  /** The system's interfaces by default. */
  readonly read?: () => NodeJS.Dict<NetworkInterfaceInfo[]>
}

const defaultIntervalMs = 2_000

/** The addresses of this machine's interfaces, in canonical form. */
export function interfaceAddresses(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces()): readonly InterfaceAddress[] {
  return Object.values(interfaces).flatMap((list) =>
    (list ?? []).flatMap(({ address, family, internal }) => {
      const canonical = canonicalIp(address)
      return canonical === undefined ? [] : [{ address: canonical, family: family === 'IPv6' ? 6 : 4, isInternal: internal } as const]
    })
  )
}

/** Looks at the interfaces while somebody wants to know: Node has no event for their changes. Its timer never keeps the process alive. */
export class NetworkWatch implements NetworkWatchPort {
  readonly #intervalMs: number
  readonly #timers: Timers
  readonly #read: () => NodeJS.Dict<NetworkInterfaceInfo[]>
  readonly #handlers = new Set<() => void>()
  #seen = ''
  #cancelTimer: (() => void) | undefined

  constructor({ intervalMs = defaultIntervalMs, timers = systemTimers, read = networkInterfaces }: NetworkWatchOptions = {}) {
    this.#intervalMs = intervalMs
    this.#timers = timers
    this.#read = read
  }

  addresses(): readonly InterfaceAddress[] {
    return interfaceAddresses(this.#read())
  }

  onChange(handler: () => void): () => void {
    const own = (): void => handler()
    this.#handlers.add(own)
    if (this.#cancelTimer === undefined) {
      this.#seen = this.#state()
      this.#schedule()
    }
    return () => {
      this.#handlers.delete(own)
      if (this.#handlers.size > 0) return
      this.#cancelTimer?.()
      this.#cancelTimer = undefined
    }
  }

  #schedule(): void {
    this.#cancelTimer = this.#timers.schedule(this.#intervalMs, () => {
      this.#schedule()
      const state = this.#state()
      if (state === this.#seen) return
      this.#seen = state
      for (const handler of this.#handlers) handler()
    })
  }

  /** What another network would change: loopback and link-local IPv6 addresses are the same everywhere. */
  #state(): string {
    const outside = this.addresses().filter(({ address, isInternal }) => !isInternal && !/^fe[89ab]/.test(address))
    return outside
      .map(({ address }) => address)
      .toSorted()
      .join(' ')
  }
}
