/** V8's own function; there when Node was started with --expose-gc. */
type Collect = (options: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void

const everyMs = 3_000
/** Below this part of one core the process counts as quiet. */
const quietShare = 0.05
/** What the process must have taken since its start for it to be worth a pause. */
const worthBytes = 8 * 1_048_576
/** Once more than once: what a first collection lets go of closes connections, whose memory the second one finds. */
const timesAfterWork = 2

/** What the decision is made from, so that a test can make it too. */
export interface MemoryProbe {
  /** Microseconds of processor time so far. */
  cpuMicros(): number
  rssBytes(): number
  collect(): void
}

/**
 * Gives memory back to the system when the process has become quiet after work. V8 keeps the pages of a load for the next one and has
 * no reason of its own to let go of them while nothing happens: a node that once took 10,000 messages would stay three times its size for days.
 */
export class QuietMemory {
  readonly #probe: MemoryProbe
  readonly #startBytes: number
  #cpuMicros: number
  #left = 0

  constructor(probe: MemoryProbe) {
    this.#probe = probe
    this.#cpuMicros = probe.cpuMicros()
    this.#startBytes = probe.rssBytes()
  }

  /** To be called every `everyMs`; returns whether memory was given back. */
  check(): boolean {
    const cpuMicros = this.#probe.cpuMicros()
    const isQuiet = cpuMicros - this.#cpuMicros < quietShare * everyMs * 1_000
    this.#cpuMicros = cpuMicros
    if (!isQuiet) this.#left = timesAfterWork
    const isWorth = isQuiet && this.#left > 0 && this.#probe.rssBytes() >= this.#startBytes + worthBytes
    if (!isWorth) return false
    this.#left--
    this.#probe.collect()
    this.#cpuMicros = this.#probe.cpuMicros()
    return true
  }
}

/** Watches this process until the returned function is called; does nothing where V8's function is not exposed. */
export function watchMemory(): () => void {
  const collect: Collect | undefined = 'gc' in globalThis ? (globalThis.gc as Collect) : undefined
  if (collect === undefined) return () => undefined
  const cpuMicros = (): number => {
    const { user, system } = process.cpuUsage()
    return user + system
  }
  const memory = new QuietMemory({
    cpuMicros,
    rssBytes: () => process.memoryUsage.rss(),
    collect: () => collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  })
  const timer = setInterval(() => memory.check(), everyMs)
  timer.unref()
  return () => clearInterval(timer)
}
