import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { MeshError } from '../../core/base/index.ts'
import type { StoreEvent, StoreOrder, StoreRequest } from './calls.ts'
import { StoreEngine, plainError } from './engine.ts'
import { storeError } from './errors.ts'
import { openDatabase } from './open.ts'

/** What the storage thread is started with. */
export interface StoreWorkerData {
  readonly file: string
}

/** Requests in one transaction at most; more wait for the next one. */
const groupRequests = 2_048

/** Without a request for so long the thread gives back what a load took. */
const quietMs = 2_000

/** The storage thread: everything that arrived while the last commit ran shares the next one, and is answered after it. */
function serve(port: MessagePort, file: string): void {
  const post = (event: StoreEvent): void => port.postMessage(event)
  const engine = open(file, post)
  if (engine === undefined) {
    port.close()
    return
  }
  // It never keeps the thread alive.
  const quiet = setTimeout(() => giveBack(engine), quietMs).unref()
  port.on('message', (order: StoreOrder) => {
    quiet.refresh()
    const { requests, isClosing } = drain(port, order)
    for (let start = 0; start < requests.length; start += groupRequests) {
      const { replies, findings } = engine.run(requests.slice(start, start + groupRequests))
      post({ type: 'replies', replies, findings })
    }
    engine.checkpointWhenDue()
    if (engine.failure !== undefined) post({ type: 'failed', error: plainError(engine.failure) })
    if (!isClosing) return
    clearTimeout(quiet)
    close(engine, { port, post })
  })
  post({ type: 'opened' })
}

function open(file: string, post: (event: StoreEvent) => void): StoreEngine | undefined {
  try {
    return new StoreEngine(openDatabase(file), file)
  } catch (error) {
    post({ type: 'not-opened', error: plainError(storeError(error, file)) })
    return undefined
  }
}

/** SQLite's pages, then the garbage of this thread: the collector of the daemon's first thread does not see it. */
function giveBack(engine: StoreEngine): void {
  engine.shrink()
  const collect: unknown = 'gc' in globalThis ? globalThis.gc : undefined
  if (typeof collect === 'function') collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

function drain(port: MessagePort, first: StoreOrder): { readonly requests: readonly StoreRequest[]; readonly isClosing: boolean } {
  const requests: StoreRequest[] = []
  let isClosing = false
  for (let order: StoreOrder | undefined = first; order !== undefined; order = next(port)) {
    if (order.type === 'close') isClosing = true
    else for (const request of order.requests) requests.push(request)
  }
  return { requests, isClosing }
}

function next(port: MessagePort): StoreOrder | undefined {
  const received: { readonly message: StoreOrder } | undefined = receiveMessageOnPort(port)
  return received?.message
}

function close(engine: StoreEngine, { port, post }: { readonly port: MessagePort; readonly post: (event: StoreEvent) => void }): void {
  engine.close()
  post({ type: 'closed' })
  port.close()
}

const { file }: StoreWorkerData = workerData
if (parentPort === null) throw new MeshError('INTERNAL', { reason: 'the store runs in a thread of its own' })
serve(parentPort, file)
