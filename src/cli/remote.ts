import {
  type CallContext,
  ControlClient,
  type GivenInput,
  type OperationName,
  type Operations,
  type OutputOf,
  type RunningDaemon
} from '../api/index.ts'
import { isMeshError, type MeshError } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { requireProfile, ensureDaemonProcess } from './daemon-process.ts'

/** What the client waits beyond the time that an operation was given, so that its own answer comes first. */
const graceMs = 5_000
const defaultMs = 30_000

/** The profile's daemon, started when it is needed; with --ephemeral a node in this process. */
export class RemoteDaemon implements AsyncDisposable {
  readonly #context: CommandContext
  readonly #client: ControlClient
  #own: RunningDaemon | undefined
  #isReady = false

  constructor(context: CommandContext) {
    this.#context = context
    this.#client = new ControlClient(context.paths)
  }

  /** Performs an operation. @throws {MeshError} */
  async call<Name extends OperationName>(name: Name, input: GivenInput<Name>): Promise<OutputOf<Operations[Name]>> {
    const context = this.#callContext(input)
    return this.#withDaemon(() => this.#client.call(name, input, context))
  }

  /** The items of a stream; `limit` ends it with ABORTED. */
  async *stream<Name extends OperationName>(name: Name, input: GivenInput<Name>, limit?: AbortSignal): AsyncGenerator<OutputOf<Operations[Name]>> {
    await this.#withDaemon(() => this.#client.call('daemon', {}, this.#callContext({})))
    const { signal } = this.#context
    yield* this.#client.stream(name, input, { signal: limit === undefined ? signal : AbortSignal.any([signal, limit]) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#own?.stop()
  }

  #callContext(input: object): CallContext {
    const own = 'timeoutMs' in input && typeof input.timeoutMs === 'number' ? input.timeoutMs : undefined
    const { timeoutMs } = this.#context.globals
    return { signal: this.#context.signal, deadlineMs: own === undefined ? (timeoutMs ?? defaultMs) + graceMs : own + graceMs }
  }

  /** Runs `work`; when nobody answers, starts the daemon and runs it again. */
  async #withDaemon<T>(work: () => Promise<T>): Promise<T> {
    if (this.#context.globals.ephemeral) await this.#startOwn()
    try {
      return await work()
    } catch (error) {
      if (!isMeshError(error, 'DAEMON_UNREACHABLE') || this.#isReady) throw error
      requireProfile(this.#context)
      if (!this.#context.globals.start || !isNotRunning(error)) throw error
    }
    this.#context.output.progress('starting the daemon')
    await ensureDaemonProcess(this.#context, this.#client)
    this.#isReady = true
    return work()
  }

  async #startOwn(): Promise<void> {
    if (this.#own !== undefined) return
    requireProfile(this.#context)
    const module = await this.#context.loadDaemonModule()
    this.#own = await module.startDaemon(this.#context.paths, this.#context.environment)
  }
}

/** Whether nobody holds the socket, as opposed to somebody who does not answer well. */
function isNotRunning(error: MeshError): boolean {
  const { cause } = error
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
}
