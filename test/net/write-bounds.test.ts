import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StreamMuxerFactory } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { startTestHost, until } from './support.ts'

type Pipe = Parameters<StreamMuxerFactory['createStreamMuxer']>[0]

/** A ping, and a stream that is opened and never used: yamux answers the one at once, and the other when there are too many. */
const frames = {
  ping: (): Uint8Array => new Uint8Array([0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7]),
  stream: (number: number): Uint8Array => {
    const header = Buffer.from([0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    header.writeUInt32BE(2 * number + 1, 4)
    return header
  }
} as const

const maxWaitingBytes = 25_165_824
const headerBytes = 12

for (const [name, frame] of Object.entries(frames)) {
  test(`a peer that reads nothing cannot have answers pile up: ${name}`, { timeout: 60_000 }, async (t) => {
    await using victim = await startTestHost()
    const pipes: Pipe[] = []
    const attacker = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [
        () => {
          const factory = yamux()()
          const createStreamMuxer = (pipe: Pipe): ReturnType<typeof factory.createStreamMuxer> => {
            pipes.push(pipe)
            return factory.createStreamMuxer(pipe)
          }
          return { protocol: factory.protocol, createStreamMuxer }
        }
      ],
      connectionMonitor: { enabled: false }
    })
    t.after(() => attacker.stop())
    await attacker.dial(victim.libp2p.getMultiaddrs())
    await until(() => victim.libp2p.getConnections().length === 1, 'the attacker is connected')
    const [pipe] = pipes
    assert.ok(pipe !== undefined)
    pipe.pause()
    let sent = 0
    const isOver = (): boolean => victim.libp2p.getConnections().length === 0
    // libp2p itself ends a connection that answers no ping after 25 s, and it takes all that comes until then.
    const isEnough = (): boolean => {
      for (let round = 0; round < 20 && !isOver() && pipe.status === 'open' && !pipe.writableNeedsDrain; round++, sent += 2_000)
        pipe.send(Buffer.concat(Array.from({ length: 2_000 }, (_, index) => frame(sent + index))))
      return isOver()
    }
    await until(isEnough, 'the victim has enough', 18_000)
    t.diagnostic(`after ${sent} frames`)
    // What the bound on bytes alone would let through; the sockets' own buffers hold some hundred thousand.
    assert.ok(sent < maxWaitingBytes / headerBytes / 2, `${sent} frames were taken`)
  })
}
