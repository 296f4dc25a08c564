import { createInterface } from 'node:readline'

/** One side of a benchmark, in a process of its own: it prints where it listens, then answers each line of stdin with one line. */
export interface Side {
  /** What the other side needs to connect. */
  readonly address: string
  /** Connects to the other side; only the sender is asked. */
  connect(address: string): Promise<void>
  /** Runs one measurement and returns its figures. */
  run(name: string, count: number): Promise<Readonly<Record<string, number>>>
  stop(): Promise<void>
}

type Request =
  | { readonly do: 'connect'; readonly address: string }
  | { readonly do: 'run'; readonly name: string; readonly count: number }
  | { readonly do: 'stop' }

/** Serves a side over stdin and stdout until it is told to stop. */
export async function serveSide(side: Side): Promise<void> {
  const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`)
  say({ address: side.address })
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request
    try {
      if (request.do === 'connect') {
        await side.connect(request.address)
        say({ ok: true })
      } else if (request.do === 'run') {
        say(await side.run(request.name, request.count))
      } else {
        break
      }
    } catch (error) {
      say({ error: String(error instanceof Error ? error.stack : error) })
    }
  }
  await side.stop()
  process.exit(0)
}

/** The 99th, 95th and 50th percentile of `samples`, which are sorted in place. */
export function percentiles(samples: number[]): { readonly p50: number; readonly p95: number; readonly p99: number } {
  samples.sort((a, b) => a - b)
  const at = (fraction: number): number => samples[Math.min(samples.length - 1, Math.floor(fraction * samples.length))] ?? Number.NaN
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

export const bodyBytes = 1_024
