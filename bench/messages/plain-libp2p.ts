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

/** Answers each 64 messages with a byte, so that the sender need not trust the drain event: waiting for that alone stalls now and then. */
const windowMessages = 64

await node.handle(sinkProtocol, (stream) => {
  let taken = 0
  let answered = 0
  stream.addEventListener('message', (event) => {
    taken += event.data.byteLength
    const due = Math.floor(taken / (windowMessages * bodyBytes))
    if (due > answered) stream.send(new Uint8Array(due - answered))
    answered = due
  })
})
await node.handle(echoProtocol, (stream) => {
  stream.addEventListener('message', (event) => void stream.send(event.data))
})

let echo: Stream | undefined
let remote = multiaddr('/ip4/127.0.0.1/tcp/1')

const reply = (stream: Stream): Promise<void> => new Promise((resolve) => stream.addEventListener('message', () => resolve(), { once: true }))

/** Keeps at most 16 windows under way; `count` is rounded up to whole windows. */
async function flood(count: number): Promise<Record<string, number>> {
  const stream = await node.dialProtocol(remote, sinkProtocol)
  const body = new Uint8Array(bodyBytes).fill(7)
  const windows = Math.ceil(count / windowMessages)
  let answered = 0
  let wake = (): void => undefined
  stream.addEventListener('message', (event) => {
    answered += event.data.byteLength
    wake()
  })
  const until = async (wanted: number): Promise<void> => {
    while (answered < wanted) await new Promise<void>((resolve) => (wake = resolve))
  }
  const start = performance.now()
  for (let sent = 0; sent < windows; sent++) {
    for (let index = 0; index < windowMessages; index++) stream.send(body)
    await until(sent - 15)
  }
  await until(windows)
  const ms = performance.now() - start
  await stream.close()
  return { perSecond: (1_000 * windows * windowMessages) / ms }
}

async function roundTrips(count: number): Promise<Record<string, number>> {
  echo ??= await node.dialProtocol(remote, echoProtocol)
  const body = new Uint8Array(bodyBytes).fill(7)
  const samples: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    const done = reply(echo)
    echo.send(body)
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
