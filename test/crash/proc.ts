import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Longest that a process may take to be gone after it was killed. */
const endMs = 20_000

export interface ProcOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** A program to run in place of this Node, such as strace with its arguments before Node's. */
  readonly through?: readonly string[]
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One child process: its lines as they come, and signals to exactly that process. */
export class Proc {
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #ended: Promise<Ending>
  readonly #waiting = new Set<() => void>()
  #errors = ''
  #rest = ''
  #hasEnded = false

  private constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-20_000)))
    this.#ended = once(child, 'close').then(([code, signal]) => {
      this.#hasEnded = true
      this.#wake()
      return { code: typeof code === 'number' ? code : null, signal: child.signalCode ?? (typeof signal === 'string' ? child.signalCode : null) }
    })
  }

  /** Starts `args` in a Node of this version. */
  static node(args: readonly string[], { env = {}, cwd, through = [] }: ProcOptions = {}): Proc {
    const [program = process.execPath, ...rest] = [...through, process.execPath, ...args]
    return new Proc(spawn(program, rest, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  get pid(): number {
    return this.#child.pid ?? assert.fail('the process did not start')
  }

  /** Whole lines of standard output so far; a line that was cut off by the end is not among them. */
  get lines(): readonly string[] {
    return this.#lines
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  get errors(): string {
    return this.#errors
  }

  get ended(): Promise<Ending> {
    return this.#ended
  }

  /** Resolves once a line begins with `prefix`, to that line. Rejects when the process ends before. */
  async line(prefix: string, timeoutMs = 30_000): Promise<string> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = this.#lines.find((line) => line.startsWith(prefix))
      if (found !== undefined) return found
      if (this.#hasEnded || Date.now() > deadline) assert.fail(`no line ${prefix}${this.#hasEnded ? ': the process ended' : ''}\n${this.#errors}`)
      await this.#change(deadline - Date.now())
    }
  }

  /** Sends a signal to exactly this process; nothing when it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(signal)
  }

  /** kill -9 of exactly this process; resolves when it is gone and all that it had written was read. */
  async kill(): Promise<Ending> {
    if (!this.#hasEnded && this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    return within(this.#ended, endMs)
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(1, ms))
      this.#waiting.add(done)
    })
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\n')
    this.#rest = parts.pop() ?? ''
    this.#lines.push(...parts)
    this.#wake()
  }

  #wake(): void {
    for (const each of this.#waiting) each()
  }
}

/** `promise`, or a failure after `ms`. */
export async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`nothing within ${ms} ms`)), ms)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
