import { type ChildProcess, fork, type Serializable } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Via } from '../../src/core/message/index.ts'
import type { OnionStatus } from '../../src/mesh/onion/circuit-report.ts'

/** What a node of a bench is asked. */
export type Call =
  | { readonly do: 'invite' | 'onion' | 'cpu' }
  | { readonly do: 'join'; readonly invite: string }
  | { readonly do: 'detours'; readonly ports: Readonly<Record<string, number>> }
  | { readonly do: 'circuit'; readonly peer: string; readonly hops: number }
  | { readonly do: 'send'; readonly peer: string; readonly via: Via }
  | { readonly do: 'open'; readonly peer: string; readonly address: string; readonly via: Via }
  | { readonly do: 'flood'; readonly via: Via; readonly mebibytes: number }

/** `mesh`: a whole node; `stored`: with its messages on disk; `session`: without messages. */
export interface NodeConfig {
  readonly kind: 'mesh' | 'stored' | 'session'
  readonly config: Readonly<Record<string, unknown>>
}

interface Answer {
  readonly value?: unknown
  readonly error?: string
}

/** A node in a process of its own. */
export interface BenchNode {
  readonly peerId: string
  readonly address: string
  ask<Value>(call: Call): Promise<Value>
}

/** Nodes in processes of their own, of which the first is the bootstrap peer of the others. */
export class BenchNodes implements Disposable {
  readonly #children: ChildProcess[] = []
  readonly #nodes: BenchNode[] = []
  readonly #delay: ((port: number) => Promise<number>) | undefined
  /** Where connections of circuits go instead, by port. */
  #detours: Readonly<Record<string, number>> = {}

  /** @param delayMs - what connections of circuits take longer, each way */
  constructor(delayMs = 0) {
    this.#delay = delayMs === 0 ? undefined : asker<number, number>(this.#fork('delay.ts', String(delayMs)))
  }

  /** Starts one more. */
  async add({ kind, config }: NodeConfig): Promise<BenchNode> {
    const [first] = this.#nodes
    const bootstrap = first === undefined ? {} : { bootstrapPeers: [first.address] }
    const port = await freePort()
    if (this.#delay !== undefined) this.#detours = { ...this.#detours, [port]: await this.#delay(port) }
    // Nobody hears of a node before the way to it is known.
    for (const node of this.#nodes) await node.ask({ do: 'detours', ports: this.#detours })
    const all = { kind, config: { listenAddrs: [`/ip4/127.0.0.1/tcp/${port}`], ...bootstrap, ...config }, detours: this.#detours }
    const ask = asker<Call | 'started', Answer>(this.#fork('node.ts', JSON.stringify(all)))
    const node: BenchNode = {
      ...(valueOf(await ask('started')) as Pick<BenchNode, 'peerId' | 'address'>),
      ask: async <Value>(call: Call) => valueOf(await ask(call)) as Value
    }
    this.#nodes.push(node)
    return node
  }

  /** Resolves when all know so many relays, and so many members. */
  async known(relays: number, members: number): Promise<void> {
    for (const node of this.#nodes) {
      for (;;) {
        const { role, known } = await node.ask<OnionStatus>({ do: 'onion' })
        const self = role === 'none' ? 0 : 1
        if (known.relays + (role === 'relay' ? self : 0) >= relays && known.relays + known.endpoints + self >= members) break
        await pause(50)
      }
    }
  }

  #fork(file: string, argument: string): ChildProcess {
    const child = fork(new URL(file, import.meta.url), [argument], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: profiling() })
    this.#children.push(child)
    return child
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) if (child.connected) child.disconnect()
  }
}

/** PROFILE=FOLDER writes where the time of each node goes. */
function profiling(): string[] {
  const { PROFILE } = process.env
  return PROFILE === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${PROFILE}`]
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Questions to a child, whose answers come in their order. */
function asker<Question extends Serializable, Value>(child: ChildProcess): (question: Question) => Promise<Value> {
  const waiting: PromiseWithResolvers<Value>[] = []
  child.on('message', (value: Value) => waiting.shift()?.resolve(value))
  child.on('exit', () => {
    for (const { reject } of waiting) reject(new Error('a process of the bench ended'))
  })
  return (question) => {
    const answer = Promise.withResolvers<Value>()
    waiting.push(answer)
    child.send(question)
    return answer.promise
  }
}

function valueOf({ value, error }: Answer): unknown {
  if (error !== undefined) throw new Error(error)
  return value
}
