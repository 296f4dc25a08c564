import type { Via } from '../../src/core/message/index.ts'
import type { MeshNodeOptions } from '../../src/mesh/mesh-node-options.ts'
import { NodeParts } from '../../src/mesh/node-parts.ts'
import { keyOf } from '../../src/mesh/peer-book.ts'
import type { SessionStream } from '../../src/mesh/session-stream.ts'
import type { Call } from './nodes.ts'

/** With its length, the largest plaintext of a record. */
const frameBytes = 65_500
const mebibyte = 1_048_576

/** A node with circuits and sessions, and no messages: what arrives in a session is counted. */
export class SessionNode {
  readonly #parts: NodeParts
  readonly #sessions = new Map<Via, SessionStream>()

  static async start(options: MeshNodeOptions): Promise<SessionNode> {
    const { deliveryStore, threadStore } = options.platform
    const [recovery, threads] = await Promise.all([deliveryStore.recoverOutbox(), threadStore.load()])
    const parts = new NodeParts(options, { recovery, threads, pairs: [], agents: [], blocked: [] })
    await parts.sessions.serve((session) => count(session))
    await parts.onion.start()
    await parts.neighbourhood.start()
    return new SessionNode(parts)
  }

  private constructor(parts: NodeParts) {
    this.#parts = parts
  }

  async call(call: Call): Promise<unknown> {
    switch (call.do) {
      case 'onion':
        return this.#parts.onion.status()
      case 'open':
        this.#sessions.set(call.via, await this.#open(call))
        return undefined
      case 'flood':
        return this.#flood(call.via, call.mebibytes)
      default:
        throw new Error(`no call ${call.do} of such a node`)
    }
  }

  async #open({ peer, address, via }: Extract<Call, { readonly do: 'open' }>): Promise<SessionStream> {
    if (via === 'direct') await this.#parts.recipient(address, via)
    else await this.#parts.sessions.checkOnion(keyOf(peer))
    return this.#parts.sessions.open(keyOf(peer), via, AbortSignal.timeout(10_000))
  }

  /** Sends so much, and waits until the other end has counted it; milliseconds. */
  async #flood(via: Via, mebibytes: number): Promise<number> {
    const session = this.#sessions.get(via)
    if (session === undefined) throw new Error('no session')
    const frames = Math.ceil((mebibytes * mebibyte) / frameBytes)
    const frame = new Uint8Array(frameBytes).fill(7)
    const answers = session.frames()[Symbol.asyncIterator]()
    const start = performance.now()
    await session.send(new Uint8Array(new Uint32Array([frames]).buffer))
    for (let sent = 0; sent < frames; sent++) await session.send(frame)
    await answers.next()
    return performance.now() - start
  }
}

/** The first frame says how many follow; they are answered with one. */
async function count(session: SessionStream): Promise<void> {
  let left = 0
  for await (const frame of session.frames()) {
    if (left === 0) left = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true)
    else if (--left === 0) await session.send(new Uint8Array(1))
  }
}
