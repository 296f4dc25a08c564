import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Mesh, SendOptions } from '../../src/node/index.ts'
import { bodyBytes, percentiles, serveSide } from './child.ts'

/** Our own side: a node with its store on disk. `argv[2]` is the library's entry point, so that a copy with another store can be measured. */
const { createMesh } = (await import(pathToFileURL(process.argv[2] ?? '').href)) as typeof import('../../src/node/index.ts')
const folder = await mkdtemp(join(tmpdir(), 'synaptic-bench-'))
const many = 10_000_000
const mesh: Mesh = await createMesh(
  {
    listenAddrs: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    logLevel: 'error',
    inboxMaxMessages: many,
    inboxMaxBytes: 2 ** 36,
    inboxMaxMessagesPerPeer: many,
    inboxMaxBytesPerPeer: 2 ** 36,
    outboxMaxMessages: 100_000,
    rateMessagesPerSecond: 1_000_000
  },
  { stateFolder: join(folder, 'state') }
)
mesh.on('message', (message) => {
  if (message.expectsReply) void mesh.reply(message, message.body)
})

let remote = ''
const body = new Uint8Array(bodyBytes).fill(7)

/** Keeps `atOnce` sends under way until `count` are done. */
async function pipeline(count: number, options: SendOptions & { readonly atOnce: number }): Promise<number> {
  const { atOnce, ...send } = options
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1
      const { status } = await mesh.send(remote, body, send)
      if (send.delivery !== 'volatile' && status !== 'stored') throw new Error(`a message is ${status}`)
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane))
  // The recipient answers behind everything that was sent: the flood has arrived.
  if (send.delivery === 'volatile') await mesh.request(remote, 'end', { delivery: 'volatile' })
  return (1_000 * count) / (performance.now() - start)
}

async function latencies(count: number, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const samples: number[] = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    await work()
    samples.push(performance.now() - start)
  }
  return percentiles(samples)
}

async function run(name: string, count: number): Promise<Record<string, number>> {
  switch (name) {
    case 'durable':
      return { perSecond: await pipeline(count, { atOnce: 2_000, timeoutMs: 120_000 }) }
    case 'flood':
      return { perSecond: await pipeline(count, { atOnce: 512, delivery: 'volatile' }) }
    case 'durable-one':
      return latencies(count, () => mesh.send(remote, body))
    default:
      return latencies(count, () => mesh.request(remote, body, { delivery: 'volatile' }))
  }
}

await serveSide({
  address: (await mesh.invite()).invite,
  connect: async (invite) => {
    remote = (await mesh.join(invite)).peerId
    await mesh.send(remote, 'ready')
  },
  run,
  stop: async () => {
    await mesh.stop()
    await rm(folder, { recursive: true })
  }
})
