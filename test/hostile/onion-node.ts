import { type ChildProcess, fork } from 'node:child_process'
import { createWriteStream, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Leaf } from './state-walk.ts'

/** What a node's relay holds. */
export interface RelayDump {
  /** What is reachable from each of its circuits of others. */
  readonly circuits: readonly (readonly Leaf[])[]
  /** What is reachable from each of the links that they run over. */
  readonly links: readonly (readonly Leaf[])[]
  /** Whose key is at the other end of each link, as far as the connection tells. */
  readonly callers: readonly { readonly id: number; readonly peerId: string }[]
  /** What is reachable from the service and its machine. */
  readonly whole: readonly Leaf[]
}

export interface NodeReport {
  readonly peerId: string
  readonly addresses: readonly string[]
  /** Relays that it knows. */
  readonly relays: number
  readonly metrics: string
  /** `ID TEXT` of messages that came. */
  readonly arrived: readonly string[]
}

/** What a parent asks of such a node. */
export interface OnionCalls {
  report(): Promise<NodeReport>
  invite(): Promise<string>
  join(pair: { readonly invite: string; readonly alias: string }): Promise<void>
  circuit(wish: {
    readonly peer: string
    readonly hops: number
  }): Promise<{ readonly id: string; readonly relays: number; readonly path: readonly string[] }>
  send(message: {
    readonly peer: string
    readonly text: string
  }): Promise<{ readonly id: string; readonly status: string; readonly path: string | undefined }>
  dump(): Promise<RelayDump>
  /** The numbers of its own circuits, on the links to its guards. */
  own(): Promise<readonly number[]>
  stop(): Promise<void>
}

interface Answer {
  readonly id: number
  readonly result?: never
  readonly error?: string
}

/** A node in a process of its own. */
export class OnionNode implements AsyncDisposable {
  readonly folder: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { readonly resolve: (value: never) => void; readonly reject: (error: Error) => void }>()
  #lastId = 0
  #first: NodeReport | undefined

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder
    this.#child = child
    const output = createWriteStream(join(folder, 'output'))
    child.stdout?.pipe(output, { end: false })
    child.stderr?.pipe(output, { end: false })
    child.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result as never)
      else waiting?.reject(new Error(error))
    })
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the node ended: ${code ?? signal}\n${this.text('output')}`))
      this.#waiting.clear()
    })
  }

  /** Starts `program` (the bundle of onion-node-child.ts) with its state in `folder`. */
  static async start(
    program: string,
    folder: string,
    { name, bootstrap = '' }: { readonly name: string; readonly bootstrap?: string }
  ): Promise<OnionNode> {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const child = fork(program, [folder, name, bootstrap], { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    const node = new OnionNode(folder, child)
    node.#first = await node.#answer<NodeReport>(0)
    return node
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get peerId(): string {
    return this.#first?.peerId ?? ''
  }

  get address(): string {
    return this.#first?.addresses[0] ?? ''
  }

  call<Name extends keyof OnionCalls>(name: Name, ...[argument]: Parameters<OnionCalls[Name]>): Promise<Awaited<ReturnType<OnionCalls[Name]>>> {
    const id = ++this.#lastId
    const answer = this.#answer<Awaited<ReturnType<OnionCalls[Name]>>>(id)
    this.#child.send({ id, name, argument })
    return answer
  }

  /** Everything that the node wrote: its log at every level, and what came out of the process. */
  get lines(): readonly string[] {
    return `${this.text('log')}${this.text('output')}`.split('\n').filter((line) => line !== '')
  }

  /** A file of its folder; nothing when there is none. */
  text(file: string): string {
    try {
      return readFileSync(join(this.folder, file), 'utf8')
    } catch {
      return ''
    }
  }

  /** Every file that it keeps. */
  files(): readonly Buffer[] {
    const entries = readdirSync(this.folder, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name)))
  }

  /** Halts exactly this process, and lets it go on. */
  halt(isHalted: boolean): void {
    this.#child.kill(isHalted ? 'SIGSTOP' : 'SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.kill('SIGKILL')
    await ended
  }

  #answer<Value>(id: number): Promise<Value> {
    return new Promise<Value>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }
}
