import type { Stream } from '@libp2p/interface'
import { wallMillis } from '../../src/core/base/index.ts'
import { type Envelope, encodeEnvelope, nobleSha256, openReceipts, type Receipt, sealBatch } from '../../src/core/message/index.ts'
import { createVerifier, systemRandom } from '../../src/crypto/index.ts'
import { type HostileNode, frame } from '../../src/testing/hostile/hostile-node.ts'
import { HostileSession } from '../../src/testing/hostile/hostile-session.ts'

export const now = (): number => Date.now()

/** What an attacker writes into a batch; what is left out is as an honest sender writes it. */
export interface Forgery {
  readonly destination: Uint8Array
  readonly envelopes: readonly Partial<Envelope>[]
  readonly epoch?: Uint8Array
  readonly floor?: number
}

const firstEpoch = new Uint8Array(16).fill(7)

/** A BATCH frame that `node` signs. */
export function forgedBatch(node: HostileNode, { destination, envelopes, epoch = firstEpoch, floor = 1 }: Forgery): Uint8Array {
  const sentAt = wallMillis(now())
  const encoded = envelopes.map((given, index) =>
    encodeEnvelope({
      version: 1,
      id: `forged-${index + 1}`,
      type: 'Thought',
      source: { kind: 'peer', key: node.publicKey, label: '' },
      destination: { kind: 'peer', key: destination, label: '' },
      epoch,
      sequence: floor + index,
      inReplyTo: undefined,
      expectsReply: false,
      priority: 5,
      ttlS: 3_600,
      timestamp: sentAt,
      contentType: 'text/plain',
      body: new Uint8Array(10),
      ...given
    })
  )
  return sealBatch(
    { header: { destination, epoch, sentAt, floor }, envelopes: encoded },
    { signer: node.signer, random: systemRandom, sha256: nobleSha256 }
  )
}

/** A message session of an attacker, with the receipts that come back in it. */
export class ForgedStream {
  readonly receipts: Receipt[] = []
  readonly #session: HostileSession
  #held = new Uint8Array(0)
  #wake: () => void = () => undefined

  private constructor(session: HostileSession) {
    this.#session = session
  }

  static async open(node: HostileNode, victim: { readonly addresses: readonly string[]; readonly publicKey: Uint8Array }): Promise<ForgedStream> {
    const connection = await node.connect(victim.addresses)
    const early: Uint8Array[] = []
    let take = (data: Uint8Array): void => void early.push(data)
    const forged = new ForgedStream(await HostileSession.open(node, connection, { onData: (data) => take(data) }))
    take = (data) => {
      forged.#held = new Uint8Array([...forged.#held, ...data])
      forged.#take(node, victim.publicKey)
    }
    for (const data of early) take(data)
    return forged
  }

  get stream(): Stream {
    return this.#session.stream
  }

  send(bytes: Uint8Array): void {
    this.#session.push(frame(bytes))
  }

  /** Resolves when there are so many receipts. */
  async until(count: number, timeoutMs = 10_000): Promise<readonly Receipt[]> {
    const deadline = setTimeout(() => this.#wake(), timeoutMs)
    while (this.receipts.length < count) {
      const waiting = Promise.withResolvers<void>()
      this.#wake = waiting.resolve
      const before = this.receipts.length
      await waiting.promise
      if (this.receipts.length === before) throw new Error(`${before} receipts of ${count}; the stream is ${this.stream.status}`)
    }
    clearTimeout(deadline)
    return this.receipts
  }

  #take(node: HostileNode, victim: Uint8Array): void {
    for (;;) {
      if (this.#held.length < 4) return
      const length = new DataView(this.#held.buffer, this.#held.byteOffset).getUint32(0)
      if (this.#held.length < 4 + length) return
      const bytes = this.#held.slice(4, 4 + length)
      this.#held = this.#held.slice(4 + length)
      if (bytes[0] === 2) this.receipts.push(...openReceipts(bytes, { peer: victim, self: node.publicKey }, createVerifier(node.network)).receipts)
      this.#wake()
    }
  }
}
