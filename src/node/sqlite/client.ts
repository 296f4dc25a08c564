import { Worker } from 'node:worker_threads'
import { MeshError, toMeshError } from '../../core/base/index.ts'
import type { Finding, PlainError, StoreArguments, StoreCallName, StoreEvent, StoreOrder, StoreReply, StoreRequest, StoreResult } from './calls.ts'
import type { StoreWorkerData } from './store-worker.ts'

/** Calls that may wait for the storage thread at one time. */
const waitingCalls = 65_536

interface Waiting {
  resolve(value: StoreResult<StoreCallName>): void
  reject(error: MeshError): void
}

/** What the owner of a store is told beside the answers. */
export interface StoreWatch {
  /** A damaged row was set aside; everything else goes on. */
  onFinding?(finding: Finding): void
  /** The store is unusable from now on: the owner stops acknowledging and ends the process. */
  onFailure?(error: MeshError): void
}

/** The storage thread, seen from outside. Keeps the process alive only while a call waits. */
export class StoreClient {
  readonly #worker: Worker
  readonly #watch: StoreWatch
  readonly #waiting = new Map<number, Waiting>()
  readonly #closed = Promise.withResolvers<void>()
  #outgoing: StoreRequest[] = []
  #number = 0
  #isClosing = false
  #failure: MeshError | undefined

  private constructor(worker: Worker, watch: StoreWatch) {
    this.#worker = worker
    this.#watch = watch
  }

  /** Starts the thread and opens `file` there. Rejects with what opening threw. */
  static async open(file: string, watch: StoreWatch = {}): Promise<StoreClient> {
    const data: StoreWorkerData = { file }
    const worker = new Worker(workerUrl(), { workerData: data, execArgv: [], env: {}, name: 'store' })
    const client = new StoreClient(worker, watch)
    const opened = Promise.withResolvers<void>()
    worker.on('message', (event: StoreEvent) => client.#take(event, opened))
    worker.on('error', (error) => client.#fail(new MeshError('STORE_FAILED', { reason: error.message }, { cause: error })))
    worker.on('exit', () => {
      client.#fail(client.#isClosing ? new MeshError('SHUTTING_DOWN') : new MeshError('STORE_FAILED', { reason: 'its thread ended' }))
      opened.reject(client.#failure)
      client.#closed.resolve()
    })
    await opened.promise
    worker.unref()
    return client
  }

  /** Asks the storage thread. A call that changes something resolves after its COMMIT. */
  call<Name extends StoreCallName>(name: Name, args: StoreArguments<Name>): Promise<StoreResult<Name>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#isClosing) return Promise.reject(new MeshError('SHUTTING_DOWN'))
    if (this.#waiting.size >= waitingCalls)
      return Promise.reject(new MeshError('QUOTA', { where: 'the queue of the store', reason: `${waitingCalls} calls wait` }))
    const { promise, resolve, reject } = Promise.withResolvers<StoreResult<Name>>()
    if (this.#waiting.size === 0) this.#worker.ref()
    this.#number += 1
    this.#waiting.set(this.#number, { resolve: (value) => resolve(value as StoreResult<Name>), reject })
    if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush())
    this.#outgoing.push({ number: this.#number, name, args } as StoreRequest)
    return promise
  }

  /** Ends the thread after what waits. Idempotent. */
  close(): Promise<void> {
    if (!this.#isClosing) {
      this.#flush()
      this.#isClosing = true
      this.#worker.ref()
      this.#post({ type: 'close' })
    }
    return this.#closed.promise
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return
    const requests = this.#outgoing
    this.#outgoing = []
    this.#post({ type: 'calls', requests })
  }

  #post(order: StoreOrder): void {
    this.#worker.postMessage(order)
  }

  #take(event: StoreEvent, opened: PromiseWithResolvers<void>): void {
    switch (event.type) {
      case 'opened':
        return opened.resolve()
      case 'not-opened':
        return opened.reject(meshError(event.error))
      case 'replies':
        for (const reply of event.replies) this.#answer(reply)
        for (const finding of event.findings) this.#watch.onFinding?.(finding)
        return undefined
      case 'failed':
        return this.#fail(meshError(event.error))
      case 'closed':
        return undefined
    }
  }

  #answer(reply: StoreReply): void {
    const waiting = this.#waiting.get(reply.number)
    this.#waiting.delete(reply.number)
    if (this.#waiting.size === 0 && !this.#isClosing) this.#worker.unref()
    if (reply.ok) waiting?.resolve(reply.value)
    else waiting?.reject(meshError(reply.error))
  }

  #fail(error: MeshError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
    if (!this.#isClosing) this.#watch.onFailure?.(toMeshError(error))
  }
}

const meshError = ({ code, details }: PlainError): MeshError => new MeshError(code, details)

/** The thread's program: beside this file in the source, beside the bundle once bundled. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './store-worker.ts' : './store-worker.js', import.meta.url)
}
