import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { bodyBytes, percentiles, serveSide } from './child.ts'

/** The reference: js-libp2p as its documentation shows it, one write a message, an echo for the round trip. */
const sinkProtocol = '/bench/sink/1.0.0'
const echoProtocol = '/bench/echo/1.0.0'

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()]
})

/** Answers with the number of bytes taken once the sender's count has arrived. */
await node.handle(sinkProtocol, (stream) => {
  let taken = 0
  let wanted = Number.POSITIVE_INFINITY
  stream.addEventListener('message', (event) => {
    if (wanted === Number.POSITIVE_INFINITY) wanted = readCount(event.data.subarray(0, 4)) * bodyBytes + 4
    taken += event.data.byteLength
    if (taken >= wanted) stream.send(new Uint8Array([1]))
  })
})
await node.handle(echoProtocol, (stream) => {
  stream.addEventListener('message', (event) => void stream.send(event.data))
})

const readCount = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)

let echo: Stream | undefined
let remote = multiaddr('/ip4/127.0.0.1/tcp/1')

const reply = (stream: Stream): Promise<void> => new Promise((resolve) => stream.addEventListener('message', () => resolve(), { once: true }))

async function flood(count: number): Promise<Record<string, number>> {
  const stream = await node.dialProtocol(remote, sinkProtocol)
  const body = new Uint8Array(bodyBytes).fill(7)
  const start = performance.now()
  const done = reply(stream)
  const header = new Uint8Array(4)
  new DataView(header.buffer).setUint32(0, count)
  stream.send(header)
  for (let index = 0; index < count; index++) if (!stream.send(body.slice())) await stream.onDrain()
  await done
  const ms = performance.now() - start
  await stream.close()
  return { perSecond: (1_000 * count) / ms }
}

async function roundTrips(count: number): Promise<Record<string, number>> {
  echo ??= await node.dialProtocol(remote, echoProtocol)
  const body = new Uint8Array(bodyBytes).fill(7)
  const samples: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    const done = reply(echo)
    echo.send(body.slice())
    await done
    samples.push(performance.now() - start)
  }
  return percentiles(samples)
}

await serveSide({
  address: node.getMultiaddrs()[0]?.toString() ?? '',
  connect: async (address) => {
    remote = multiaddr(address)
    await node.dial(remote)
  },
  run: (name, count) => (name === 'flood' ? flood(count) : roundTrips(count)),
  stop: async () => node.stop()
})
