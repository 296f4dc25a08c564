import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import type { AgentCalls, AgentEvent } from './agent.ts'
import type { Lab } from './lab.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const defaultTimeoutMs = 30_000
const eventsKept = 5_000
let bundled: string | undefined

/** Bundled as the package is, so that processes start fast; inside the checkout, where the native packages that a bundle leaves out are found. */
function agentProgram(): string {
  if (bundled !== undefined) return bundled
  const cache = join(root, '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'natlab-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  buildSync({
    absWorkingDir: root,
    entryPoints: { agent: join(root, 'test/natlab/agent.ts'), 'store-worker': join(root, 'src/node/sqlite/store-worker.ts') },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'error',
    external: ['node-datachannel', 'sodium-native'],
    banner: { js: "import{createRequire as nodeCreateRequire}from'node:module';const require=nodeCreateRequire(import.meta.url);" }
  })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  bundled = join(folder, 'agent.js')
  return bundled
}

/** An error that an agent's node threw. */
export class RemoteError extends Error {
  readonly code: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    host: string,
    { code, message, details }: { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> }
  ) {
    super(`${host}: ${code} ${message}`)
    this.code = code
    this.details = details
  }
}

type Answer<Name extends keyof AgentCalls> = Awaited<ReturnType<AgentCalls[Name]>>

interface Line {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> }
  readonly event?: string
}

/** One host of the laboratory with an agent in it. */
export class Host implements AsyncDisposable {
  readonly name: string
  /** All that the agent told without being asked. */
  readonly events: AgentEvent[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (line: Line) => void>()
  readonly #changes = new EventEmitter().setMaxListeners(0)
  readonly #closed: Promise<unknown>
  #errors = ''
  #count = 0
  #hasEnded = false

  private constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    this.#closed = once(child, 'close').then(() => this.#end())
    child.stdin?.on('error', () => undefined)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-20_000)))
    if (child.stdout !== null) createInterface(child.stdout).on('line', (line) => this.#take(line))
  }

  /** Starts the process, without a node in it. */
  static async start(lab: Lab, name: string): Promise<Host> {
    const host = new Host(name, lab.node(name, [agentProgram()]))
    await host.until('ready', () => host.#isReady, 60_000)
    return host
  }

  #isReady = false

  get pid(): number {
    return this.#child.pid ?? assert.fail(`${this.name} did not start`)
  }

  get errors(): string {
    return this.#errors
  }

  /** @throws {RemoteError} what the agent's node threw */
  call<Name extends keyof AgentCalls>(name: Name, ...args: Parameters<AgentCalls[Name]>): Promise<Answer<Name>> {
    return this.callWithin(defaultTimeoutMs, name, ...args)
  }

  /** As `call`, with another deadline. */
  async callWithin<Name extends keyof AgentCalls>(timeoutMs: number, call: Name, ...args: Parameters<AgentCalls[Name]>): Promise<Answer<Name>> {
    const id = ++this.#count
    const { promise, resolve, reject } = Promise.withResolvers<Answer<Name>>()
    const timer = setTimeout(() => reject(new Error(`${this.name}: no answer to ${call} within ${timeoutMs} ms\n${this.#errors}`)), timeoutMs)
    this.#waiting.set(id, ({ result, error }) => {
      if (error === undefined) resolve(result as Answer<Name>)
      else reject(new RemoteError(this.name, error))
    })
    if (this.#hasEnded) this.#end()
    else this.#child.stdin?.write(`${JSON.stringify({ id, call, args })}\n`)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  /** Resolves once `isSo`, which is asked again at every line of the agent. */
  async until(what: string, isSo: () => boolean, timeoutMs = defaultTimeoutMs): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => {
      if (isSo()) resolve()
      else if (this.#hasEnded) reject(new Error(`${this.name} ended: ${this.#errors}`))
    }
    const timer = setTimeout(() => reject(new Error(`${this.name}: not within ${timeoutMs} ms: ${what}\n${this.#errors}`)), timeoutMs)
    this.#changes.on('line', look)
    look()
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#changes.off('line', look)
    }
  }

  /** Ends the process at once, as a power cut would. */
  async kill(): Promise<void> {
    if (!this.#hasEnded) this.#child.kill('SIGKILL')
    await this.#closed
  }

  async end(): Promise<void> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000)
    await this.#closed
    clearTimeout(timer)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end()
  }

  #take(text: string): void {
    const line: Line & AgentEvent = JSON.parse(text)
    if (line.id !== undefined) this.#waiting.get(Number(line.id))?.(line)
    else if ('at' in line) {
      this.events.push(line)
      if (this.events.length > eventsKept) this.events.shift()
    } else this.#isReady = true
    this.#changes.emit('line')
  }

  #end(): void {
    this.#hasEnded = true
    const error = { code: 'ENDED', message: `the process ended\n${this.#errors}`, details: {} }
    for (const each of this.#waiting.values()) each({ error })
    this.#changes.emit('line')
  }
}
